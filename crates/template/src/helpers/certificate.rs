//! Certificates as sprig makes them, for servers and clients: X.509 (RFC 5280), valid for so many days from the data's moment.

use std::net::IpAddr;
use std::time::Duration;

use ed25519_dalek::Signature as Ed25519;
use p256::ecdsa::{DerSignature as P256, SigningKey as P256Key};
use rsa::pkcs1v15;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Error};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Any, Ia5String, OctetString, PrintableString, SetOfVec, Utf8StringRef};
use x509_cert::der::oid::db::{rfc4519::CN, rfc5280};
use x509_cert::der::{DateTime, Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoRef;
use x509_cert::time::{Time, Validity};
use zeroize::Zeroizing;

use super::keys::Key;
use super::pem;
use crate::failure::Failure;
use crate::list::List;
use crate::value::Val;

const DAY: i64 = 24 * 3600 * 1_000_000_000;

/// Who signs: the certificate's own key, or another's.
pub(crate) enum Signer {
    Itself,
    Authority(Box<Authority>),
}

/// A certificate that signs others, and its key.
pub(crate) struct Authority {
    certificate: Certificate,
    key: Key,
}

/// What is to be certified.
pub(crate) struct Request<'a> {
    pub(crate) name: &'a str,
    /// Beside the name: addresses and host names.
    pub(crate) others: Vec<GeneralName>,
    pub(crate) authority: bool,
    pub(crate) serial: [u8; 16],
    pub(crate) unix_seconds: i64,
    pub(crate) days: i64,
}

fn unmade<E>(_: E) -> Failure {
    Failure::new("no certificate can be made of this")
}

impl Signer {
    /// From the two PEM texts of an authority.
    ///
    /// # Errors
    /// One of them does not parse, or they do not belong together.
    pub(crate) fn read(certificate: &[u8], key: &[u8]) -> Result<Self, Failure> {
        let (_, der) =
            pem::decode(certificate).ok_or_else(|| Failure::new("the authority's certificate is no PEM block"))?;
        let certificate =
            Certificate::from_der(&der).map_err(|_| Failure::new("the authority's certificate does not parse"))?;
        let key = Key::read(key)?;
        if key.public()? != *certificate.tbs_certificate().subject_public_key_info() {
            return Err(Failure::new("the authority's key does not belong to its certificate"));
        }
        Ok(Self::Authority(Box::new(Authority { certificate, key })))
    }
}

/// The texts of the two lists, as a certificate names them.
pub(crate) fn others(addresses: &List, hosts: &List) -> Result<Vec<GeneralName>, Failure> {
    let text = |value: &Val| match value {
        Val::Str(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        _ => None,
    };
    let host = |value: &Val| text(value).and_then(|name| Ia5String::new(&name).ok()).map(GeneralName::DnsName);
    let address = |value: &Val| {
        let address: IpAddr = text(value)?.parse().ok()?;
        Some(GeneralName::from(address.to_canonical()))
    };
    let hosts = hosts.iter().map(|value| host(value).ok_or("a host name is no ASCII text"));
    let addresses = addresses.iter().map(|value| address(value).ok_or("an address is no text of an IP address"));
    hosts.chain(addresses).collect::<Result<_, _>>().map_err(Failure::new)
}

impl Request<'_> {
    /// The certificate of the key, in PEM.
    pub(crate) fn sign(self, key: &Key, signer: &Signer) -> Result<Zeroizing<String>, Failure> {
        let serial = SerialNumber::new(&self.serial).map_err(unmade)?;
        let validity = Validity::new(self.time(0)?, self.time(self.days)?);
        let profile = Profile::of(&self, signer)?;
        let builder = CertificateBuilder::new(profile, serial, validity, key.public()?).map_err(unmade)?;
        let certificate = match signer {
            Signer::Itself => signed(builder, key),
            Signer::Authority(authority) => signed(builder, &authority.key),
        };
        let der = certificate.and_then(|certificate| certificate.to_der().map_err(Error::Asn1)).map_err(unmade)?;
        Ok(pem::encode("CERTIFICATE", &der))
    }

    /// So many days after the data's moment, counted in nanoseconds of 64 bits as Go counts them.
    fn time(&self, days: i64) -> Result<Time, Failure> {
        let later = days.wrapping_mul(DAY).div_euclid(1_000_000_000);
        let seconds = self.unix_seconds.checked_add(later).and_then(|seconds| u64::try_from(seconds).ok());
        let seconds = seconds.ok_or_else(|| Failure::new("so many days lie before 1970"))?;
        DateTime::from_unix_duration(Duration::from_secs(seconds)).map(Time::from).map_err(unmade)
    }
}

fn signed(builder: CertificateBuilder<Profile>, key: &Key) -> Result<Certificate, Error> {
    match key {
        Key::Rsa(key) => {
            let key = pkcs1v15::SigningKey::<Sha256>::new(rsa::PrivateKey::clone(key));
            builder.build::<_, pkcs1v15::Signature>(&key)
        }
        Key::Ec(key) => builder.build::<_, P256>(&P256Key::from(key)),
        Key::Ed(key) => builder.build::<_, Ed25519>(key),
    }
}

/// The names and extensions that Go's `x509.CreateCertificate` makes of sprig's request, in its order.
struct Profile {
    subject: Name,
    issuer: Name,
    authority: bool,
    /// The signer's own, if that is another than the subject.
    signer_id: Option<OctetString>,
    others: Vec<GeneralName>,
}

