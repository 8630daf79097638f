//! What is known of one login.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sidekey_cluster::jitter;
use sidekey_core::Sensitive;
use sidekey_vault::{Class, Client, Renewal, VaultError};
use tokio::time::Instant;

use super::{FORGOTTEN, Former, Identity, Reply, Session};
use crate::digest;
use crate::login::Granted;
use crate::metrics::Metrics;
use crate::plan::auth::Login;
use crate::plan::outcome::Trouble;
use crate::plan::storage::Ticket;
use crate::reach::Reach;

/// A login that works.
pub(super) struct Live {
    pub(super) serial: u64,
    pub(super) token: Arc<Sensitive<String>>,
    pub(super) id: String,
    pub(super) reach: Reach,
    /// By Vault namespace.
    pub(super) clients: BTreeMap<Option<String>, Client>,
    /// When the token ends; never, for a root-like token.
    pub(super) ends: Option<Instant>,
    pub(super) renew: Option<Instant>,
    pub(super) ttl: Duration,
    pub(super) ticket: Ticket,
    pub(super) before: Former,
    /// Whether the next process can take it up.
    pub(super) kept: bool,
    pub(super) metrics: Metrics,
}

/// What is known of one identity.
pub(super) struct Slot {
    pub(super) login: Arc<Login>,
    pub(super) live: Option<Live>,
    pub(super) candidate: Option<Live>,
    /// The last few that an edit has ended the use of.
    pub(super) before: Former,
    pub(super) doubted: Option<Instant>,
    pub(super) busy: bool,
    /// Whether the VaultAuth is not there any more.
    pub(super) gone: bool,
    /// Whether what was kept is known by now: there, or not.
    pub(super) tried: bool,
    pub(super) waiting: Vec<(Option<String>, Reply)>,
    pub(super) doubting: Vec<(Option<String>, Reply)>,
    pub(super) failed: Option<(Trouble, Instant, u32)>,
    pub(super) asked: Instant,
    /// What was learnt of the way to the server while a login is on it.
    pub(super) reach: Option<Reach>,
    /// When to look whether it is in use, unless it was when last looked at.
    pub(super) over: Option<Instant>,
}

impl Slot {
    pub(super) fn new(login: &Arc<Login>) -> Self {
        Self {
            login: Arc::clone(login),
            live: None,
            candidate: None,
            before: Former::default(),
            doubted: None,
            busy: false,
            gone: false,
            tried: false,
            waiting: Vec::new(),
            doubting: Vec::new(),
            failed: None,
            asked: Instant::now(),
            reach: None,
            over: None,
        }
    }

    /// When there is something to do without being asked: a renewal, or a failed login to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        match (&self.live, &self.failed) {
            (Some(live), _) => live.renew,
            (None, Some((_, until, _))) if !self.busy && self.asked.elapsed() < FORGOTTEN => Some(*until),
            _ => None,
        }
    }

    /// Whether the login in use should outlive the process and does not yet.
    pub(super) fn is_unkept(&self) -> bool {
        !self.gone && self.live.as_ref().is_some_and(|live| !live.kept && live.ticket.lasts())
    }

    /// Waiters get the session in use; doubters the newest.
    pub(super) fn answer(&mut self, identity: &Identity, login: &Login) {
        if let Some(live) = &mut self.live {
            for (namespace, reply) in self.waiting.drain(..) {
                let _ = reply.send(live.session(identity, namespace, login));
            }
        }
        if let Some(newest) = self.candidate.as_mut().or(self.live.as_mut()) {
            for (namespace, reply) in self.doubting.drain(..) {
                let _ = reply.send(newest.session(identity, namespace, login));
            }
        }
    }
}

impl Live {
    pub(super) fn new(serial: u64, granted: Granted, now: Instant, metrics: Metrics) -> Self {
        let Granted { ticket, reach, client, .. } = granted;
        let grant = &ticket.grant;
        let lasting = !grant.ttl.is_zero();
        let id = if grant.accessor.is_empty() { String::new() } else { digest::blake2b(grant.accessor.as_bytes()) };
        Self {
            serial,
            id,
            metrics,
            clients: [(reach.server.namespace.clone(), client)].into(),
            token: Arc::new(grant.token.clone()),
            reach,
            ends: lasting.then(|| now + grant.ttl),
            renew: lasting.then(|| now + next(grant.ttl, grant.renewable)),
            ttl: grant.ttl,
            ticket,
            before: Former::default(),
            kept: false,
        }
    }

    /// Too near its end to begin anything with.
    pub(super) fn is_worn(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| now + self.ttl.mul_f64(0.1) >= ends)
    }

    /// Takes a renewal in; false when the token is of no more use.
    pub(super) fn renewed(&mut self, result: &Result<Renewal, VaultError>) -> bool {
        let now = Instant::now();
        match result {
            Ok(renewal) if !renewal.ttl.is_zero() => {
                self.ends = Some(now + renewal.ttl);
                self.renew = Some(now + next(renewal.ttl, renewal.renewable));
                !self.is_worn(now)
            }
            Ok(_) => true,
            Err(error) if error.class == Class::InvalidToken => false,
            // Left to its end: the policy may not allow a renewal, or Vault is away.
            Err(_) => {
                let left = self.ends.map_or(Duration::ZERO, |ends| ends.saturating_duration_since(now));
                self.renew = Some(now + jitter::within(left, (0.2, 0.4)).max(Duration::from_secs(1)));
                !self.is_worn(now)
            }
        }
    }

    /// Clients of other Vault namespaces than the login's own.
    pub(super) fn copies(&self) -> usize {
        self.clients.len().saturating_sub(1)
    }

    pub(super) fn session(
        &mut self,
        identity: &Identity,
        namespace: Option<String>,
        login: &Login,
    ) -> Result<Session, Trouble> {
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).or_else(|| login.namespace.clone());
        if namespace != login.namespace {
            self.metrics.clone_asked(self.clients.contains_key(&namespace));
        }
        let client = match self.clients.get(&namespace) {
            Some(client) => client.clone(),
            None => {
                let made = self.reach.within(namespace.clone()).client()?;
                self.clients.insert(namespace, made.clone());
                made
            }
        };
        let (identity, token, id) = (identity.clone(), Arc::clone(&self.token), self.id.clone());
        let cache_key = self.ticket.cache_key.clone();
        let before = Arc::clone(&self.before);
        Ok(Session { identity, serial: self.serial, client, token, ttl: self.ttl, id, before, cache_key })
    }
}

/// Until a token needs care: a renewal, or, where it cannot be renewed, its replacement.
fn next(ttl: Duration, renewable: bool) -> Duration {
    jitter::within(ttl, if renewable { (0.6, 0.7) } else { (0.85, 0.9) })
}
