//! Where Vault is and how to log in.

use serde::{Deserialize, Serialize};

use super::is_default;

/// Vault's address and how to trust it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Server {
    /// URL, with scheme; a path prefix is kept.
    pub address: String,
    /// Vault namespace, sent as `X-Vault-Namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// CA certificates, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// CA certificates, PEM file in the agent container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Directory of PEM files in the agent container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_dir: Option<String>,
    /// Client certificate, PEM file; with `client_key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_file: Option<String>,
    /// Client key, PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<String>,
    /// Name to check in Vault's certificate, when it is not the address's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Accept any certificate.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_verify: bool,
    /// Proxy URL for CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Longest time for one request, seconds.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout_seconds: u32,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Auth {
    /// The method.
    pub method: AuthMethod,
    /// Mount path with `auth/`, such as `auth/kubernetes`, without slashes at its ends.
    pub mount: String,
    /// Vault role.
    pub role: String,
    /// Service account token; read again at every login.
    pub token_file: String,
    /// Shortest wait after a failed login, milliseconds.
    #[serde(default = "default_min_backoff")]
    pub min_backoff_ms: u64,
    /// Longest wait after a failed login, milliseconds.
    #[serde(default = "default_max_backoff")]
    pub max_backoff_ms: u64,
}

/// The auth methods that are served; others are refused by name at admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// Role and service account token, posted to `<mount>/login`.
    Kubernetes,
    /// The same body for a `jwt` mount.
    Jwt,
}

const fn default_timeout() -> u32 {
    60
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_default_timeout(seconds: &u32) -> bool {
    *seconds == default_timeout()
}

const fn default_min_backoff() -> u64 {
    1_000
}

const fn default_max_backoff() -> u64 {
    300_000
}
