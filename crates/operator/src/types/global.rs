//! `VaultAuthGlobal`: what VaultAuths have in common.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::methods::{AppRole, Aws, Gcp, Jwt, Kubernetes};

/// Defaults for VaultAuths that refer to this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuthGlobalSpec {
    /// Namespaces whose VaultAuths may refer to this, beside its own; `*` is all.
    #[serde(default)]
    pub allowed_namespaces: Vec<String>,
    /// VaultConnection of VaultAuths that name none.
    #[serde(default)]
    pub vault_connection_ref: Option<String>,
    /// Vault namespace of VaultAuths that name none.
    #[serde(default)]
    pub default_vault_namespace: Option<String>,
    /// Method of VaultAuths that name none.
    #[serde(default)]
    #[schemars(extend("enum" = ["kubernetes", "jwt", "appRole", "aws", "gcp"]))]
    pub default_auth_method: Option<String>,
    /// Mount of VaultAuths that name none.
    #[serde(default)]
    pub default_mount: Option<String>,
    /// Parameters to merge.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Headers to merge.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// For the method `kubernetes`.
    #[serde(default)]
    pub kubernetes: Option<Block<Kubernetes>>,
    /// For the method `jwt`.
    #[serde(default)]
    pub jwt: Option<Block<Jwt>>,
    /// For the method `appRole`.
    #[serde(default)]
    pub app_role: Option<Block<AppRole>>,
    /// For the method `aws`.
    #[serde(default)]
    pub aws: Option<Block<Aws>>,
    /// For the method `gcp`.
    #[serde(default)]
    pub gcp: Option<Block<Gcp>>,
}

/// A method's fields, and what holds for this method only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Block<T> {
    /// Vault namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Path of the auth mount.
    #[serde(default)]
    pub mount: Option<String>,
    /// Parameters to merge.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Headers to merge.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The method's own fields.
    #[serde(flatten)]
    pub method: T,
}

/// Kept for the shape of the kind; VaultAuths say what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["valid", "error"]))]
pub struct VaultAuthGlobalStatus {
    /// Whether it can be used.
    #[serde(default)]
    pub valid: bool,
    /// Why not.
    #[serde(default)]
    pub error: Option<String>,
}
