//! What to do about a VaultStaticSecret, given what Vault and the destination hold.

use std::time::Duration;

use sidekey_core::lookup::Verb;
use sidekey_core::{Cause, Code, Lookup};

use super::auth::invalid;
use super::data::{Data, MacKey};
use super::destination::{self, Change, Owner, Secret, Wish};
use super::duration;
use crate::types::condition::{Verdict, merge};
use crate::types::destination::RestartTarget;
use crate::types::object::{Key, Metadata};
use crate::types::static_secret::{ClientMeta, FurtherSource, VaultStaticSecretSpec, VaultStaticSecretStatus};

/// The period when none is said and drift is to be found.
const MINUTE: Duration = Duration::from_secs(60);

/// The question to Vault.
///
/// # Errors
/// The type is none of the two, or mount or path is empty.
pub fn lookup(key: &Key, spec: &VaultStaticSecretSpec) -> Result<Lookup, Cause> {
    question(key, &spec.kind, (&spec.mount, &spec.path), spec.version)
}

/// The question for a further source.
///
/// # Errors
/// As [`lookup`].
pub fn further(key: &Key, source: &FurtherSource) -> Result<Lookup, Cause> {
    question(key, &source.kind, (&source.mount, &source.path), source.version)
}

fn question(key: &Key, kind: &str, (mount, path): (&str, &str), version: Option<i32>) -> Result<Lookup, Cause> {
    let (mount, path) = (mount.trim_matches('/'), path.trim_matches('/'));
    if mount.is_empty() || path.is_empty() {
        return Err(invalid(key, "mount and path must not be empty"));
    }
    let (full, version) = match kind {
        "kv-v1" => (format!("{mount}/{path}"), None),
        "kv-v2" => (format!("{mount}/data/{path}"), version.filter(|version| *version > 0)),
        other => return Err(invalid(key, &format!("type is {other:?}; it must be kv-v1 or kv-v2"))),
    };
    let query = version.map(|version| ("version".to_owned(), version.to_string()));
    Ok(Lookup { path: full, verb: Verb::Read, query: query.into_iter().collect(), params: [].into() })
}

/// The question for the metadata alone, of what is to be polled so: the latest version of one KV v2 secret.
pub fn metadata(spec: &VaultStaticSecretSpec, usual: bool) -> Option<Lookup> {
    let said = spec.sync_config.as_ref().and_then(|config| config.poll_metadata);
    let latest = spec.kind == "kv-v2" && spec.version.is_none_or(|version| version <= 0);
    let (mount, path) = (spec.mount.trim_matches('/'), spec.path.trim_matches('/'));
    (said.unwrap_or(usual) && latest && spec.sources.is_empty())
        .then(|| Lookup::read(&format!("{mount}/metadata/{path}")))
}

/// Whether the destination goes, since the source did. What was never synced has nothing to go.
pub fn goes(spec: &VaultStaticSecretSpec, status: &VaultStaticSecretStatus, code: Code) -> bool {
    spec.destination.on_source_deleted.as_deref() == Some("delete")
        && matches!(code, Code::SecretDeleted | Code::SecretNotFound)
        && spec.sources.is_empty()
        && status.last_generation > 0
}

/// Time between two looks; none when nothing asks for another.
pub fn period(spec: &VaultStaticSecretSpec) -> Option<Duration> {
    duration::read(spec.refresh_after.as_deref()).or_else(|| watches_drift(spec).then_some(MINUTE))
}

/// Whether a digest is kept.
pub fn watches_drift(spec: &VaultStaticSecretSpec) -> bool {
    spec.hmac_secret_data != Some(false)
}

/// What is known when Vault has answered.
pub struct Scene<'a> {
    /// The object.
    pub key: &'a Key,
    /// Its metadata.
    pub metadata: &'a Metadata,
    /// Its spec.
    pub spec: &'a VaultStaticSecretSpec,
    /// Its status.
    pub status: &'a VaultStaticSecretStatus,
    /// What the destination is to hold.
    pub data: &'a Data,
    /// Key of the digest.
    pub mac_key: &'a MacKey,
}

