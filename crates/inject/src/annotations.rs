//! The pod's annotation map, sorted out: nobody else touches it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sidekey_core::contract::Dialect;
use sidekey_core::goparse::parse_bool;
use sidekey_core::{Cause, Code};

use crate::explain::Origin;
use crate::registry::{self, Effect, Fallback, Field, Kind, NATIVE, OPENBAO, Parsed, VAULT};
use crate::settings::Prefix;
use crate::value::shown;

/// Longest annotations of an object, keys and values together (Kubernetes, `TotalAnnotationSizeLimitB`). Admission comes before
/// that is checked.
pub(crate) const LONGEST: usize = 256 * 1024;

/// Longest key, prefix and all (Kubernetes, qualified names).
const LONGEST_KEY: usize = 253 + 1 + 63;

/// Warnings of one admission: an API server passes on 4096 bytes of them.
pub(crate) const WARNINGS: usize = 20;

/// The first of them, each once, and how many there were more.
pub(crate) fn first(mut warnings: Vec<String>) -> Vec<String> {
    let mut said = BTreeSet::new();
    warnings.retain(|warning| said.insert(warning.clone()));
    let more = warnings.len().saturating_sub(WARNINGS);
    if more > 0 {
        warnings.truncate(WARNINGS);
        warnings.push(format!("and {more} more warnings"));
    }
    warnings
}

/// The refusal of a pod that asks and whose annotations no API server would take: nothing of them is read.
///
/// # Errors
/// `PodRefused`.
pub(crate) fn bounded(map: &Map<String, Value>) -> Result<(), Cause> {
    let length: usize = map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    let asks = |prefix: &&str| {
        let dialect = if *prefix == NATIVE { Dialect::Native } else { Dialect::Vault };
        Field::Inject.row().key(dialect).is_some_and(|key| map.contains_key(&format!("{prefix}{}", key.name)))
    };
    if length <= LONGEST || ![NATIVE, VAULT, OPENBAO].iter().any(asks) {
        return Ok(());
    }
    let answer = format!("they are {length} bytes long; Kubernetes takes {LONGEST} at most");
    Err(Cause::new(Code::PodRefused, "reading the pod's annotations", answer)
        .with_fix("Move long templates into a ConfigMap."))
}

/// One annotation of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The full key.
    pub(crate) key: &'a str,
    /// Its text.
    pub(crate) value: &'a str,
    /// Whose key it is.
    pub(crate) dialect: Dialect,
    /// Who wrote it.
    pub(crate) author: Author,
}

/// Who wrote an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The pod's own people.
    Pod,
    /// The settings, for pods that do not say.
    Default,
    /// The settings, whatever the pod says.
    Forced,
}

impl Entry<'_> {
    /// The refusal of a value that does not have its kind's shape.
    pub(crate) fn refused(&self, kind: Kind) -> Cause {
        refused(&self.origin().to_string(), self.value, kind)
    }

    /// Where it comes from, for a trace.
    pub(crate) fn origin(&self) -> Origin {
        match self.author {
            Author::Pod => Origin::Annotation(self.key.to_owned()),
            Author::Default => Origin::Derived(format!("settings policy, default {}", self.key).into()),
            Author::Forced => Origin::Derived(format!("settings policy, forced {}", self.key).into()),
        }
    }
}

/// The refusal of a value that does not have its kind's shape.
pub(crate) fn refused(place: &str, value: &str, kind: Kind) -> Cause {
    let one_of = if matches!(kind, Kind::OneOf(_)) { "one of " } else { "" };
    Cause::new(Code::AnnotationValue, format!("reading {place}"), unlike(value, kind))
        .with_fix(format!("Write {one_of}{}.", kind.shape()))
}

/// That it does not, in words.
pub(crate) fn unlike(value: &str, kind: Kind) -> String {
    let verb = if matches!(kind, Kind::OneOf(_)) { "is none of" } else { "is not" };
    format!("`{}` {verb} {}", shown(value), kind.shape())
}

