//! Defaults, forced values and limits for any annotation, cluster-wide and by namespace.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sidekey_core::contract::Dialect;
use sidekey_core::goparse::{parse_bool, parse_duration};

use super::checks;
use crate::annotations::unlike;
use crate::quantity::Quantity;
use crate::registry::{self, Field, Kind, NATIVE, OPENBAO, Parsed, VAULT};
use crate::{value, words};

/// What holds for some pods: those of the cluster, or of the namespaces named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    /// Values, by full annotation key, for pods that do not have the annotation.
    #[serde(deserialize_with = "values", skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// Values, by full annotation key, whatever the pod says.
    #[serde(deserialize_with = "values", skip_serializing_if = "BTreeMap::is_empty")]
    pub forced: BTreeMap<String, String>,
    /// Full annotation keys that refuse a pod; `…-*` is a whole family.
    #[serde(deserialize_with = "keys", skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<String>,
    /// What pods may choose from; a list that is empty allows everything.
    pub allowed: Allowed,
}

impl Policy {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Allowed { addresses, roles, images } = &self.allowed;
        let lists = [addresses, roles, images, &self.forbidden];
        self.defaults.is_empty() && self.forced.is_empty() && lists.iter().all(|list| list.is_empty())
    }
}

/// What pods may choose from, as patterns with `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Allowed {
    /// URLs of Vault. With these, a proxy, an unchecked certificate and a configuration of the pod's own are refused too.
    pub addresses: Vec<String>,
    /// Vault roles.
    pub roles: Vec<String>,
    /// Images of the agent, also those of a JSON patch.
    pub images: Vec<String>,
}

/// A policy for namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NamespacePolicy {
    /// Names, or patterns in which `*` stands for any text.
    pub names: Vec<String>,
    /// Counts before the cluster's, and before that of entries further up.
    pub policy: Policy,
}

/// Whether `text` is `pattern`, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let Some(last) = pattern.contains('*').then(|| parts.next_back()).flatten() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// The same, but `*` stands for none of `fixed`: no pattern for hosts lets a path with such a name in.
pub(crate) fn matches_within(pattern: &str, text: &str, fixed: &str) -> bool {
    let count = |text: &str| text.chars().filter(|c| fixed.contains(*c)).count();
    matches(pattern, text) && count(pattern) == count(text)
}

/// A full key, taken apart; `openbao.org/` is read as Vault's.
pub(crate) fn parse(key: &str) -> Option<(Dialect, Parsed<'_>)> {
    let prefixes = [(Dialect::Vault, VAULT), (Dialect::Vault, OPENBAO), (Dialect::Native, NATIVE)];
    let (dialect, name) =
        prefixes.into_iter().find_map(|(dialect, prefix)| Some((dialect, key.strip_prefix(prefix)?)))?;
    Some((dialect, registry::parse(dialect, name)))
}

/// Each is judged where it is read, so that its own line is named.
fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_map(Values)
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values by the full keys of annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut read = BTreeMap::new();
        while let Some(Known(key)) = map.next_key()? {
            let value = map.next_value_seed(ValueOf(&key))?;
            read.insert(key, value);
        }
        Ok(read)
    }
}

/// A full key of an annotation that may be set for a pod.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Known(String);

impl TryFrom<String> for Known {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        known(&key).map(|_| Self(key))
    }
}

/// The value of this key.
struct ValueOf<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let Self(key) = self;
        let value = String::deserialize(deserializer)?;
        match known(key).map(|field| wrong(field, &value)) {
            Ok(None) => Ok(value),
            Ok(Some(wrong)) => Err(D::Error::custom(format!("{key}: {wrong}"))),
            Err(unknown) => Err(D::Error::custom(unknown)),
        }
    }
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let read: Vec<Pattern> = Vec::deserialize(deserializer)?;
    Ok(read.into_iter().map(|Pattern(key)| key).collect())
}

/// The same, or a family with a `*`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        if key.contains('*') { Ok(Self(key)) } else { known(&key).map(|_| Self(key)) }
    }
}

/// A key that may be set for a pod: what switches injection on is the pod's own word, as the API server goes by it.
fn known(key: &str) -> Result<Field, String> {
    let unknown = |dialect, name| match registry::nearest(dialect, name) {
        Some(near) => format!("unknown annotation {key}; the nearest is {near}"),
        None => format!("unknown annotation {key}"),
    };
    match parse(key) {
        Some((_, Parsed::Plain(Field::Inject | Field::Status))) => {
            Err(format!("{key} is for pods alone to set: the API server goes by it"))
        }
        Some((_, Parsed::Plain(field) | Parsed::Suffixed(field, _))) => Ok(field),
        Some((dialect, Parsed::Unknown)) => Err(unknown(dialect, key.split_once('/').map_or(key, |(_, name)| name))),
        None => Err(format!("{key} begins with none of {NATIVE}, {VAULT}, {OPENBAO}")),
    }
}

/// What no pod could have, by the pods' own reading.
fn wrong(field: Field, value: &str) -> Option<String> {
    let kind = field.row().kind;
    match field {
        Field::AuthType => checks::auth_type(value),
        Field::Address => checks::address(value),
        Field::Proxy if !value.is_empty() => checks::address(value),
        Field::VolumePath if value::directory(value).is_none() => {
            Some(format!("`{}` cannot be the directory of a volume", value::shown(value)))
        }
        field if !accepts(field, kind, value) => Some(unlike(value, kind)),
        _ => None,
    }
}

/// As far as a value can be judged without its pod.
fn accepts(field: Field, kind: Kind, value: &str) -> bool {
    match kind {
        Kind::Bool => parse_bool(value).is_some(),
        Kind::Int if matches!(field, Field::RunAsUser | Field::RunAsGroup) => {
            value::int(value).is_some_and(value::is_id)
        }
        Kind::Int => value::int(value).is_some(),
        Kind::Uint if field == Field::CachePort => value::port(value).is_some(),
        Kind::Uint if field == Field::MetricsPort => value.is_empty() || value::port(value).is_some(),
        Kind::Uint => value::uint(value).is_some(),
        Kind::Share => value::share(value).is_some(),
        Kind::Mode => value.is_empty() || value::mode(value).is_some(),
        Kind::Duration => value.is_empty() || parse_duration(value).is_some(),
        Kind::Seconds => value.is_empty() || value::seconds(value).is_some(),
        Kind::Quantity => value.is_empty() || Quantity::parse(value).is_some(),
        Kind::Json => value.is_empty() || serde_json::from_str::<Option<json_patch::Patch>>(value).is_ok(),
        Kind::OneOf(_) => words::has(field, value),
        Kind::Path | Kind::List | Kind::Template | Kind::Text => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let yes = [
            ("a", "a"),
            ("*", ""),
            ("a*", "a"),
            ("*-prod", "shop-prod"),
            ("a*b*c", "a-b-b-c"),
            ("https://*.x:*", "https://v.x:1"),
        ];
        let no = [("a", "ab"), ("", "a"), ("a*", "b"), ("a*a", "a"), ("a*b*c", "a-c"), ("*-prod", "shop-production")];
        for (pattern, text) in yes {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in no {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(matches_within("https://*.x", "https://a.b.x", "/"));
        assert!(!matches_within("https://*.x", "https://evil/.x", "/"));
    }
}
