//! `caBundle` of every entry of our webhook configuration: what an API server trusts us by.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use sidekey_cluster::api::{APPLY, Api, ApiError, JSON};

use super::authority::CaCertificate;
use crate::MANAGER;

/// The collection of webhook configurations.
pub(crate) const PATH: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/// One entry and what it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The webhook's name.
    pub name: String,
    /// Certificates of its `caBundle`.
    pub trusts: Vec<CaCertificate>,
    /// Bytes that are no certificate are in it.
    pub damaged: bool,
}

/// The configuration as it was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its `resourceVersion`.
    version: Option<String>,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// Reads every entry.
///
/// # Errors
/// [`ApiError`], also when the configuration is not there.
pub async fn read(api: &Api, configuration: &str) -> Result<Found, ApiError> {
    let found: MutatingWebhookConfiguration = api.get(&format!("{PATH}/{configuration}"), JSON).await?;
    let entry = |hook: k8s_openapi::api::admissionregistration::v1::MutatingWebhook| {
        let bytes = hook.client_config.ca_bundle.unwrap_or_default().0;
        let trusts = CaCertificate::parse_all(&bytes);
        let whole: String = trusts.iter().map(CaCertificate::pem).collect();
        Entry { name: hook.name, damaged: whole.as_bytes() != bytes, trusts }
    };
    let version = found.metadata.resource_version;
    Ok(Found { version, entries: found.webhooks.unwrap_or_default().into_iter().map(entry).collect() })
}

/// Makes every entry trust exactly these.
///
/// # Errors
/// [`ApiError::is_conflict`] when the configuration is not what was `found` any more; any other [`ApiError`].
pub async fn publish(
    api: &Api,
    configuration: &str,
    found: &Found,
    certificates: &[CaCertificate],
) -> Result<(), ApiError> {
    let pem: String = certificates.iter().map(CaCertificate::pem).collect();
    let bundle = STANDARD.encode(pem);
    let entries = found.entries.iter();
    let webhooks: Vec<_> =
        entries.map(|entry| json!({"name": entry.name, "clientConfig": {"caBundle": bundle}})).collect();
    let object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": configuration, "resourceVersion": found.version},
        "webhooks": webhooks,
    });
    let path = format!("{PATH}/{configuration}?fieldManager={MANAGER}&force=true");
    api.send::<Value>(Method::PATCH, &path, APPLY, &object).await.map(drop)
}

/// Whether every entry, and there is one, trusts this CA.
pub fn all_trust(entries: &[Entry], ca: &CertificateDer<'_>) -> bool {
    !entries.is_empty() && entries.iter().all(|entry| entry.trusts.iter().any(|trusted| trusted.der == *ca))
}

/// Whether every entry trusts exactly these, in this order.
pub fn is_right(entries: &[Entry], certificates: &[CaCertificate]) -> bool {
    entries.iter().all(|entry| !entry.damaged && entry.trusts == certificates)
}
