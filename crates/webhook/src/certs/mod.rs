//! The certificate in service: from mounted files, or self-made.
//!
//! Self-made: one CA, kept in a Secret that all replicas share; each replica makes its own short leaf from it in memory.
//!
//! | part | file |
//! |---|---|
//! | CA and leaf, made and read | `authority` |
//! | the CA's Secret | `store` |
//! | `caBundle` of our webhook configuration | `bundle` |
//! | what to do next, decided | `plan` |
//! | the watches that say when to look | `wake` |
//! | the task that looks, decides and acts | `keeper` |
//! | mounted files | `files` |

pub mod authority;
pub mod bundle;
pub mod files;
pub mod keeper;
pub mod plan;
pub mod store;
mod wake;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use authority::{Authority, AuthorityError};

/// A point in time, in seconds since 1970: all that certificates know.
pub type Unix = i64;

/// Now, at the edge: everything below takes it as an argument.
pub fn unix_now() -> Unix {
    jiff::Timestamp::now().as_second()
}

/// The pair that new connections get. Replacing it touches no open connection.
#[derive(Default)]
pub struct Served(ArcSwapOption<CertifiedKey>);

impl Served {
    /// From now on this pair.
    pub fn set(&self, pair: Arc<CertifiedKey>) {
        self.0.store(Some(pair));
    }

    /// The pair in service, none before the first.
    pub fn get(&self) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.get()
    }
}

/// A CA and a leaf made on the spot, for a server without Kubernetes: the demo, a bench, a test.
#[derive(Debug)]
pub struct SelfSigned {
    /// What a client must trust.
    pub ca_pem: String,
    /// What the server shows.
    pub served: Arc<Served>,
}

/// Makes both; `names` are DNS names or IP addresses.
///
/// # Errors
/// [`AuthorityError`].
pub fn self_signed(names: &[String]) -> Result<SelfSigned, AuthorityError> {
    let authority = Authority::generate(unix_now())?;
    let leaf = authority.issue(names, unix_now())?;
    let served = Arc::new(Served::default());
    served.set(leaf.pair);
    Ok(SelfSigned { ca_pem: authority.certificate().pem(), served })
}

/// The end of a certificate's validity.
pub fn expiry(certificate: &CertificateDer<'_>) -> Option<Unix> {
    X509Certificate::from_der(certificate).ok().map(|(_, parsed)| parsed.validity().not_after.timestamp())
}
