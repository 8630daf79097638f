//! Which edits of a spec ask for something else, and which only for the same at other times.

use serde_json::{Map, Value};

use crate::digest;

/// Fields of a VaultDynamicSecret that shape neither its request nor its Secret.
pub const OF_DYNAMIC: &[&str] = &["renewalPercent", "refreshAfter", "revoke", "rolloutRestartTargets", "syncConfig"];

/// Fields of a VaultPKISecret that do not.
pub const OF_PKI: &[&str] = &["expiryOffset", "revoke", "clear", "rolloutRestartTargets"];

/// The digest of a spec without these fields. A field that is not known here counts: new credentials for nothing are better than
/// old ones for a new request.
pub fn digest(mut spec: Map<String, Value>, without: &[&str]) -> String {
    spec.retain(|field, _| !without.contains(&field.as_str()));
    // The keys of a map are in order, so one spec has one text.
    digest::hex(Value::Object(spec).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(more: &Value) -> String {
        let mut spec = json!({ "mount": "db", "path": "creds/app", "destination": { "name": "db" } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        digest(spec.as_object().unwrap().clone(), OF_DYNAMIC)
    }

    #[test]
    fn what_shapes_neither_request_nor_secret_changes_no_digest() {
        let plain = of(&json!({}));
        for same in [
            json!({ "renewalPercent": 10, "refreshAfter": "1h", "revoke": true, "rolloutRestartTargets": [{}] }),
            json!({ "syncConfig": {} }),
        ] {
            assert_eq!(of(&same), plain, "{same}");
        }
        for other in [
            json!({ "path": "creds/b" }),
            json!({ "params": { "a": "b" } }),
            json!({ "vaultAuthRef": "b" }),
            json!({ "destination": { "name": "db", "transformation": { "excludeRaw": true } } }),
            json!({ "unknown": 1 }),
        ] {
            assert_ne!(of(&other), plain, "{other}");
        }
    }
}
