//! Kubernetes' rule for label selectors, here and as a question to the API server.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// What labels must be like, whoever's type says so; all of it must hold, and nothing at all selects everything.
#[derive(Clone, Debug, Default)]
pub struct Selector<'a> {
    /// Labels and their values.
    pub equal: Vec<(&'a str, &'a str)>,
    /// Further conditions.
    pub requirements: Vec<Requirement<'a>>,
}

/// One condition on a label.
#[derive(Clone, Copy, Debug)]
pub struct Requirement<'a> {
    /// The label.
    pub key: &'a str,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`; any other holds for nothing.
    pub operator: &'a str,
    /// What the value is compared with.
    pub values: &'a [String],
}

impl Selector<'_> {
    /// Whether labels are so.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = self.equal.iter().all(|(key, value)| labels.get(*key).is_some_and(|found| found == value));
        equal && self.requirements.iter().all(|wanted| wanted.holds(labels.get(wanted.key)))
    }

    /// As `labelSelector` of a list says it, for a URL; none when one of the operators is no known one.
    pub fn query(&self) -> Option<String> {
        let equal = self.equal.iter().map(|(key, value)| Some(format!("{key}={value}")));
        let all: Option<Vec<_>> = equal.chain(self.requirements.iter().map(Requirement::term)).collect();
        all.map(|terms| encoded(&terms.join(",")))
    }
}

impl Requirement<'_> {
    fn holds(&self, value: Option<&String>) -> bool {
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }

    fn term(&self) -> Option<String> {
        let Self { key, operator, values } = self;
        match *operator {
            "In" => Some(format!("{key} in ({})", values.join(","))),
            "NotIn" => Some(format!("{key} notin ({})", values.join(","))),
            "Exists" => Some((*key).to_owned()),
            "DoesNotExist" => Some(format!("!{key}")),
            _ => None,
        }
    }
}

impl<'a> From<&'a LabelSelector> for Selector<'a> {
    fn from(selector: &'a LabelSelector) -> Self {
        let equal = selector.match_labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
        let requirements = selector.match_expressions.iter().flatten().map(|wanted| Requirement {
            key: &wanted.key,
            operator: &wanted.operator,
            values: wanted.values.as_deref().unwrap_or_default(),
        });
        Self { equal: equal.collect(), requirements: requirements.collect() }
    }
}

fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn selects_as_kubernetes_does_and_asks_for_the_same() {
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let expressions = |all: &[(&str, &str, &[&str])]| {
            let one = |(key, operator, values): &(&str, &str, &[&str])| json!({ "key": key, "operator": operator, "values": values });
            json!({ "matchExpressions": all.iter().map(one).collect::<Vec<_>>() })
        };
        let one = |key, operator, values| expressions(&[(key, operator, values)]);
        let cases: [(Value, bool, Option<&str>); 17] = [
            (json!({}), true, Some("")),
            (json!({ "matchLabels": { "team": "a" } }), true, Some("team%3Da")),
            (json!({ "matchLabels": { "team": "b" } }), false, Some("team%3Db")),
            (json!({ "matchLabels": { "team": "a", "x": "y" } }), false, Some("team%3Da%2Cx%3Dy")),
            (json!({ "matchLabels": { "x": "a" } }), false, Some("x%3Da")),
            (one("team", "In", &["b", "a"]), true, Some("team%20in%20%28b%2Ca%29")),
            (one("team", "In", &["b"]), false, Some("team%20in%20%28b%29")),
            (one("x", "In", &["a"]), false, Some("x%20in%20%28a%29")),
            (one("team", "NotIn", &["a"]), false, Some("team%20notin%20%28a%29")),
            (one("x", "NotIn", &["a"]), true, Some("x%20notin%20%28a%29")),
            (one("team", "Exists", &[]), true, Some("team")),
            (one("x", "Exists", &[]), false, Some("x")),
            (one("team", "DoesNotExist", &[]), false, Some("%21team")),
            (one("x", "DoesNotExist", &[]), true, Some("%21x")),
            (one("team", "Like", &["a"]), false, None),
            (expressions(&[("team", "Exists", &[]), ("x", "Exists", &[])]), false, Some("team%2Cx")),
            (json!({ "matchLabels": { "a.b/c": "&" } }), false, Some("a.b%2Fc%3D%26")),
        ];
        for (selector, want, query) in cases {
            let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            let read = Selector::from(&read);
            assert_eq!(read.selects(&labels), want, "{selector}");
            assert_eq!(read.query().as_deref(), query, "{selector}");
        }
    }
}
