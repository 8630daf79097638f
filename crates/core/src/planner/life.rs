//! The arithmetic that leases and tokens share: when to renew, what a renewal granted, when it is urgent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::time::Time;

/// Between two steps of one kind for one thing.
pub(super) const MIN_GAP: Duration = Duration::from_secs(1);
/// No duration of a server's is believed beyond this; also keeps all arithmetic in range.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Share of its life after which a thing is renewed, or replaced if it cannot be.
const USED: (f64, f64) = (0.55, 0.70);
/// The same among a crowd, agents that started together or waited together for a server: they part at once.
const CROWDED_USED: (f64, f64) = (0.20, 0.70);
/// Share of its full life that is left when a thing with a final end is replaced: time to fetch, write and be picked up.
const LEFT: (f64, f64) = (0.30, 0.45);
const CROWDED_LEFT: (f64, f64) = (0.30, 0.80);
/// A look that begins so long after it was due has waited for the server, as those of other agents have.
const LATE: Duration = Duration::from_secs(10);
/// The last fifth of a life is urgent.
const URGENT: u32 = 5;

/// A life with an end that renewals may move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    /// What it was given at first, or by a longer renewal.
    pub(super) ttl: Duration,
    pub(super) end: Time,
    /// Whether another renewal may move the end.
    pub(super) extends: bool,
    /// Whether it began together with those of many other agents, and so ends with theirs.
    crowded: bool,
}

impl Life {
    /// `since` is when the request was sent: the server's end can only be later.
    pub(super) fn new(ttl: Duration, extends: bool, crowded: bool, since: Time) -> Self {
        let ttl = ttl.min(LONGEST);
        Self { ttl, end: since + ttl, extends, crowded }
    }

    /// When to renew or replace what was just given; `threshold` is the configured share for what cannot be renewed.
    pub(super) fn first_look(&self, threshold: Option<f64>, dice: &mut Dice) -> Time {
        self.look(threshold, self.crowded, dice)
    }

    fn look(&self, threshold: Option<f64>, crowded: bool, dice: &mut Dice) -> Time {
        let share = match threshold.filter(|share| !self.extends && share.is_finite()) {
            Some(share) => (share.clamp(0.05, 0.95) * 0.95, share.clamp(0.05, 0.95)),
            None if crowded => CROWDED_USED,
            None => USED,
        };
        self.end - self.ttl + dice.part(self.ttl, share)
    }

    /// Takes a renewal's grant and returns the next look. A grant below nine tenths was cut by a maximum: the end is final,
    /// and the look is for replacing. `crowded` says that many others were renewed at this moment.
    pub(super) fn renewed(&mut self, granted: Duration, since: Time, crowded: bool, dice: &mut Dice) -> Time {
        let granted = granted.min(LONGEST);
        self.end = since + granted;
        if granted * 10 < self.ttl * 9 {
            return self.last_look(since, dice);
        }
        self.ttl = granted;
        self.look(None, crowded, dice)
    }

    /// Makes the end final and returns when to replace, now at the earliest.
    pub(super) fn last_look(&mut self, now: Time, dice: &mut Dice) -> Time {
        self.extends = false;
        now.max(self.end - dice.part(self.ttl, if self.crowded { CROWDED_LEFT } else { LEFT }))
    }

    pub(super) fn ended(&self, now: Time) -> bool {
        self.end <= now
    }

    pub(super) fn urgent_at(&self) -> Time {
        self.end - self.ttl / URGENT
    }

    /// Shortens a wait so that a life's rest has room for more than one try; never below [`MIN_GAP`].
    pub(super) fn bound(&self, wait: Duration, now: Time) -> Duration {
        let left = self.end.since(now);
        if left.is_zero() { wait } else { wait.min((left / 3).max(MIN_GAP)) }
    }
}

/// Whether a look that begins now has waited for the server.
pub(super) fn late(due: Time, now: Time) -> bool {
    now.since(due) >= LATE
}

/// When a thing that is ready may go: not before the hold ends, unless its last fifth begins earlier.
pub(super) fn admitted(ready: Time, held_until: Time, life: Option<&Life>, now: Time) -> Time {
    match life.filter(|life| !life.ended(now)) {
        Some(life) => ready.max(held_until.min(life.urgent_at())),
        None => ready.max(held_until),
    }
}
