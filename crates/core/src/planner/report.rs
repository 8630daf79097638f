//! What the planner shows of itself.

use serde::{Deserialize, Serialize};

use super::life::admitted;
use super::slot::Slot;
use super::{Planner, TokenId};
use crate::failure::FailureKind;
use crate::lookup::Lookup;
use crate::time::Time;

/// One secret's place in `/status` and the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which secret.
    pub lookup: Lookup,
    /// How it stands.
    pub state: State,
    /// When Vault last vouched for the answer at hand: gave it, or renewed its lease.
    pub confirmed: Option<Time>,
    /// Since when Vault has not vouched for it, if the last look failed or cannot be made, or the answer has ended. A lease or
    /// certificate in force is vouched for until its end.
    pub stale: Option<Time>,
    /// When the answer at hand ends: its lease's or its token's end, whichever is first.
    pub end: Option<Time>,
    /// When it is looked at next; `None` while a request is under way.
    pub next: Option<Time>,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub failure: Option<FailureKind>,
}

/// How a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Never fetched.
    Pending,
    /// Good, as far as is known.
    Fresh,
    /// The last look failed; what is at hand still holds.
    Failing,
    /// What is at hand has ended: its lease ran out or died with its token.
    Ended,
}

/// The login's place in `/status` and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The token in use.
    pub token: Option<TokenId>,
    /// When it ends if nothing renews it; `None` without a token, or when it never ends.
    pub end: Option<Time>,
    /// Whether that end is final, so that a login must come before it.
    pub last: bool,
    /// Failed logins in a row.
    pub failures: u32,
    /// The last of them.
    pub failure: Option<FailureKind>,
    /// Until when all requests are held back, as the server is down or limits its rate.
    pub held_until: Option<Time>,
}

impl Planner {
    /// Every wanted secret.
    pub fn report(&self, now: Time) -> Vec<Entry> {
        self.slots.iter().map(|(lookup, slot)| self.entry(lookup, slot, now)).collect()
    }

    fn entry(&self, lookup: &Lookup, slot: &Slot, now: Time) -> Entry {
        let token = self.tokens.current.as_ref().filter(|token| slot.leased_by(token.id));
        let token_end = token.and_then(|token| token.last_end(now));
        let end = slot.life().map(|life| token_end.map_or(life.end, |end| end.min(life.end)));
        Entry {
            lookup: lookup.clone(),
            state: slot.state(end, now),
            confirmed: slot.held.as_ref().map(|held| held.confirmed),
            stale: slot.stale(end, now),
            end,
            next: slot.ready(now).map(|(ready, _)| admitted(ready, self.hold.until, slot.life(), now)),
            failures: slot.backoff.failures,
            failure: slot.backoff.last,
        }
    }

    /// The login.
    pub fn session(&self, now: Time) -> Session {
        let life = self.tokens.life();
        Session {
            token: self.token(),
            end: life.map(|life| life.end),
            last: life.is_some_and(|life| !life.extends),
            failures: self.tokens.logins.failures,
            failure: self.tokens.logins.last,
            held_until: Some(self.hold.until).filter(|until| *until > now),
        }
    }
}
