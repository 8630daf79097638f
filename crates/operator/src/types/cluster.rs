//! The kinds of `sidekey.dev/v1alpha1`: one connection, one login, for many namespaces.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::VaultAuthSpec;
use super::connection::VaultConnectionSpec;

/// A VaultConnection for the namespaces that it admits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["address"]))]
pub struct ClusterVaultConnectionSpec {
    /// As of a VaultConnection. Its Secrets and ConfigMap are those of the operator's namespace.
    #[serde(flatten)]
    pub connection: VaultConnectionSpec,
    /// Namespaces that are admitted by their labels, beside those that are by name; `{}` is all.
    #[serde(default)]
    pub namespace_selector: Option<Selector>,
}

/// A VaultAuth for the namespaces that it admits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterVaultAuthSpec {
    /// As of a VaultAuth. A reference without a namespace is one to the operator's namespace, or to a cluster-wide object.
    #[serde(flatten)]
    pub auth: VaultAuthSpec,
    /// Namespaces that are admitted by their labels, beside those that are by name; `{}` is all.
    #[serde(default)]
    pub namespace_selector: Option<Selector>,
    /// Namespace of the service account or Secret to log in with, for all consumers; each consumer's own when empty.
    #[serde(default)]
    pub credentials_namespace: Option<String>,
}

/// Labels that a namespace must have; all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels and their values.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions.
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

/// One condition on a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How its value is compared.
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,
    /// What with.
    #[serde(default)]
    pub values: Vec<String>,
}

impl Selector {
    /// Whether labels are as they must be. An operator that nobody knows selects nothing.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let meets = |wanted: &Requirement| {
            let value = labels.get(&wanted.key);
            let listed = value.is_some_and(|value| wanted.values.contains(value));
            match wanted.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        };
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(meets)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn selects_as_kubernetes_does() {
        let labels: BTreeMap<_, _> = [("team".to_owned(), "a".to_owned())].into();
        let one = |operator: &str, values: Value| json!({ "matchExpressions": [{ "key": "team", "operator": operator, "values": values }] });
        let other =
            |operator: &str| json!({ "matchExpressions": [{ "key": "x", "operator": operator, "values": ["a"] }] });
        let cases = [
            (json!({}), true),
            (json!({ "matchLabels": { "team": "a" } }), true),
            (json!({ "matchLabels": { "team": "b" } }), false),
            (json!({ "matchLabels": { "team": "a", "x": "y" } }), false),
            (one("In", json!(["a", "b"])), true),
            (one("In", json!(["b"])), false),
            (one("NotIn", json!(["a"])), false),
            (one("Exists", json!([])), true),
            (one("DoesNotExist", json!([])), false),
            (one("Like", json!(["a"])), false),
            (other("NotIn"), true),
            (other("Exists"), false),
            (other("DoesNotExist"), true),
        ];
        for (selector, want) in cases {
            let read: Selector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(read.selects(&labels), want, "{selector}");
        }
    }
}
