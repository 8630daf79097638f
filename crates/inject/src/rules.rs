//! The settings' say on a pod's annotations: what they add, replace, forbid and allow.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;
use sidekey_core::contract::Dialect;
use sidekey_core::goparse::parse_bool;
use sidekey_core::{Cause, Code};

use crate::annotations::{Annotations, Author, Entry};
use crate::bypass::{OF_FILES, displaces, parameter};
use crate::pod::text;
use crate::registry::{Field, NATIVE, OPENBAO, Parsed, Suffix, VAULT};
use crate::settings::{Allowed, Policy, Settings, matches, matches_within, parse};
use crate::spec::InjectSpec;
use crate::value::shown;

/// A `*` stands for a part of a host or of a port.
const ADDRESS: (&str, &str) = ("address of Vault", "/\\?#@:");
/// A `*` stands for a part of a repository's last name or of a tag, never of a registry.
const IMAGE: (&str, &str) = ("agent image", "/");

/// The policies that hold for a namespace, the cluster's first; what comes later counts before it.
fn policies<'a>(settings: &'a Settings, namespace: &str) -> impl DoubleEndedIterator<Item = &'a Policy> {
    let here = |names: &[String]| names.iter().any(|name| matches(name, namespace));
    let named: Vec<&Policy> =
        settings.namespaces.iter().filter(|one| here(&one.names)).map(|one| &one.policy).collect();
    std::iter::once(&settings.policy).chain(named)
}

/// Adds defaults, then puts forced values in place. Without any policy nothing is done.
///
/// # Errors
/// `PolicyRefused` for an annotation that is forbidden, or that would get round what is forced, forbidden or checked.
pub(crate) fn apply<'a>(
    found: &mut Annotations<'a>,
    settings: &'a Settings,
    namespace: &str,
    dialect: Dialect,
) -> Result<(), Cause> {
    if settings.has_no_policy() {
        return Ok(());
    }
    if let Some(entry) = policies(settings, namespace).find_map(|policy| forbidden(found, policy)) {
        let answer = format!("pods of namespace {namespace} may not set it");
        return Err(Cause::new(Code::PolicyRefused, format!("reading annotation {}", entry.key), answer)
            .with_fix("Remove it, or ask the platform's people to change the webhook's settings."));
    }
    // The most particular default is found first, and what is there stays.
    for policy in policies(settings, namespace).rev() {
        for (key, value) in &policy.defaults {
            if let Some((parsed, entry)) = entry(key, value, dialect, Author::Default) {
                found.add(parsed, entry);
            }
        }
    }
    for policy in policies(settings, namespace) {
        for (key, value) in &policy.forced {
            if let Some((parsed, entry)) = entry(key, value, dialect, Author::Forced) {
                found.force(parsed, entry);
            }
        }
    }
    let Some((entry, setting)) = getting_round(found, settings, namespace) else { return Ok(()) };
    let answer = format!("it could get round `{setting}` of the webhook's settings");
    Err(Cause::new(Code::PolicyRefused, format!("reading annotation {}", entry.key), answer)
        .with_fix("Remove it; the webhook's settings can set it as a default or a forced value."))
}

/// For pods of the key's own dialect; a native key that the Vault dialect lacks is for both.
fn entry<'a>(key: &'a str, value: &'a str, pods: Dialect, author: Author) -> Option<(Parsed<'a>, Entry<'a>)> {
    let (dialect, parsed) = parse(key)?;
    let (Parsed::Plain(field) | Parsed::Suffixed(field, _)) = parsed else { return None };
    let fits = dialect == pods || (dialect == Dialect::Native && field.row().vault.is_none());
    fits.then_some((parsed, Entry { key, value, dialect, author }))
}

/// By meaning: a key that is forbidden is so in every dialect.
fn forbidden<'a>(found: &Annotations<'a>, policy: &Policy) -> Option<Entry<'a>> {
    if policy.forbidden.is_empty() {
        return None;
    }
    let is = |field, suffix| named(&policy.forbidden, field, suffix).is_some();
    found.all().find(|(field, suffix, _)| is(*field, *suffix)).map(|(.., entry)| entry)
}

/// The pattern that fits a key, in whichever dialect and spelling.
fn named<'p>(patterns: &'p [String], field: Field, suffix: Option<&str>) -> Option<&'p String> {
    let row = field.row();
    let keys = [(VAULT, row.vault), (OPENBAO, row.vault), (NATIVE, row.native)];
    let tail = suffix.map_or_else(String::new, |suffix| format!("-{suffix}"));
    let mut keys = keys.into_iter().filter_map(|(prefix, key)| Some(format!("{prefix}{}{tail}", key?.name)));
    let fits = |pattern: &str, key: &str| match field {
        Field::AuthConfig => matches(&parameter(pattern), &parameter(key)),
        _ => matches(pattern, key),
    };
    keys.find_map(|key| patterns.iter().find(|pattern| fits(pattern, &key)))
}

