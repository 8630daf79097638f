//! What the planner says.

use serde::{Deserialize, Serialize};

use crate::lookup::Lookup;
use crate::time::Time;

/// Which login a token came from; counts up from 1. The planner never sees a token: the agent keeps them by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub(super) u64);

/// One thing to do now. Every step but `RevokeToken` uses the current token ([`Planner::token`]).
///
/// [`Planner::token`]: super::Planner::token
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Log in; answered by `logged_in` or `login_failed`. The token at hand, if any, stays in use until then.
    LogIn,
    /// `auth/token/renew-self` without an increment; answered by `token_renewed` or `token_renew_failed`.
    RenewToken,
    /// Ask for the secret; answered by `fetched` or `fetch_failed`.
    Fetch(Lookup),
    /// `sys/leases/renew` of [`Planner::lease_id`], without an increment; answered by `lease_renewed` or
    /// `lease_renew_failed`.
    ///
    /// [`Planner::lease_id`]: super::Planner::lease_id
    RenewLease(Lookup),
    /// Revoke a superseded token on which nothing hangs any more; answered by `token_revoked`, `token_revoke_failed` or
    /// `token_revoke_postponed`.
    RevokeToken(TokenId),
    /// Nothing to do before that time, or before the next answer or `want`.
    Wait(Option<Time>),
}
