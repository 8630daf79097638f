//! Where Vault is.

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
    /// Proxy URL for CONNECT; `None` leaves it to the agent's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Hosts reached without the proxy, between commas, as `NO_PROXY` has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Longest time for one request, seconds.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout_seconds: u32,
}

const fn default_timeout() -> u32 {
    60
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_default_timeout(seconds: &u32) -> bool {
    *seconds == default_timeout()
}
