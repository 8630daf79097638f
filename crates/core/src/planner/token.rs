//! The token at hand, its renewal and its successor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::life::{LONGEST, Life, MIN_GAP, late};
use super::policy::{OldToken, Policy};
use super::step::TokenId;
use crate::backoff::{self, Backoff};
use crate::dice::Dice;
use crate::failure::{Failure, FailureKind};
use crate::lease::TokenTerms;
use crate::time::Time;

/// A token that dies younger than this makes the next login wait: something kills tokens.
const YOUNG: Duration = Duration::from_secs(60);
/// Superseded tokens that are remembered; older ones are left to expire.
const MAX_SUPERSEDED: usize = 4;
/// Tries to revoke one before the end.
const MAX_REVOCATIONS: u32 = 4;
/// Between two of them after an error of the server's own, during which nothing is held back.
const REVOCATION_PAUSE: Duration = Duration::from_secs(60);
/// First and longest wait for what the agent has to do before a revocation; nothing is asked meanwhile.
const POSTPONED: backoff::Pace = (Duration::from_secs(1), Duration::from_secs(30));

const FIRST: TokenId = TokenId(1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) id: TokenId,
    since: Time,
    /// `None` never ends.
    pub(super) life: Option<Life>,
    uses: Option<u64>,
    /// Uses that are not spent: a token that is used up is revoked at once, with its leases.
    reserve: u64,
    revocable: bool,
    /// The last end of all leases it asked for.
    pub(super) leases_until: Time,
}

impl Token {
    fn new(id: TokenId, terms: &TokenTerms, crowded: bool, since: Time) -> Self {
        // Renewing spends uses for nothing: a token of few uses is replaced.
        let extends = terms.renewable && !terms.batch && terms.uses.is_none();
        let life = (!terms.ttl.is_zero()).then(|| Life::new(terms.ttl, extends, crowded, since));
        let reserve = terms.uses.map_or(0, |uses| (uses / 2).min(2));
        Self { id, since, life, uses: terms.uses, reserve, revocable: !terms.batch, leases_until: since }
    }

    pub(super) fn ended(&self, now: Time) -> bool {
        self.life.as_ref().is_some_and(|life| life.ended(now)) || self.uses == Some(0)
    }

    pub(super) fn age(&self, now: Time) -> Duration {
        now.since(self.since)
    }

    fn spent(&self) -> bool {
        self.uses.is_some_and(|uses| uses <= self.reserve)
    }

    /// The end that its leases cannot outlive, once it is known.
    pub(super) fn last_end(&self, now: Time) -> Option<Time> {
        self.life.as_ref().filter(|life| !life.extends || life.ended(now)).map(|life| life.end)
    }
}

/// A token whose successor is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Superseded {
    pub(super) id: TokenId,
    end: Option<Time>,
    /// `None` at the pod's end only.
    due: Option<Time>,
    pub(super) leases_until: Time,
    tries: u32,
    #[serde(default)]
    postponed: u32,
    #[serde(skip)]
    in_flight: bool,
}

impl Superseded {
    /// `None` when it expires before it may be revoked, or that is the end's to do.
    fn revoke_at(&self) -> Option<Time> {
        let at = self.due?.max(self.leases_until);
        (self.end.is_none_or(|end| at < end) && !self.in_flight).then_some(at)
    }

    pub(super) fn lives(&self, now: Time) -> bool {
        self.end.is_none_or(|end| now < end)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    LogIn,
    Renew,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tokens {
    issued: u64,
    pub(super) current: Option<Token>,
    pub(super) superseded: Vec<Superseded>,
    act: Act,
    /// `None` never.
    due: Option<Time>,
    pub(super) logins: Backoff,
    renewals: Backoff,
    died_young: u32,
    /// Never earlier, whatever is due: the gap between two of a kind, and `Retry-After`.
    login_from: Time,
    renewal_from: Time,
    #[serde(skip)]
    login_since: Option<Time>,
    #[serde(skip)]
    renewal_since: Option<(TokenId, Time)>,
    /// What was begun last had waited for the server.
    #[serde(skip)]
    late: bool,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            issued: 0,
            current: None,
            superseded: Vec::new(),
            act: Act::LogIn,
            due: Some(Time::default()),
            logins: Backoff::default(),
            renewals: Backoff::default(),
            died_young: 0,
            login_from: Time::default(),
            renewal_from: Time::default(),
            login_since: None,
            renewal_since: None,
            late: false,
        }
    }

    pub(super) fn usable(&self, now: Time) -> Option<&Token> {
        self.current.as_ref().filter(|token| !token.ended(now))
    }

    pub(super) fn life(&self) -> Option<&Life> {
        self.current.as_ref()?.life.as_ref()
    }

