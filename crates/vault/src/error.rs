//! Why a request failed, in kinds; and Vault's own words, cleaned. Never a body.

use std::fmt;
use std::time::Duration;

use sidekey_core::failure::{Failure, FailureKind};

/// Longest text kept of one of Vault's errors, in characters.
const MAX_SAID_CHARS: usize = 300;

/// How many of Vault's errors are kept.
const MAX_SAID: usize = 4;

/// One failed request. Holds no secret: nothing that was sent is kept, and of the answer only Vault's `errors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultError {
    /// HTTP method asked with.
    pub verb: String,
    /// Logical path asked for, without `/v1/`; with `data/` when that form was tried last.
    pub path: String,
    /// The kind of failure.
    pub class: Class,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// Vault's `errors`: one line each, cut, with anything token-like taken out.
    pub said: Vec<String>,
    /// Our own words where Vault has none: the resolver's, the socket's, the handshake's.
    pub detail: Option<String>,
    /// `Retry-After`, in either of its forms.
    pub retry_after: Option<Duration>,
}

/// Kinds of failure, each with an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The address or proxy is not a URL that can be used.
    Address,
    /// The guard lets no token go there; see [`Guard`](crate::Guard).
    Refused,
    /// A CA or client certificate file cannot be read.
    Files,
    /// The name does not resolve.
    Dns,
    /// No connection, or one that broke before the answer's end.
    Tcp,
    /// The handshake failed.
    Tls(TlsFault),
    /// Nothing came in time.
    Timeout,
    /// Something answered that is not Vault.
    Protocol,
    /// 503 `Vault is sealed`.
    Sealed,
    /// A standby that does not say where the active node is, or says it in circles.
    Standby,
    /// 472 or 473: a disaster-recovery or performance standby that does not serve this.
    StandbyRead,
    /// 501, or 503 with those words.
    Uninitialised,
    /// 429.
    RateLimited,
    /// 403 by policy or by the auth method; the token, if any, lives.
    Denied,
    /// 403 `invalid token`: expired, revoked, or never was.
    InvalidToken,
    /// 404; for a lease, 400 `lease not found`.
    Missing,
    /// 404 of KV v2 for a version that was deleted or destroyed.
    Deleted,
    /// 400 and other refusals of the request itself; also a path that we refuse to send.
    BadRequest,
    /// 405, or 404 `unsupported path`.
    MethodNotAllowed,
    /// 412: this node has not yet seen what the request needs.
    Stale,
    /// 5xx of Vault itself.
    Internal,
    /// A good answer without what was asked for in it.
    Shape,
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// No configured CA signed it.
    UnknownIssuer,
    /// It is for other names.
    Name,
    /// Its time is over.
    Expired,
    /// Its time is to come.
    NotYetValid,
    /// Vault wants a client certificate, or another one.
    ClientCertificate,
    /// The port speaks plain HTTP.
    PlainHttp,
    /// Anything else.
    Other,
}

impl VaultError {
    pub(crate) fn new(verb: &str, path: &str, class: Class) -> Self {
        let (verb, path) = (verb.to_owned(), path.to_owned());
        Self { verb, path, class, status: None, said: Vec::new(), detail: None, retry_after: None }
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(clean(&detail.into()));
        self
    }

    /// An answer that was not 2xx; `errors` is `None` when the body is not Vault's JSON.
    pub(crate) fn answered(verb: &str, path: &str, status: u16, errors: Option<&[String]>) -> Self {
        let said: Vec<String> = errors.unwrap_or_default().iter().take(MAX_SAID).map(|text| clean(text)).collect();
        let class = if errors.is_some() { classify(status, &said) } else { foreign(status) };
        let mut error = Self { status: Some(status), said, ..Self::new(verb, path, class) };
        if errors.is_none() {
            error.detail = Some("the body is not Vault's JSON".to_owned());
        }
        error
    }

    /// The planner's view of it.
    pub fn failure(&self) -> Failure {
        let kind = match self.class {
            Class::Address
            | Class::Refused
            | Class::Files
            | Class::Dns
            | Class::Tcp
            | Class::Tls(_)
            | Class::Timeout => FailureKind::Unreachable,
            Class::Sealed | Class::Uninitialised | Class::Protocol | Class::Standby if self.retry_after.is_none() => {
                FailureKind::Unreachable
            }
            Class::Sealed | Class::Uninitialised | Class::Protocol | Class::Standby | Class::RateLimited => {
                FailureKind::Limited
            }
            Class::Internal if self.retry_after.is_some() => FailureKind::Limited,
            Class::Denied => FailureKind::Denied,
            Class::InvalidToken => FailureKind::TokenDead,
            Class::Stale | Class::StandbyRead => FailureKind::Stale,
            Class::Missing | Class::Deleted => FailureKind::Missing,
            Class::BadRequest | Class::MethodNotAllowed | Class::Internal | Class::Shape => FailureKind::Other,
        };
        Failure { kind, retry_after: self.retry_after }
    }

