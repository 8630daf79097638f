//! Why a lookup failed.

use std::collections::BTreeMap;

use sidekey_core::contract::Dialect;
use sidekey_core::lookup::Verb;
use sidekey_core::{Cause, Code, Lookup, Sensitive};

use super::{PATIENCE, Sight, server};
use crate::client::Client;
use crate::error::{Class, VaultError};
use crate::mounts::{MountKind, kv2_path};

/// Mounts that every token sees; they say nothing of its policies.
const EVERYBODYS: [&str; 3] = ["cubbyhole/", "identity/", "sys/"];

pub(super) type Visible = BTreeMap<String, MountKind>;

pub(super) struct Scene<'a> {
    pub(super) client: &'a Client,
    pub(super) token: &'a Sensitive<String>,
    pub(super) lookup: &'a Lookup,
    pub(super) error: &'a VaultError,
    pub(super) sight: &'a Sight,
}

pub(super) async fn cause(scene: &Scene<'_>, dialect: Option<Dialect>) -> Cause {
    let error = scene.error;
    let (code, extra, fix) = match error.class {
        Class::Denied => denied(scene).await,
        Class::Missing => missing(scene).await,
        Class::Deleted => (Code::SecretDeleted, String::new(), Some(deleted(error))),
        Class::BadRequest => (Code::SecretRefused, String::new(), Some(refused(scene))),
        Class::Internal => (Code::VaultInternal, String::new(), Some(internal(scene))),
        _ => return server::cause(error, scene.client.server(), dialect, attempted(scene)),
    };
    let cause = Cause::new(code, attempted(scene), format!("{}{extra}", error.answer()));
    match fix {
        Some(fix) => cause.with_fix(fix),
        None => cause,
    }
}

fn attempted(scene: &Scene<'_>) -> String {
    let verb = match scene.lookup.verb {
        Verb::Read => "reading",
        Verb::Write => "writing",
        Verb::List => "listing",
    };
    let server = scene.client.server();
    let vault =
        server.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in Vault namespace {namespace}"));
    format!("{verb} {} of {}{vault}", scene.error.path, server.address)
}

type Said = (Code, String, Option<String>);

/// A 403: dead token, policy, or a mount that is not there. Two questions: which mounts, which capabilities.
async fn denied(scene: &Scene<'_>) -> Said {
    let path = &scene.error.path;
    let visible = visible(scene).await;
    let mount = visible.and_then(|visible| holding(visible, path));
    let other = other_form(scene, mount.as_ref());
    let asked: Vec<&str> = std::iter::once(path.as_str()).chain(other.as_deref()).collect();
    let capabilities = match in_time(scene.client.capabilities_of(scene.token, &asked)).await {
        Some(Err(error)) if error.class == Class::InvalidToken => {
            return (Code::TokenDead, "; the token is dead".to_owned(), None);
        }
        Some(Ok(capabilities)) => capabilities,
        _ => BTreeMap::new(),
    };
    let here = capabilities.get(path).map(Vec::as_slice);
    if let Some(other) =
        other.filter(|other| capabilities.get(other).is_some_and(|list| allows(list, scene.lookup.verb)))
    {
        let fix = format!(
            "The policy names {other}; {} Grant it there: {}.",
            form_rule(path),
            stanza(path, scene.lookup.verb)
        );
        return (Code::PolicyDenied, String::new(), Some(fix));
    }
    match (here, visible, mount) {
        (Some(list), ..) if allows(list, scene.lookup.verb) => {
            let fix = "The capability is there: look for required or denied parameters, bound addresses, a Sentinel policy or a control group.";
            (Code::PolicyDenied, format!(", though the token has {list:?} there"), Some(fix.to_owned()))
        }
        (_, Some(visible), None) if !visible.is_empty() && !is_systems(path) => nothing_mounted(scene, visible),
        (here, ..) => {
            let has = here.map_or_else(String::new, |list| format!("; the token has {list:?} there"));
            let fix = format!("Grant it in a policy of the role: {}.", stanza(path, scene.lookup.verb));
            (Code::PolicyDenied, has, Some(fix))
        }
    }
}

/// Vault answers alike for an absent mount and for one that no policy names, on purpose; the text says both.
fn nothing_mounted(scene: &Scene<'_>, visible: &Visible) -> Said {
    let path = &scene.error.path;
    let mount = path.split('/').next().unwrap_or_default();
    let known = visible.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let fix = format!(
        "Correct the mount: `vault secrets list` shows all, this token may use {known}. If {mount}/ is there, grant it in a policy of the role: {}.",
        stanza(path, scene.lookup.verb)
    );
    (Code::SecretMountUnknown, format!("; no mount at {mount}/ that this token may use"), Some(fix))
}

