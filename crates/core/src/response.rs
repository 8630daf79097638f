//! What Vault answers to a lookup.

use crate::value::Value;

/// An answer's envelope and data. No `Debug`: `data` is the secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// Vault's id of the request, for its audit log.
    pub request_id: String,
    /// Empty when the answer has no lease (KV).
    pub lease_id: String,
    /// Seconds; for KV v1 a refresh hint, not a lease.
    pub lease_duration: u64,
    /// Whether the lease may be renewed at all.
    pub renewable: bool,
    /// The `data` object.
    pub data: Value,
    /// The `auth` object of a token that the answer brings, as a write of `auth/token/create` does; null without one.
    pub auth: Value,
    /// Vault's own remarks.
    pub warnings: Vec<String>,
}

impl Response {
    /// Whether `data` is KV v2's wrapper of `data` and `metadata`
    /// (developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version).
    pub fn is_kv2(&self) -> bool {
        let has = |key| self.data.get("metadata").and_then(|metadata| metadata.get(key)).is_some();
        self.data.get("data").is_some() && has("version") && has("created_time")
    }

    /// What the user stored: the inner data of KV v2, else all data.
    pub fn user_data(&self) -> &Value {
        match self.data.get("data") {
            Some(inner) if self.is_kv2() => inner,
            _ => &self.data,
        }
    }
}
