//! A CA, the server's certificate, and those of PKI mounts.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::server::StartError;
use crate::spec::Certificate;

/// A CA that lives as long as the server.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub certificate: String,
    pub key: String,
    /// The certificate once more.
    pub der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let params = ca_params("fakevault CA", 2100);
        CertifiedIssuer::self_signed(params, KeyPair::generate()?).map(Self)
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for one name, between two moments in Unix seconds.
    pub(crate) fn issue(&self, name: &str, serial: &str, start: u64, end: u64) -> Result<Pair, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = u64::from_str_radix(serial, 16).ok().map(SerialNumber::from);
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + std::time::Duration::from_secs(start);
        params.not_after = epoch + std::time::Duration::from_secs(end);
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Pair { der: certificate.der().to_vec(), certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The server's own TLS; with `wanted`, only for clients that show a certificate.
    pub(crate) fn server(&self, state: Certificate, wanted: bool) -> Result<rustls::ServerConfig, StartError> {
        let names = match state {
            Certificate::WrongName => vec!["vault.example".to_owned()],
            _ => vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        };
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "fakevault");
        leaf.not_before = rcgen::date_time_ymd(2000, 1, 1);
        leaf.not_after = match state {
            Certificate::Expired => rcgen::date_time_ymd(2001, 1, 1),
            _ => rcgen::date_time_ymd(2100, 1, 1),
        };
        let chain = match state {
            Certificate::ExpiredAuthority => {
                let params = ca_params("fakevault intermediate", 2001);
                let between = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &self.0)?;
                vec![leaf.signed_by(&key, &between)?.der().clone(), between.der().clone()]
            }
            _ => vec![leaf.signed_by(&key, &self.0)?.der().clone()],
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(AnyClient { provider, wanted }))
            .with_single_cert(chain, key)?)
    }
}

/// Of a CA, from the year 2000 on.
fn ca_params(name: &str, last_year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
    params
}

/// Asks for a certificate and takes any, as Vault's listener does: its cert method is who decides.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
    wanted: bool,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.wanted
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
