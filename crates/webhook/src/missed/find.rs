//! Which pods may lack the agent they ask for, from their metadata alone; pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use sidekey_core::goparse::parse_bool;
use sidekey_inject::registry::{Field, NATIVE, OPENBAO, VAULT};

use super::hooks::Labels;

/// Pods of one page.
pub(super) const PAGE: usize = 500;

/// Lists without specs and statuses: a pod's metadata is a tenth of it.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One object's metadata.
pub(super) const METADATA_OF_ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The next page of all pods that still run or will.
pub(super) fn path(more: &str) -> String {
    let living = "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";
    let next = if more.is_empty() { String::new() } else { format!("&continue={more}") };
    format!("/api/v1/pods?limit={PAGE}&{living}{next}")
}

/// A list of pods' metadata.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue", default)]
    more: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    uid: String,
    #[serde(default)]
    controller: bool,
}

/// A pod that asks for an agent and does not carry the mark of having got one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// The annotation that asks.
    pub(super) key: String,
    pub(super) labels: Labels,
    /// The uid of its controller, which creates it again when it goes.
    pub(super) owner: Option<String>,
}

impl Candidate {
    pub(super) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }
}

impl Page {
    /// The candidates, and where the next page begins. Pods of `own`, the webhook's namespace, are never injected.
    pub(super) fn candidates(self, own: &str) -> (Vec<Candidate>, Option<String>) {
        let of = |Item { metadata }: Item| {
            let asks = metadata.deletion_timestamp.is_none() && metadata.namespace != own;
            let key = asks.then(|| asking(&metadata.annotations)).flatten()?;
            let Metadata { namespace, name, uid, labels, owner_references, .. } = metadata;
            let owner = owner_references.into_iter().find(|owner| owner.controller).map(|owner| owner.uid);
            Some(Candidate { namespace, name, uid, key, labels, owner })
        };
        let more = self.metadata.more.filter(|token| !token.is_empty());
        (self.items.into_iter().filter_map(of).collect(), more)
    }
}

/// The switch that is on, of a pod without a mark. The native dialect's switch counts first, as at admission.
fn asking(annotations: &BTreeMap<String, String>) -> Option<String> {
    let key = |prefix: &str, field: Field| {
        let row = field.row();
        let key = if prefix == NATIVE { row.native } else { row.vault };
        key.map(|key| format!("{prefix}{}", key.name))
    };
    let marked = |prefix: &&str| {
        key(prefix, Field::Status).is_some_and(|key| annotations.get(&key).is_some_and(|mark| mark == "injected"))
    };
    let prefixes = [NATIVE, OPENBAO, VAULT];
    if prefixes.iter().any(marked) {
        return None;
    }
    let switch = prefixes
        .into_iter()
        .filter_map(|prefix| key(prefix, Field::Inject))
        .find(|key| annotations.contains_key(key))?;
    (parse_bool(annotations.get(&switch)?) == Some(true)).then_some(switch)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn candidates(annotations: &Value, more: &Value) -> Vec<Candidate> {
        let mut metadata = json!({"name": "web", "namespace": "shop", "uid": "u", "annotations": annotations,
            "ownerReferences": [{"uid": "job"}, {"uid": "rs", "controller": true}]});
        for (key, value) in more.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        let page: Page = serde_json::from_value(json!({"metadata": {}, "items": [{"metadata": metadata}]})).unwrap();
        page.candidates("sidekey").0
    }

    #[test]
    fn asks_and_has_no_mark() {
        let cases = [
            (json!({"sidekey.dev/inject": "true"}), Some("sidekey.dev/inject")),
            (json!({"vault.hashicorp.com/agent-inject": "T"}), Some("vault.hashicorp.com/agent-inject")),
            (json!({"openbao.org/agent-inject": "1"}), Some("openbao.org/agent-inject")),
            (
                json!({"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/agent-inject-status": "update"}),
                Some("vault.hashicorp.com/agent-inject"),
            ),
            (
                json!({"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/agent-inject-status": "injected"}),
                None,
            ),
            (json!({"openbao.org/agent-inject": "true", "vault.hashicorp.com/agent-inject-status": "injected"}), None),
            (json!({"sidekey.dev/inject": "true", "sidekey.dev/status": "injected"}), None),
            (json!({"sidekey.dev/inject": "false", "vault.hashicorp.com/agent-inject": "true"}), None),
            (json!({"vault.hashicorp.com/agent-inject": "yes"}), None),
            (json!({"vault.hashicorp.com/role": "web"}), None),
            (json!({}), None),
        ];
        for (annotations, key) in cases {
            let found = candidates(&annotations, &json!({}));
            assert_eq!(found.first().map(|one| one.key.as_str()), key, "{annotations}");
        }
    }

    #[test]
    fn leaves_out_what_goes_and_our_own() {
        let on = json!({"sidekey.dev/inject": "true"});
        assert!(candidates(&on, &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})).is_empty());
        assert!(candidates(&on, &json!({"namespace": "sidekey"})).is_empty());
        assert_eq!(candidates(&on, &json!({}))[0].owner.as_deref(), Some("rs"));
        assert_eq!(candidates(&on, &json!({"ownerReferences": [{"uid": "job"}]}))[0].owner, None);
    }

    #[test]
    fn asks_for_the_next_page() {
        assert!(!path("").contains("continue"));
        assert!(path("abc").ends_with("&continue=abc"));
    }
}
