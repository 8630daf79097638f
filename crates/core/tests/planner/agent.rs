//! An agent without a disk: does what the planner says, publishes what it gets, and keeps a book of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sidekey_core::Lookup;
use sidekey_core::planner::{Failure, LeaseTerms, Planner, Policy, Step, Time, TokenTerms};

use crate::vault::{Engine, Outage, Token, Vault};

/// How the agent's clock differs from the world's: set at a moment, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Jump {
    pub at: Time,
    pub back: Duration,
}

#[derive(Clone, Debug)]
pub struct World {
    pub policy: Policy,
    pub vault: Vault,
    pub seed: u64,
    /// Every `n`th request takes this long, the others 20 ms.
    pub slow: (u64, Duration),
    /// The machine sleeps: nothing runs, all clocks go on.
    pub suspends: Vec<(Time, Time)>,
    pub jumps: Vec<Jump>,
    /// The agent is killed: what is in flight is lost, the state kept.
    pub kills: Vec<Time>,
    pub begin: Time,
    pub end: Time,
}

enum Answer {
    LoggedIn(Result<(TokenTerms, Token), Failure>),
    TokenRenewed(Result<Duration, Failure>),
    Fetched(Result<LeaseTerms, Failure>),
    LeaseRenewed(Result<Duration, Failure>),
    TokenRevoked(Result<(), Failure>),
}

/// What happened.
#[derive(Default)]
pub struct Book {
    /// Steps and when they were started, in order; all times are the world's.
    pub started: Vec<(Time, Step)>,
    /// Failures: when known, of which step.
    pub failed: Vec<(Time, Step, Failure)>,
    /// Leases published: when, for which lookup, which.
    pub published: Vec<(Time, Lookup, String)>,
    /// All answers to fetches, with the time of the answer.
    pub fetched: Vec<(Time, Lookup)>,
    /// Leases alive on a token at the moment it was revoked.
    pub cut_off: Vec<String>,
}

impl Book {
    pub fn count(&self, of: impl Fn(&Step) -> bool) -> usize {
        self.started.iter().filter(|(_, step)| of(step)).count()
    }

    /// Starts of each distinct step.
    pub fn by_step(&self) -> BTreeMap<String, Vec<Time>> {
        let mut steps: BTreeMap<String, Vec<Time>> = BTreeMap::new();
        for (at, step) in &self.started {
            steps.entry(format!("{step:?}")).or_default().push(*at);
        }
        steps
    }
}

struct Run {
    world: World,
    planner: Planner,
    book: Book,
    in_flight: Vec<(Time, Step, Answer)>,
    now: Time,
    sent: u64,
}

pub fn run(world: World) -> (Book, Vault, Planner) {
    let mut planner = Planner::new(world.policy.clone(), world.seed);
    planner.want(&world.vault.engines.keys().cloned().collect::<BTreeSet<_>>());
    let now = world.begin;
    let mut run = Run { world, planner, book: Book::default(), in_flight: Vec::new(), now, sent: 0 };
    while run.now < run.world.end {
        run.turn();
    }
    (run.book, run.world.vault, run.planner)
}

impl Run {
    fn clock(&self) -> Time {
        let back = self.world.jumps.iter().filter(|jump| jump.at <= self.now).map(|jump| jump.back).sum::<Duration>();
        self.now - back
    }

    fn turn(&mut self) {
        match self.planner.next(self.clock()) {
            Step::Wait(until) => self.wait(until),
            step => self.start(step),
        }
    }

    fn start(&mut self, step: Step) {
        let clock = self.clock();
        assert!(
            self.book.started.iter().rev().take(50).filter(|(at, _)| *at == self.now).count() < 40,
            "a loop without a wait: {step:?}"
        );
        self.sent += 1;
        let (nth, long) = self.world.slow;
        let takes = if self.sent.is_multiple_of(nth) { long } else { Duration::from_millis(20) };
        let reached = self.now + takes / 2;
        let answer = self.ask(&step, reached);
        self.planner.started(&step, clock);
        self.book.started.push((self.now, step.clone()));
        self.in_flight.push((self.now + takes, step, answer));
    }

    fn ask(&mut self, step: &Step, at: Time) -> Answer {
        let vault = &mut self.world.vault;
        let token = self.planner.token().unwrap_or_default();
        match step {
            Step::LogIn => Answer::LoggedIn(vault.log_in(at)),
            Step::RenewToken => Answer::TokenRenewed(vault.renew_token(token, at)),
            Step::Fetch(lookup) => Answer::Fetched(vault.fetch(token, lookup, at)),
            Step::RenewLease(lookup) => {
                let Engine::Database { ttl, .. } = vault.engines[lookup] else { panic!("no lease there: {lookup:?}") };
                let lease = self.planner.lease_id(lookup).unwrap().to_owned();
                Answer::LeaseRenewed(vault.renew_lease(token, &lease, ttl, at))
            }
            Step::RevokeToken(id) => {
                let alive = vault.leases.iter().filter(|(_, lease)| lease.token == *id && lease.end > at);
                self.book.cut_off.extend(alive.map(|(name, _)| name.clone()));
                Answer::TokenRevoked(vault.revoke_token(*id, at))
            }
            Step::Wait(_) => unreachable!(),
        }
    }

