//! Certificates and keys from the contract's text and files.

use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sidekey_core::Sensitive;
use sidekey_core::contract::Server;

/// Most files looked at in a CA directory.
const MAX_CA_FILES: usize = 1_000;

/// Every configured CA certificate; empty when none is configured.
pub(crate) fn ca_certificates(server: &Server) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    if let Some(pem) = &server.ca_pem {
        found.extend(certificates("the CA of the configuration", pem.as_bytes())?);
    }
    if let Some(path) = &server.ca_file {
        found.extend(certificates(path, &read(path)?)?);
    }
    if let Some(dir) = &server.ca_dir {
        found.extend(directory(dir)?);
    }
    Ok(found)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Chain and key of the client certificate: those that are given in PEM, or those of the files, when both are named.
pub(crate) fn client_pair(server: &Server, given: Option<&Sensitive<String>>) -> Result<Option<Pair>, String> {
    if let Some(given) = given {
        let (name, pem) = ("the client certificate's text", given.expose().as_bytes());
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| format!("{name} has no private key in PEM"))?;
        return Ok(Some((certificates(name, pem)?, key)));
    }
    match (&server.client_cert_file, &server.client_key_file) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert, &read(cert)?)?;
            let pem = zeroize::Zeroizing::new(read(key)?);
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("{key} has no private key in PEM"))?;
            Ok(Some((chain, key)))
        }
        (None, None) => Ok(None),
        _ => Err("a client certificate needs both its certificate and its key file".to_owned()),
    }
}

fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{name} has no certificate in PEM")),
        Err(_) => Err(format!("{name} is not PEM")),
    }
}

/// Files that are not PEM are passed over, as OpenSSL's own directories hold other things too; none at all is an error.
fn directory(dir: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{dir}: {}", error.kind()))?;
    let mut found = Vec::new();
    for entry in entries.take(MAX_CA_FILES).flatten() {
        let path = entry.path();
        if path.is_file()
            && let Ok(pem) = std::fs::read(&path)
        {
            found.extend(certificates(dir, &pem).unwrap_or_default());
        }
    }
    if found.is_empty() { Err(format!("{dir} has no file with a certificate in PEM")) } else { Ok(found) }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(Path::new(path)).map_err(|error| format!("{path}: {}", error.kind()))
}
