//! Encodings and digests.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sidekey_core::Value;

use super::{Out, bytes, text};
use crate::failure::Failure;
use crate::json::{self, Style};
use crate::value::Val;
use crate::{toml, yaml};

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

/// # Errors
/// What JSON has no form for.
fn encoded(args: &[Val], style: Style) -> Out {
    json::check(&args[0])?;
    Ok(Val::str(json::encode(&args[0], style)))
}

/// sprig's `toJson` and its like: what JSON has no form for is an empty text.
fn encoded_or_empty(args: &[Val], style: Style) -> Out {
    Ok(encoded(args, style).unwrap_or_else(|_| Val::str("")))
}

pub(crate) fn sprig_json(args: &[Val]) -> Out {
    encoded_or_empty(args, Style { html: true, pretty: false })
}

pub(crate) fn sprig_json_pretty(args: &[Val]) -> Out {
    encoded_or_empty(args, Style { html: true, pretty: true })
}

pub(crate) fn to_yaml(args: &[Val]) -> Out {
    yaml_text(args, yaml::Style::Go)
}

/// The helper of handlebars: nothing folded, numbers as received.
pub(crate) fn to_plain_yaml(args: &[Val]) -> Out {
    yaml_text(args, yaml::Style::Plain)
}

/// Without white space around it.
pub(crate) fn to_toml(args: &[Val]) -> Out {
    Ok(Val::str(toml::document(&args[0])?.trim()))
}

fn yaml_text(args: &[Val], style: yaml::Style) -> Out {
    let mut text = yaml::document(&args[0], style);
    while text.last() == Some(&b'\n') {
        text.pop();
    }
    Ok(Val::str(text))
}

/// `""` is an empty map; numbers become floats, as Go decodes them.
pub(crate) fn parse_json(args: &[Val]) -> Out {
    if bytes(args, 0)?.is_empty() { Ok(Val::map(std::collections::BTreeMap::new())) } else { must_from_json(args) }
}

/// `""` is an empty map.
pub(crate) fn parse_yaml(args: &[Val]) -> Out {
    let text = text(args, 0)?;
    if text.is_empty() { Ok(Val::map(std::collections::BTreeMap::new())) } else { yaml::read(text) }
}

pub(crate) fn must_from_json(args: &[Val]) -> Out {
    let value = Value::parse(text(args, 0)?).map_err(|error| Failure::new(error.to_string()))?;
    decoded(&value).ok_or_else(|| Failure::new("a number is too large for a float"))
}

/// sprig's `fromJson`: what is no JSON is nothing.
pub(crate) fn from_json(args: &[Val]) -> Out {
    text(args, 0)?;
    Ok(must_from_json(args).unwrap_or(Val::Nil))
}

fn decoded(value: &Value) -> Option<Val> {
    Some(match value {
        Value::Number(text) => Val::Float(text.expose().parse().ok().filter(|f: &f64| f.is_finite())?),
        Value::List(items) => Val::list(items.iter().map(decoded).collect::<Option<_>>()?),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, item)| Some((key.clone(), decoded(item)?)));
            Val::map(entries.collect::<Option<_>>()?)
        }
        scalar => Val::from(scalar),
    })
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(crate) fn base32_encode(args: &[Val]) -> Out {
    let mut out = Vec::new();
    for chunk in bytes(args, 0)?.chunks(5) {
        let mut block = zeroize::Zeroizing::new([0_u8; 8]);
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(*block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for place in 0..8 {
            let digit = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0);
            out.push(if place < digits { BASE32[digit] } else { b'=' });
        }
    }
    Ok(Val::str(out))
}

/// Padding is required, as Go's `encoding/base32` does.
pub(crate) fn base32_decode(args: &[Val]) -> Out {
    let wrong = || Failure::new("the text is not valid base32 with padding");
    let text: zeroize::Zeroizing<Vec<u8>> =
        bytes(args, 0)?.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<_>>().into();
    if !text.len().is_multiple_of(8) {
        return Err(wrong());
    }
    let mut out = Vec::new();
    for (place, block) in text.chunks(8).enumerate() {
        let digits = block.iter().position(|byte| *byte == b'=').unwrap_or(8);
        let last = (place + 1) * 8 == text.len();
        let padded = block[digits..].iter().all(|byte| *byte == b'=') && (digits == 8 || last);
        if !padded || !matches!(digits, 2 | 4 | 5 | 7 | 8) {
            return Err(wrong());
        }
        let mut bits = 0_u64;
        for byte in &block[..digits] {
            let digit = BASE32.iter().position(|known| known == byte).ok_or_else(wrong)?;
            bits = bits << 5 | u64::try_from(digit).unwrap_or(0);
        }
        let bytes = (bits << (5 * (8 - digits))).to_be_bytes();
        out.extend_from_slice(&bytes[3..3 + digits * 5 / 8]);
    }
    Ok(Val::str(out))
}

/// sprig's `b64dec`: of what is no base 64 its answer is the error's text.
pub(crate) fn sprig_base64_decode(args: &[Val]) -> Out {
    let source = bytes(args, 0)?;
    Ok(decode(&STANDARD, source).unwrap_or_else(|_| corrupt(64, wrong_base64(source))))
}

/// sprig's `b32dec`, in the same way.
pub(crate) fn sprig_base32_decode(args: &[Val]) -> Out {
    base32_decode(args).or_else(|_| Ok(corrupt(32, wrong_base32(bytes(args, 0)?))))
}

fn corrupt(base: u8, at: usize) -> Val {
    Val::str(format!("illegal base{base} data at input byte {at}"))
}

/// Where Go finds the text to be no base 64.
fn wrong_base64(source: &[u8]) -> usize {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut place = 0;
    for (at, byte) in source.iter().enumerate().filter(|(_, byte)| !is_break(byte)) {
        if is_digit(byte) {
            place = (place + 1) % 4;
            continue;
        }
        if *byte != b'=' || place < 2 {
            return at;
        }
        // After two digits a second sign of padding must follow.
        let after = |from: usize| from + source[from..].iter().take_while(|byte| is_break(byte)).count();
        let mut next = after(at + 1);
        if place == 2 {
            match source.get(next) {
                None => return source.len(),
                Some(b'=') => next = after(next + 1),
                Some(_) => return next - 1,
            }
        }
        return next;
    }
    source.len() - place
}

/// Where Go finds the text, without its line breaks, to be no base 32.
fn wrong_base32(source: &[u8]) -> usize {
    let text: Vec<u8> = source.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    for (at, byte) in text.iter().enumerate() {
        let (place, left) = (at % 8, text.len() - at - 1);
        if *byte == b'=' && place >= 2 && left < 8 {
            if left + place < 7 {
                return text.len();
            }
            let stray = (0..7 - place).find(|ahead| text.get(at + 1 + ahead).is_some_and(|byte| *byte != b'='));
            return stray.map_or(at, |ahead| at + ahead);
        }
        if !BASE32.contains(byte) {
            return at;
        }
    }
    text.len() - text.len() % 8
}

/// sprig's own greeting.
pub(crate) fn hello(_: &[Val]) -> Out {
    Ok(Val::str("Hello!"))
}
