//! sprig's functions that make keys and certificates: what they make is checked by another library than the one that made it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{MARKER, Store, data, env, frozen, go};
use ring::signature::{self, UnparsedPublicKey};
use sidekey_core::Lookup;
use sidekey_template::{Frozen, Inputs, Rendered, compile};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

const CASES: &str = include_str!("cases/certificates.json");

fn key(name: &str) -> String {
    serde_json::from_str::<serde_json::Value>(CASES).unwrap()[name].as_str().unwrap().to_owned()
}

/// The test's own keys, as a secret holds them.
fn keys() -> Store {
    let all = serde_json::json!({ "rsa": key("rsa"), "ed": key("ed"), "ec": key("ec"), "x": MARKER });
    [(Lookup::read("kv"), Arc::new(data(&all.to_string())))].into()
}

fn with(text: &str, frozen: &Frozen) -> String {
    let env = env();
    let inputs = Inputs { answers: &keys(), env: &env, frozen };
    let text = format!("{{{{ $k := (secret \"kv\").Data }}}}{text}");
    match compile("t", &go(&text), None).unwrap().render(&inputs) {
        Ok(Rendered::Complete { bytes, .. }) => String::from_utf8(bytes.expose().clone()).unwrap(),
        Ok(Rendered::Incomplete { .. }) => panic!("incomplete"),
        Err(error) => error.to_string(),
    }
}

fn one(text: &str) -> String {
    with(text, &frozen(1))
}

fn der(pem: &str) -> (&str, Vec<u8>) {
    let (label, rest) = pem.strip_prefix("-----BEGIN ").unwrap().split_once("-----\n").unwrap();
    let (body, end) = rest.split_once("-----END ").unwrap();
    assert_eq!(end, format!("{label}-----\n"));
    let lines: Vec<&str> = body.lines().collect();
    assert!(lines.split_last().unwrap().1.iter().all(|line| line.len() == 64));
    (label, STANDARD.decode(lines.concat()).unwrap())
}

/// The signature holds by the key of the signer's certificate.
fn verified(certificate: &X509Certificate<'_>, signer: &X509Certificate<'_>) {
    let public = signer.public_key().subject_public_key.data.as_ref();
    let algorithm: &dyn signature::VerificationAlgorithm =
        match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.11" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "1.2.840.10045.4.3.2" => &signature::ECDSA_P256_SHA256_ASN1,
            "1.3.101.112" => &signature::ED25519,
            other => panic!("{other}"),
        };
    let body = certificate.tbs_certificate.as_ref();
    UnparsedPublicKey::new(algorithm, public).verify(body, &certificate.signature_value.data).unwrap();
}

#[test]
fn makes_keys_of_every_kind() {
    for (kind, label, length) in
        [("", "RSA PRIVATE KEY", 2340..2360), ("ecdsa", "EC PRIVATE KEY", 121..122), ("ed25519", "PRIVATE KEY", 48..49)]
    {
        let pem = one(&format!("{{{{ sprig_genPrivateKey {kind:?} }}}}"));
        let (found, bytes) = der(&pem);
        assert_eq!(found, label);
        assert!(length.contains(&bytes.len()), "{kind}: {}", bytes.len());
    }
    assert_eq!(one("{{ sprig_genPrivateKey \"none\" }}"), "Unknown type none");
    let rsa = one("{{ sprig_genPrivateKey \"rsa\" }}");
    ring::rsa::KeyPair::from_der(&der(&rsa).1).unwrap();
}

/// Version, p, q, g, y, x, where y is the base to the power of x: the numbers are too long to say so here.
#[test]
fn makes_dsa_keys_in_openssls_form() {
    let pem = one("{{ sprig_genPrivateKey \"dsa\" }}");
    let (label, bytes) = der(&pem);
    let (rest, parts) = x509_parser::der_parser::der::parse_der_sequence(&bytes).unwrap();
    assert!(label == "DSA PRIVATE KEY" && rest.is_empty());
    let bits: Vec<usize> =
        parts.as_sequence().unwrap().iter().map(|n| n.as_bigint().unwrap().bits() as usize).collect();
    assert_eq!((bits[0], bits[1], bits[2], bits.len()), (0, 2048, 256, 6));
}