    /// The next thing to do and when. A renewal that hangs, or may not be asked for yet, does not keep a login waiting
    /// once it is urgent.
    pub(super) fn ready(&self, now: Time) -> Option<(Time, Act)> {
        if self.login_since.is_some() {
            return None;
        }
        let (at, act) = match (self.act, self.life()) {
            (Act::Renew, Some(life)) if life.ended(now) => (life.end, Act::LogIn),
            (Act::Renew, Some(life)) => {
                let urgent = life.urgent_at().max(self.due?);
                let blocked = self.renewal_since.is_some() || self.renewal_from > urgent;
                if blocked { (urgent, Act::LogIn) } else { (self.due?.min(life.end), Act::Renew) }
            }
            _ => (self.due?, Act::LogIn),
        };
        let from = if act == Act::LogIn { self.login_from } else { self.renewal_from };
        Some((at.max(from), act))
    }

    /// How to come to a token that outlives a lease of `ttl`, where this one does not and no try has just failed.
    /// `Some(None)` while one is under way.
    pub(super) fn lengthen(&self, ttl: Duration, now: Time) -> Option<Option<Act>> {
        let life = self.life()?;
        // A token shorter than the lease is long enough when it is fresh.
        if life.end.since(now) >= (ttl + MIN_GAP).min(life.ttl * 9 / 10) {
            return None;
        }
        if self.login_since.is_some() || self.renewal_since.is_some() {
            return Some(None);
        }
        let (failures, from) = match self.act {
            Act::LogIn => (self.logins.failures, self.login_from),
            Act::Renew => (self.renewals.failures, self.renewal_from),
        };
        (failures == 0 && from <= now).then_some(Some(self.act))
    }

    pub(super) fn started(&mut self, act: Act, now: Time) {
        self.late = self.ready(now).is_some_and(|(due, _)| late(due, now));
        match act {
            Act::LogIn => (self.login_since, self.login_from) = (Some(now), now + MIN_GAP),
            Act::Renew => {
                self.renewal_from = now + MIN_GAP;
                self.renewal_since = self.current.as_ref().map(|token| (token.id, now));
                self.spend(now);
            }
        }
    }

    /// One request was made with the current token.
    pub(super) fn spend(&mut self, now: Time) {
        let Some(token) = &mut self.current else { return };
        token.uses = token.uses.map(|uses| uses.saturating_sub(1));
        if token.spent() {
            self.log_in_at(now);
        }
    }

    /// A login no later than this.
    pub(super) fn log_in_at(&mut self, at: Time) {
        self.due = Some(if self.act == Act::LogIn { self.due.map_or(at, |due| due.min(at)) } else { at });
        self.act = Act::LogIn;
    }

    /// Returns the token before, if there was one.
    pub(super) fn logged_in(
        &mut self,
        terms: &TokenTerms,
        policy: &Policy,
        now: Time,
        dice: &mut Dice,
    ) -> Option<Token> {
        let since = self.login_since.take().unwrap_or(now).min(now);
        self.issued = self.issued.saturating_add(1);
        let (id, late) = (TokenId(self.issued), std::mem::take(&mut self.late));
        let token = Token::new(id, terms, id == FIRST || late || self.logins.is_shared(), since);
        self.logins.reset();
        self.renewals.reset();
        self.act = if token.life.as_ref().is_some_and(|life| !life.extends) { Act::LogIn } else { Act::Renew };
        self.due = token.life.as_ref().map(|life| life.first_look(None, dice));
        let before = self.current.replace(token);
        if let Some(token) = &before {
            self.died_young = 0;
            self.supersede(token, policy, now);
        }
        before
    }

    fn supersede(&mut self, token: &Token, policy: &Policy, now: Time) {
        self.superseded.retain(|old| old.lives(now));
        if policy.old_token == OldToken::Forget || !token.revocable || token.ended(now) {
            return;
        }
        if self.superseded.len() >= MAX_SUPERSEDED {
            self.superseded.remove(0);
        }
        self.superseded.push(Superseded {
            id: token.id,
            end: token.life.as_ref().map(|life| life.end),
            due: (policy.old_token == OldToken::Revoke).then(|| now + policy.overlap),
            leases_until: token.leases_until,
            tries: 0,
            postponed: 0,
            in_flight: false,
        });
    }

    pub(super) fn login_failed(&mut self, failure: &Failure, policy: &Policy, now: Time, dice: &mut Dice) {
        (self.login_since, self.late) = (None, false);
        let (shortest, longest) = policy.login_backoff;
        let mends_itself = !matches!(failure.kind, FailureKind::Denied | FailureKind::Missing | FailureKind::Other);
        let longest = if mends_itself { longest.min(Duration::from_secs(60)) } else { longest };
        let wait = self.logins.fail(failure, (shortest.min(longest), longest.min(LONGEST)), dice);
        if failure.retry_after.is_some() {
            self.login_from = now + wait;
        }
        (self.due, self.act) = match self.life().filter(|life| !life.ended(now)) {
            // Perhaps the token at hand can be renewed after all.
            Some(life) if life.extends && life.end.since(now) < life.ttl / 2 => {
                (Some(now + life.bound(wait, now)), Act::Renew)
            }
            Some(life) => (Some(now + life.bound(wait, now)), Act::LogIn),
            None => (Some(now + wait), Act::LogIn),
        };
    }

    fn renewal_of_current(&mut self) -> Option<(Time, &mut Life)> {
        let (id, since) = self.renewal_since.take()?;
        let token = self.current.as_mut().filter(|token| token.id == id)?;
        Some((since, token.life.as_mut()?))
    }