/// What to do.
pub struct Plan {
    /// To the destination.
    pub change: Change,
    /// Whether workloads must be restarted after it.
    pub restart: bool,
    /// The digest for the status.
    pub mac: Option<String>,
    /// Why the Secret is written, as events have it.
    pub reason: &'static str,
}

impl Scene<'_> {
    /// Whether the spec is not the one of the last success.
    pub fn respec(&self) -> bool {
        self.status.last_generation != self.metadata.generation
    }

    /// Decides.
    ///
    /// Workloads are restarted when the data is not what the status's digest says they were given: never at the first
    /// sync, nor at the operator's start, nor when the Secret only had to be mended. Where an operator ended between its first
    /// writing and its first status, what the Secret holds stands in for the digest.
    ///
    /// # Errors
    /// As [`destination::decide`].
    pub fn plan(&self, observed: Option<&Secret>) -> Result<Plan, Cause> {
        let mac = watches_drift(self.spec).then(|| self.data.mac(self.mac_key));
        let owner = Owner { key: self.key, metadata: self.metadata };
        let wish = Wish { owner, destination: &self.spec.destination, data: self.data, respec: self.respec() };
        let change = destination::decide(wish, observed)?;
        let before = self.status.secret_mac.as_ref().filter(|mac| !mac.is_empty());
        let given = before.cloned().or_else(|| Some(self.unsaid(observed?)?.mac(self.mac_key)));
        let news = mac.is_some() && given.is_some_and(|given| given != self.data.mac_as(&given, self.mac_key));
        let reason = match (before, observed) {
            _ if news => "SecretRotated",
            (None, _) => "SecretSynced",
            (Some(_), None) => "InexistentDestination",
            (Some(_), Some(secret)) if secret.data != *self.data => "SecretDataDrift",
            (Some(_), Some(_)) => "ResourceUpdated",
        };
        let restart = news && !self.spec.rollout_restart_targets.is_empty();
        Ok(Plan { change, restart, mac, reason })
    }

    /// What the object gave to its Secret before any status of it says so.
    fn unsaid<'a>(&self, secret: &'a Secret) -> Option<&'a Data> {
        let ours = secret.is_filled_by(&self.metadata.uid, &self.spec.destination);
        (self.status.last_generation == 0 && ours).then_some(&secret.data)
    }

    /// The status after a success; equal to the one before when there is nothing new to say.
    pub fn succeeded(
        &self,
        mac: Option<String>,
        verdicts: &[Verdict],
        restarts_owed: Vec<RestartTarget>,
        client: ClientMeta,
        now: &str,
    ) -> VaultStaticSecretStatus {
        let generation = self.metadata.generation;
        let mut status = VaultStaticSecretStatus {
            last_generation: generation,
            secret_mac: mac,
            restarts_owed,
            vault_client_meta: self.status.vault_client_meta.clone(),
            conditions: merge(&self.status.conditions, verdicts, generation, now),
        };
        if status != *self.status {
            status.vault_client_meta = Some(client);
        }
        status
    }
}

