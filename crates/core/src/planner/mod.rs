//! When to log in, renew, fetch again, revoke: `(state, now) → Step`. Pure: jitter comes from a seed, time is an argument.
//!
//! The agent asks [`Planner::next`], does the step, and tells how it went; each answer moves one of these machines:
//!
//! ```text
//! token   none ──log in──▶ alive ──renew at ⅔──▶ alive … ──grant cut, denied, not renewable──▶ last
//!         last ──log in before its end──▶ alive (the next one); the one before is superseded
//!         superseded ──all its leases at their natural end──▶ revoked, or left to expire
//!         any ──a look-up says dead──▶ none
//! secret  pending ──fetch──▶ held: static │ rotating │ expiring │ lease
//!         lease ──renew at ⅔──▶ lease … ──grant cut, denied, gone──▶ last ──fetch before its end──▶ lease (a new one)
//!         lease of a superseded token ──fetch──▶ lease of the token in use;  of a dead token ──▶ ended ──fetch──▶ lease
//! ```
//!
//! - *Make before break.* Nothing is given up for a step: a new lease or token comes while the old one still holds, with
//!   a third of its life left. Ends count from when a request was sent, so they are never later than the server's.
//! - *Ends that are not told.* How far a lease or token extends is learnt from what renewals grant; a lease also ends with
//!   the token that asked for it.
//! - *Isolation.* Each secret has its own back-off, and those that fail may use half of the places in flight. Only an
//!   unreachable or limiting server holds everything back, and never a thing in the last fifth of its life.
//! - *No crowd.* Every look is jittered, and widely where many agents look at one moment: after a start, and after a server
//!   that was away. What began in a crowd ends in one, and is replaced as widely apart (docs/fleet.md).
//! - *No hot loop.* A second lies between two steps of one kind for one thing, whatever the server grants; repeated
//!   failures, tokens that die young and answers that end at once wait ever longer.
//! - *Clock.* A leap ahead makes things due, and what has ended is fetched again. A clock that goes back behind the
//!   last event keeps what was left of everything, and looks at everything at once.

mod life;
mod pairs;
mod policy;
mod report;
mod slot;
mod step;
mod token;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::life::{MIN_GAP, admitted};
pub use self::policy::{OldToken, Policy};
pub use self::report::{Entry, Session, State};
use self::slot::{Act, Scene, Slot};
pub use self::step::{Step, TokenId};
use self::token::{Act as TokenAct, Tokens};
use crate::backoff::Hold;
use crate::dice::Dice;
pub use crate::failure::{Failure, FailureKind};
pub use crate::lease::{LeaseTerms, TokenTerms};
use crate::lookup::Lookup;
pub use crate::time::Time;

/// A clock that goes back by less than this is read as standing still.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// A token this old is exchanged when a policy denies a secret and no lease hangs on it: policies that were added to the
/// role since come with a new token only.
const STALE_POLICIES: Duration = Duration::from_secs(300);

/// The state. Serialised it is the resume state: lease ids and lookups, never a token, never a secret's data. What was in
/// flight when it was serialised is not in flight when it is read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planner {
    policy: Policy,
    dice: Dice,
    tokens: Tokens,
    #[serde(with = "pairs")]
    slots: BTreeMap<Lookup, Slot>,
    hold: Hold,
    /// The latest time heard of.
    seen: Time,
    #[serde(skip)]
    revoking: bool,
}

