//! `VaultDynamicSecret`: credentials with a lease, and those that Vault rotates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::destination::{Destination, RestartTarget, SyncConfig};
use super::static_secret::ClientMeta;

/// What to ask for and where to put it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultDynamicSecretSpec {
    /// The VaultAuth, as `name` or `namespace/name`; `default` of the operator's namespace when empty.
    #[serde(default)]
    pub vault_auth_ref: Option<String>,
    /// Vault namespace of the engine; the VaultAuth's when empty.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Mount of the engine.
    pub mount: String,
    /// Path below the mount, such as `creds/app`.
    pub path: String,
    /// Verb of the request; any parameter makes it a write.
    #[serde(default, rename = "requestHTTPMethod")]
    #[schemars(extend("enum" = ["GET", "POST", "PUT"]))]
    pub request_http_method: Option<String>,
    /// Parameters of the request.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Share of the lease, in percent, after which it is renewed.
    #[serde(default = "two_thirds")]
    #[schemars(range(min = 0, max = 90))]
    pub renewal_percent: i32,
    /// Revoke the lease when this object is deleted.
    #[serde(default)]
    pub revoke: Option<bool>,
    /// The credentials are of a static role: Vault rotates them and gives no lease.
    #[serde(default)]
    pub allow_static_creds: Option<bool>,
    /// Workloads to restart when the credentials have changed.
    #[serde(default)]
    pub rollout_restart_targets: Vec<RestartTarget>,
    /// The Secret to fill.
    pub destination: Destination,
    /// Time between two requests when the answer has no lease.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub refresh_after: Option<String>,
    /// How changes are found.
    #[serde(default)]
    pub sync_config: Option<SyncConfig>,
}

const fn two_thirds() -> i32 {
    67
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["lastGeneration", "lastRenewalTime", "secretLease"]))]
pub struct VaultDynamicSecretStatus {
    /// When the lease was last made or renewed, Unix seconds.
    #[serde(default)]
    pub last_renewal_time: i64,
    /// The spec's generation at the last success.
    #[serde(default)]
    pub last_generation: i64,
    /// The lease.
    #[serde(default)]
    pub secret_lease: SecretLease,
    /// Of a static role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_creds_meta_data: Option<StaticCreds>,
    /// Uid of the pod that did it.
    #[serde(default, rename = "lastRuntimePodUID", skip_serializing_if = "Option::is_none")]
    pub last_runtime_pod_uid: Option<String>,
    /// Digest of the Secret's data, base64.
    #[serde(default, rename = "secretMAC", skip_serializing_if = "Option::is_none")]
    pub secret_mac: Option<String>,
    /// Digest of the part of the spec that says what to ask for and where to put it: an edit of the rest asks for nothing anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// The login in use; the lease ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_client_meta: Option<ClientMeta>,
    /// Workloads whose restart has failed and is tried again; there only while there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts_owed: Vec<RestartTarget>,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A lease as Vault describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["id", "duration", "renewable", "requestID"]))]
pub struct SecretLease {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// Seconds.
    #[serde(default)]
    pub duration: i32,
    /// Whether it may be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// Id of the request that made it.
    #[serde(default, rename = "requestID")]
    pub request_id: String,
}

/// What Vault says of a static role's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["lastVaultRotation", "rotationPeriod", "ttl"]))]
pub struct StaticCreds {
    /// The last rotation, Unix seconds.
    #[serde(default)]
    pub last_vault_rotation: i64,
    /// Seconds between two rotations.
    #[serde(default)]
    pub rotation_period: i64,
    /// The schedule, when there is one in the period's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_schedule: Option<String>,
    /// Seconds to the next rotation, when last read.
    #[serde(default)]
    pub ttl: i64,
}
