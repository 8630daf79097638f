//! Defaults, forced values and limits for any annotation, cluster-wide and by namespace.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use sidekey_core::contract::Dialect;
use sidekey_core::goparse::parse_bool;

use crate::registry::{self, Field, Kind, NATIVE, OPENBAO, Parsed, VAULT};

/// What holds for some pods: those of the cluster, or of the namespaces named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let read: BTreeMap<String, String> = BTreeMap::deserialize(deserializer)?;
    for (key, value) in &read {
        let field = known(key).map_err(D::Error::custom)?;
        let kind = field.row().kind;
        if !accepts(kind, value) {
            return Err(D::Error::custom(format!("{key}: `{value}` is not {}", kind.shape())));
        }
    }
    Ok(read)
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let read: Vec<String> = Vec::deserialize(deserializer)?;
    for key in read.iter().filter(|key| !key.contains('*')) {
        known(key).map_err(D::Error::custom)?;
    }
    Ok(read)
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

/// As far as a value can be judged without its pod.
fn accepts(kind: Kind, value: &str) -> bool {
    match kind {
        Kind::Bool => parse_bool(value).is_some(),
        Kind::Int => crate::value::int(value).is_some(),
        Kind::Uint => crate::value::uint(value).is_some(),
        Kind::Share => crate::value::share(value).is_some(),
        Kind::Mode => value.is_empty() || crate::value::mode(value).is_some(),
        Kind::Duration => value.is_empty() || sidekey_core::goparse::parse_duration(value).is_some(),
        Kind::Seconds => value.is_empty() || crate::value::seconds(value).is_some(),
        Kind::Quantity => value.is_empty() || crate::quantity::Quantity::parse(value).is_some(),
        Kind::Json => value.is_empty() || serde_json::from_str::<Option<json_patch::Patch>>(value).is_ok(),
        Kind::OneOf(_) | Kind::Path | Kind::List | Kind::Template | Kind::Text => true,
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
