//! A failed request as the planner needs to know it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a failure means for the time of the next try. What it means for people is a [`crate::Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No usable answer from the server as a whole: DNS, TCP, TLS, time-out, cut body, sealed, standby, uninitialised.
    Unreachable,
    /// The policy (or, at a login, the auth method) says no, and the token itself lives.
    Denied,
    /// The token is no longer valid: a look-up confirmed it, or Vault said so.
    TokenDead,
    /// 429, or 503 with `Retry-After`.
    Limited,
    /// 412, 472, 473: this server's data is behind.
    Stale,
    /// 404: no secret, no mount; at a lease's renewal: no such lease.
    Missing,
    /// Any other answer, such as 400 or 500.
    Other,
}

/// A failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it means for the next try.
    pub kind: FailureKind,
    /// `Retry-After`, when the server sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self { kind, retry_after: None }
    }
}