/// The first annotation of the pod's own that could get round a setting, and that setting.
fn getting_round<'a>(
    found: &Annotations<'a>,
    settings: &Settings,
    namespace: &str,
) -> Option<(Entry<'a>, Cow<'static, str>)> {
    let addresses = allowed(settings, namespace, |allowed| &allowed.addresses).map(|_| "allowed.addresses".into());
    let leads = |field, entry: &Entry<'_>| match field {
        _ if entry.value.is_empty() => None,
        Field::ConfigMap => addresses.clone().or_else(|| beside_files(found, settings, namespace)),
        Field::TlsSkipVerify if parse_bool(entry.value) == Some(false) => None,
        Field::Proxy | Field::TlsSkipVerify | Field::TlsServerName => addresses.clone(),
        _ => None,
    };
    let forced: Vec<_> = found.all().filter(|(.., entry)| entry.author == Author::Forced).collect();
    let displaced = |own| {
        let found = forced.iter().find(|(field, suffix, entry)| displaces(own, (*field, *suffix, entry.value)));
        found.map(|(.., entry)| format!("forced: {}", entry.key).into())
    };
    let pods = found.all().filter(|(.., entry)| entry.author == Author::Pod);
    let round = pods.filter_map(|(field, suffix, entry)| {
        let setting = leads(field, &entry).or_else(|| displaced((field, suffix, entry.value)))?;
        Some((entry, setting))
    });
    round.min_by_key(|(entry, _)| entry.key)
}

/// A setting that means nothing to Vault Agent's own files.
fn beside_files(found: &Annotations<'_>, settings: &Settings, namespace: &str) -> Option<Cow<'static, str>> {
    let roles = allowed(settings, namespace, |allowed| &allowed.roles).map(|_| "allowed.roles".into());
    let forced = || {
        let all = found.all().filter(|(field, _, entry)| entry.author == Author::Forced && OF_FILES.contains(field));
        all.map(|(.., entry)| entry.key).min().map(|key| format!("forced: {key}").into())
    };
    let forbidden = || {
        let mut all = policies(settings, namespace).map(|policy| &policy.forbidden);
        let pattern = all.find_map(|patterns| OF_FILES.iter().find_map(|field| about(patterns, *field)));
        pattern.map(|pattern| format!("forbidden: {pattern}").into())
    };
    roles.or_else(forced).or_else(forbidden)
}

/// The pattern for all that a field says; one that is for a file by its name has nothing to do with other files.
fn about(patterns: &[String], field: Field) -> Option<&String> {
    let row = field.row();
    let family = [row.vault, row.native].into_iter().flatten().any(|key| key.suffix == Suffix::Always);
    let is_parameter = |pattern: &&String| matches!(parse(pattern), Some((_, Parsed::Suffixed(Field::AuthConfig, _))));
    let whole = named(patterns, field, None).or_else(|| named(patterns, field, Some("")).filter(|_| family));
    whole.or_else(|| patterns.iter().find(is_parameter).filter(|_| field == Field::AuthConfig))
}

/// The lists in force: a namespace's own in the place of the cluster's.
fn allowed<'a>(
    settings: &'a Settings,
    namespace: &str,
    pick: impl Fn(&'a Allowed) -> &'a Vec<String>,
) -> Option<&'a [String]> {
    policies(settings, namespace).rev().map(|policy| pick(&policy.allowed).as_slice()).find(|list| !list.is_empty())
}

/// Checks what the pod chose.
///
/// # Errors
/// `PolicyRefused`, with what is allowed.
pub(crate) fn check(
    spec: &InjectSpec,
    found: &Annotations<'_>,
    settings: &Settings,
    namespace: &str,
) -> Result<(), Cause> {
    if settings.has_no_policy() {
        return Ok(());
    }
    // What the settings chose, they allow.
    let theirs = |field| found.get(field).is_some_and(|entry| entry.author != Author::Pod && !entry.value.is_empty());
    let lists =
        |pick: fn(&Allowed) -> &Vec<String>, field| allowed(settings, namespace, pick).filter(|_| !theirs(field));
    // Vault Agent's own files name the role; those that are left here are the settings' choice.
    let roles = allowed(settings, namespace, |allowed| &allowed.roles).filter(|_| spec.extras.config_map.is_none());
    if let Some(list) = roles {
        for place in spec.places.iter().filter(|place| !place.role_is_free) {
            one_of(list, &place.login.role, ("Vault role", ""), namespace)?;
        }
    }
    if let Some(list) = lists(|allowed| &allowed.images, Field::Image) {
        image(list, &spec.image, settings, namespace)?;
    }
    let Some(list) = allowed(settings, namespace, |allowed| &allowed.addresses) else { return Ok(()) };
    for place in spec.places.iter().filter(|place| !place.address_is_free) {
        one_of(list, place.server.address.trim_end_matches('/'), ADDRESS, namespace)?;
    }
    Ok(())
}

/// Checks the image of a container that a JSON patch of the pod's has gone over.
///
/// # Errors
/// `PolicyRefused`.
pub(crate) fn check_image(container: &RawValue, settings: &Settings, namespace: &str) -> Result<(), Cause> {
    let Some(list) = allowed(settings, namespace, |allowed| &allowed.images) else { return Ok(()) };
    let container: Value = serde_json::from_str(container.get()).unwrap_or_default();
    image(list, text(&container, "image"), settings, namespace)
}

/// The settings' own images need no leave.
fn image(list: &[String], image: &str, settings: &Settings, namespace: &str) -> Result<(), Cause> {
    if [&settings.agent_image, &settings.tools_image].into_iter().any(|own| own == image) {
        return Ok(());
    }
    one_of(list, image, IMAGE, namespace)
}

/// `what` comes with the characters that a `*` does not stand for.
fn one_of(list: &[String], value: &str, what: (&str, &str), namespace: &str) -> Result<(), Cause> {
    let (what, fixed) = what;
    if list.iter().any(|pattern| matches_within(pattern.trim_end_matches('/'), value, fixed)) {
        return Ok(());
    }
    let attempted = format!("injecting a pod of namespace {namespace}");
    let answer = format!("the {what} `{}` is none that the settings allow", shown(value));
    Err(Cause::new(Code::PolicyRefused, attempted, answer).with_fix(format!("Use one of {}.", list.join(", "))))
}