    /// To the next thing that happens.
    fn wait(&mut self, until: Option<Time>) {
        let clock = self.clock();
        if let Some(until) = until {
            assert!(until > clock, "waits for what has been: {until} at {clock}");
        }
        let kill = self.world.kills.iter().copied().find(|kill| *kill > self.now);
        let jump = self.world.jumps.iter().map(|jump| jump.at).find(|at| *at > self.now);
        let answer = self.in_flight.iter().map(|(at, ..)| *at).min();
        let wake = until.map(|until| self.now + until.since(clock));
        let mut next = [kill, jump, answer, wake].into_iter().flatten().min().unwrap_or(self.world.end);
        if let Some((_, to)) = self.world.suspends.iter().find(|(from, to)| (*from..*to).contains(&next)) {
            next = *to;
        }
        self.now = next.min(self.world.end);
        if kill == Some(self.now) {
            self.die();
        }
        self.deliver();
    }

    fn die(&mut self) {
        self.in_flight.clear();
        let state = serde_json::to_string(&self.planner).unwrap();
        self.planner = serde_json::from_str(&state).unwrap();
    }

    fn deliver(&mut self) {
        while let Some(index) = self.in_flight.iter().position(|(at, ..)| *at <= self.now) {
            let (_, step, answer) = self.in_flight.swap_remove(index);
            self.absorb(&step, answer);
        }
    }

    fn absorb(&mut self, step: &Step, answer: Answer) {
        let now = self.clock();
        let planner = &mut self.planner;
        let failure = match (step, answer) {
            (_, Answer::LoggedIn(Ok((terms, token)))) => {
                let id = planner.logged_in(&terms, now);
                self.world.vault.tokens.insert(id, token);
                None
            }
            (_, Answer::TokenRenewed(Ok(granted))) => {
                planner.token_renewed(granted, now);
                None
            }
            (Step::Fetch(lookup), Answer::Fetched(Ok(terms))) => {
                planner.fetched(lookup, &terms, now);
                self.book.fetched.push((self.now, lookup.clone()));
                if let LeaseTerms::Lease { id, .. } = terms {
                    self.book.published.push((self.now, lookup.clone(), id));
                }
                None
            }
            (Step::RenewLease(lookup), Answer::LeaseRenewed(Ok(granted))) => {
                planner.lease_renewed(lookup, granted, now);
                None
            }
            (Step::RevokeToken(id), Answer::TokenRevoked(Ok(()))) => {
                planner.token_revoked(*id, now);
                None
            }
            (_, Answer::LoggedIn(Err(failure))) => Some(failure),
            (_, Answer::TokenRenewed(Err(failure)) | Answer::LeaseRenewed(Err(failure))) => Some(failure),
            (_, Answer::Fetched(Err(failure))) => Some(failure),
            (_, Answer::TokenRevoked(Err(failure))) => Some(failure),
            (step, _) => panic!("no answer to {step:?}"),
        };
        if let Some(failure) = failure {
            fail(planner, step, &failure, now);
            self.book.failed.push((self.now, step.clone(), failure));
        }
    }
}

pub fn fail(planner: &mut Planner, step: &Step, failure: &Failure, now: Time) {
    match step {
        Step::LogIn => planner.login_failed(failure, now),
        Step::RenewToken => planner.token_renew_failed(failure, now),
        Step::Fetch(lookup) => planner.fetch_failed(lookup, failure, now),
        Step::RenewLease(lookup) => planner.lease_renew_failed(lookup, failure, now),
        Step::RevokeToken(id) => planner.token_revoke_failed(*id, failure, now),
        Step::Wait(_) => {}
    }
}

/// A published lease that the server stopped to honour before its successor came.
#[derive(Debug)]
pub struct Gap {
    pub lookup: Lookup,
    pub dead: Time,
    pub replaced: Time,
    /// The longer of the lease's and the token's time to live.
    pub ttl: Duration,
}

/// All gaps of a run.
pub fn gaps(book: &Book, vault: &Vault, end: Time) -> Vec<Gap> {
    let mut at_hand: BTreeMap<&Lookup, &String> = BTreeMap::new();
    let mut gaps = Vec::new();
    let mut close = |lookup: &Lookup, lease: &String, replaced: Time| {
        let dead = vault.dies(lease);
        if dead < replaced {
            let ttl = vault.leases[lease].ttl.max(vault.role.ttl);
            gaps.push(Gap { lookup: lookup.clone(), dead, replaced, ttl });
        }
    };
    for (at, lookup, lease) in &book.published {
        if let Some(before) = at_hand.insert(lookup, lease) {
            close(lookup, before, *at);
        }
    }
    for (lookup, lease) in at_hand {
        close(lookup, lease, end);
    }
    gaps
}

/// Whether an outage, or the time to notice its end, explains the gap.
pub fn excused(gap: &Gap, outages: &[Outage], grace: Duration) -> bool {
    outages.iter().any(|outage| {
        outage.from <= gap.replaced
            && outage.to + gap.ttl / 2 >= gap.dead
            && gap.replaced <= outage.to.max(gap.dead) + grace
    })
}
