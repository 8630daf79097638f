//! What a secret asks for and does not get, in words for its conditions: it is synced all the same.

use super::static_secret::watches_drift;
use crate::types::destination::SyncConfig;
use crate::types::dynamic_secret::VaultDynamicSecretSpec;
use crate::types::static_secret::VaultStaticSecretSpec;

/// What is to be said beside whether all is well.
pub fn of(spec: &VaultStaticSecretSpec) -> Vec<&'static str> {
    let events = wants_events(spec.sync_config.as_ref());
    let blind = !watches_drift(spec) && !spec.rollout_restart_targets.is_empty();
    let all = [
        (
            events,
            "syncConfig.instantUpdates is not served: Vault's events are not followed, changes are found when refreshAfter has passed.",
        ),
        (
            blind,
            "rolloutRestartTargets are not restarted: with hmacSecretData: false no digest tells that the data has changed.",
        ),
    ];
    all.into_iter().filter_map(|(holds, words)| holds.then_some(words)).collect()
}

/// The same of a VaultDynamicSecret.
pub fn of_dynamic(spec: &VaultDynamicSecretSpec) -> Vec<&'static str> {
    let words = "syncConfig.instantUpdates is not served: Vault's events are not followed, credentials are replaced when their lease, their rotation or refreshAfter says so.";
    wants_events(spec.sync_config.as_ref()).then_some(words).into_iter().collect()
}

fn wants_events(config: Option<&SyncConfig>) -> bool {
    config.is_some_and(|config| config.instant_updates == Some(true))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn credentials_tell_of_events_alone() {
        let told = |config: Value| {
            let spec =
                json!({ "mount": "db", "path": "creds/a", "destination": { "name": "db" }, "syncConfig": config });
            of_dynamic(&serde_json::from_value(spec).unwrap()).len()
        };
        let on = |on| json!({ "instantUpdates": on });
        assert_eq!([told(on(true)), told(on(false)), told(json!({})), told(Value::Null)], [1, 0, 0, 0]);
    }

    #[test]
    fn only_what_is_asked_for_in_vain_is_told() {
        let targets = json!([{ "kind": "Deployment", "name": "web" }]);
        let cases = [
            (json!({}), vec![]),
            (json!({ "syncConfig": { "instantUpdates": true } }), vec!["syncConfig.instantUpdates"]),
            (json!({ "syncConfig": { "instantUpdates": false, "pollMetadata": true } }), vec![]),
            (json!({ "hmacSecretData": false }), vec![]),
            (json!({ "rolloutRestartTargets": targets }), vec![]),
            (json!({ "hmacSecretData": false, "rolloutRestartTargets": [] }), vec![]),
            (json!({ "hmacSecretData": false, "rolloutRestartTargets": targets }), vec!["rolloutRestartTargets"]),
            (
                json!({ "hmacSecretData": false, "rolloutRestartTargets": targets, "syncConfig": { "instantUpdates": true } }),
                vec!["syncConfig.instantUpdates", "rolloutRestartTargets"],
            ),
        ];
        for (more, want) in cases {
            let mut spec = json!({ "mount": "kv", "path": "web", "type": "kv-v2", "destination": { "name": "web" } });
            spec.as_object_mut().into_iter().for_each(|all| all.extend(more.as_object().cloned().unwrap_or_default()));
            let told = of(&serde_json::from_value(Value::clone(&spec)).unwrap());
            let fields: Vec<_> = told.iter().filter_map(|words| words.split([' ', ':']).next()).collect();
            assert_eq!(fields, want, "{spec}");
        }
    }
}
