//! How the agent begins, looks again and ends.

use serde::{Deserialize, Serialize};

use super::is_default;

/// How often to look again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Refresh {
    /// Interval for secrets without a lease, milliseconds.
    pub static_interval_ms: u64,
    /// Share of a non-renewable lease after which it is replaced, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_renewal_threshold: Option<f64>,
    /// Revoke a lease that was replaced so long after its successor is on disk and every action is done; `None` leaves it to
    /// its natural end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_superseded_seconds: Option<u32>,
}

impl Default for Refresh {
    fn default() -> Self {
        Self { static_interval_ms: 300_000, lease_renewal_threshold: None, revoke_superseded_seconds: None }
    }
}

/// How the agent begins and ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lifecycle {
    /// What container this is.
    pub shape: Shape,
    /// Revoke the own token at the end.
    pub revoke: bool,
    /// Classic sidecar: seconds to go on renewing after SIGTERM before revoking.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revoke_grace_seconds: u32,
    /// End with the first login that fails while the first set is not written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exit_on_login_failure: bool,
    /// Give up when the first set is not written by then, seconds; `None` waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u32>,
}

/// What container the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// Native sidecar: the app is gone when SIGTERM comes.
    Native,
    /// Classic one-shot init container that a sidecar follows: hands token, leases and data over through `state_dir`.
    Init,
    /// Classic sidecar: the app may still be draining when SIGTERM comes.
    Sidecar,
    /// One-shot init container that nothing follows.
    InitOnly,
}

/// What to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Log {
    /// `trace`, `debug`, `info`, `warn`, `error`.
    pub level: String,
    /// JSON lines, or plain text.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), json: true }
    }
}
