//! How long to wait after a failure: capped, growing, jittered, and never less than the server asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::failure::{Failure, FailureKind};
use crate::time::Time;

/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The longest that one request's `Retry-After` holds back all others.
const MAX_SHARED_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Shortest and longest wait.
pub(crate) type Pace = (Duration, Duration);

/// The pace of everything but logins. What only a person can mend is asked for more slowly.
pub(crate) const fn pace(kind: FailureKind) -> Pace {
    let (shortest, longest) = match kind {
        FailureKind::Denied | FailureKind::Missing => (5, 120),
        _ => (1, 60),
    };
    (Duration::from_secs(shortest), Duration::from_secs(longest))
}

/// Doubles from `shortest` to `longest`; drawn from the upper third, so that nobody waits in step.
pub(crate) fn grown((shortest, longest): Pace, failures: u32, dice: &mut Dice) -> Duration {
    let doubled = shortest.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let top = doubled.saturating_mul(3).checked_div(2).unwrap_or_default().min(longest);
    dice.part(top, (2.0 / 3.0, 1.0))
}

/// Failures in a row of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backoff {
    pub(crate) failures: u32,
    pub(crate) last: Option<FailureKind>,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether the last failure is one that other agents have at the same time.
    pub(crate) const fn is_shared(&self) -> bool {
        !matches!(self.last, None | Some(FailureKind::Denied | FailureKind::Missing | FailureKind::TokenDead))
    }

    /// Counts the failure and returns the wait.
    pub(crate) fn fail(&mut self, failure: &Failure, pace: Pace, dice: &mut Dice) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.last = Some(failure.kind);
        let own = grown(pace, self.failures, dice);
        own.max(asked(failure, dice))
    }
}

/// `Retry-After` and a little more, zero without one.
pub(crate) fn asked(failure: &Failure, dice: &mut Dice) -> Duration {
    dice.part(failure.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER), (1.0, 1.1))
}

/// Holds everything back while the server is down or limits its rate. Any usable answer ends it, but a limit is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) until: Time,
    episodes: u32,
    limited: bool,
}

impl Hold {
    pub(crate) fn answered(&mut self, now: Time) {
        self.episodes = 0;
        if !self.limited || self.until <= now {
            *self = Self::default();
        }
    }

    /// Requests that fail together count as one failure.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Time, dice: &mut Dice) {
        let longest = match failure.kind {
            FailureKind::Unreachable => 15,
            FailureKind::Limited => 30,
            _ => return self.answered(now),
        };
        if self.until <= now {
            self.episodes = self.episodes.saturating_add(1);
        }
        let own = grown((Duration::from_millis(500), Duration::from_secs(longest)), self.episodes, dice);
        let asked = failure.retry_after.unwrap_or_default().min(MAX_SHARED_RETRY_AFTER);
        self.limited = failure.kind == FailureKind::Limited;
        self.until = self.until.max(now + own.max(dice.part(asked, (1.0, 1.25))));
    }
}
