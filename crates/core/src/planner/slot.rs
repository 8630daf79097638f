//! One secret: what is at hand, when it is looked at next, and how.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::life::{LONGEST, Life, MIN_GAP, late};
use super::policy::Policy;
use super::report::State;
use super::step::TokenId;
use crate::backoff::{self, Backoff, Pace};
use crate::dice::Dice;
use crate::failure::{Failure, FailureKind};
use crate::lease::LeaseTerms;
use crate::time::Time;

/// Share of the static interval after which a secret is read again; among a crowd wider, so that it parts.
const STATIC: (f64, f64) = (0.85, 1.0);
const CROWDED_STATIC: (f64, f64) = (0.25, 1.0);
/// Share of what is left of a superseded token within which its leases are issued again.
const REISSUE: (f64, f64) = (0.0, 0.2);
/// After a password's rotation is due: this many quick looks, then ever slower ones. Vault rotates within seconds.
const QUICK_LOOKS: u32 = 8;
const SLOW_LOOKS: Pace = (MIN_GAP, Duration::from_secs(30));

/// A look that has not been answered so long after it was due is as good as failed.
const OVERDUE: Duration = Duration::from_secs(60);

/// What an event knows besides the slot it happens to.
pub(super) struct Scene<'a> {
    pub(super) now: Time,
    pub(super) policy: &'a Policy,
    pub(super) dice: &'a mut Dice,
    /// The token in use.
    pub(super) token: Option<TokenId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    Fetch,
    Renew,
}

/// What was fetched last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// When it was asked for, or its lease last renewed.
    pub(super) confirmed: Time,
    /// `None` holds for ever.
    pub(super) life: Option<Life>,
    pub(super) lease: Option<Lease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) id: String,
    /// Which token asked for it, and so takes it along when it dies.
    pub(super) token: TokenId,
}

