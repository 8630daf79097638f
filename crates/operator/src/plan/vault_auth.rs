//! What the status of a VaultAuth says beside its health: what it is after merging, and the VaultAuthGlobal it was merged with.

use super::auth::House;
use super::{auth, global};
use crate::cache::Cache;
use crate::digest;
use crate::types::auth::VaultAuthSpec;
use crate::types::condition::{Condition, Verdict};
use crate::types::object::{Key, Object};

/// Whether the VaultAuthGlobal that it refers to is there and lets it in.
pub const AVAILABLE: &str = "Available";

/// The reason of it, either way.
const GLOBAL: &str = "VaultAuthGlobalRef";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Digest of the merged spec; none when it cannot be merged.
    pub spec_hash: Option<String>,
    /// Of those that refer to a VaultAuthGlobal alone.
    pub available: Option<Verdict>,
}

impl About {
    /// Of a VaultAuth as it is.
    pub fn of(cache: &Cache, house: &House, key: &Key, object: &Object) -> Self {
        let Ok(spec) = object.spec::<VaultAuthSpec>().map_err(|words| auth::invalid(key, &words)) else {
            return Self::default();
        };
        let refers = spec.vault_auth_global_ref.is_some();
        let (spec_hash, words) = match global::merge(cache, house, key, spec) {
            Ok((merged, from)) => {
                let words = from.map_or_else(String::new, |global| {
                    let metadata = &global.metadata;
                    let (namespace, name) = (&metadata.namespace, &metadata.name);
                    format!("Merged with {namespace}/{name}, uid={}, generation={}", metadata.uid, metadata.generation)
                });
                (serde_json::to_vec(&merged).ok().map(|json| digest::blake2b(&json)), Ok(words))
            }
            Err(cause) => (None, Err(cause.to_string())),
        };
        let verdict = || match words {
            Ok(words) => Verdict::new(AVAILABLE, true, GLOBAL, words),
            Err(words) => Verdict::new(AVAILABLE, false, GLOBAL, words),
        };
        Self { spec_hash, available: refers.then(verdict) }
    }

    /// Conditions without what is not so any more.
    pub fn kept(&self, before: &[Condition]) -> Vec<Condition> {
        let kept = |condition: &&Condition| self.available.is_some() || condition.kind != AVAILABLE;
        before.iter().filter(kept).cloned().collect()
    }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::types::Kind;

    fn object(name: &str, spec: Value) -> Arc<Object> {
        let metadata = json!({ "name": name, "namespace": "app", "uid": "u", "generation": 3 });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap())
    }

    fn about(global: Option<Value>, spec: Value) -> About {
        let house = House { namespace: "house".into(), default_globals: true, methods: vec![], open_references: false };
        let (mut cache, key) = (Cache::default(), Key::new(Kind::VaultAuth, "app", "a"));
        if let Some(spec) = global {
            cache.put(Key::new(Kind::VaultAuthGlobal, "app", "g"), object("g", spec));
        }
        About::of(&cache, &house, &key, &object("a", spec))
    }

    #[test]
    fn says_what_it_was_merged_with_only_where_it_refers_to_something() {
        let refers = json!({ "method": "jwt", "vaultAuthGlobalRef": { "name": "g" } });
        let alone = about(None, json!({ "method": "jwt", "mount": "jwt" }));
        assert_eq!((alone.available.clone(), alone.spec_hash.as_ref().map(String::len)), (None, Some(64)));
        let merged = about(Some(json!({ "defaultMount": "jwt" })), refers.clone());
        let verdict = merged.available.clone().unwrap();
        assert_eq!((verdict.kind, verdict.holds, verdict.reason), ("Available", Some(true), "VaultAuthGlobalRef"));
        assert!(verdict.message.contains("app/g, uid=u, generation=3"), "{}", verdict.message);
        let other = about(Some(json!({ "defaultMount": "other" })), refers.clone());
        assert!(other.spec_hash.is_some() && other.spec_hash != merged.spec_hash, "the hash is of the merged spec");
        let missing = about(None, refers).available.unwrap();
        assert!(
            missing.holds == Some(false) && missing.message.contains("VaultAuthGlobal app/g"),
            "{}",
            missing.message
        );
        let before = crate::types::condition::merge(&[], &[verdict], 1, "T");
        assert_eq!((merged.kept(&before).len(), alone.kept(&before).len()), (1, 0));
    }
}