/// A 404: no mount, the wrong form of a KV path, or nothing there.
async fn missing(scene: &Scene<'_>) -> Said {
    let (error, path) = (scene.error, &scene.error.path);
    if error.says("no handler for route") {
        let mount = path.split('/').next().unwrap_or_default();
        let known = visible(scene).await.filter(|visible| !visible.is_empty());
        let known = known.map_or_else(String::new, |visible| {
            format!(", this token may use {}", visible.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
        });
        let fix = format!(
            "Correct the mount {mount}/ of the path, or the Vault namespace: `vault secrets list` shows all{known}."
        );
        return (Code::SecretMountUnknown, String::new(), Some(fix));
    }
    if error.says("versioned K/V") {
        let fix = format!("{} Write the path that way.", form_rule(path));
        return (Code::SecretNotFound, String::new(), Some(fix));
    }
    let mount = in_time(scene.client.mount_of(scene.token, path)).await.and_then(Result::ok);
    (Code::SecretNotFound, String::new(), Some(nothing_there(scene, mount.as_ref())))
}

fn nothing_there(scene: &Scene<'_>, mount: Option<&(String, MountKind)>) -> String {
    let path = &scene.error.path;
    match (mount, kv2_parts(path), scene.lookup.query.get("version")) {
        (Some((mount, MountKind::Plain)), Some((_, rest)), _) => {
            format!(
                "The mount {mount} is not KV version 2: write {mount}{rest}, without data/; or put a secret at {path}."
            )
        }
        (_, Some((mount, rest)), Some(version)) => {
            format!(
                "There is no version {version}: `vault kv metadata get -mount={mount} {rest}` shows those that are."
            )
        }
        (_, Some((mount, rest)), None) if scene.lookup.verb == Verb::Read => {
            format!("Write it: `vault kv put -mount={mount} {rest} KEY=VALUE`; or correct the path.")
        }
        _ if scene.lookup.verb == Verb::List => {
            format!("Nothing lies below {path}: `vault list {path}` must show something.")
        }
        _ => format!("Check the path {path}: `vault read {path}` must find it."),
    }
}

fn deleted(error: &VaultError) -> String {
    match kv2_parts(&error.path) {
        Some((mount, rest)) => format!(
            "Undelete it: `vault kv undelete -mount={mount} -versions=N {rest}`; or write a new version: `vault kv put -mount={mount} {rest} KEY=VALUE`."
        ),
        None => Code::SecretDeleted.advice().to_owned(),
    }
}

fn refused(scene: &Scene<'_>) -> String {
    let path = &scene.error.path;
    match path.split_once("/creds/") {
        Some((mount, role)) if scene.error.says("unknown role") || scene.error.says("role") => {
            format!("Check the role {role}: `vault read {mount}/roles/{role}`.")
        }
        _ => Code::SecretRefused.advice().to_owned(),
    }
}

fn internal(scene: &Scene<'_>) -> String {
    match scene.error.path.split_once("/creds/") {
        Some((mount, role)) => {
            format!(
                "Check that Vault reaches what {mount}/ makes credentials in, and its rights there; see the statements of role {role}."
            )
        }
        None => Code::VaultInternal.advice().to_owned(),
    }
}

/// Secrets mounts some policy of the token touches; `None` when it may not ask.
async fn visible<'a>(scene: &Scene<'a>) -> Option<&'a Visible> {
    let ask = || async {
        match in_time(scene.client.visible_mounts(scene.token)).await {
            Some(Ok(mut visible)) => {
                visible.retain(|mount, _| !EVERYBODYS.contains(&mount.as_str()));
                Ok(Some(visible))
            }
            Some(Err(error)) if matches!(error.class, Class::Denied | Class::Missing) => Ok(None),
            _ => Err(()),
        }
    };
    scene.sight.0.get_or_try_init(ask).await.ok()?.as_ref()
}

async fn in_time<T>(question: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, question).await.ok()
}

/// Below what Vault always mounts itself.
fn is_systems(path: &str) -> bool {
    EVERYBODYS.iter().chain(&["auth/"]).any(|mount| path.starts_with(mount))
}

fn holding(visible: &Visible, path: &str) -> Option<(String, MountKind)> {
    let path = format!("{path}/");
    let found =
        visible.iter().filter(|(mount, _)| path.starts_with(mount.as_str())).max_by_key(|(mount, _)| mount.len());
    found.map(|(mount, kind)| (mount.clone(), *kind))
}

/// The same secret in the other way of writing it.
fn other_form(scene: &Scene<'_>, mount: Option<&(String, MountKind)>) -> Option<String> {
    let path = &scene.error.path;
    let longer = || {
        mount
            .filter(|(_, kind)| *kind == MountKind::Kv2)
            .and_then(|(mount, _)| kv2_path(path, mount, scene.lookup.verb))
    };
    kv2_parts(path).map(|(mount, rest)| format!("{mount}/{rest}")).or_else(longer)
}

/// `secret/data/web` and `secret/metadata/web` as mount and name.
fn kv2_parts(path: &str) -> Option<(&str, &str)> {
    path.split_once("/data/").or_else(|| path.split_once("/metadata/"))
}

fn form_rule(path: &str) -> &'static str {
    match kv2_parts(path) {
        Some(_) => "KV version 2 wants data/ (for lists metadata/) after the mount.",
        None => "A KV version 2 mount wants data/ (for lists metadata/) after its name.",
    }
}

const fn wanted(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Read => &["read"],
        Verb::List => &["list"],
        Verb::Write => &["update", "create"],
    }
}

fn allows(capabilities: &[String], verb: Verb) -> bool {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    !has("deny") && (has("root") || wanted(verb).iter().any(|name| has(name)))
}

/// The lines to add to a policy, on one line.
fn stanza(path: &str, verb: Verb) -> String {
    format!("path \"{path}\" {{ capabilities = {:?} }}", wanted(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_a_capability_allows() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let cases: [(&[&str], Verb, bool); 7] = [
            (&["read"], Verb::Read, true),
            (&["root"], Verb::List, true),
            (&["deny"], Verb::Read, false),
            (&["deny", "read"], Verb::Read, false),
            (&["list"], Verb::Read, false),
            (&["create"], Verb::Write, true),
            (&[], Verb::Read, false),
        ];
        for (capabilities, verb, want) in cases {
            assert_eq!(allows(&list(capabilities), verb), want, "{capabilities:?} {verb:?}");
        }
    }

    #[test]
    fn writes_the_policy_to_add() {
        assert_eq!(stanza("secret/data/web", Verb::Read), r#"path "secret/data/web" { capabilities = ["read"] }"#);
        assert_eq!(
            stanza("pki/issue/web", Verb::Write),
            r#"path "pki/issue/web" { capabilities = ["update", "create"] }"#
        );
    }
}