/// All annotations of ours, by meaning.
#[derive(Debug, Default)]
pub(crate) struct Annotations<'a> {
    plain: Vec<(Field, Entry<'a>)>,
    families: BTreeMap<(&'a str, Field), Entry<'a>>,
    /// About keys that are unknown, without effect, or said twice.
    pub(crate) warnings: Vec<String>,
    unknown: usize,
}

impl<'a> Annotations<'a> {
    /// Sorts the map out.
    ///
    /// # Errors
    /// `AnnotationValue` when a value of ours is not a string, as in unquoted YAML.
    pub(crate) fn collect(map: &'a Map<String, Value>, served: &[Prefix]) -> Result<Self, Cause> {
        let mut found: Vec<Raw<'a>> = map.iter().filter_map(|(key, value)| Raw::of(key, value, served)).collect();
        found.sort_by_key(|raw| (raw.rank, raw.name));
        let mut all = Self::default();
        for raw in found {
            let Some(value) = raw.value.as_str() else { return Err(not_a_string(raw.key)) };
            all.insert(raw.parse(map), Entry { key: raw.key, value, dialect: raw.dialect, author: Author::Pod });
        }
        if let Some(more) = all.unknown.checked_sub(WARNINGS).filter(|more| *more > 0) {
            all.warnings.push(format!("{more} more unknown annotations are ignored"));
        }
        all.warn_of_effects();
        Ok(all)
    }

    /// A key without a suffix.
    pub(crate) fn get(&self, field: Field) -> Option<Entry<'a>> {
        self.plain.iter().find(|(known, _)| *known == field).map(|(_, entry)| *entry)
    }

    /// The key of one file or parameter.
    pub(crate) fn of(&self, field: Field, suffix: &str) -> Option<Entry<'a>> {
        self.families.get(&(suffix, field)).copied()
    }

    /// The keys with a suffix, in the suffixes' order.
    pub(crate) fn suffixed(&self) -> impl Iterator<Item = (&'a str, Field, Entry<'a>)> + '_ {
        self.families.iter().map(|((suffix, field), entry)| (*suffix, *field, *entry))
    }

    /// All of them with their suffixes, in no order that means anything.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Field, Option<&'a str>, Entry<'a>)> + '_ {
        let plain = self.plain.iter().map(|(field, entry)| (*field, None, *entry));
        plain.chain(self.families.iter().map(|((suffix, field), entry)| (*field, Some(*suffix), *entry)))
    }

    /// Adds one unless the pod or an earlier call has it.
    pub(crate) fn add(&mut self, parsed: Parsed<'a>, entry: Entry<'a>) {
        match parsed {
            Parsed::Plain(field) if self.get(field).is_none() => self.plain.push((field, entry)),
            Parsed::Suffixed(field, suffix) => _ = self.families.entry((suffix, field)).or_insert(entry),
            Parsed::Plain(_) | Parsed::Unknown => {}
        }
    }

    /// Puts one in the place of whatever is there.
    pub(crate) fn force(&mut self, parsed: Parsed<'a>, entry: Entry<'a>) {
        if let Some(old) =
            self.replace(parsed, entry).filter(|old| old.author == Author::Pod && old.value != entry.value)
        {
            self.warnings.push(format!("{} is replaced: the webhook's settings force {}", old.key, entry.key));
        }
    }

    fn replace(&mut self, parsed: Parsed<'a>, entry: Entry<'a>) -> Option<Entry<'a>> {
        match parsed {
            Parsed::Plain(field) => {
                let old = self.plain.iter().position(|(known, _)| *known == field);
                let old = old.map(|index| self.plain.swap_remove(index).1);
                self.plain.push((field, entry));
                old
            }
            Parsed::Suffixed(field, suffix) => self.families.insert((suffix, field), entry),
            Parsed::Unknown => None,
        }
    }

    fn insert(&mut self, parsed: Parsed<'a>, entry: Entry<'a>) {
        if parsed == Parsed::Unknown {
            self.unknown += 1;
            // Looking for the nearest key takes time.
            if self.unknown <= WARNINGS {
                self.warnings.push(unknown(&entry));
            }
        }
        let replaced = self.replace(parsed, entry);
        if let Some(old) = replaced {
            self.warnings.push(format!("{} wins over {}, which says the same thing", entry.key, old.key));
        }
    }

    fn warn_of_effects(&mut self) {
        let plain = self.plain.iter().map(|(field, entry)| (*field, *entry));
        let all = plain.chain(self.families.iter().map(|((_, field), entry)| (*field, *entry)));
        let mut warnings: Vec<String> = all.filter_map(|(field, entry)| effect(field, &entry)).collect();
        warnings.sort_unstable();
        self.warnings.append(&mut warnings);
    }
}

/// Says that nothing comes of an annotation, unless it asks for the default anyway.
fn effect(field: Field, entry: &Entry<'_>) -> Option<String> {
    let row = field.row();
    let said = match row.effect {
        Effect::Now => return None,
        Effect::Never(reason) => format!("{} has no effect: {reason}", entry.key),
    };
    let default = row.key(entry.dialect).map(|key| key.default);
    let same = match default {
        Some(Fallback::Is(value)) if row.kind == Kind::Bool => parse_bool(value) == parse_bool(entry.value),
        Some(Fallback::Is(value)) => value == entry.value,
        _ => entry.value.is_empty(),
    };
    (!same).then_some(said)
}

