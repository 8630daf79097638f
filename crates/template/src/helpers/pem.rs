//! `buildCustomCert`: a certificate and its key that are handed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Out, bytes};
use crate::failure::Failure;
use crate::fields::{Fields, Shape};
use crate::value::Val;

/// `buildCustomCert CERT KEY`, each PEM in base 64. That the blocks hold DER is seen, not what it says.
pub(crate) fn build_custom(args: &[Val]) -> Out {
    let cert = decoded(args, 0, "certificate")?;
    let key = decoded(args, 1, "private key")?;
    if kind(&cert).is_none() {
        return Err(Failure::new("the certificate is no PEM block that holds DER"));
    }
    if !kind(&key).is_some_and(|kind| kind.ends_with("PRIVATE KEY")) {
        return Err(Failure::new("the private key is no PEM block of a private key that holds DER"));
    }
    let parts = vec![("Cert", Val::str(cert.as_slice())), ("Key", Val::str(key.as_slice()))];
    Ok(Val::Struct(Fields::new(Shape::Secret, parts)))
}

fn decoded(args: &[Val], index: usize, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let text: Zeroizing<Vec<u8>> =
        Zeroizing::new(bytes(args, index)?.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect());
    STANDARD.decode(text.as_slice()).map(Zeroizing::new).map_err(|_| Failure::new(format!("the {what} is no base 64")))
}

/// The kind of the first PEM block, if it holds one DER sequence of the length that it says.
fn kind(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (kind, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {kind}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
    let (length, rest) = match der.as_slice() {
        [0x30, short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x30, 0x81, one, rest @ ..] => (usize::from(*one), rest),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    (rest.len() == length).then_some(kind)
}
