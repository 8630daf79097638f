//! One question to Vault, before it knows where Vault is.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use rustify::endpoint::Endpoint;
use sidekey_core::Sensitive;
use zeroize::Zeroizing;

use crate::address::{encode_path, encode_query};
use crate::error::{Class, VaultError};

/// Method, path and body. No `Debug`: bodies hold JWTs and leases.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Logical path, not encoded.
    pub(crate) path: String,
    /// Encoded, without `?`.
    pub(crate) query: String,
    pub(crate) body: Bytes,
    pub(crate) token: Option<Sensitive<String>>,
    /// Whether asking twice does no more than asking once; only such a question is sent again over a new connection
    /// when an old one breaks with the question possibly on its way.
    pub(crate) repeatable: bool,
    /// `X-Vault-Wrap-TTL`.
    pub(crate) wrap_ttl: Option<HeaderValue>,
    /// In place of the client's.
    pub(crate) namespace: Option<HeaderValue>,
    /// Path and query from `/v1/` on, in place of `path` and `query`.
    pub(crate) raw: Option<String>,
    /// Content type of what is for somebody who is not Vault: no header of Vault's then.
    pub(crate) foreign: Option<&'static str>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into(), Bytes::new(), true)
    }

    /// A write of JSON; PUT and POST mean the same to Vault.
    pub(crate) fn put(path: impl Into<String>, json: Vec<u8>) -> Self {
        Self::new(Method::PUT, path.into(), wiped(json), false)
    }

    /// A request type of vaultrs, its answer read by our own tolerant types. Some of its paths begin with blanks.
    pub(crate) fn of(endpoint: &impl Endpoint) -> Result<Self, VaultError> {
        let path = endpoint.path().trim().trim_matches('/').to_owned();
        let method: Method = endpoint.method().into();
        let unusable =
            || VaultError::new(method.as_str(), &path, Class::BadRequest).with_detail("the request cannot be built");
        let body = endpoint.body().map_err(|_| unusable())?.unwrap_or_default();
        let query = endpoint.query().map_err(|_| unusable())?.unwrap_or_default();
        let repeatable = method == Method::GET;
        Ok(Self { query, ..Self::new(method, path, wiped(body), repeatable) })
    }

    fn new(method: Method, path: String, body: Bytes, repeatable: bool) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            body,
            token: None,
            repeatable,
            wrap_ttl: None,
            namespace: None,
            raw: None,
            foreign: None,
        }
    }

    pub(crate) fn with_token(mut self, token: &Sensitive<String>) -> Self {
        self.token = Some(token.clone());
        self
    }

    pub(crate) fn with_query<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| format!("{}={}", encode_query(key), encode_query(value)));
        self.query = pairs.collect::<Vec<_>>().join("&");
        self
    }

    pub(crate) fn wrapped(mut self, ttl: Duration) -> Self {
        self.wrap_ttl = Some(HeaderValue::from(ttl.as_secs()));
        self
    }

    pub(crate) const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// `<prefix>/v1/<path>?<query>`.
    pub(crate) fn target(&self, prefix: &str) -> Result<String, VaultError> {
        if let Some(raw) = &self.raw {
            return Ok(format!("{prefix}{raw}"));
        }
        let path = encode_path(self.method.as_str(), &self.path)?;
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        Ok(format!("{prefix}/v1/{path}{query}"))
    }

    pub(crate) fn error(&self, class: Class) -> VaultError {
        VaultError::new(self.method.as_str(), &self.path, class)
    }
}

/// Bytes that are wiped when the last reader drops them.
fn wiped(body: Vec<u8>) -> Bytes {
    if body.is_empty() { Bytes::new() } else { Bytes::from_owner(Zeroizing::new(body)) }
}

#[cfg(test)]
mod tests {
    use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};

    use super::*;

    #[test]
    fn takes_vaultrs_requests_apart() {
        let renew = Ask::of(&RenewTokenSelfRequest { increment: Some("60s".to_owned()) }).unwrap();
        assert_eq!(
            (renew.method.as_str(), renew.path.as_str(), renew.repeatable),
            ("POST", "auth/token/renew-self", false)
        );
        assert_eq!(&renew.body[..], br#"{"increment":"60s"}"#);
        let lookup = Ask::of(&LookupTokenSelfRequest {}).unwrap();
        assert_eq!((lookup.method.as_str(), lookup.path.as_str()), ("GET", "auth/token/lookup-self"));
        assert!(lookup.repeatable && lookup.body.is_empty());
    }

    #[test]
    fn keeps_the_prefix_and_encodes_the_query() {
        let ask = Ask::get("secret/data/a b").with_query([("version", "1&2")]);
        assert_eq!(ask.target("/vault").unwrap(), "/vault/v1/secret/data/a%20b?version=1%262");
    }
}