/// The status after a failure: what was synced last stays said.
pub fn failed(
    status: &VaultStaticSecretStatus,
    verdicts: &[Verdict],
    generation: i64,
    now: &str,
) -> VaultStaticSecretStatus {
    VaultStaticSecretStatus { conditions: merge(&status.conditions, verdicts, generation, now), ..status.clone() }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use serde_json::{Value, json};
    use sidekey_core::Sensitive;

    use super::*;
    use crate::plan::outcome;
    use crate::types::Kind;

    fn spec(more: Value) -> VaultStaticSecretSpec {
        let mut spec = json!({ "mount": "kv", "path": "web", "type": "kv-v2", "destination": { "name": "web", "create": true },
            "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }] });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn data(value: &str) -> Data {
        Data([("k".to_owned(), Sensitive::new(value.as_bytes().to_vec()))].into())
    }

    #[test]
    fn asks_where_the_engine_keeps_it() {
        let key = Key::new(Kind::VaultStaticSecret, "app", "web");
        let cases = [
            (json!({}), Ok("kv/data/web {}")),
            (json!({ "version": 3 }), Ok(r#"kv/data/web {"version": "3"}"#)),
            (json!({ "version": 0 }), Ok("kv/data/web {}")),
            (json!({ "type": "kv-v1", "version": 3 }), Ok("kv/web {}")),
            (json!({ "path": "/data/web/" }), Ok("kv/data/data/web {}")),
            (json!({ "type": "kv" }), Err("type is \"kv\"; it must be kv-v1 or kv-v2")),
            (json!({ "mount": "/" }), Err("mount and path must not be empty")),
        ];
        for (more, want) in cases {
            let got = lookup(&key, &spec(more.clone()));
            let got = got.map(|lookup| format!("{} {:?}", lookup.path, lookup.query)).map_err(|cause| cause.answer);
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{more}");
        }
    }

    #[test]
    fn looks_again_when_it_is_told_to_or_has_drift_to_find() {
        let cases = [
            (json!({}), Some(60)),
            (json!({ "refreshAfter": "10s" }), Some(10)),
            (json!({ "hmacSecretData": false }), None),
            (json!({ "hmacSecretData": false, "refreshAfter": "1h" }), Some(3600)),
        ];
        for (more, want) in cases {
            assert_eq!(period(&spec(more.clone())).map(|period| period.as_secs()), want, "{more}");
        }
    }

    #[test]
    fn polls_the_metadata_of_the_latest_version_alone() {
        let on = json!({ "syncConfig": { "pollMetadata": true } });
        let cases = [
            (json!({}), false, false),
            (json!({}), true, true),
            (on.clone(), false, true),
            (json!({ "syncConfig": { "pollMetadata": false } }), true, false),
            (json!({ "syncConfig": { "instantUpdates": true } }), true, true),
            (json!({ "version": 0 }), true, true),
            (json!({ "version": 2 }), true, false),
            (json!({ "type": "kv-v1" }), true, false),
            (json!({ "sources": [{ "mount": "kv", "path": "two", "type": "kv-v2" }] }), true, false),
        ];
        for (more, usual, want) in cases {
            let lookup = metadata(&spec(more.clone()), usual);
            assert_eq!(lookup.map(|lookup| lookup.path), want.then(|| "kv/metadata/web".to_owned()), "{more} {usual}");
        }
    }

    #[test]
    fn a_secret_goes_with_its_source_only_when_it_was_told_to() {
        let told =
            |policy: &str| json!({ "destination": { "name": "web", "create": true, "onSourceDeleted": policy } });
        let with_more = {
            let mut spec = told("delete");
            spec["sources"] = json!([{ "mount": "kv", "path": "two", "type": "kv-v2" }]);
            spec
        };
        let cases = [
            (json!({}), 1, Code::SecretDeleted, false),
            (told("keep"), 1, Code::SecretDeleted, false),
            (told("delete"), 1, Code::SecretDeleted, true),
            (told("delete"), 1, Code::SecretNotFound, true),
            (told("delete"), 1, Code::PolicyDenied, false),
            (told("delete"), 1, Code::SecretMountUnknown, false),
            (told("delete"), 1, Code::VaultSealed, false),
            (told("delete"), 0, Code::SecretNotFound, false),
            (with_more, 1, Code::SecretDeleted, false),
        ];
        for (more, generation, code, want) in cases {
            let status = VaultStaticSecretStatus { last_generation: generation, ..Default::default() };
            assert_eq!(goes(&spec(more.clone()), &status, code), want, "{more} {generation} {code}");
        }
    }

    /// What is in the status, what the Secret holds, what Vault holds; and what comes of it.
    #[test]
    fn restarts_once_per_real_change_and_never_for_less() {
        let key = Key::new(Kind::VaultStaticSecret, "app", "web");
        let mac_key = MacKey::new(b"key");
        let metadata = Metadata { uid: "u".to_owned(), generation: 2, ..Metadata::default() };
        let cases = [
            ("first sync", None, None, "a", "create, restart false, SecretSynced"),
            ("nothing new", Some("a"), Some("a"), "a", "nothing, restart false, ResourceUpdated"),
            ("a new value", Some("a"), Some("a"), "b", "replace, restart true, SecretRotated"),
            (
                "written, then killed before the status",
                Some("a"),
                Some("b"),
                "b",
                "nothing, restart true, SecretRotated",
            ),
            ("first sync, killed before the status", None, Some("a"), "a", "nothing, restart false, SecretSynced"),
            ("the same, and a new value", None, Some("a"), "b", "replace, restart true, SecretRotated"),
            ("edited by somebody", Some("a"), Some("x"), "a", "replace, restart false, SecretDataDrift"),
            ("deleted by somebody", Some("a"), None, "a", "create, restart false, InexistentDestination"),
            ("deleted, and a new value", Some("a"), None, "b", "create, restart true, SecretRotated"),
        ];
        for (about, before, there, vault, want) in cases {
            let (spec, vault) = (spec(json!({})), data(vault));
            let mac = before.map(|value| data(value).mac(&mac_key));
            let last_generation = if mac.is_some() { 2 } else { 0 };
            let status = VaultStaticSecretStatus { last_generation, secret_mac: mac, ..Default::default() };
            let scene =
                Scene { key: &key, metadata: &metadata, spec: &spec, status: &status, data: &vault, mac_key: &mac_key };
            let made = there.map(|value| {
                let wish = Wish {
                    owner: Owner { key: &key, metadata: &metadata },
                    destination: &spec.destination,
                    data: &vault,
                    respec: true,
                };
                let Ok(Change::Create(body)) = destination::decide(wish, None) else { panic!() };
                Secret {
                    metadata: body.metadata,
                    kind: body.kind,
                    immutable: false,
                    data: data(value),
                    others: Data::default(),
                }
            });
            let plan = scene.plan(made.as_ref()).ok().unwrap();
            let change = match plan.change {
                Change::Nothing => "nothing",
                Change::Create(_) => "create",
                Change::Replace(_) => "replace",
                Change::Recreate { .. } => "recreate",
            };
            assert_eq!(format!("{change}, restart {}, {}", plan.restart, plan.reason), want, "{about}");
        }
    }

    /// The digest that the Vault Secrets Operator has written of an empty text: of `{"k":null}`.
    #[test]
    fn what_a_template_left_empty_is_no_news_after_a_vault_secrets_operator() {
        let (key, mac_key, spec) =
            (Key::new(Kind::VaultStaticSecret, "app", "web"), MacKey::new(b"key"), spec(json!({})));
        let metadata = Metadata { uid: "u".to_owned(), generation: 2, ..Metadata::default() };
        let said = Some("m1unCUI8VckBTMAzxkLjsSt4JpoaoO7lLuH2873ab5M=".to_owned());
        let status = VaultStaticSecretStatus { last_generation: 2, secret_mac: said, ..Default::default() };
        let plan = |data: &Data| {
            let scene = Scene { key: &key, metadata: &metadata, spec: &spec, status: &status, data, mac_key: &mac_key };
            scene.plan(None).ok().unwrap().restart
        };
        assert_eq!((plan(&data("")), plan(&data("x"))), (false, true));
    }

    #[test]
    fn a_status_says_nothing_new_when_there_is_nothing_new() {
        let (key, mac_key, spec, data) =
            (Key::new(Kind::VaultStaticSecret, "app", "web"), MacKey::new(b"k"), spec(json!({})), data("a"));
        let metadata = Metadata { generation: 2, ..Metadata::default() };
        let scene =
            |status| Scene { key: &key, metadata: &metadata, spec: &spec, status, data: &data, mac_key: &mac_key };
        let client = |id: &str| ClientMeta { cache_key: None, id: Some(id.to_owned()) };
        let none = VaultStaticSecretStatus::default();
        let first = scene(&none).succeeded(Some("m".into()), &outcome::sync(None), Vec::new(), client("1"), "T1");
        assert_eq!((first.last_generation, first.vault_client_meta.clone()), (2, Some(client("1"))));
        let second = scene(&first).succeeded(Some("m".into()), &outcome::sync(None), Vec::new(), client("2"), "T2");
        assert_eq!(second, first);
        let trouble = outcome::Trouble::new("X", Cause::new(Code::VaultSealed, "a", "b"));
        let third = failed(&first, &outcome::sync(Some(&trouble)), 3, "T3");
        assert_eq!((third.last_generation, third.secret_mac.as_deref()), (2, Some("m")));
        assert!(
            third
                .conditions
                .iter()
                .all(|condition| condition.status == "False" && condition.last_transition_time == "T3")
        );
    }
}
