//! `VaultPKISecret`: a certificate of a PKI engine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::destination::{Destination, RestartTarget};

/// What to have issued and where to put it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultPkiSecretSpec {
    /// The VaultAuth, as `name` or `namespace/name`; `default` of the operator's namespace when empty.
    #[serde(default)]
    pub vault_auth_ref: Option<String>,
    /// Vault namespace of the engine; the VaultAuth's when empty.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Mount of the PKI engine.
    pub mount: String,
    /// Role to issue with.
    pub role: String,
    /// Issuer; the role's when empty.
    #[serde(default)]
    pub issuer_ref: Option<String>,
    /// Revoke a certificate when it has been replaced, and the last one when this object is deleted.
    #[serde(default)]
    pub revoke: bool,
    /// Empty a Secret that is not owned when this object is deleted.
    #[serde(default)]
    pub clear: bool,
    /// How long before the certificate's end to replace it.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub expiry_offset: Option<String>,
    /// Common name.
    #[serde(default)]
    pub common_name: Option<String>,
    /// DNS and mail names.
    #[serde(default)]
    pub alt_names: Vec<String>,
    /// IP addresses.
    #[serde(default)]
    pub ip_sans: Vec<String>,
    /// URIs.
    #[serde(default)]
    pub uri_sans: Vec<String>,
    /// Other names, as `oid;type:value`.
    #[serde(default)]
    pub other_sans: Vec<String>,
    /// User ids.
    #[serde(default, rename = "userIDs")]
    pub user_ids: Vec<String>,
    /// Lifetime; the role's when empty.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h|d))$"))]
    pub ttl: Option<String>,
    /// Fixed end, in place of a lifetime.
    #[serde(default)]
    pub not_after: Option<String>,
    /// `pem`, `der` or `pem_bundle`.
    #[serde(default)]
    pub format: Option<String>,
    /// `der`, `pem` or `pkcs8`.
    #[serde(default)]
    pub private_key_format: Option<String>,
    /// Keep the common name out of the alternative names.
    #[serde(default, rename = "excludeCNFromSans")]
    pub exclude_cn_from_sans: bool,
    /// Workloads to restart when the certificate has been replaced.
    #[serde(default)]
    pub rollout_restart_targets: Vec<RestartTarget>,
    /// The Secret to fill.
    pub destination: Destination,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["error", "lastGeneration", "lastRotation", "valid"]))]
pub struct VaultPkiSecretStatus {
    /// The certificate's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// The certificate's end, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<i64>,
    /// The spec's generation at the last success.
    #[serde(default)]
    pub last_generation: i64,
    /// When it was issued, Unix seconds.
    #[serde(default)]
    pub last_rotation: i64,
    /// Digest of the Secret's data, base64.
    #[serde(default, rename = "secretMAC", skip_serializing_if = "Option::is_none")]
    pub secret_mac: Option<String>,
    /// Digest of the part of the spec that says what to ask for and where to put it: an edit of the rest asks for nothing anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// Whether all is well.
    #[serde(default)]
    pub valid: bool,
    /// Why not, in one word.
    #[serde(default)]
    pub error: String,
    /// Workloads whose restart has failed and is tried again; there only while there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts_owed: Vec<RestartTarget>,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