impl Planner {
    /// Knows nothing, wants nothing: the first step is a login. `seed` makes the jitter.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self {
            policy,
            dice: Dice::new(seed),
            tokens: Tokens::new(),
            slots: BTreeMap::new(),
            hold: Hold::default(),
            seen: Time::default(),
            revoking: false,
        }
    }

    /// The most urgent step that is not in flight.
    pub fn next(&self, now: Time) -> Step {
        if now + CLOCK_SLACK < self.seen {
            let mut shifted = self.clone();
            shifted.hear(now);
            return shifted.decide(now);
        }
        self.decide(now)
    }

    fn decide(&self, now: Time) -> Step {
        let mut wake = None;
        let token = self.token_step(now, &mut wake);
        token
            .or_else(|| self.secret_step(now, &mut wake))
            .or_else(|| self.revocation_step(now, &mut wake))
            .unwrap_or(Step::Wait(wake))
    }

    fn token_step(&self, now: Time, wake: &mut Option<Time>) -> Option<Step> {
        let (ready, act) = self.tokens.ready(now)?;
        let at = admitted(ready, self.hold.until, self.tokens.life(), now);
        due(at, now, wake).then_some(step_of(act))
    }

    /// Leases first, the one that ends first before the others.
    fn secret_step(&self, now: Time, wake: &mut Option<Time>) -> Option<Step> {
        self.tokens.usable(now)?;
        let (all, failing) = self.in_flight();
        let (room, room_to_fail) = (all < self.policy.concurrency, failing < (self.policy.concurrency / 2).max(1));
        let mut first: Option<((bool, Time), Step)> = None;
        for (lookup, slot) in &self.slots {
            let has_room = room && (room_to_fail || slot.backoff.failures == 0);
            let Some((ready, act)) = slot.ready(now).filter(|_| has_room) else { continue };
            if due(admitted(ready, self.hold.until, slot.life(), now), now, wake) {
                let rank = slot.life().map_or((true, ready), |life| (false, life.end));
                if first.as_ref().is_none_or(|(least, _)| rank < *least) {
                    first = self.step_for(lookup, slot, act, now).map(|step| (rank, step)).or(first);
                }
            }
        }
        first.map(|(_, step)| step)
    }

    /// A lease dies with its token, so none is asked for under a token that ends sooner: that one is renewed or exchanged
    /// first. `None` while this is under way.
    fn step_for(&self, lookup: &Lookup, slot: &Slot, act: Act, now: Time) -> Option<Step> {
        if act == Act::Renew {
            return Some(Step::RenewLease(lookup.clone()));
        }
        let lease =
            slot.life().filter(|life| slot.lease().is_some() && life.urgent_at() > now && self.hold.until <= now);
        match lease.and_then(|life| self.tokens.lengthen(life.ttl, now)) {
            Some(act) => act.map(step_of),
            None => Some(Step::Fetch(lookup.clone())),
        }
    }

    fn in_flight(&self) -> (usize, usize) {
        self.slots.values().fold((0, 0), |(all, failing), slot| {
            let flying = usize::from(slot.fetch.is_some()) + usize::from(slot.renewal.is_some());
            (all + flying, failing + if slot.backoff.failures > 0 { flying } else { 0 })
        })
    }

    fn revocation_step(&self, now: Time, wake: &mut Option<Time>) -> Option<Step> {
        let (at, id) = self.tokens.revocation().filter(|_| !self.revoking)?;
        due(admitted(at, self.hold.until, None, now), now, wake).then_some(Step::RevokeToken(id))
    }

    /// Marks a step in flight; each must be answered once, by the method its [`Step`] names.
    pub fn started(&mut self, step: &Step, now: Time) {
        self.hear(now);
        let (lookup, act) = match step {
            Step::LogIn => return self.tokens.started(TokenAct::LogIn, now),
            Step::RenewToken => return self.tokens.started(TokenAct::Renew, now),
            Step::RevokeToken(id) => {
                self.revoking = true;
                return self.tokens.revocation_started(*id);
            }
            Step::Fetch(lookup) => (lookup, Act::Fetch),
            Step::RenewLease(lookup) => (lookup, Act::Renew),
            Step::Wait(_) => return,
        };
        if let (Some(slot), Some(token)) = (self.slots.get_mut(lookup), self.tokens.current.as_ref()) {
            slot.started(act, token.id, now);
            self.tokens.spend(now);
        }
    }

    /// What the outputs need now, all of it. What is new is fetched, what is gone is dropped (a lease is left to expire).
    pub fn want(&mut self, lookups: &BTreeSet<Lookup>) {
        self.slots.retain(|lookup, _| lookups.contains(lookup));
        for lookup in lookups {
            if !self.slots.contains_key(lookup) {
                self.slots.insert(lookup.clone(), Slot::new());
            }
        }
    }

    /// A login succeeded; the returned id names its token from now on.
    pub fn logged_in(&mut self, grant: &TokenTerms, now: Time) -> TokenId {
        self.hear(now);
        self.hold.answered(now);
        let before = self.tokens.logged_in(grant, &self.policy, now, &mut self.dice);
        let old_end = match &before {
            Some(token) if token.ended(now) => Some(now),
            before => before.as_ref().and_then(|token| token.life.as_ref()).map(|life| life.end),
        };
        self.each_slot(now, |slot, scene| slot.token_superseded(old_end, scene));
        self.token().unwrap_or_default()
    }

    /// A login failed.
    pub fn login_failed(&mut self, failure: &Failure, now: Time) {
        self.hear(now);
        self.hold.failed(failure, now, &mut self.dice);
        self.tokens.login_failed(failure, &self.policy, now, &mut self.dice);
    }

    /// The current token was renewed; `granted` is the answer's `lease_duration`.
    pub fn token_renewed(&mut self, granted: Duration, now: Time) {
        self.hear(now);
        self.hold.answered(now);
        self.tokens.renewed(granted, &mut self.dice);
    }

    /// It was not.
    pub fn token_renew_failed(&mut self, failure: &Failure, now: Time) {
        self.hear(now);
        self.hold.failed(failure, now, &mut self.dice);
        let token = self.tokens.renewing();
        self.tokens.renew_failed(failure, now, &mut self.dice);
        self.bury(token, failure, now);
    }

    /// A look-up confirmed that this token is dead: its leases are, too. Says nothing new about a token already known to be.
    pub fn token_dead(&mut self, token: TokenId, now: Time) {
        self.hear(now);
        self.bury(Some(token), &FailureKind::TokenDead.into(), now);
    }

    fn bury(&mut self, token: Option<TokenId>, failure: &Failure, now: Time) {
        let Some(token) = token.filter(|_| failure.kind == FailureKind::TokenDead) else { return };
        self.tokens.dead(token, &self.policy, now, &mut self.dice);
        self.slots.values_mut().filter(|slot| slot.leased_by(token)).for_each(|slot| slot.token_died(now));
    }

    /// A superseded token was revoked.
    pub fn token_revoked(&mut self, token: TokenId, now: Time) {
        self.hear(now);
        self.hold.answered(now);
        self.revoking = false;
        self.tokens.revoked(token);
    }

    /// It was not. A few tries later it is left to the pod's end.
    pub fn token_revoke_failed(&mut self, token: TokenId, failure: &Failure, now: Time) {
        self.hear(now);
        self.hold.failed(failure, now, &mut self.dice);
        self.revoking = false;
        self.tokens.revoke_failed(token, failure, now, &mut self.dice);
    }

    /// It was not even tried, as what replaces the token's leases is not in place yet. It comes again until the token expires.
    pub fn token_revoke_postponed(&mut self, token: TokenId, now: Time) {
        self.hear(now);
        self.revoking = false;
        self.tokens.revocation_postponed(token, now, &mut self.dice);
    }

    /// A secret was fetched.
    pub fn fetched(&mut self, lookup: &Lookup, terms: &LeaseTerms, now: Time) {
        self.hear(now);
        self.hold.answered(now);
        self.with_slot(lookup, now, |slot, scene| slot.fetched(terms, scene));
        if let LeaseTerms::Lease { ttl, .. } = terms {
            self.note_lease(lookup, *ttl, now);
        }
    }

    /// It was not. `TokenDead` also does what [`Self::token_dead`] does, to the token the request was made with.
    pub fn fetch_failed(&mut self, lookup: &Lookup, failure: &Failure, now: Time) {
        self.hear(now);
        self.hold.failed(failure, now, &mut self.dice);
        let token = self.with_slot(lookup, now, |slot, scene| slot.fetch_failed(failure, scene));
        self.bury(token, failure, now);
        if failure.kind == FailureKind::Denied {
            self.doubt_policies(now);
        }
    }

    /// Exchanges a token whose policies may be those of yesterday, if that harms no lease.
    fn doubt_policies(&mut self, now: Time) {
        let old = self.tokens.usable(now).is_some_and(|token| token.age(now) >= STALE_POLICIES);
        if old && self.tokens.logins.failures == 0 && self.slots.values().all(|slot| slot.lease().is_none()) {
            self.tokens.log_in_at(now);
        }
    }

    /// A lease was renewed; `granted` is the answer's `lease_duration`.
    pub fn lease_renewed(&mut self, lookup: &Lookup, granted: Duration, now: Time) {
        self.hear(now);
        self.hold.answered(now);
        self.with_slot(lookup, now, |slot, scene| {
            slot.renewed(granted, scene);
            None
        });
        self.note_lease(lookup, granted, now);
    }

    /// It was not. `TokenDead` as in [`Self::fetch_failed`].
    pub fn lease_renew_failed(&mut self, lookup: &Lookup, failure: &Failure, now: Time) {
        self.hear(now);
        self.hold.failed(failure, now, &mut self.dice);
        let token = self.with_slot(lookup, now, |slot, scene| slot.renew_failed(failure, scene));
        self.bury(token, failure, now);
    }

    /// The token to use.
    pub fn token(&self) -> Option<TokenId> {
        self.tokens.current.as_ref().map(|token| token.id)
    }

    /// Every token that may still be needed, the current one and superseded ones that live; the agent forgets the others.
    pub fn tokens(&self, now: Time) -> BTreeSet<TokenId> {
        let superseded = self.tokens.superseded.iter().filter(|old| old.lives(now));
        self.token().into_iter().chain(superseded.map(|old| old.id)).collect()
    }

    /// For [`Step::RenewLease`].
    pub fn lease_id(&self, lookup: &Lookup) -> Option<&str> {
        Some(&self.slots.get(lookup)?.lease()?.id)
    }

    fn hear(&mut self, now: Time) {
        if now + CLOCK_SLACK < self.seen {
            let back = self.seen.since(now);
            self.tokens.shift(back, now);
            self.slots.values_mut().for_each(|slot| slot.shift(back, now));
            self.hold = Hold::default();
            self.seen = now;
        }
        self.seen = self.seen.max(now);
    }

    fn with_slot(
        &mut self,
        lookup: &Lookup,
        now: Time,
        f: impl FnOnce(&mut Slot, &mut Scene<'_>) -> Option<TokenId>,
    ) -> Option<TokenId> {
        let token = self.token();
        let slot = self.slots.get_mut(lookup)?;
        f(slot, &mut Scene { now, policy: &self.policy, dice: &mut self.dice, token })
    }

    fn each_slot(&mut self, now: Time, mut f: impl FnMut(&mut Slot, &mut Scene<'_>)) {
        let token = self.token();
        let mut scene = Scene { now, policy: &self.policy, dice: &mut self.dice, token };
        self.slots.values_mut().for_each(|slot| f(slot, &mut scene));
    }

    /// A grant counts from when the server gave it, at the latest now, and is rounded down to a second: until it is over for
    /// certain the token is not revoked.
    fn note_lease(&mut self, lookup: &Lookup, granted: Duration, now: Time) {
        if let Some(lease) = self.slots.get(lookup).and_then(Slot::lease) {
            self.tokens.lease_until(lease.token, now + granted.saturating_add(MIN_GAP));
        }
    }
}

const fn step_of(act: TokenAct) -> Step {
    match act {
        TokenAct::LogIn => Step::LogIn,
        TokenAct::Renew => Step::RenewToken,
    }
}

/// Whether `at` has come; if not, the wake-up is no later.
fn due(at: Time, now: Time, wake: &mut Option<Time>) -> bool {
    if at > now {
        *wake = Some(wake.map_or(at, |wake| wake.min(at)));
    }
    at <= now
}
