//! A certificate that does not fit its key is never written.

use rustls::{Error, InconsistentKeys};
use sidekey_core::{Cause, Code, Lookup, Response, Value};
use sidekey_runtime::tls::{TlsError, certified_key};

/// Checks an answer of the PKI engine; any other passes, and so do encodings and kinds of key that cannot be checked here.
///
/// # Errors
/// `CertificateMismatch`.
pub(crate) fn check(lookup: &Lookup, response: &Response) -> Result<(), Cause> {
    let text = |key| response.data.get(key).and_then(Value::as_text);
    // https://developer.hashicorp.com/vault/api-docs/secret/pki#generate-certificate-and-key
    let (Some(certificate), Some(key), Some(_)) = (text("certificate"), text("private_key"), text("serial_number"))
    else {
        return Ok(());
    };
    match certified_key(certificate.as_bytes(), key.as_bytes()) {
        Err(TlsError::Pair(Error::InconsistentKeys(InconsistentKeys::KeyMismatch))) => Err(Cause::new(
            Code::CertificateMismatch,
            format!("checking the certificate of {}", lookup.path),
            "the private key is another certificate's",
        )),
        _ => Ok(()),
    }
}
