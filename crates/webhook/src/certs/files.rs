//! A certificate from mounted files: cert-manager's, or one made by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use sidekey_core::{Cause, Code};
use sidekey_runtime::readiness::Token;
use sidekey_runtime::{tls, watch};

use super::{Served, expiry};
use crate::metrics::Metrics;

/// Where the pair lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Chain, leaf first, PEM.
    pub certificate: PathBuf,
    /// Key, PEM.
    pub key: PathBuf,
}

impl Pair {
    /// The names of a Secret of type `kubernetes.io/tls` mounted at `directory`.
    pub fn mounted(directory: &Path) -> Self {
        Self { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
    }

    fn load(&self) -> Result<Arc<CertifiedKey>, Cause> {
        let attempted = || format!("loading {} and {}", self.certificate.display(), self.key.display());
        tls::load_pair(&self.certificate, &self.key)
            .map_err(|error| Cause::new(Code::CertificateUnusable, attempted(), error.to_string()))
    }
}

/// Serves the pair and follows its files for ever. A pair that does not load leaves the old one in service; `ready` waits
/// for the first.
pub async fn follow(pair: Pair, mut changes: watch::Changes, served: Arc<Served>, ready: Token, metrics: Metrics) {
    let mut ready = Some(ready);
    let mut failed = None;
    loop {
        match pair.load() {
            Ok(loaded) => {
                failed = None;
                if served.get().is_none_or(|old| old.cert != loaded.cert) {
                    if let Some(end) = loaded.cert.first().and_then(expiry) {
                        metrics.leaf_expires(end);
                        tracing::info!(expires = end, "certificate in service");
                    }
                    metrics.reloaded("certificate", true);
                    served.set(loaded);
                }
                if let Some(token) = ready.take() {
                    token.ready();
                }
            }
            Err(cause) if failed.as_ref() != Some(&cause) => {
                metrics.reloaded("certificate", false);
                tracing::error!(%cause, "certificate not loaded, the old one stays in service");
                failed = Some(cause);
            }
            Err(_) => {}
        }
        changes.next().await;
    }
}
