//! Certificates and keys as rustls wants them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::provider;

/// Why a certificate and its key cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// No certificate, or not PEM. The parser's words quote nothing.
    #[error("the certificate is not PEM: {0}")]
    Certificate(rustls_pki_types::pem::Error),
    /// An empty chain.
    #[error("the certificate file holds no certificate")]
    Empty,
    /// No key, or not PEM.
    #[error("the key is not PEM (PKCS#8, SEC1 or PKCS#1): {0}")]
    Key(rustls_pki_types::pem::Error),
    /// rustls refuses them: an unknown kind of key, or a key that is not the certificate's.
    #[error("certificate and key are no pair: {0}")]
    Pair(rustls::Error),
    /// The provider has no usable protocol version.
    #[error("no TLS version can be offered: {0}")]
    Version(rustls::Error),
}

/// A chain (leaf first) and its key from PEM, checked to belong together.
///
/// # Errors
/// [`TlsError`]; no message quotes the key.
pub fn certified_key(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(chain_pem).collect::<Result<_, _>>().map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(TlsError::Key)?;
    certified_key_der(chain, key)
}

/// [`certified_key`] for certificates made in memory.
///
/// # Errors
/// [`TlsError::Empty`], [`TlsError::Pair`].
pub fn certified_key_der(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    if chain.is_empty() {
        return Err(TlsError::Empty);
    }
    CertifiedKey::from_der(chain, key, &provider::provider()).map(Arc::new).map_err(TlsError::Pair)
}

/// [`certified_key`] from two files.
///
/// # Errors
/// [`TlsError`].
pub fn load_pair(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    certified_key(&read(chain)?, &read(key)?)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// A server for HTTP/1.1 that asks no client for a certificate; `resolver` is asked at every handshake, which is what makes
/// a reload take no restart.
///
/// # Errors
/// [`TlsError::Version`].
pub fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider::provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Version)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    use super::*;

    fn made() -> (String, String) {
        let Made { cert, signing_key } = generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn reads_a_chain_and_its_key() {
        let ((leaf, key), (issuer, _)) = (made(), made());
        let pair = certified_key(format!("{leaf}{issuer}").as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(pair.cert.len(), 2);
        assert!(server_config(Arc::new(rustls::sign::SingleCertAndKey::from(pair))).is_ok());
    }

    #[test]
    fn refuses_a_key_of_another_certificate() {
        let ((leaf, _), (_, key)) = (made(), made());
        assert!(matches!(certified_key(leaf.as_bytes(), key.as_bytes()), Err(TlsError::Pair(_))));
    }

    #[test]
    fn refuses_half_written_and_swapped_files_without_quoting_them() {
        let (leaf, key) = made();
        let half = &key[..key.len() / 2];
        for (chain, key) in [("", key.as_str()), (&leaf, ""), (&leaf, half), (&key, &leaf)] {
            let said = certified_key(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(!said.contains(&half[40..60]), "{said}");
        }
    }

    #[test]
    fn names_the_file_that_cannot_be_read() {
        let said = load_pair(Path::new("/nowhere/tls.crt"), Path::new("/nowhere/tls.key")).unwrap_err().to_string();
        assert!(said.starts_with("cannot read /nowhere/tls.crt: "), "{said}");
    }
}
