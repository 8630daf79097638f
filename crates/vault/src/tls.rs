//! The TLS client of one `contract::Server`, and what its failures mean.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, RootCertStore};
use rustls_pki_types::CertificateDer;
use sidekey_core::Sensitive;
use sidekey_core::contract::Server;

use crate::error::TlsFault;
use crate::files;
use crate::verifier::{Credulous, HouseVerifier};

/// Reads the files the server's trust names. `identity` is a client certificate and its key in PEM, in the place of its files.
///
/// # Errors
/// One line for a person, naming the file.
pub(crate) fn config(server: &Server, identity: Option<&Sensitive<String>>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let configured = files::ca_certificates(server)?;
    let builder = if server.skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous(provider)))
    } else if configured.is_empty() {
        builder.with_root_certificates(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(house_verifier(configured)?))
    };
    let mut config = match files::client_pair(server, identity)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("the client certificate cannot be used: {error}"))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // One server: the default of 256 sessions would only hold memory.
    config.resumption = Resumption::in_memory_sessions(2);
    Ok(Arc::new(config))
}

/// Trusts what these sign, and these themselves.
pub(crate) fn house_verifier(configured: Vec<CertificateDer<'static>>) -> Result<HouseVerifier, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(configured.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| "none of the configured CA certificates can be used".to_owned())?;
    Ok(HouseVerifier::new(webpki, configured))
}

/// The kind of the TLS failure in `error`, if there is one anywhere in its chain of sources.
pub(crate) fn fault(error: &(dyn std::error::Error + 'static)) -> Option<(TlsFault, String)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return Some((kind(tls), words(tls)));
        }
        next = match error.downcast_ref::<std::io::Error>() {
            // An io::Error's source() skips the error it wraps.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn kind(error: &Error) -> TlsFault {
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::Name,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
            _ => TlsFault::Other,
        },
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown,
        ) => TlsFault::ClientCertificate,
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsFault::PlainHttp,
        _ => TlsFault::Other,
    }
}

/// rustls' words, and beside them Go's, which people search for.
fn words(error: &Error) -> String {
    let go = match kind(error) {
        TlsFault::UnknownIssuer => "x509: certificate signed by unknown authority",
        TlsFault::Name => "x509: certificate is valid for other names",
        TlsFault::Expired | TlsFault::NotYetValid => "x509: certificate has expired or is not yet valid",
        TlsFault::ClientCertificate => "remote error: tls: bad certificate",
        TlsFault::PlainHttp => return "http: server gave HTTP response to HTTPS client".to_owned(),
        TlsFault::Other => return error.to_string(),
    };
    format!("{error} ({go})")
}
