//! PEM blocks (RFC 7468), and `buildCustomCert`: a certificate and its key that are handed in.

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
    Ok(Val::Struct(Fields::new(Shape::Certificate, parts)))
}

fn decoded(args: &[Val], index: usize, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let text: Zeroizing<Vec<u8>> =
        Zeroizing::new(bytes(args, index)?.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect());
    STANDARD.decode(text.as_slice()).map(Zeroizing::new).map_err(|_| Failure::new(format!("the {what} is no base 64")))
}

/// Label and bytes of the first block of the text.
pub(crate) fn decode(text: &[u8]) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let text = std::str::from_utf8(text).ok()?;
    let (label, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
    Some((label, Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?)))
}

/// One block, in lines of 64 characters.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Its whole length from the start: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The label of the first block, if it holds one DER sequence of the length that it says.
fn kind(text: &[u8]) -> Option<&str> {
    let (kind, der) = decode(text)?;
    let (length, rest) = match der.as_slice() {
        [0x30, short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x30, 0x81, one, rest @ ..] => (usize::from(*one), rest),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    (rest.len() == length).then_some(kind)
}
