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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn answer(fields: &[(&str, &str)]) -> Response {
        let fields = fields.iter().map(|(key, text)| ((*key).to_owned(), Value::text(*text)));
        Response { data: Value::Map(fields.collect::<BTreeMap<_, _>>()), ..Response::default() }
    }

    #[test]
    fn refuses_only_an_issued_certificate_with_a_foreign_key() {
        let ((cert, key), (_, foreign)) = (made(), made());
        let issued = |key: &str| answer(&[("certificate", &cert), ("private_key", key), ("serial_number", "01")]);
        let cases = [
            (issued(&key), None),
            (issued(&foreign), Some(Code::CertificateMismatch)),
            (issued("MIIBIjANBgkq (DER)"), None),
            (answer(&[("certificate", &cert), ("private_key", &foreign)]), None),
            (answer(&[("password", "x")]), None),
        ];
        for (response, want) in cases {
            let code = check(&Lookup::read("pki/issue/web"), &response).err().map(|cause| cause.code);
            assert_eq!(code, want);
        }
    }
}
