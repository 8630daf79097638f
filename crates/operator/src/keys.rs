//! The key of all digests: one Secret, made once, the same that the Vault Secrets Operator uses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;
use sidekey_cluster::api::{Api, JSON};
use sidekey_core::{Cause, Code};

use crate::MANAGER;
use crate::plan::data::MacKey;
use crate::plan::destination::Secret;

/// The Secret's name; its key is `key`.
pub const SECRET: &str = "vso-cc-storage-hmac-key";

/// Reads the key, or makes it.
///
/// # Errors
/// The API server refuses, or the Secret has no key.
pub async fn mac_key(api: &Api, namespace: &str) -> Result<MacKey, Cause> {
    let all = format!("/api/v1/namespaces/{namespace}/secrets");
    for _ in 0..2 {
        match api.get::<Secret>(&format!("{all}/{SECRET}"), JSON).await {
            Ok(secret) => return read(&secret, namespace),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error.cause(Code::KubernetesApi)),
        }
        let mut bytes = [0_u8; 16];
        let no_randomness = |_| Cause::new(Code::WebhookInternal, "making the key of digests", "no randomness");
        getrandom::fill(&mut bytes).map_err(no_randomness)?;
        let labels = json!({
            "app.kubernetes.io/name": "vault-secrets-operator",
            "app.kubernetes.io/managed-by": "hashicorp-vso",
            "app.kubernetes.io/component": "client-cache-storage-verification",
        });
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": SECRET, "namespace": namespace, "labels": labels },
            "immutable": true,
            "type": "Opaque",
            "data": { "key": STANDARD.encode(bytes) },
        });
        match api.send::<Secret>(Method::POST, &format!("{all}?fieldManager={MANAGER}"), JSON, &body).await {
            Ok(secret) => return read(&secret, namespace),
            // Another replica was faster: its key it is.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.cause(Code::KubernetesApi)),
        }
    }
    Err(Cause::new(Code::KubernetesApi, format!("making Secret {namespace}/{SECRET}"), "it comes and goes"))
}

fn read(secret: &Secret, namespace: &str) -> Result<MacKey, Cause> {
    let key = secret.data.0.get("key").filter(|key| !key.expose().is_empty());
    let missing = || {
        let attempted = format!("reading Secret {namespace}/{SECRET}");
        let cause = Cause::new(Code::CredentialSecret, attempted, "it has no key named key");
        cause.with_fix("Delete it: a new one is made, and every digest with it.")
    };
    key.map(|key| MacKey::new(key.expose())).ok_or_else(missing)
}
