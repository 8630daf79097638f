//! Settings that have a shape, each with its schema: what is read here and what the schema takes is one table in the tests.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use sidekey_core::contract::{METHODS, Service};
use sidekey_core::goparse::parse_duration;

use crate::login::unserved;
use crate::value;

/// `-----BEGIN CERTIFICATE-----` and its end.
const PEM: [&str; 2] = ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"];

/// A Go duration.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let wrong = |text: &str| format!("`{}` is not a duration such as 30s or 5m", value::shown(text));
    text(deserializer, |text| parse_duration(text).is_none().then(|| wrong(text)))
}

/// 0 is the one number that is a duration without a unit.
pub(super) fn duration_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "title": "duration such as `30s` or `1h30m`",
        "type": ["string", "integer"],
        "pattern": r"^\+?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$",
        "minimum": 0,
        "maximum": 0,
    })
}

/// Vault's spellings are read as the level's own name.
pub(super) fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || format!("`{}` is none of trace, debug, info, warn, error", value::shown(&text));
    value::log_level(&text).map(str::to_owned).ok_or_else(|| D::Error::custom(wrong()))
}

/// In any case of letters: Go's expressions and those of editors share no flag for that.
pub(super) fn log_level_schema(_: &mut SchemaGenerator) -> Schema {
    let any_case = |word: &str| -> String {
        word.chars().map(|letter| format!("[{}{letter}]", letter.to_ascii_uppercase())).collect()
    };
    let words = ["trace", "debug", "info", "notice", "warn", "warning", "err", "error"].map(any_case);
    json_schema!({
        "type": "string",
        "pattern": format!(r"^\s*({})\s*$", words.join("|")),
        "examples": ["trace", "debug", "info", "warn", "error"],
    })
}

/// Seconds that Kubernetes gives a token.
pub(super) fn expiration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        ..600 => Err(D::Error::custom("Kubernetes refuses tokens of less than 600 seconds")),
        seconds => Ok(seconds),
    }
}

/// A uid or gid.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Option::<i64>::deserialize(deserializer)? {
        Some(id) if !value::is_id(id) => Err(D::Error::custom(format!("{id} is no uid or gid: 0 to {}", i32::MAX))),
        id => Ok(id),
    }
}

/// A URL, or nothing.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, |text| if text.is_empty() { None } else { address(text) })
}

/// Only its beginning is looked at.
pub(super) fn url_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "title": "URL, or empty", "type": "string", "pattern": "^($|https?://)" })
}

/// What is wrong with a server's address.
pub(super) fn address(text: &str) -> Option<String> {
    let wrong = || format!("`{}` has no scheme; write a URL, such as https://vault.vault.svc:8200", value::shown(text));
    (!value::has_scheme(text)).then(wrong)
}

/// A method that is served.
pub(super) fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, auth_type)
}

/// Those that are served.
pub(super) fn method_schema(_: &mut SchemaGenerator) -> Schema {
    let served = METHODS.iter().filter(|(_, service)| *service == Service::Served);
    let names: Vec<&str> = served.map(|(name, _)| *name).collect();
    json_schema!({ "type": "string", "enum": names })
}

/// What is wrong with an auth method.
pub(super) fn auth_type(name: &str) -> Option<String> {
    unserved(name).map(|why| format!("{why}; use one of {}", Service::served()))
}

/// PEM certificates, or nothing but blanks.
pub(super) fn pem<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let wrong = || format!("there is no certificate in PEM: {} and what follows it", PEM[0]);
    text(deserializer, |text| (!text.trim().is_empty() && !has_certificate(text)).then(wrong))
}

/// One certificate at least; what stands around it is not looked at.
pub(super) fn pem_schema(_: &mut SchemaGenerator) -> Schema {
    let [begin, end] = PEM;
    let pattern = format!(r"^\s*$|{begin}[A-Za-z0-9+/=\s]+{end}");
    json_schema!({ "title": "PEM certificates, or empty", "type": "string", "pattern": pattern })
}

fn has_certificate(text: &str) -> bool {
    let [begin, end] = PEM;
    let blocks = text.split(begin).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0));
    blocks.into_iter().any(is_base64)
}

/// Between a block's lines; none at all is no certificate.
fn is_base64(body: &str) -> bool {
    let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let padding = digits.iter().rev().take_while(|byte| **byte == b'=').count();
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let data = &digits[..digits.len() - padding];
    !data.is_empty() && padding <= 2 && digits.len().is_multiple_of(4) && data.iter().all(known)
}

fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    wrong: impl Fn(&str) -> Option<String>,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match wrong(&text) {
        Some(wrong) => Err(D::Error::custom(wrong)),
        None => Ok(text),
    }
}