fn unknown(entry: &Entry<'_>) -> String {
    let (prefix, name) = entry.key.split_once('/').unwrap_or(("", entry.key));
    if entry.key.len() > LONGEST_KEY {
        return format!("an annotation of {prefix} whose key has {} bytes is ignored", entry.key.len());
    }
    match registry::nearest(entry.dialect, name) {
        Some(known) => format!("unknown annotation {}; did you mean {prefix}/{known}?", entry.key),
        None => format!("unknown annotation {}; it is ignored", entry.key),
    }
}

fn not_a_string(key: &str) -> Cause {
    Cause::new(Code::AnnotationValue, format!("reading annotation {key}"), "the value is not a string")
        .with_fix("Put the value in quotes.")
}

/// A key with one of our prefixes.
struct Raw<'a> {
    /// Later ones win.
    rank: u8,
    dialect: Dialect,
    key: &'a str,
    name: &'a str,
    value: &'a Value,
}

impl<'a> Raw<'a> {
    fn of(key: &'a str, value: &'a Value, served: &[Prefix]) -> Option<Self> {
        let prefixes = [
            (0, Dialect::Vault, Prefix::Vault),
            (1, Dialect::Vault, Prefix::Openbao),
            (2, Dialect::Native, Prefix::Native),
        ];
        prefixes
            .into_iter()
            .filter(|(.., prefix)| served.contains(prefix))
            .find_map(|(rank, dialect, prefix)| Some((rank, dialect, key.strip_prefix(prefix.as_str())?)))
            .map(|(rank, dialect, name)| Self { rank, dialect, key, name, value })
    }

    /// A template of a secret called `file-x` reads like the template file of `x`: the secret's own key decides.
    fn parse(&self, map: &Map<String, Value>) -> Parsed<'a> {
        let parsed = registry::parse(self.dialect, self.name);
        let Parsed::Suffixed(Field::TemplateFile, suffix) = parsed else { return parsed };
        let start = self.key.len() - suffix.len() - "file-".len();
        let (prefix, secret) = match self.dialect {
            Dialect::Vault => (&self.key[..self.key.len() - self.name.len()], "agent-inject-secret-"),
            Dialect::Native => (NATIVE, "secret-"),
        };
        let name = &self.key[start..];
        let declared = map.contains_key(&format!("{prefix}{secret}{name}"));
        if declared { Parsed::Suffixed(Field::Template, name) } else { parsed }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn native_wins_over_the_alias_and_the_alias_over_vault() {
        let map = map(json!({
            "vault.hashicorp.com/role": "a", "openbao.org/role": "b", "sidekey.dev/role": "c",
            "vault.hashicorp.com/namespace": "x", "openbao.org/namespace": "y",
            "other.example/role": "z",
        }));
        let found = Annotations::collect(&map, &Prefix::ALL).unwrap();
        assert_eq!(found.get(Field::Role).unwrap().value, "c");
        assert_eq!(found.get(Field::Namespace).unwrap().value, "y");
        assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
    }

    #[test]
    fn warns_of_what_is_unknown_or_without_effect() {
        let map = map(json!({
            "vault.hashicorp.com/agent-injekt": "true",
            "vault.hashicorp.com/agent-cache-enable": "true",
            "vault.hashicorp.com/agent-cache-exit-on-err": "true",
            "vault.hashicorp.com/go-max-procs": "",
            "vault.hashicorp.com/agent-telemetry-statsd-address": "x:1",
        }));
        let warnings = Annotations::collect(&map, &Prefix::ALL).unwrap().warnings;
        let wanted = ["did you mean vault.hashicorp.com/agent-inject?", "no effect: ", "pushes to nobody"];
        assert_eq!(warnings.len(), wanted.len(), "{warnings:?}");
        for words in wanted {
            assert!(warnings.iter().any(|warning| warning.contains(words)), "{words}: {warnings:?}");
        }
    }

    #[test]
    fn knows_the_template_of_a_secret_called_file_x() {
        let declared = map(json!({
            "vault.hashicorp.com/agent-inject-secret-file-x": "p",
            "vault.hashicorp.com/agent-inject-template-file-x": "text",
        }));
        let found = Annotations::collect(&declared, &Prefix::ALL).unwrap();
        assert_eq!(found.of(Field::Template, "file-x").unwrap().value, "text");
        let alone = map(json!({ "vault.hashicorp.com/agent-inject-template-file-x": "/t" }));
        assert_eq!(
            Annotations::collect(&alone, &Prefix::ALL).unwrap().of(Field::TemplateFile, "x").unwrap().value,
            "/t"
        );
    }

    #[test]
    fn refuses_unquoted_values() {
        let map = map(json!({ "sidekey.dev/inject": true }));
        assert_eq!(Annotations::collect(&map, &Prefix::ALL).unwrap_err().code, Code::AnnotationValue);
    }
}