/// When a request was sent, with which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) since: Time,
    pub(super) token: TokenId,
    /// [`late`].
    pub(super) late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) held: Option<Held>,
    due: Time,
    act: Act,
    pub(super) backoff: Backoff,
    /// Answers in a row that were about to end.
    brief: u32,
    /// Never earlier, whatever is due: the gap between two of a kind, and `Retry-After`.
    fetch_from: Time,
    renewal_from: Time,
    #[serde(skip)]
    pub(super) fetch: Option<Flight>,
    #[serde(skip)]
    pub(super) renewal: Option<Flight>,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            held: None,
            due: Time::default(),
            act: Act::Fetch,
            backoff: Backoff::default(),
            brief: 0,
            fetch_from: Time::default(),
            renewal_from: Time::default(),
            fetch: None,
            renewal: None,
        }
    }

    pub(super) fn life(&self) -> Option<&Life> {
        self.held.as_ref()?.life.as_ref()
    }

    pub(super) fn lease(&self) -> Option<&Lease> {
        self.held.as_ref()?.lease.as_ref()
    }

    pub(super) fn leased_by(&self, token: TokenId) -> bool {
        self.lease().is_some_and(|lease| lease.token == token)
    }

    /// The next thing to do and when. A renewal that hangs, or may not be asked for yet, does not keep a replacement waiting
    /// once it is urgent.
    pub(super) fn ready(&self, now: Time) -> Option<(Time, Act)> {
        if self.fetch.is_some() {
            return None;
        }
        let (at, act) = match (self.act, self.life()) {
            (Act::Renew, Some(life)) if life.ended(now) => (life.end, Act::Fetch),
            (Act::Renew, Some(life)) => {
                let urgent = life.urgent_at().max(self.due);
                let blocked = self.renewal.is_some() || self.renewal_from > urgent;
                if blocked { (urgent, Act::Fetch) } else { (self.due.min(life.end), Act::Renew) }
            }
            _ => (self.due, Act::Fetch),
        };
        let from = if act == Act::Fetch { self.fetch_from } else { self.renewal_from };
        Some((at.max(from), act))
    }

    pub(super) fn started(&mut self, act: Act, token: TokenId, now: Time) {
        let late = self.ready(now).is_some_and(|(due, _)| late(due, now));
        let flight = Some(Flight { since: now, token, late });
        match act {
            Act::Fetch => (self.fetch, self.fetch_from) = (flight, now + MIN_GAP),
            Act::Renew => (self.renewal, self.renewal_from) = (flight, now + MIN_GAP),
        }
    }

    /// Returns the token the answer came with.
    pub(super) fn fetched(&mut self, terms: &LeaseTerms, scene: &mut Scene<'_>) -> Option<TokenId> {
        let now = scene.now;
        let flight = self.fetch.take();
        let since = flight.map_or(now, |flight| flight.since.min(now));
        let token = flight.map(|flight| flight.token).or(scene.token);
        // An answer to the renewal of the lease before says nothing about this one.
        self.renewal = None;
        // Agents that start together, or have waited together.
        let crowded = self.held.is_none() || self.backoff.is_shared() || flight.is_some_and(|flight| flight.late);
        self.backoff.reset();
        let (life, lease) = match terms {
            LeaseTerms::Static { .. } | LeaseTerms::Rotating { .. } => (None, None),
            LeaseTerms::Expiring { ttl } => (Some(Life::new(*ttl, false, crowded, now)), None),
            LeaseTerms::Lease { id, ttl, renewable } => {
                let lease = token.map(|token| Lease { id: id.clone(), token });
                (Some(Life::new(*ttl, *renewable, crowded, since)), lease)
            }
        };
        self.held = Some(Held { confirmed: since, life, lease });
        self.schedule(terms, crowded, scene);
        token
    }

    fn schedule(&mut self, terms: &LeaseTerms, crowded: bool, scene: &mut Scene<'_>) {
        let again = scene.policy.static_interval.clamp(MIN_GAP, LONGEST);
        let threshold = scene.policy.renewal_threshold;
        self.act = Act::Fetch;
        self.due = match (terms, self.life()) {
            (LeaseTerms::Rotating { ttl }, _) => scene.now + self.until_rotation(*ttl, again, scene.dice),
            (LeaseTerms::Static { hint }, _) => {
                let again = hint.filter(|hint| !hint.is_zero()).unwrap_or(again).clamp(MIN_GAP, again);
                scene.now + scene.dice.part(again, if crowded { CROWDED_STATIC } else { STATIC })
            }
            (_, Some(life)) => {
                let look = life.first_look(threshold, scene.dice);
                if life.extends && self.lease().is_some() {
                    self.act = Act::Renew;
                }
                look
            }
            (_, None) => scene.now + again,
        };
        if matches!(terms, LeaseTerms::Expiring { .. }) {
            self.due = self.due.max(scene.now + self.pause(scene));
        }
        if self.lease().is_some_and(|lease| Some(lease.token) != scene.token) {
            (self.due, self.act) = (scene.now, Act::Fetch);
        }
    }

    fn until_rotation(&mut self, ttl: Duration, again: Duration, dice: &mut Dice) -> Duration {
        // Vault rounds down: one second more, and the old password is over.
        let after = ttl.min(LONGEST) + MIN_GAP;
        if ttl > Duration::from_secs(2) {
            self.brief = 0;
            return (after + dice.part(MIN_GAP, (0.0, 0.5))).min(dice.part(again, STATIC));
        }
        self.brief = self.brief.saturating_add(1);
        after.max(backoff::grown(SLOW_LOOKS, self.brief.saturating_sub(QUICK_LOOKS), dice))
    }

    /// What expires without a lease, and is about to when it comes, is not asked for ever faster.
    fn pause(&mut self, scene: &mut Scene<'_>) -> Duration {
        let brief = self.life().is_some_and(|life| life.ttl < MIN_GAP * 10);
        self.brief = if brief { self.brief.saturating_add(1) } else { 0 };
        if brief { backoff::grown(SLOW_LOOKS, self.brief, scene.dice) } else { Duration::ZERO }
    }

    pub(super) fn fetch_failed(&mut self, failure: &Failure, scene: &mut Scene<'_>) -> Option<TokenId> {
        let flight = self.fetch.take();
        self.due = scene.now + self.wait(failure, scene);
        if failure.retry_after.is_some() {
            self.fetch_from = self.due;
        }
        // What cannot be replaced just now can perhaps be extended.
        let extends = self.life().is_some_and(|life| life.extends && !life.ended(scene.now));
        self.act = if extends && self.lease().is_some() { Act::Renew } else { Act::Fetch };
        flight.map(|flight| flight.token)
    }

    pub(super) fn renewed(&mut self, granted: Duration, scene: &mut Scene<'_>) {
        let Some(flight) = self.renewal.take() else { return };
        let crowded = flight.late || self.backoff.is_shared();
        self.backoff.reset();
        let Some(Held { confirmed, life: Some(life), lease: Some(lease) }) = &mut self.held else { return };
        // Under a superseded token no renewal moves the end any further.
        if Some(lease.token) != scene.token || !life.extends {
            return;
        }
        *confirmed = flight.since;
        let look = life.renewed(granted, flight.since, crowded, scene.dice);
        self.act = if life.extends { Act::Renew } else { Act::Fetch };
        self.due = look;
    }

    pub(super) fn renew_failed(&mut self, failure: &Failure, scene: &mut Scene<'_>) -> Option<TokenId> {
        if failure.retry_after.is_some() {
            self.renewal_from = scene.now + backoff::asked(failure, scene.dice);
        }
        let flight = self.renewal.take()?;
        let again = scene.now + self.wait(failure, scene);
        let life = self.held.as_mut().and_then(|held| held.life.as_mut())?;
        (self.due, self.act) = match failure.kind {
            // Not to be extended by us: replaced in time.
            FailureKind::Denied => (life.last_look(scene.now, scene.dice), Act::Fetch),
            // Gone: somebody revoked it.
            FailureKind::Missing => {
                (life.extends, life.end) = (false, life.end.min(scene.now));
                (scene.now, Act::Fetch)
            }
            FailureKind::Other => (scene.now, Act::Fetch),
            _ if again < life.urgent_at() => (again, Act::Renew),
            _ => (life.urgent_at(), Act::Fetch),
        };
        Some(flight.token)
    }

    fn wait(&mut self, failure: &Failure, scene: &mut Scene<'_>) -> Duration {
        let wait = self.backoff.fail(failure, backoff::pace(failure.kind), scene.dice);
        let slow = matches!(failure.kind, FailureKind::Denied | FailureKind::Missing | FailureKind::Limited);
        match self.life() {
            Some(life) if !slow && failure.retry_after.is_none() => life.bound(wait, scene.now),
            _ => wait,
        }
    }

    /// The token of this lease is dead.
    pub(super) fn token_died(&mut self, now: Time) {
        if let Some(life) = self.held.as_mut().and_then(|held| held.life.as_mut()) {
            life.extends = false;
            life.end = life.end.min(now);
        }
        (self.due, self.act) = (now, Act::Fetch);
    }

    /// A login came. `old_end` is the end of the token before, which nobody renews any more.
    pub(super) fn token_superseded(&mut self, old_end: Option<Time>, scene: &mut Scene<'_>) {
        if self.lease().is_some() {
            let Some(life) = self.held.as_mut().and_then(|held| held.life.as_mut()) else { return };
            life.extends = false;
            life.end = old_end.map_or(life.end, |end| life.end.min(end));
            let reissue = scene.now + scene.dice.part(life.end.since(scene.now), REISSUE);
            self.due = if self.act == Act::Renew { reissue } else { self.due.min(reissue) };
            self.act = Act::Fetch;
        }
        // A new token may have new policies.
        if matches!(self.backoff.last, Some(FailureKind::Denied | FailureKind::TokenDead)) {
            self.due = self.due.min(scene.now);
        }
    }

    pub(super) fn state(&self, end: Option<Time>, now: Time) -> State {
        match &self.held {
            None => State::Pending,
            Some(_) if end.is_some_and(|end| end <= now) => State::Ended,
            Some(_) if self.backoff.failures > 0 => State::Failing,
            Some(_) => State::Fresh,
        }
    }

    /// [`Entry::stale`](super::Entry::stale).
    pub(super) fn stale(&self, end: Option<Time>, now: Time) -> Option<Time> {
        let confirmed = self.held.as_ref()?.confirmed;
        match end {
            Some(end) => (end <= now).then_some(end.max(confirmed)),
            None => (self.backoff.failures > 0 || now.since(self.due) >= OVERDUE).then_some(confirmed),
        }
    }

    /// The clock went back: keeps what is left, and looks at once.
    pub(super) fn shift(&mut self, back: Duration, now: Time) {
        (self.due, self.fetch_from, self.renewal_from) = (now, now, now);
        let flights = [&mut self.fetch, &mut self.renewal].into_iter().flatten().map(|flight| &mut flight.since);
        let held = self
            .held
            .iter_mut()
            .flat_map(|held| [&mut held.confirmed].into_iter().chain(held.life.as_mut().map(|life| &mut life.end)));
        flights.chain(held).for_each(|time| *time = *time - back);
    }
}
