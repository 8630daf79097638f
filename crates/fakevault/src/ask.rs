//! One request, as the engines see it.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// What the request does; Vault takes PUT and POST as the same, and `?list=true` as LIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
    Delete,
    List,
    /// PATCH and the rest: served by nobody here.
    Other,
}

pub(crate) struct Ask {
    pub operation: Operation,
    /// Without `/v1/`, and without a slash at its end.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub namespace: Option<String>,
    pub token: Option<String>,
    /// Of the TLS connection, DER.
    pub certificate: Option<Vec<u8>>,
    /// `Null` when there was none.
    pub body: Value,
    /// The fault of that name: a renewal grants no time.
    pub renew_to_nothing: bool,
}

impl Ask {
    /// # Errors
    /// The server's text for a body that is not JSON.
    pub(crate) fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Self, String> {
        let query: BTreeMap<_, _> = uri.query().map(pairs).unwrap_or_default();
        let list = query.get("list").is_some_and(|value| value == "true");
        let operation = match method.as_str() {
            "GET" if list => Operation::List,
            "GET" | "HEAD" => Operation::Read,
            "PUT" | "POST" => Operation::Write,
            "DELETE" => Operation::Delete,
            "LIST" => Operation::List,
            _ => Operation::Other,
        };
        let body = match body {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).map_err(|error| format!("error parsing JSON: {error}"))?,
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let bearer = || header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(ToOwned::to_owned));
        Ok(Self {
            operation,
            path: logical_path(uri),
            query,
            namespace: namespace(headers),
            token: header("x-vault-token").or_else(bearer).filter(|token| !token.is_empty()),
            certificate: None,
            body,
            renew_to_nothing: false,
        })
    }

    /// A string field of the body.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

/// The path below `/v1/`, percent-decoded, without a slash at its end.
pub(crate) fn logical_path(uri: &Uri) -> String {
    let path = uri.path();
    decode(path.strip_prefix("/v1/").unwrap_or(path).trim_matches('/'))
}

/// The Vault namespace the header names.
pub(crate) fn namespace(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-vault-namespace")?.to_str().ok()?.trim_matches('/');
    (!value.is_empty()).then(|| value.to_owned())
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (decode(key), decode(value))
    };
    query.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

/// Percent-decoding; what is not valid stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match hex {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
