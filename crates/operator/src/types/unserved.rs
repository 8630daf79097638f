//! Kinds that are accepted, so that a repository of manifests applies, and answered by a condition that they are not served.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::destination::{Destination, RestartTarget, Transformation};

/// `HCPAuth`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HcpAuthSpec {
    /// Organization.
    #[serde(rename = "organizationID")]
    pub organization_id: String,
    /// Project.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// Namespaces whose objects may use this, beside its own; `*` is all.
    #[serde(default)]
    pub allowed_namespaces: Vec<String>,
    /// The method.
    #[serde(default = "service_principal")]
    #[schemars(extend("enum" = ["servicePrincipal"]))]
    pub method: Option<String>,
    /// For the method `servicePrincipal`.
    #[serde(default)]
    pub service_principal: Option<ServicePrincipal>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field may be null")]
fn service_principal() -> Option<String> {
    Some("servicePrincipal".to_owned())
}

/// A service principal's credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipal {
    /// Secret of the consumer's namespace with `clientID` and `clientSecret`.
    pub secret_ref: String,
}

/// `HCPVaultSecretsApp`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HcpVaultSecretsAppSpec {
    /// The application.
    pub app_name: String,
    /// The HCPAuth, as `name` or `namespace/name`.
    #[serde(default)]
    pub hcp_auth_ref: Option<String>,
    /// Time between two looks.
    #[serde(default = "ten_minutes")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub refresh_after: Option<String>,
    /// Workloads to restart when the data has changed.
    #[serde(default)]
    pub rollout_restart_targets: Vec<RestartTarget>,
    /// The Secret to fill.
    pub destination: Destination,
    /// How often to replace dynamic secrets.
    #[serde(default)]
    pub sync_config: Option<AppSync>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field may be null")]
fn ten_minutes() -> Option<String> {
    Some("600s".to_owned())
}

/// How often to replace dynamic secrets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppSync {
    /// Of dynamic secrets.
    #[serde(default)]
    pub dynamic: Option<AppDynamic>,
}

/// Of dynamic secrets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppDynamic {
    /// Share of the lifetime, in percent.
    #[serde(default = "two_thirds")]
    #[schemars(range(min = 0, max = 90))]
    pub renewal_percent: Option<i32>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field may be null")]
const fn two_thirds() -> Option<i32> {
    Some(67)
}

/// `CSISecrets`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiSecretsSpec {
    /// Vault namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The VaultAuth.
    #[serde(default)]
    pub vault_auth_ref: Option<CsiAuthRef>,
    /// Which pods may mount it.
    pub access_control: CsiAccess,
    /// What to mount.
    pub secrets: CsiCollection,
    /// When to change it.
    #[serde(default)]
    pub sync_config: Option<CsiSync>,
}

/// The VaultAuth of a CSI volume.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiAuthRef {
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Trust the namespace.
    #[serde(default)]
    pub trust_namespace: Option<bool>,
}

/// Which pods may mount it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiAccess {
    /// Regular expression for service accounts.
    pub service_account_pattern: String,
    /// Regular expressions for namespaces.
    #[serde(default)]
    pub namespace_patterns: Vec<String>,
    /// Regular expressions for pods.
    #[serde(default)]
    pub pod_name_patterns: Vec<String>,
    /// Labels of pods.
    #[serde(default)]
    pub pod_labels: BTreeMap<String, String>,
    /// Whether one rule is enough.
    #[serde(default = "all")]
    #[schemars(extend("enum" = ["any", "all"]))]
    pub match_policy: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the field may be null")]
fn all() -> Option<String> {
    Some("all".to_owned())
}

/// What to mount.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiCollection {
    /// What to make of the data.
    #[serde(default)]
    pub transformation: Option<Transformation>,
    /// Secret ids of AppRoles.
    #[serde(default, rename = "vaultAppRoleSecretIDs")]
    pub vault_app_role_secret_ids: Vec<CsiSecretId>,
    /// Secrets of KV engines.
    #[serde(default)]
    pub vault_static_secrets: Vec<CsiStatic>,
}

/// A secret id of an AppRole.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiSecretId {
    /// Mount of the auth method.
    pub mount: String,
    /// The role.
    pub role: String,
    /// Metadata of the secret id.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Networks that may use the secret id.
    #[serde(default)]
    pub cidr_list: Vec<String>,
    /// Networks that may use the token.
    #[serde(default, rename = "tokenBoundCIDRs")]
    pub token_bound_cidrs: Vec<String>,
    /// Lifetime.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub ttl: Option<String>,
    /// Uses.
    #[serde(default)]
    pub num_uses: Option<i32>,
    /// Lifetime of a wrapping token.
    #[serde(default, rename = "wrapTTL")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub wrap_ttl: Option<String>,
    /// Give the role id too.
    #[serde(default, rename = "syncRoleID")]
    pub sync_role_id: Option<bool>,
    /// What to make of the data.
    #[serde(default)]
    pub transformation: Option<Transformation>,
}

/// A secret of a KV engine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiStatic {
    /// The mount.
    pub mount: String,
    /// Path below it.
    pub path: String,
    /// The engine's version.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["kv-v1", "kv-v2"]))]
    pub kind: String,
    /// Version to read.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub version: Option<i32>,
    /// What to make of the data.
    #[serde(default)]
    pub transformation: Option<Transformation>,
}

/// When to change it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiSync {
    /// The container that decides.
    #[serde(default)]
    pub container_state: Option<CsiContainer>,
}

/// The container that decides.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiContainer {
    /// Regular expression for its name.
    #[serde(default)]
    pub name_pattern: Option<String>,
    /// Regular expression for its image.
    #[serde(default)]
    pub image_pattern: Option<String>,
}

/// Status of `HCPAuth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HcpAuthStatus {
    /// Whether it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Status of `HCPVaultSecretsApp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["lastGeneration"]))]
pub struct HcpVaultSecretsAppStatus {
    /// The spec's generation at the last success.
    #[serde(default)]
    pub last_generation: i64,
    /// Digest of the Secret's data, base64.
    #[serde(default, rename = "secretMAC", skip_serializing_if = "Option::is_none")]
    pub secret_mac: Option<String>,
    /// Dynamic secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dynamic_secrets: Vec<AppDynamicStatus>,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// One dynamic secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppDynamicStatus {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<String>,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Its lifetime.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// Status of `CSISecrets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsiSecretsStatus {
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
