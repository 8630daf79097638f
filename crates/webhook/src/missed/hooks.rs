//! Which pods the webhook is asked about, as far as its configuration can be read: selectors can, CEL cannot; pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;
use sidekey_cluster::labels::Selector;

/// Of a pod or a namespace.
pub(super) type Labels = BTreeMap<String, String>;

/// The shipped match condition before the switches of the served dialects, what stands behind each of them, and its end; words one
/// space apart.
const SHIPPED: &str = "has(object.metadata.annotations) && ( ";
const THERE: &str = " in object.metadata.annotations";

/// A `MutatingWebhookConfiguration`, of which each entry is ours.
#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    webhooks: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    namespace_selector: Option<LabelSelector>,
    #[serde(default)]
    object_selector: Option<LabelSelector>,
    #[serde(default)]
    match_conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    name: String,
    expression: String,
}

/// Whether the API server asks the webhook about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// No entry selects it: it is not meant for us.
    Never,
    /// Always.
    Always,
    /// Where these match conditions hold, by name, which only an API server can tell.
    Perhaps(Vec<String>),
}

impl Configuration {
    /// By the labels of the pod and of its namespace, and the pod's switch.
    pub(super) fn asks(&self, namespace: &Labels, pod: &Labels, switch: &str) -> Asked {
        let selected = |entry: &&Entry| {
            let fits = |selector: &Option<LabelSelector>, labels| {
                selector.as_ref().is_none_or(|s| Selector::from(s).selects(labels))
            };
            fits(&entry.namespace_selector, namespace) && fits(&entry.object_selector, pod)
        };
        let mut asked = Asked::Never;
        for entry in self.webhooks.iter().filter(selected) {
            let conditions = entry.match_conditions.iter().map(|one| (one, one.switches()));
            let (shipped, unknown): (Vec<_>, Vec<_>) = conditions.partition(|(_, switches)| switches.is_some());
            if shipped.iter().any(|(_, switches)| !switches.iter().flatten().any(|one| *one == switch)) {
                continue;
            }
            if unknown.is_empty() {
                return Asked::Always;
            }
            asked = Asked::Perhaps(unknown.into_iter().map(|(one, _)| one.name.clone()).collect());
        }
        asked
    }
}

impl Condition {
    /// The switches that the shipped condition asks for; `None` for any other condition. By what it says: anybody may give another
    /// expression the shipped one's name.
    fn switches(&self) -> Option<Vec<String>> {
        let words = self.expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let terms = words.strip_prefix(SHIPPED)?.strip_suffix(')')?;
        let switch = |term: &str| {
            let name = term.strip_suffix(THERE)?.strip_prefix('\'')?.strip_suffix('\'')?;
            (!name.contains('\'')).then(|| name.to_owned())
        };
        terms.split(" || ").map(switch).collect()
    }
}

/// An object's labels.
pub(super) fn labels(object: &Value) -> Labels {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(key: &str, value: &str) -> Labels {
        Labels::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn an_entry_asks_about_what_both_its_selectors_select() {
        let (shop, web) = (one("team", "shop"), one("app", "web"));
        let of = |key: &str, value: &str| json!({"matchLabels": {key: value}});
        let asking = |switches: &[&str]| {
            let terms: Vec<String> = switches.iter().map(|switch| format!("'{switch}'{THERE}")).collect();
            json!([{"name": "asks-for-injection", "expression": format!("{SHIPPED}{})", terms.join(" ||\n  "))}])
        };
        let (native, theirs) = ("sidekey.dev/inject", "vault.hashicorp.com/agent-inject");
        let (shipped, narrow, other) = (asking(&[native, theirs]), asking(&[native]), asking(&[theirs]));
        let mended = json!([{"name": "asks-for-injection", "expression": "object.spec.hostNetwork"}]);
        let perhaps = || Asked::Perhaps(vec!["asks-for-injection".to_owned()]);
        let cases = [
            (json!([]), Asked::Never),
            (json!([{}]), Asked::Always),
            (json!([{"namespaceSelector": null, "objectSelector": {}}]), Asked::Always),
            (json!([{"namespaceSelector": of("team", "shop"), "objectSelector": of("app", "web")}]), Asked::Always),
            (json!([{"namespaceSelector": of("team", "shop"), "objectSelector": of("team", "shop")}]), Asked::Never),
            (json!([{"namespaceSelector": of("app", "web"), "objectSelector": of("app", "web")}]), Asked::Never),
            (json!([{"objectSelector": of("app", "db")}, {"objectSelector": of("app", "web")}]), Asked::Always),
            (json!([{"matchConditions": shipped}]), Asked::Always),
            (json!([{"matchConditions": narrow}]), Asked::Always),
            (json!([{"matchConditions": other}]), Asked::Never),
            (json!([{"matchConditions": other}, {"matchConditions": mended}]), perhaps()),
            (json!([{"matchConditions": mended}]), perhaps()),
            (json!([{"matchConditions": mended}, {"matchConditions": shipped}]), Asked::Always),
            (json!([{"matchConditions": mended}, {"objectSelector": of("app", "db")}]), perhaps()),
        ];
        for (webhooks, wanted) in cases {
            let read: Configuration = serde_json::from_value(json!({"webhooks": webhooks})).unwrap();
            assert_eq!(read.asks(&shop, &web, native), wanted, "{webhooks}");
        }
    }

    #[test]
    fn knows_the_condition_that_is_shipped() {
        let base: Vec<_> = include_str!("../../../../deploy/base/webhook.yaml").split_whitespace().collect();
        let base = base.join(" ");
        let expression = base.split("expression: >- ").nth(1).unwrap().split(" failurePolicy").next().unwrap();
        let shipped = Condition { name: "x".to_owned(), expression: expression.to_owned() };
        let all = ["sidekey.dev/inject", "vault.hashicorp.com/agent-inject", "openbao.org/agent-inject"];
        assert_eq!(shipped.switches().unwrap(), all);
        let chart: Vec<_> =
            include_str!("../../../../deploy/chart/sidekey/templates/webhook.yaml").split_whitespace().collect();
        assert!(chart.join(" ").contains(&format!("expression: >- {}", SHIPPED.trim_end())), "as the base's");
        for other in ["true", "has(object.metadata.annotations) && ( false)", &format!("{expression} && false")] {
            assert!(Condition { name: "x".to_owned(), expression: other.to_owned() }.switches().is_none(), "{other}");
        }
    }
}
