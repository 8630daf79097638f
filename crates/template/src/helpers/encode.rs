//! Encodings and digests.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use sidekey_core::Value;

use super::{Out, bytes, text};
use crate::failure::Failure;
use crate::json::{self, Style};
use crate::value::Val;
use crate::yaml;

/// Padding is required, stray bits at the end are not minded: Go's `encoding/base64`.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

pub(crate) fn base64_encode(args: &[Val]) -> Out {
    Ok(Val::str(STANDARD.encode(bytes(args, 0)?)))
}

pub(crate) fn base64_url_encode(args: &[Val]) -> Out {
    Ok(Val::str(URL.encode(bytes(args, 0)?)))
}

pub(crate) fn base64_decode(args: &[Val]) -> Out {
    decode(&STANDARD, bytes(args, 0)?)
}

pub(crate) fn base64_url_decode(args: &[Val]) -> Out {
    decode(&URL, bytes(args, 0)?)
}

fn decode(alphabet: &GeneralPurpose, text: &[u8]) -> Out {
    let text: zeroize::Zeroizing<Vec<u8>> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<_>>().into();
    alphabet
        .decode(text.as_slice())
        .map(Val::str)
        .map_err(|_| Failure::new("the text is not valid base64 with padding"))
}

pub(crate) fn to_json(args: &[Val]) -> Out {
    encoded(args, Style { html: true, pretty: false })
}

pub(crate) fn to_json_pretty(args: &[Val]) -> Out {
    encoded(args, Style { html: true, pretty: true })
}

pub(crate) fn to_unescaped_json(args: &[Val]) -> Out {
    encoded(args, json::PLAIN)
}

pub(crate) fn to_unescaped_json_pretty(args: &[Val]) -> Out {
    encoded(args, Style { html: false, pretty: true })
}

fn encoded(args: &[Val], style: Style) -> Out {
    Ok(Val::str(json::encode(&args[0], style)))
}

pub(crate) fn to_yaml(args: &[Val]) -> Out {
    let mut text = yaml::document(&args[0]);
    while text.last() == Some(&b'\n') {
        text.pop();
    }
    Ok(Val::str(text))
}

/// `""` is an empty map; numbers become floats, as Go decodes them.
pub(crate) fn parse_json(args: &[Val]) -> Out {
    let text = text(args, 0)?;
    if text.is_empty() {
        return Ok(Val::map(std::collections::BTreeMap::new()));
    }
    Value::parse(text).map(|value| decoded(&value)).map_err(|error| Failure::new(error.to_string()))
}

fn decoded(value: &Value) -> Val {
    match value {
        Value::Number(text) => Val::Float(text.expose().parse().unwrap_or(f64::INFINITY)),
        Value::List(items) => Val::list(items.iter().map(decoded).collect()),
        Value::Map(map) => Val::map(map.iter().map(|(key, item)| (key.clone(), decoded(item))).collect()),
        scalar => Val::from(scalar),
    }
}

pub(crate) fn sha256_hex(args: &[Val]) -> Out {
    Ok(Val::str(hex::encode(Sha256::digest(bytes(args, 0)?))))
}

/// `hmacSHA256Hex MESSAGE KEY` (RFC 2104).
pub(crate) fn hmac_sha256_hex(args: &[Val]) -> Out {
    let (message, key) = (bytes(args, 0)?, bytes(args, 1)?);
    let mut block = zeroize::Zeroizing::new([0_u8; 64]);
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| zeroize::Zeroizing::new(block.map(|b| b ^ byte));
    let inner = Sha256::new().chain_update(pad(0x36).as_slice()).chain_update(message).finalize();
    Ok(Val::str(hex::encode(Sha256::new().chain_update(pad(0x5c).as_slice()).chain_update(inner).finalize())))
}