#[test]
fn an_authority_signs_for_hosts() {
    let made = one(
        "{{ $ca := sprig_genCA \"ca\" 365 }}{{ $c := sprig_genSignedCert \"web\" (sprig_list \"10.0.0.1\") (sprig_list \"web.svc\") 30 $ca }}\
         {{ $ca.Cert }}|{{ $ca.Key }}|{{ $c.Cert }}|{{ $c.Key }}",
    );
    let parts: Vec<(&str, Vec<u8>)> = made.split('|').map(der).collect();
    let (_, ca) = X509Certificate::from_der(&parts[0].1).unwrap();
    let (_, web) = X509Certificate::from_der(&parts[2].1).unwrap();
    verified(&ca, &ca);
    verified(&web, &ca);
    for (certificate, key) in [(&ca, &parts[1]), (&web, &parts[3])] {
        let pair = ring::rsa::KeyPair::from_der(&key.1).unwrap();
        let public: &[u8] = pair.public().as_ref();
        assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), public, "the key is the certificate's");
    }
    assert_eq!(ca.public_key().parsed().unwrap().key_size(), 2048);
    assert!(ca.is_ca() && !web.is_ca());
    assert_eq!((web.issuer().to_string(), web.subject().to_string()), ("CN=ca".to_owned(), "CN=web".to_owned()));
    assert_eq!(ca.validity().not_after.timestamp() - ca.validity().not_before.timestamp(), 365 * 86_400);
    assert_eq!(web.validity().not_before.timestamp(), 1_700_000_000, "the moment of the data");
    assert_ne!(ca.raw_serial(), web.raw_serial());
    let names: Vec<String> = web
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.iter().map(|name| match name {
                GeneralName::DNSName(name) => (*name).to_owned(),
                GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
                other => panic!("{other}"),
            })),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(names, ["web.svc", "[10, 0, 0, 1]"]);
}

#[test]
fn keys_of_a_secret_sign_and_are_certified() {
    for (signer, key) in [("rsa", "ec"), ("ec", "ed"), ("ed", "rsa")] {
        let made = one(&format!(
            "{{{{ $ca := sprig_genCAWithKey \"ca\" 1 $k.{signer} }}}}{{{{ $ca.Cert }}}}|\
             {{{{ (sprig_genSignedCertWithKey \"c\" nil nil 1 $ca $k.{key}).Cert }}}}|\
             {{{{ (sprig_genSelfSignedCertWithKey \"s\" nil nil 1 $k.{key}).Cert }}}}"
        ));
        let parts: Vec<(&str, Vec<u8>)> = made.split('|').map(der).collect();
        let certificates: Vec<_> = parts.iter().map(|(_, der)| X509Certificate::from_der(der).unwrap().1).collect();
        verified(&certificates[0], &certificates[0]);
        verified(&certificates[1], &certificates[0]);
        verified(&certificates[2], &certificates[2]);
        assert_eq!(certificates[1].public_key().raw, certificates[2].public_key().raw, "the key is the one given");
    }
    let kept = one("{{ (sprig_genCAWithKey \"ca\" 1 $k.ec).Key }}");
    assert_eq!(kept, key("ec"));
}

#[test]
fn the_same_data_gives_the_same_keys_and_no_two_are_alike() {
    for text in ["{{ sprig_genPrivateKey \"ecdsa\" }}", "{{ (sprig_genSelfSignedCert \"a\" nil nil 1).Cert }}"] {
        assert_eq!(one(text), one(text));
        assert_ne!(with(text, &frozen(2)), one(text));
        let twice = one(&format!("{text}|{text}"));
        let (first, second) = twice.split_once('|').unwrap();
        assert_ne!(first, second);
        assert_eq!(one(&format!("{text}|")), format!("{first}|"));
    }
    // The whole seed counts, not the part of it that the other functions draw from.
    let mut other = frozen(1);
    other.seed.expose_mut()[31] = 1;
    assert_ne!(with("{{ sprig_genPrivateKey \"ecdsa\" }}", &other), one("{{ sprig_genPrivateKey \"ecdsa\" }}"));
    assert_eq!(with("{{ sprig_randInt 0 1000000 }}", &other), one("{{ sprig_randInt 0 1000000 }}"));
}

