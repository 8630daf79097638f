//! `VaultAuth`: how consumers log in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::methods::{AppRole, Aws, Gcp, Jwt, Kubernetes};

/// Method, mount and who may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuthSpec {
    /// The VaultConnection, as `name` or `namespace/name`; `default` of the operator's namespace when empty.
    #[serde(default)]
    pub vault_connection_ref: Option<String>,
    /// Where to take from what is not said here.
    #[serde(default)]
    pub vault_auth_global_ref: Option<GlobalRef>,
    /// Vault namespace of the auth mount, and of reads that name none.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Namespaces whose objects may use this, beside its own; `*` is all.
    #[serde(default)]
    pub allowed_namespaces: Vec<String>,
    /// The method.
    #[serde(default)]
    #[schemars(extend("enum" = ["kubernetes", "jwt", "appRole", "aws", "gcp"]))]
    pub method: Option<String>,
    /// Path of the auth mount.
    #[serde(default)]
    pub mount: Option<String>,
    /// Further parameters of the login.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Headers of the login request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// For the method `kubernetes`.
    #[serde(default)]
    pub kubernetes: Option<Kubernetes>,
    /// For the method `jwt`.
    #[serde(default)]
    pub jwt: Option<Jwt>,
    /// For the method `appRole`.
    #[serde(default)]
    pub app_role: Option<AppRole>,
    /// For the method `aws`.
    #[serde(default)]
    pub aws: Option<Aws>,
    /// For the method `gcp`.
    #[serde(default)]
    pub gcp: Option<Gcp>,
    /// Transit key for what the operator keeps over a restart.
    #[serde(default)]
    pub storage_encryption: Option<StorageEncryption>,
}

/// A VaultAuthGlobal, and how to merge with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlobalRef {
    /// Its name.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([a-z0-9.-]{1,253})$"))]
    pub name: Option<String>,
    /// Its namespace; this object's when empty.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([a-z0-9-]{1,63})$"))]
    pub namespace: Option<String>,
    /// How maps are merged.
    #[serde(default)]
    pub merge_strategy: Option<MergeStrategy>,
    /// Use the VaultAuthGlobal `default` of this namespace, else of the operator's, when none is named.
    #[serde(default)]
    pub allow_default: Option<bool>,
}

/// How maps are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MergeStrategy {
    /// Of headers.
    #[serde(default)]
    #[schemars(extend("enum" = ["union", "replace", "none"]))]
    pub headers: Option<String>,
    /// Of parameters.
    #[serde(default)]
    #[schemars(extend("enum" = ["union", "replace", "none"]))]
    pub params: Option<String>,
}

/// A transit key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageEncryption {
    /// The transit mount.
    pub mount: String,
    /// The key's name.
    pub key_name: String,
}

/// What was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuthStatus {
    /// Whether its references resolve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Digest of the spec after merging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
