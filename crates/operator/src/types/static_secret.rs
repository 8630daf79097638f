//! `VaultStaticSecret`: a secret of a KV engine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::destination::{Destination, RestartTarget, SyncConfig};

/// What to read and where to put it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultStaticSecretSpec {
    /// The VaultAuth, as `name` or `namespace/name`; `default` of the operator's namespace when empty.
    #[serde(default)]
    pub vault_auth_ref: Option<String>,
    /// Vault namespace of the secret; the VaultAuth's when empty.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Mount of the KV engine.
    pub mount: String,
    /// Path below the mount, without `data/`.
    pub path: String,
    /// Version to read of kv-v2; the latest when 0 or empty.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub version: Option<i32>,
    /// The engine's version.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["kv-v1", "kv-v2"]))]
    pub kind: String,
    /// Further secrets whose fields go into the same Secret. There is no `_raw` then, and no two may have a key in common.
    #[serde(default)]
    pub sources: Vec<FurtherSource>,
    /// Time between two looks; with `hmacSecretData`, a minute when empty.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub refresh_after: Option<String>,
    /// Keep a digest of the data in the status, to tell a real change and to mend a Secret that somebody else changed.
    #[serde(default = "yes")]
    pub hmac_secret_data: Option<bool>,
    /// Workloads to restart when the data has changed; needs `hmacSecretData`.
    #[serde(default)]
    pub rollout_restart_targets: Vec<RestartTarget>,
    /// The Secret to fill.
    pub destination: Destination,
    /// How changes are found.
    #[serde(default)]
    pub sync_config: Option<SyncConfig>,
}

/// One more secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FurtherSource {
    /// Vault namespace; that of the object when empty.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Mount of the KV engine.
    pub mount: String,
    /// Path below the mount, without `data/`.
    pub path: String,
    /// Version to read of kv-v2; the latest when 0 or empty.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub version: Option<i32>,
    /// The engine's version.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["kv-v1", "kv-v2"]))]
    pub kind: String,
    /// Put before each of its keys.
    #[serde(default)]
    pub prefix: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field may be null")]
const fn yes() -> Option<bool> {
    Some(true)
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["lastGeneration"]))]
pub struct VaultStaticSecretStatus {
    /// The spec's generation at the last success.
    #[serde(default)]
    pub last_generation: i64,
    /// Digest of the Secret's data, base64.
    #[serde(default, rename = "secretMAC", skip_serializing_if = "Option::is_none")]
    pub secret_mac: Option<String>,
    /// The login in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_client_meta: Option<ClientMeta>,
    /// Workloads whose restart has failed and is tried again; there only while there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts_owed: Vec<RestartTarget>,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Names a login without being it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientMeta {
    /// Connection, VaultAuth and identity, as a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    /// Digest of the token's accessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}
