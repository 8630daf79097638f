//! Private keys as sprig makes, writes and reads them: RSA, P-256, Ed25519, and DSA, which it can only make.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::Rng;
use dsa::KeySize;
use ed25519_dalek::pkcs8::KeypairBytes;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::pem;
use crate::failure::Failure;

/// A key that signs; dropping it wipes it.
pub(crate) enum Key {
    Rsa(Box<rsa::PrivateKey>),
    /// On the curve P-256.
    Ec(p256::SecretKey),
    Ed(ed25519_dalek::SigningKey),
}

fn unmade<E>(_: E) -> Failure {
    Failure::new("no key can be made")
}

impl Key {
    pub(crate) fn rsa(chance: &mut ChaCha20Rng, bits: usize) -> Result<Self, Failure> {
        rsa::PrivateKey::new(chance, bits).map(|key| Self::Rsa(Box::new(key))).map_err(unmade)
    }

    pub(crate) fn p256(chance: &mut ChaCha20Rng) -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0; 32]);
        // Of 2³² draws not one is expected to lie beyond the curve's order.
        let drawn = (0..8).find_map(|_| {
            chance.fill_bytes(bytes.as_mut_slice());
            p256::SecretKey::from_slice(bytes.as_slice()).ok()
        });
        drawn.map(Self::Ec).ok_or(()).map_err(unmade)
    }

    pub(crate) fn ed25519(chance: &mut ChaCha20Rng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        chance.fill_bytes(bytes.as_mut_slice());
        Self::Ed(ed25519_dalek::SigningKey::from_bytes(&bytes))
    }

    /// PKCS #1 for RSA, SEC 1 for a curve, else PKCS #8, as PEM.
    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>, Failure> {
        let pem = |kind, der: &[u8]| pem::encode(kind, der);
        match self {
            Self::Rsa(key) => key.to_pkcs1_der().map(|der| pem("RSA PRIVATE KEY", der.as_bytes())).map_err(unmade),
            Self::Ec(key) => key.to_sec1_der().map(|der| pem("EC PRIVATE KEY", &der)).map_err(unmade),
            Self::Ed(key) => {
                // Go's form has no public key in it.
                let bytes = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
                bytes.to_pkcs8_der().map(|der| pem("PRIVATE KEY", der.as_bytes())).map_err(unmade)
            }
        }
    }

    /// From the first PEM block of the text.
    ///
    /// # Errors
    /// No such block, another kind of key, or not what the block's label says.
    pub(crate) fn read(text: &[u8]) -> Result<Self, Failure> {
        let (label, der) = pem::decode(text).ok_or_else(|| Failure::new("the private key is no PEM block"))?;
        let malformed = || Failure::new(format!("the private key does not hold what its label `{label}` says"));
        match label {
            "PRIVATE KEY" => {
                Self::pkcs8(&der).ok_or_else(|| malformed().hint("keys of RSA, Ed25519 and the curve P-256 are read"))
            }
            "RSA PRIVATE KEY" => {
                rsa::PrivateKey::from_pkcs1_der(&der).map(|key| Self::Rsa(Box::new(key))).map_err(|_| malformed())
            }
            "EC PRIVATE KEY" => p256::SecretKey::from_sec1_der(&der)
                .map(Self::Ec)
                .map_err(|_| malformed().hint("of the curves, P-256 is read")),
            "DSA PRIVATE KEY" => Err(Failure::new("a DSA key signs no certificates")),
            other if other.ends_with(" PRIVATE KEY") => {
                Err(Failure::new(format!("`{other}` is no kind that is known")))
            }
            other => Err(Failure::new(format!("`{other}` is no private key"))),
        }
    }

    fn pkcs8(der: &[u8]) -> Option<Self> {
        let rsa = || rsa::PrivateKey::from_pkcs8_der(der).ok().map(|key| Self::Rsa(Box::new(key)));
        let ec = || p256::SecretKey::from_pkcs8_der(der).ok().map(Self::Ec);
        let ed = || ed25519_dalek::SigningKey::from_pkcs8_der(der).ok().map(Self::Ed);
        rsa().or_else(ec).or_else(ed)
    }

    /// Its public half, as certificates hold it.
    pub(crate) fn public(&self) -> Result<SubjectPublicKeyInfoOwned, Failure> {
        let der = match self {
            Self::Rsa(key) => key.as_public_key().to_public_key_der(),
            Self::Ec(key) => key.public_key().to_public_key_der(),
            Self::Ed(key) => key.verifying_key().to_public_key_der(),
        };
        SubjectPublicKeyInfoOwned::from_der(der.map_err(unmade)?.as_bytes()).map_err(unmade)
    }
}

/// A DSA key of 2048 and 256 bits in the form that OpenSSL once gave it.
pub(crate) fn dsa(chance: &mut ChaCha20Rng) -> Result<Zeroizing<String>, Failure> {
    let parts = dsa::Components::try_generate_from_rng_with_key_size(chance, KeySize::DSA_2048_256).map_err(unmade)?;
    let key = dsa::SigningKey::try_generate_from_rng_with_components(chance, parts).map_err(unmade)?;
    let (public, secret) = (key.verifying_key(), Zeroizing::new(key.x().to_be_bytes()));
    let parts = public.components();
    let [p, q] = [parts.p().to_be_bytes(), parts.q().to_be_bytes()];
    let [g, y] = [parts.g(), public.y()].map(|number| number.to_be_bytes());
    let numbers = [&[0], &*p, &*q, &*g, &*y, &**secret].map(UintRef::new);
    let numbers = numbers.into_iter().collect::<Result<Vec<_>, _>>().map_err(unmade)?;
    let der = numbers.to_der().map(Zeroizing::new).map_err(unmade)?;
    Ok(pem::encode("DSA PRIVATE KEY", &der))
}