    /// Whether one of Vault's texts has these words.
    pub fn says(&self, words: &str) -> bool {
        self.said.iter().any(|text| text.contains(words))
    }

    /// What came back, as [`sidekey_core::Cause::answer`] wants it: `403 permission denied`.
    pub fn answer(&self) -> String {
        let words = match (self.said.is_empty(), &self.detail) {
            (false, _) => self.said.join("; "),
            (true, Some(detail)) => detail.clone(),
            (true, None) => self.class.words().to_owned(),
        };
        self.status.map_or_else(|| words.clone(), |status| format!("{status} {words}"))
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.verb, self.path, self.answer())
    }
}

impl std::error::Error for VaultError {}

impl Class {
    /// What it means, where nobody else had words.
    const fn words(self) -> &'static str {
        match self {
            Self::Address => "the address cannot be used",
            Self::Refused => "no token may go there",
            Self::Files => "a certificate file cannot be read",
            Self::Dns => "the name does not resolve",
            Self::Tcp => "no connection",
            Self::Tls(_) => "the TLS handshake failed",
            Self::Timeout => "no answer in time",
            Self::Protocol => "the answer is not Vault's",
            Self::Sealed => "Vault is sealed",
            Self::Standby => "only a standby answers",
            Self::StandbyRead => "a standby that does not serve this request",
            Self::Uninitialised => "Vault is not initialized",
            Self::RateLimited => "rate limited",
            Self::Denied => "permission denied",
            Self::InvalidToken => "invalid token",
            Self::Missing => "nothing there",
            Self::Deleted => "the version is deleted or destroyed",
            Self::BadRequest => "the request is refused",
            Self::MethodNotAllowed => "unsupported operation",
            Self::Stale => "the node's data is behind",
            Self::Internal => "an error inside Vault",
            Self::Shape => "the answer has no data",
        }
    }
}

/// Vault's statuses: developer.hashicorp.com/vault/api-docs#http-status-codes, and sys/health for 429, 472, 473, 501.
fn classify(status: u16, said: &[String]) -> Class {
    let says = |words: &str| said.iter().any(|text| text.contains(words));
    match status {
        403 | 400 if says("invalid token") || says("bad token") || says("token not found") => Class::InvalidToken,
        400 if says("lease not found") => Class::Missing,
        403 => Class::Denied,
        404 if says("unsupported path") => Class::MethodNotAllowed,
        404 => Class::Missing,
        405 => Class::MethodNotAllowed,
        412 => Class::Stale,
        429 => Class::RateLimited,
        472 | 473 => Class::StandbyRead,
        501 => Class::Uninitialised,
        502 if says("upstream rate limited") => Class::RateLimited,
        500..=599 if says("not initialized") => Class::Uninitialised,
        500..=599 if says("sealed") => Class::Sealed,
        500..=599 if says("standby") => Class::Standby,
        500..=599 => Class::Internal,
        300..=399 => Class::Standby,
        _ => Class::BadRequest,
    }
}

/// Without Vault's JSON only the statuses that Vault alone uses, or sends without a body, keep their meaning.
const fn foreign(status: u16) -> Class {
    match status {
        412 => Class::Stale,
        429 => Class::RateLimited,
        472 | 473 => Class::StandbyRead,
        _ => Class::Protocol,
    }
}

/// One line, no control characters, no multi-error header, nothing token-like, of bounded length.
pub(crate) fn clean(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| if looks_secret(word) { "[removed]" } else { word })
        .collect();
    let words = match words.as_slice() {
        [count, "error" | "errors", "occurred:", "*", rest @ ..] if count.parse::<u32>().is_ok() => rest,
        all => all,
    };
    // Causes end each part with a full stop of their own.
    let line = words.join(" ").replace(" * ", ", ");
    let line = line.trim_end_matches('.');
    match line.char_indices().nth(MAX_SAID_CHARS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

/// Vault's and OpenBao's token prefixes with something behind them, and anything that begins as a JWT does.
fn looks_secret(word: &str) -> bool {
    let begins = |prefix: &str| word.match_indices(prefix).any(|(at, _)| word[at..].len() >= prefix.len() + 20);
    ["hvs.", "hvb.", "hvr.", "eyJ"].iter().any(|prefix| begins(prefix))
        || ["s.", "b.", "r."].iter().any(|prefix| {
            word.trim_matches(|c: char| !c.is_ascii_alphanumeric())
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.len() >= 24 && rest.chars().all(|c| c.is_ascii_alphanumeric()))
        })
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
