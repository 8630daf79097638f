//! A request of somebody else's, sent on as it came: the answer is not looked into.

use bytes::Bytes;
use http::{HeaderValue, Method};
use sidekey_core::Sensitive;

use crate::ask::Ask;
use crate::client::Client;
use crate::error::VaultError;

/// What is sent on. No `Debug`: body and token are the caller's.
pub struct Forward {
    /// Any.
    pub method: Method,
    /// Path and query from `/v1/` on, as a URL has them.
    pub target: String,
    /// Whose token it carries, if any.
    pub token: Option<Sensitive<String>>,
    /// `X-Vault-Namespace`, in place of the client's own.
    pub namespace: Option<HeaderValue>,
    /// `X-Vault-Wrap-TTL`.
    pub wrap_ttl: Option<HeaderValue>,
    /// Sent as JSON.
    pub body: Bytes,
}

/// What came back. No `Debug`.
pub struct Forwarded {
    /// HTTP status.
    pub status: u16,
    /// Of the body.
    pub content_type: Option<HeaderValue>,
    /// Seconds.
    pub retry_after: Option<u64>,
    /// As it came.
    pub body: Sensitive<Vec<u8>>,
}

impl Client {
    /// Sends it on, whatever the answer's status.
    ///
    /// # Errors
    /// [`VaultError`] when there is no answer.
    pub async fn forward(&self, forward: Forward) -> Result<Forwarded, VaultError> {
        let reply = self.send(&Ask::forward(forward)).await?;
        let content_type = reply.content_type.and_then(|text| HeaderValue::from_str(&text).ok());
        Ok(Forwarded { status: reply.status, content_type, retry_after: reply.retry_after, body: reply.body })
    }
}

impl Ask {
    fn forward(forward: Forward) -> Self {
        let Forward { method, target, token, namespace, wrap_ttl, body } = forward;
        let repeatable = method == Method::GET || method == Method::HEAD;
        let path = target.split('?').next().unwrap_or_default().trim_start_matches("/v1/").to_owned();
        Self { method, path, body, token, repeatable, raw: Some(target), namespace, wrap_ttl, ..Self::get("") }
    }
}
