//! The auth methods' own fields, shared by VaultAuth and VaultAuthGlobal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Login with a service account's token at a `kubernetes` mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    /// Vault role.
    #[serde(default)]
    pub role: Option<String>,
    /// ServiceAccount of the consumer's namespace whose token to use.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Audiences of the token; the API server's own when empty.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Lifetime of the token, seconds.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 600))]
    pub token_expiration_seconds: i64,
}

/// Login with a JWT at a `jwt` mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// Vault role.
    #[serde(default)]
    pub role: Option<String>,
    /// Secret of the consumer's namespace whose key `jwt` holds the token.
    #[serde(default)]
    pub secret_ref: Option<String>,
    /// ServiceAccount of the consumer's namespace whose token to use.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Audiences of the token; the API server's own when empty.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Lifetime of the token, seconds.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 600))]
    pub token_expiration_seconds: i64,
}

/// Login with a role id and a secret id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppRole {
    /// The role id.
    #[serde(default)]
    pub role_id: Option<String>,
    /// Secret of the consumer's namespace whose key `id` holds the secret id.
    #[serde(default)]
    pub secret_ref: Option<String>,
    /// File with the secret id in the operator's own container; an absolute path.
    #[serde(default, rename = "secretIDPath")]
    pub secret_id_path: Option<String>,
}

/// Login with an AWS identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    /// Vault role.
    #[serde(default)]
    pub role: Option<String>,
    /// Region of the signed request.
    #[serde(default)]
    pub region: Option<String>,
    /// Value of the server id header that the mount may ask for.
    #[serde(default)]
    pub header_value: Option<String>,
    /// Name of the session of a web identity.
    #[serde(default)]
    pub session_name: Option<String>,
    /// Another STS endpoint.
    #[serde(default)]
    pub sts_endpoint: Option<String>,
    /// Another IAM endpoint.
    #[serde(default)]
    pub iam_endpoint: Option<String>,
    /// Secret of the consumer's namespace with static keys.
    #[serde(default)]
    pub secret_ref: Option<String>,
    /// ServiceAccount of the consumer's namespace that is bound to an IAM role.
    #[serde(default)]
    pub irsa_service_account: Option<String>,
}

/// Login with a Google identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gcp {
    /// Vault role.
    #[serde(default)]
    pub role: Option<String>,
    /// ServiceAccount of the consumer's namespace that is bound to a Google service account.
    #[serde(default)]
    pub workload_identity_service_account: Option<String>,
    /// Region of the cluster.
    #[serde(default)]
    pub region: Option<String>,
    /// Name of the cluster.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// Project of the cluster.
    #[serde(default, rename = "projectID")]
    pub project_id: Option<String>,
}

const fn ten_minutes() -> i64 {
    600
}
