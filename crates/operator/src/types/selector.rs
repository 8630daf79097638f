//! Label selectors, as Kubernetes writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidekey_cluster::labels;

/// Labels that an object must have; all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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

impl<'a> From<&'a Selector> for labels::Selector<'a> {
    fn from(selector: &'a Selector) -> Self {
        let equal = selector.match_labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let requirement = |wanted: &'a Requirement| {
            let Requirement { key, operator, values } = wanted;
            labels::Requirement { key, operator, values }
        };
        Self { equal: equal.collect(), requirements: selector.match_expressions.iter().map(requirement).collect() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_written_is_asked_for() {
        let written = json!({
            "matchLabels": { "team": "a" },
            "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["web", "api"] }, { "key": "old", "operator": "DoesNotExist" }],
        });
        let read: Selector = serde_json::from_value(written).unwrap();
        let query = labels::Selector::from(&read).query().unwrap();
        assert_eq!(query, "team%3Da%2Ctier%20in%20%28web%2Capi%29%2C%21old");
    }
}
