//! A CA and the leaves it makes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, date_time_ymd,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sidekey_core::Sensitive;
use sidekey_runtime::tls::{TlsError, certified_key_der};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Unix;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// How long a CA lives; it is replaced at two thirds.
pub const CA_LIFE: i64 = 365 * DAY;

/// How long a leaf lives; it is replaced at two thirds.
pub const LEAF_LIFE: i64 = DAY;

/// Certificates begin a little early, for clocks that run behind.
const BACKDATE: i64 = HOUR;

/// Why a CA or a leaf cannot be made or read. Never quotes a key.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// rcgen refused.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// rustls refuses what was made.
    #[error(transparent)]
    Pair(#[from] TlsError),
    /// Not a PEM certificate.
    #[error("the CA certificate cannot be read")]
    Certificate,
    /// Not a PEM key.
    #[error("the CA key cannot be read")]
    Key,
    /// The certificate is not a CA's.
    #[error("the certificate may not sign others")]
    NotCa,
    /// The key is not the certificate's.
    #[error("the CA key does not fit the CA certificate")]
    Mismatch,
}

/// A CA's certificate, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// Beginning of its validity.
    pub not_before: Unix,
    /// End of its validity.
    pub not_after: Unix,
}

impl CaCertificate {
    /// Reads one.
    pub fn parse(der: CertificateDer<'static>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let (not_before, not_after) =
            (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        Some(Self { der, not_before, not_after })
    }

    /// Reads every certificate of a PEM text; what cannot be read is left out.
    pub fn parse_all(pem: &[u8]) -> Vec<Self> {
        CertificateDer::pem_slice_iter(pem).map_while(Result::ok).filter_map(Self::parse).collect()
    }

    /// As PEM.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// Whether two thirds of its life are over.
    pub const fn is_due(&self, now: Unix) -> bool {
        now >= two_thirds(self.not_before, self.not_after)
    }
}

/// A CA: certificate and key.
pub struct Authority {
    certificate: CaCertificate,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.certificate.not_after).finish_non_exhaustive()
    }
}

/// A server certificate and when to replace it.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// For rustls.
    pub pair: Arc<CertifiedKey>,
    /// End of its validity.
    pub not_after: Unix,
    /// When two thirds are over.
    pub renew_at: Unix,
}

impl Authority {
    /// A new CA.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn generate(now: Unix) -> Result<Self, AuthorityError> {
        let key = key()?;
        let mut params = params("sidekey-webhook-ca", now - BACKDATE, now + CA_LIFE)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        let certificate = CaCertificate::parse(certificate.der().clone()).ok_or(AuthorityError::Certificate)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Reads a CA, checked to be one and to have this key.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn parse(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from_pem_slice(certificate_pem).map_err(|_| AuthorityError::Certificate)?;
        let certificate = CaCertificate::parse(der).ok_or(AuthorityError::Certificate)?;
        let key = std::str::from_utf8(key_pem).ok().and_then(|text| KeyPair::from_pem(text).ok());
        let key = key.ok_or(AuthorityError::Key)?;
        let (_, parsed) = X509Certificate::from_der(&certificate.der).map_err(|_| AuthorityError::Certificate)?;
        if !parsed.is_ca() {
            return Err(AuthorityError::NotCa);
        }
        if parsed.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
            return Err(AuthorityError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate.der, key)?;
        Ok(Self { issuer, certificate })
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// Its key, as PEM.
    pub fn key_pem(&self) -> Sensitive<String> {
        Sensitive::new(self.issuer.key().serialize_pem())
    }

    /// A server certificate for these names, which outlives neither [`LEAF_LIFE`] nor the CA.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue(&self, names: &[String], now: Unix) -> Result<Leaf, AuthorityError> {
        let key = key()?;
        let not_after = (now + LEAF_LIFE).min(self.certificate.not_after);
        let mut params = params("sidekey-webhook", now - BACKDATE, not_after)?;
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| AuthorityError::Key)?;
        let pair = certified_key_der(vec![certificate.der().clone()], key)?;
        Ok(Leaf { pair, not_after, renew_at: two_thirds(now, not_after) })
    }
}

fn key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

fn params(name: &str, not_before: Unix, not_after: Unix) -> Result<CertificateParams, AuthorityError> {
    let at = |unix: Unix| date_time_ymd(1970, 1, 1) + Duration::from_secs(unix.max(0).unsigned_abs());
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(not_before);
    params.not_after = at(not_after);
    Ok(params)
}

const fn two_thirds(begin: Unix, end: Unix) -> Unix {
    begin + (end - begin) / 3 * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Unix = 1_800_000_000;

    #[test]
    fn a_ca_reads_back_from_its_pem_and_goes_on_signing() {
        let made = Authority::generate(NOW).unwrap();
        let read = Authority::parse(made.certificate().pem().as_bytes(), made.key_pem().expose().as_bytes()).unwrap();
        assert_eq!(read.certificate(), made.certificate());
        assert_eq!(read.certificate().not_after, NOW + CA_LIFE);
        let leaf = read.issue(&["a.svc".to_owned(), "127.0.0.1".to_owned()], NOW).unwrap();
        let (_, parsed) = X509Certificate::from_der(&leaf.pair.cert[0]).unwrap();
        let (_, ca) = X509Certificate::from_der(&made.certificate().der).unwrap();
        parsed.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(parsed.validity().not_after.timestamp(), NOW + LEAF_LIFE);
        assert_eq!(leaf.renew_at, NOW + LEAF_LIFE / 3 * 2);
    }

    #[test]
    fn a_leaf_never_outlives_its_ca() {
        let made = Authority::generate(NOW).unwrap();
        let leaf = made.issue(&["a.svc".to_owned()], NOW + CA_LIFE - HOUR).unwrap();
        assert_eq!(leaf.not_after, NOW + CA_LIFE);
    }

    #[test]
    fn a_ca_is_due_at_two_thirds() {
        let made = Authority::generate(NOW).unwrap();
        let certificate = made.certificate();
        assert!(!certificate.is_due(NOW + CA_LIFE / 2));
        assert!(certificate.is_due(NOW + CA_LIFE / 3 * 2));
    }

    #[test]
    fn refuses_what_is_no_ca_or_no_pair() {
        let (one, other) = (Authority::generate(NOW).unwrap(), Authority::generate(NOW).unwrap());
        let (pem, key) = (one.certificate().pem(), one.key_pem());
        let parse =
            |certificate: &str, key: &str| Authority::parse(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(parse(&pem, other.key_pem().expose()), AuthorityError::Mismatch));
        assert!(matches!(parse("", key.expose()), AuthorityError::Certificate));
        assert!(matches!(parse(&pem, "-----BEGIN"), AuthorityError::Key));
        let leaf_key = super::key().unwrap();
        let leaf = params("x", NOW, NOW + DAY).unwrap().self_signed(&leaf_key).unwrap();
        assert!(matches!(parse(&leaf.pem(), &leaf_key.serialize_pem()), AuthorityError::NotCa));
    }
}
