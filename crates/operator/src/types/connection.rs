//! `VaultConnection`: where a Vault is and how to trust it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// Address and trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["address", "skipTLSVerify"]))]
pub struct VaultConnectionSpec {
    /// Vault's URL.
    pub address: String,
    /// Headers of every request. The Vault namespace is not set here.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Name to check in Vault's certificate, when it is not the address's.
    #[serde(default)]
    pub tls_server_name: Option<String>,
    /// Secret of this namespace whose key `ca.crt` holds the CA in PEM.
    #[serde(default)]
    pub ca_cert_secret_ref: Option<String>,
    /// File with the CA in PEM, in the operator's own container; not together with `caCertSecretRef`.
    #[serde(default)]
    pub ca_cert_path: Option<String>,
    /// ConfigMap of this namespace that holds the CA in PEM, as a bundle of trust-manager does; not together with the other two.
    #[serde(default)]
    pub ca_cert_config_map_ref: Option<CaConfigMap>,
    /// Secret of this namespace, of the type `kubernetes.io/tls`, whose keys `tls.crt` and `tls.key` hold a client certificate to show.
    #[serde(default)]
    pub client_cert_secret_ref: Option<String>,
    /// URL of an HTTP proxy to reach Vault through, `http://HOST:PORT` or `https://HOST:PORT`, without a user and password.
    #[serde(default, rename = "proxyURL")]
    pub proxy_url: Option<String>,
    /// Accept any certificate.
    #[serde(default, rename = "skipTLSVerify")]
    pub skip_tls_verify: bool,
    /// Namespaces whose VaultAuths may use this, beside its own; `*` is all. Those of the operator's own namespace are everybody's.
    #[serde(default)]
    pub allowed_namespaces: Vec<String>,
    /// Longest time of one request; 60 s when empty.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(s|m|h))$"))]
    pub timeout: Option<String>,
}

/// Where in a ConfigMap the CA is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaConfigMap {
    /// Name of the ConfigMap.
    pub name: String,
    /// Its key; `ca.crt` when empty.
    #[serde(default)]
    pub key: Option<String>,
}

impl CaConfigMap {
    /// The key to read.
    pub fn key(&self) -> &str {
        self.key.as_deref().filter(|key| !key.is_empty()).unwrap_or("ca.crt")
    }
}

/// What was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["valid"]))]
pub struct VaultConnectionStatus {
    /// Whether Vault answered.
    #[serde(default)]
    pub valid: bool,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