#[test]
fn no_key_is_made_of_nothing() {
    let frozen = Frozen { unix_seconds: 1, ..Frozen::default() };
    let refused = with("{{ sprig_genPrivateKey \"ed25519\" }}", &frozen);
    assert!(refused.contains("no random numbers"), "{refused}");
}

#[test]
fn a_certificate_is_a_struct_of_two_texts() {
    let text = |then: &str| one(&format!("{{{{ $c := sprig_genCAWithKey \"a\" 1 $k.ed }}}}{then}"));
    let cert = text("{{ $c.Cert }}");
    assert_eq!(text("{{ sprig_typeOf $c }} {{ sprig_kindOf $c }}"), "sprig.certificate struct");
    assert_eq!(text("{{ $c }}"), format!("{{{cert} {}}}", key("ed")));
    assert_eq!(text("{{ printf \"%v\" $c }}"), text("{{ $c }}"));
    assert_eq!(text("{{ printf \"%+v\" $c }}"), format!("{{Cert:{cert} Key:{}}}", key("ed")));
    let json = serde_json::json!({ "Cert": cert, "Key": key("ed") });
    assert_eq!(text("{{ $c | toJSON }}"), json.to_string());
    assert_eq!(
        text(
            "{{ $b := sprig_buildCustomCert ($c.Cert | base64Encode) ($c.Key | base64Encode) }}{{ (sprig_genSignedCertWithKey \"x\" nil nil 1 $b $k.ed).Key }}"
        ),
        key("ed"),
        "one that was handed in signs too"
    );
}

#[test]
fn what_is_no_key_or_name_is_told_without_showing_it() {
    let other = "{{ $o := sprig_buildCustomCert ((sprig_genCAWithKey \"a\" 1 $k.ed).Cert | base64Encode) ($k.ec | base64Encode) }}";
    let cases = [
        ("{{ sprig_genCAWithKey \"a\" 1 $k.x }}", "sprig_genCAWithKey: the private key is no PEM block"),
        ("{{ sprig_genCAWithKey \"a\" 1 (sprig_genCAWithKey \"a\" 1 $k.ed).Cert }}", "`CERTIFICATE` is no private key"),
        (
            "{{ sprig_genCAWithKey \"a\" 1 (sprig_replace \"RSA\" \"EC\" $k.rsa) }}",
            "the private key does not hold what its label `EC PRIVATE KEY` says (of the curves, P-256 is read)",
        ),
        ("{{ sprig_genCAWithKey \"a\" 1 (sprig_replace \"RSA\" \"DSA\" $k.rsa) }}", "a DSA key signs no certificates"),
        (
            "{{ sprig_genSelfSignedCertWithKey \"a\" (sprig_list $k.x) nil 1 $k.ed }}",
            "an address is no text of an IP address",
        ),
        (
            "{{ sprig_genSelfSignedCertWithKey \"a\" (sprig_list 1) nil 1 $k.ed }}",
            "an address is no text of an IP address",
        ),
        ("{{ sprig_genSelfSignedCertWithKey \"a\" nil (sprig_list \"ü\") 1 $k.ed }}", "a host name is no ASCII text"),
        ("{{ sprig_genCAWithKey \"a\" -30000 $k.ed }}", "so many days lie before 1970"),
        (
            "{{ sprig_genSignedCertWithKey \"a\" nil nil 1 (sprig_dict \"Cert\" $k.x \"Key\" $k.x) $k.ed }}",
            "argument 5 is a map",
        ),
        (
            &format!("{other}{{{{ sprig_genSignedCertWithKey \"a\" nil nil 1 $o $k.ed }}}}"),
            "the authority's key does not belong to its certificate",
        ),
    ];
    for (text, want) in cases {
        let got = one(text);
        assert!(got.contains(want), "{text}\n  {got}");
        assert!(!got.contains(MARKER) && !got.contains("MII"), "{got}");
    }
}

/// Keys cost time; a loop of them ends soon.
#[test]
fn keys_are_not_made_without_bound() {
    for kind in ["rsa", "dsa", "ecdsa"] {
        let many = one(&format!("{{{{ range loop 0 500 }}}}{{{{ sprig_genPrivateKey {kind:?} }}}}{{{{ end }}}}"));
        assert!(many.contains("more than 1000000 steps"), "{many}");
    }
}