    pub(super) fn renewed(&mut self, granted: Duration, dice: &mut Dice) {
        let crowded = std::mem::take(&mut self.late) || self.renewals.is_shared();
        let Some((since, life)) = self.renewal_of_current() else { return };
        let look = life.renewed(granted, since, crowded, dice);
        let act = if life.extends { Act::Renew } else { Act::LogIn };
        (self.due, self.act) = (Some(look), act);
        self.renewals.reset();
    }

    pub(super) fn renew_failed(&mut self, failure: &Failure, now: Time, dice: &mut Dice) {
        self.late = false;
        let again = now + self.renewals.fail(failure, backoff::pace(failure.kind), dice);
        if failure.retry_after.is_some() {
            self.renewal_from = again;
        }
        let Some((_, life)) = self.renewal_of_current() else { return };
        let (due, act) = match failure.kind {
            FailureKind::Denied | FailureKind::Missing => (life.last_look(now, dice), Act::LogIn),
            _ if again < life.urgent_at() => (again, Act::Renew),
            _ => (life.urgent_at(), Act::LogIn),
        };
        (self.due, self.act) = (Some(due), act);
    }

    /// The token of the renewal that is under way.
    pub(super) fn renewing(&self) -> Option<TokenId> {
        self.renewal_since.map(|(id, _)| id)
    }

    pub(super) fn dead(&mut self, id: TokenId, policy: &Policy, now: Time, dice: &mut Dice) {
        self.superseded.retain(|old| old.id != id);
        let Some(token) = self.current.take_if(|token| token.id == id) else { return };
        let young = token.life.as_ref().map_or(YOUNG, |life| YOUNG.min(life.ttl / 2));
        self.died_young = if token.age(now) < young { self.died_young.saturating_add(1) } else { 0 };
        let wait = if self.died_young > 0 {
            backoff::grown((MIN_GAP, policy.login_backoff.1.clamp(MIN_GAP, LONGEST)), self.died_young, dice)
        } else {
            Duration::ZERO
        };
        (self.act, self.due) = (Act::LogIn, Some(now + wait));
    }

    /// The superseded token to revoke next, and when.
    pub(super) fn revocation(&self) -> Option<(Time, TokenId)> {
        self.superseded.iter().filter_map(|old| Some((old.revoke_at()?, old.id))).min()
    }

    pub(super) fn revocation_started(&mut self, id: TokenId) {
        if let Some(old) = self.superseded.iter_mut().find(|old| old.id == id) {
            old.in_flight = true;
        }
    }

    pub(super) fn revoked(&mut self, id: TokenId) {
        self.superseded.retain(|old| old.id != id);
    }

    pub(super) fn revoke_failed(&mut self, id: TokenId, failure: &Failure, now: Time, dice: &mut Dice) {
        let again = !matches!(failure.kind, FailureKind::Denied | FailureKind::TokenDead | FailureKind::Missing);
        self.superseded.retain(|old| old.id != id || again);
        let Some(old) = self.superseded.iter_mut().find(|old| old.id == id) else { return };
        (old.in_flight, old.tries) = (false, old.tries + 1);
        let wait = match failure.kind {
            FailureKind::Other => REVOCATION_PAUSE,
            kind => backoff::grown(backoff::pace(kind), old.tries, dice),
        };
        let next = now + wait.max(failure.retry_after.unwrap_or_default());
        old.due = (old.tries <= MAX_REVOCATIONS).then_some(next);
    }

    /// No try: it is due again a little later each time.
    pub(super) fn revocation_postponed(&mut self, id: TokenId, now: Time, dice: &mut Dice) {
        let Some(old) = self.superseded.iter_mut().find(|old| old.id == id) else { return };
        (old.in_flight, old.postponed) = (false, old.postponed.saturating_add(1));
        old.due = Some(now + backoff::grown(POSTPONED, old.postponed, dice));
    }

    pub(super) fn lease_until(&mut self, id: TokenId, end: Time) {
        let current = self.current.iter_mut().map(|token| (token.id, &mut token.leases_until));
        let superseded = self.superseded.iter_mut().map(|old| (old.id, &mut old.leases_until));
        if let Some((_, until)) = current.chain(superseded).find(|(token, _)| *token == id) {
            *until = (*until).max(end);
        }
    }

    /// The clock went back: keeps what is left of everything, and asks the server at once.
    pub(super) fn shift(&mut self, back: Duration, now: Time) {
        (self.login_from, self.renewal_from, self.due) = (now, now, self.due.map(|_| now));
        let flights = self.login_since.iter_mut().chain(self.renewal_since.as_mut().map(|(_, since)| since));
        let current = self.current.iter_mut().flat_map(|token| {
            let end = token.life.as_mut().map(|life| &mut life.end);
            [&mut token.since, &mut token.leases_until].into_iter().chain(end)
        });
        let superseded = self
            .superseded
            .iter_mut()
            .flat_map(|old| [&mut old.leases_until].into_iter().chain(&mut old.due).chain(&mut old.end));
        flights.chain(current).chain(superseded).for_each(|time| *time = *time - back);
    }
}