impl Profile {
    fn of(request: &Request<'_>, signer: &Signer) -> Result<Self, Failure> {
        let subject = common_name(request.name).map_err(unmade)?;
        let (issuer, signer_id) = match signer {
            Signer::Itself => (subject.clone(), None),
            Signer::Authority(authority) => {
                let signer = authority.certificate.tbs_certificate();
                let id = signer.get_extension::<SubjectKeyIdentifier>().map_err(unmade)?;
                let id = id.map(|(_, id)| id.0).filter(|_| *signer.subject() != subject);
                (signer.subject().clone(), id)
            }
        };
        Ok(Self { subject, issuer, authority: request.authority, signer_id, others: request.others.clone() })
    }
}

/// A name of one part, or none; text beyond X.680's printable characters is UTF-8.
fn common_name(name: &str) -> x509_cert::der::Result<Name> {
    let mut parts: Vec<RelativeDistinguishedName> = Vec::new();
    if !name.is_empty() {
        let value = match PrintableString::new(name) {
            Ok(printable) => Any::from(&printable),
            Err(_) => Any::from(Utf8StringRef::new(name)?),
        };
        let mut set = SetOfVec::new();
        set.insert(x509_cert::attr::AttributeTypeAndValue { oid: CN, value })?;
        parts.push(set.into());
    }
    Name::from_der(&parts.to_der()?)
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        public: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> Result<Vec<Extension>, Error> {
        let mut usage = KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment;
        if self.authority {
            usage |= KeyUsages::KeyCertSign;
        }
        let both = ExtendedKeyUsage(vec![rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH]);
        let basic = BasicConstraints { ca: self.authority, path_len_constraint: None };
        let mut all = vec![
            (true, &KeyUsage(usage)).to_extension(&self.subject, &[])?,
            (false, &both).to_extension(&self.subject, &[])?,
            (true, &basic).to_extension(&self.subject, &[])?,
        ];
        if self.authority {
            // RFC 7093, method 1, as Go does it since 1.25.
            let id = Sha256::digest(public.subject_public_key.raw_bytes());
            let id = SubjectKeyIdentifier(OctetString::new(&id[..20])?);
            all.push((false, &id).to_extension(&self.subject, &[])?);
        }
        if let Some(id) = self.signer_id.clone() {
            let id = AuthorityKeyIdentifier { key_identifier: Some(id), ..AuthorityKeyIdentifier::default() };
            all.push((false, &id).to_extension(&self.subject, &[])?);
        }
        if !self.others.is_empty() {
            let names = SubjectAltName(self.others.clone());
            all.push((self.subject.is_empty(), &names).to_extension(&self.subject, &[])?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What sprig 3.3.0 built by Go 1.26 made of keys whose signatures leave nothing to chance.
    const THEIRS: &str = include_str!("../../tests/cases/certificates.json");

    fn theirs(name: &str) -> String {
        let all: Value = serde_json::from_str(THEIRS).unwrap();
        all.get(name).or_else(|| all["certificates"].get(name)).unwrap().as_str().unwrap().to_owned()
    }

    fn addresses(all: &[&str], hosts: &[&str]) -> Vec<GeneralName> {
        let list = |all: &[&str]| List::new(crate::list::Elem::Any, all.iter().map(|text| Val::str(*text)).collect());
        let Ok(others) = others(&list(all), &list(hosts)) else { panic!("refused") };
        others
    }

    #[test]
    fn makes_the_certificates_that_go_makes() {
        let ca = || ("An authority", vec![], 30_000, true);
        let hosts = addresses(&["10.0.0.1", "fd00::1", "::ffff:1.2.3.4"], &["x.svc", "*.y"]);
        let cases = [
            ("ca", "rsa", None, ca()),
            ("ca of ed", "ed", None, ("Ünï*", vec![], -3, true)),
            ("hosts", "ed", Some(("ca", "rsa")), ("a.b", hosts, 30, false)),
            ("nameless", "rsa", Some(("ca", "rsa")), ("", addresses(&[], &["x.svc"]), 365, false)),
            ("namesake", "ed", Some(("ca", "rsa")), ("An authority", vec![], 365, false)),
            ("self", "ed", None, ("self", addresses(&["10.0.0.1"], &[]), 10, false)),
            ("self rsa", "rsa", None, ("self", addresses(&[], &["h"]), 10, false)),
            ("by ed", "rsa", Some(("ca of ed", "ed")), ("q", vec![], 1, false)),
        ];
        for (want, key, signer, (name, others, days, authority)) in cases {
            let want = theirs(want);
            let (_, der) = pem::decode(want.as_bytes()).unwrap();
            let made = Certificate::from_der(&der).unwrap();
            let made = made.tbs_certificate();
            let mut serial = [0; 16];
            let bytes = made.serial_number().as_bytes();
            serial.iter_mut().rev().zip(bytes.iter().rev()).for_each(|(into, byte)| *into = *byte);
            let unix_seconds = i64::try_from(made.validity().not_before.to_unix_duration().as_secs()).unwrap();
            let signer = signer.map_or(Ok(Signer::Itself), |(certificate, key)| {
                Signer::read(theirs(certificate).as_bytes(), theirs(key).as_bytes())
            });
            let (Ok(signer), Ok(key)) = (signer, Key::read(theirs(key).as_bytes())) else { panic!("{name}: unread") };
            let request = Request { name, others, authority, serial, unix_seconds, days };
            let Ok(got) = request.sign(&key, &signer) else { panic!("{name}: not made") };
            assert_eq!(*got, want, "{name}");
        }
    }

    #[test]
    fn writes_the_keys_that_it_has_read_as_go_does() {
        for key in ["rsa", "ed", "ec"] {
            let Ok(read) = Key::read(theirs(key).as_bytes()) else { panic!("{key}: unread") };
            let Ok(written) = read.to_pem() else { panic!("{key}: not written") };
            assert_eq!(*written, theirs(key), "{key}");
        }
    }
}
