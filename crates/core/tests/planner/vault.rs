//! A Vault as far as a planner can tell: tokens, leases, maximums, outages.

use std::collections::BTreeMap;
use std::time::Duration;

use sidekey_core::Lookup;
use sidekey_core::planner::{Failure, FailureKind, LeaseTerms, Time, TokenId, TokenTerms};

#[derive(Clone, Copy, Debug)]
pub struct Role {
    pub ttl: Duration,
    /// Zero: none.
    pub max_ttl: Duration,
    /// Renewals always grant `ttl`.
    pub periodic: bool,
    pub batch: bool,
    pub uses: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Engine {
    Kv {
        hint: u64,
    },
    Database {
        ttl: Duration,
        max_ttl: Duration,
        renewable: bool,
    },
    /// Rotates each `period`, up to five seconds late.
    StaticRole {
        period: Duration,
    },
    Pki {
        ttl: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub from: Time,
    pub to: Time,
    pub failure: Failure,
}

/// What goes wrong for ever.
#[derive(Clone, Debug)]
pub enum Fault {
    LogIn(Failure),
    RenewToken(Failure),
    RenewLease(Failure),
    Fetch(Lookup, Failure),
    /// Renewals of leases and tokens succeed and grant this many seconds; the thing then ends.
    RenewTo(u64),
}

#[derive(Clone, Debug)]
pub struct Token {
    pub since: Time,
    pub end: Time,
    pub uses: Option<u64>,
    max_end: Option<Time>,
}

#[derive(Clone, Debug)]
pub struct Lease {
    pub token: TokenId,
    pub ttl: Duration,
    pub end: Time,
    max_end: Time,
}

#[derive(Clone, Debug)]
pub struct Vault {
    pub role: Role,
    pub engines: BTreeMap<Lookup, Engine>,
    pub outages: Vec<Outage>,
    pub faults: Vec<Fault>,
    pub tokens: BTreeMap<TokenId, Token>,
    pub leases: BTreeMap<String, Lease>,
}

const NEVER: Time = Time::from_millis(u64::MAX);

/// Vault speaks of whole seconds, rounded down.
const fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

impl Vault {
    pub fn new(role: Role, engines: BTreeMap<Lookup, Engine>, outages: Vec<Outage>) -> Self {
        Self { role, engines, outages, faults: Vec::new(), tokens: BTreeMap::new(), leases: BTreeMap::new() }
    }

    pub fn answers(&self, now: Time) -> Result<(), Failure> {
        match self.outages.iter().find(|outage| outage.from <= now && now < outage.to) {
            Some(outage) => Err(outage.failure),
            None => Ok(()),
        }
    }

    fn fault<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.faults.iter().find_map(pick)
    }

    fn spoil(&self, pick: impl Fn(&Fault) -> Option<Failure>) -> Result<(), Failure> {
        self.fault(pick).map_or(Ok(()), Err)
    }

    fn cut(&self, grant: Duration) -> Duration {
        self.fault(|fault| if let Fault::RenewTo(seconds) = fault { Some(Duration::from_secs(*seconds)) } else { None })
            .map_or(grant, |cut| cut.min(grant))
    }

    /// The answer, and the token to file under the id the planner will give it.
    pub fn log_in(&self, now: Time) -> Result<(TokenTerms, Token), Failure> {
        self.answers(now)?;
        self.spoil(|fault| if let Fault::LogIn(failure) = fault { Some(*failure) } else { None })?;
        let Role { ttl, max_ttl, batch, uses, periodic } = self.role;
        let end = if ttl.is_zero() { NEVER } else { now + ttl };
        let max_end = (!max_ttl.is_zero() && !periodic).then(|| now + max_ttl);
        let terms = TokenTerms { ttl, renewable: !batch && !ttl.is_zero(), uses, batch };
        Ok((terms, Token { since: now, end, uses, max_end }))
    }

    fn use_token(&mut self, id: TokenId, now: Time) -> Result<(), Failure> {
        self.answers(now)?;
        let token = self.tokens.get_mut(&id).filter(|token| now < token.end && token.uses != Some(0));
        let token = token.ok_or(Failure::from(FailureKind::TokenDead))?;
        token.uses = token.uses.map(|uses| uses - 1);
        if token.uses == Some(0) {
            token.end = now;
        }
        Ok(())
    }

    pub fn renew_token(&mut self, id: TokenId, now: Time) -> Result<Duration, Failure> {
        self.use_token(id, now)?;
        self.spoil(|fault| if let Fault::RenewToken(failure) = fault { Some(*failure) } else { None })?;
        let ttl = self.cut(self.role.ttl);
        let token = self.tokens.get_mut(&id).unwrap();
        token.end = token.max_end.map_or(now + ttl, |max| max.min(now + ttl));
        Ok(whole(token.end.since(now)))
    }

    pub fn fetch(&mut self, id: TokenId, lookup: &Lookup, now: Time) -> Result<LeaseTerms, Failure> {
        self.use_token(id, now)?;
        self.spoil(|fault| match fault {
            Fault::Fetch(of, failure) if of == lookup => Some(*failure),
            _ => None,
        })?;
        Ok(match self.engines[lookup] {
            Engine::Kv { hint: 0 } => LeaseTerms::Static { hint: None },
            Engine::Kv { hint } => LeaseTerms::Static { hint: Some(Duration::from_secs(hint)) },
            Engine::Pki { ttl } => LeaseTerms::Expiring { ttl },
            Engine::StaticRole { period } => {
                let period = u64::try_from(period.as_millis()).unwrap();
                let late = 5_000.min(period / 4);
                // In the first seconds of each period the rotation is still due.
                let into = now.as_millis() % period;
                let left = if into < late { 0 } else { period - into };
                LeaseTerms::Rotating { ttl: whole(Duration::from_millis(left)) }
            }
            Engine::Database { ttl, max_ttl, renewable } => {
                let left = self.tokens[&id].end.since(now);
                let (ttl, renewable) = if self.role.batch { (ttl.min(whole(left)), false) } else { (ttl, renewable) };
                let name = format!("{}/{}", lookup.path, self.leases.len());
                let (end, max_end) = (now + ttl, now + max_ttl);
                self.leases.insert(name.clone(), Lease { token: id, ttl, end, max_end });
                LeaseTerms::Lease { id: name, ttl, renewable }
            }
        })
    }

    pub fn renew_lease(&mut self, id: TokenId, lease: &str, ttl: Duration, now: Time) -> Result<Duration, Failure> {
        self.use_token(id, now)?;
        self.spoil(|fault| if let Fault::RenewLease(failure) = fault { Some(*failure) } else { None })?;
        if self.dies(lease) <= now {
            return Err(FailureKind::Missing.into());
        }
        let ttl = self.cut(ttl);
        let lease = self.leases.get_mut(lease).unwrap();
        lease.end = lease.max_end.min(now + ttl);
        Ok(whole(lease.end.since(now)))
    }

    pub fn revoke_token(&mut self, id: TokenId, now: Time) -> Result<(), Failure> {
        self.use_token(id, now)?;
        self.tokens.get_mut(&id).unwrap().end = now;
        Ok(())
    }

    /// When the server stops to honour a lease, as things stand.
    pub fn dies(&self, lease: &str) -> Time {
        let lease = &self.leases[lease];
        lease.end.min(self.tokens[&lease.token].end)
    }
}
