//! What the configuration says about time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::AgentConfig;

/// What becomes of a token whose successor is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OldToken {
    /// It is revoked once nothing hangs on it.
    Revoke,
    /// Somebody may still use it: it is remembered for the end of the pod.
    Keep,
    /// It is not ours to revoke.
    Forget,
}

/// The planner's settings; [`Policy::of_login`] of an [`AgentConfig`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Between two looks at a secret without a lease; each is jittered down by up to 15 %, the first, and the first after the
    /// server was away, by up to 75 %, so that agents that look together part. At least one second.
    pub static_interval: Duration,
    /// Share of its life after which something that cannot be renewed is replaced; `None` is 55 to 70 %,
    /// jittered, as for what can be renewed.
    pub renewal_threshold: Option<f64>,
    /// First and longest wait after a failed login.
    pub login_backoff: (Duration, Duration),
    /// How long a superseded token outlives the login that superseded it, at least.
    pub overlap: Duration,
    /// Of superseded tokens.
    pub old_token: OldToken,
    /// Requests for secrets and leases at one time.
    pub concurrency: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            static_interval: Duration::from_secs(300),
            renewal_threshold: None,
            login_backoff: (Duration::from_secs(1), Duration::from_secs(300)),
            overlap: Duration::from_secs(30),
            old_token: OldToken::Revoke,
            concurrency: 4,
        }
    }
}

impl Policy {
    /// For one login of a pod; the first one's token is what token files hold.
    pub fn of_login(config: &AgentConfig, login: usize) -> Self {
        let auth = config.auth_of(login);
        Self {
            static_interval: Duration::from_millis(config.refresh.static_interval_ms),
            renewal_threshold: config.refresh.lease_renewal_threshold,
            login_backoff: (Duration::from_millis(auth.min_backoff_ms), Duration::from_millis(auth.max_backoff_ms)),
            old_token: match login > 0 || config.token_sinks.is_empty() {
                _ if auth.method.borrows_token() => OldToken::Forget,
                true if config.lifecycle.revoke => OldToken::Revoke,
                // A reader of the token file may still use the old token: nobody tells when it stops.
                _ => OldToken::Keep,
            },
            ..Self::default()
        }
    }
}
