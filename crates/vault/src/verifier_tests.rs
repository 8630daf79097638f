use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::*;
use crate::tls::house_verifier;

const DAY: u64 = 24 * 3600;
/// 2026-01-01, in the middle of every certificate made here.
const NOW: u64 = 1_767_225_600;

struct Made {
    der: CertificateDer<'static>,
    params: CertificateParams,
    key: KeyPair,
}

fn made(is_ca: IsCa, issuer: Option<&Made>) -> Made {
    let mut params = CertificateParams::new(vec!["vault.example".to_owned(), "10.0.0.7".to_owned()]).unwrap();
    params.is_ca = is_ca;
    params.not_before = rcgen::date_time_ymd(2025, 12, 1);
    params.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Made { der: certificate.der().clone(), params, key }
}

fn ca() -> Made {
    made(IsCa::Ca(BasicConstraints::Unconstrained), None)
}

fn verify(configured: &Made, served: &Made, name: &str, now: u64) -> Result<(), Error> {
    let verifier = house_verifier(vec![configured.der.clone()]).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    verifier.verify_server_cert(&served.der, &[], &name, &[], now).map(drop)
}

fn refused(verdict: Result<(), Error>) -> CertificateError {
    match verdict {
        Err(Error::InvalidCertificate(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Three shapes that home-made Vaults serve as their own "CA": self-signed, calling itself a CA, signed by nobody known.
fn homemade() -> [(&'static str, Made); 3] {
    [("self-signed", made(IsCa::NoCa, None)), ("a CA", ca()), ("of another issuer", made(IsCa::NoCa, Some(&ca())))]
}

#[test]
fn believes_a_leaf_that_is_configured_itself() {
    for (shape, leaf) in homemade() {
        for name in ["vault.example", "10.0.0.7"] {
            assert_eq!(verify(&leaf, &leaf, name, NOW), Ok(()), "{shape} as {name}");
        }
    }
}

#[test]
fn still_checks_names_and_dates_of_such_a_leaf() {
    for (shape, leaf) in homemade() {
        for name in ["other.example", "10.0.0.8"] {
            let error = refused(verify(&leaf, &leaf, name, NOW));
            let named =
                matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. });
            assert!(named, "{shape} as {name}: {error:?}");
        }
        let late = refused(verify(&leaf, &leaf, "vault.example", NOW + 60 * DAY));
        assert!(
            matches!(late, CertificateError::Expired | CertificateError::ExpiredContext { .. }),
            "{shape}: {late:?}"
        );
        let early = refused(verify(&leaf, &leaf, "vault.example", NOW - 60 * DAY));
        assert!(
            matches!(early, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }),
            "{shape}: {early:?}"
        );
    }
}

#[test]
fn believes_what_a_configured_ca_signs_and_nothing_else() {
    let (ca, stranger) = (ca(), ca());
    let leaf = made(IsCa::NoCa, Some(&ca));
    assert_eq!(verify(&ca, &leaf, "vault.example", NOW), Ok(()));
    // Every certificate here has one and the same subject, so a stranger's CA fails at the signature.
    assert_eq!(refused(verify(&stranger, &leaf, "vault.example", NOW)), CertificateError::BadSignature);
    // Alike in all but the key.
    let twin = made(IsCa::NoCa, None);
    assert!(verify(&made(IsCa::NoCa, None), &twin, "vault.example", NOW).is_err());
}

#[test]
fn needs_a_ca_that_can_be_used() {
    assert!(house_verifier(vec![CertificateDer::from(vec![1, 2, 3])]).is_err());
}
