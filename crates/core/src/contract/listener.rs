//! What the agent serves to the other containers of its pod, on loopback.

use serde::{Deserialize, Serialize};

use super::is_default;

/// A listener on `127.0.0.1`; off unless asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listener {
    /// TCP port.
    pub port: u16,
    /// `POST /agent/v1/quit` revokes the token and ends the agent's work.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quit: bool,
    /// Requests below `/v1/` go on to Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Bearer>,
}

/// Whose token a request carries that is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bearer {
    /// The caller's, if it shows one.
    Caller,
    /// The caller's, else the agent's.
    Agent,
    /// The agent's, whatever the caller shows.
    Force,
}
