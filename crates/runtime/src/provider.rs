//! Which cryptography rustls uses.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Makes ring the process's provider. Call it first in `main`; a second call changes nothing.
pub fn install() {
    let _ = ring::default_provider().install_default();
}

/// ring, for configurations built without the process's default.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
