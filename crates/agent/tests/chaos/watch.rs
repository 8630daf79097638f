//! What must hold, whatever happens: looked at after each simulated second.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use sidekey_runtime::tls::certified_key;

use crate::ledger::{Issued, Ledger};
use crate::pod::Pod;
use crate::process::Said;
use crate::read::{credentials, groups};
use crate::server::{MOUNT, Server};

/// Requests and new connections in any minute: each of five things at most once a second, and what is asked about failures.
/// What is allowed is far below that product, since whatever fails waits ever longer.
pub(crate) const MOST_A_MINUTE: usize = 120;

/// How old the KV value in a file may be: the interval, and a look that failed once.
const STALE: Duration = Duration::from_secs(45);

/// Versions that were in files.
const REMEMBERED: usize = 16;

/// More memory than this, late in a run against early, is a leak.
const GROWTH: u64 = 3 << 20;

/// A broken invariant, in words.
pub(crate) type Wrong = String;

/// Counted for the report: a claim of no failure says how often it was tried.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) looks: u64,
    /// Seconds that went on before the agent had come to rest.
    pub(crate) unsettled: u64,
    pub(crate) credentials: u64,
    pub(crate) values: u64,
    pub(crate) recoveries: u64,
    pub(crate) requests: u64,
    pub(crate) most_a_minute: usize,
    pub(crate) told: u64,
    pub(crate) weighed: u64,
    pub(crate) memory_early: u64,
    pub(crate) memory_late: u64,
}

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) tally: Tally,
    pub(crate) ledger: Ledger,
    pub(crate) logins: usize,
    pub(crate) grants: usize,
    /// The newest versions of the KV secret in the files, each with its first moment there.
    pub(crate) shown: VecDeque<(usize, Duration)>,
    /// The certificate's serial number, and since when.
    pub(crate) certificate: (String, Duration),
    /// How often each was another.
    pub(crate) changes: usize,
    pub(crate) certificates: usize,
    /// When the last login was.
    pub(crate) login_at: Duration,
    asked: VecDeque<Duration>,
    opened: usize,
    versions: Vec<Duration>,
}

impl Watch {
    /// From now on version `versions.len()` is what KV holds.
    pub(crate) fn put(&mut self, now: Duration) -> usize {
        self.versions.push(now);
        self.versions.len()
    }

    /// What always holds.
    pub(crate) fn look(&mut self, pod: &Pod, server: &Server, said: &Mutex<Said>, scene: &str) -> Result<(), Wrong> {
        self.tally.looks += 1;
        self.count(server)?;
        for user in server.fake.leases().into_iter().filter_map(|lease| lease.username) {
            let line = || said.lock().unwrap().lines;
            self.ledger.issued(user, || Issued { at: server.fake.now(), scene: scene.to_owned(), line: line() });
        }
        for user in groups(pod)?.users.into_iter().chain(pod.users()) {
            self.ledger.seen(user);
        }
        self.follow(pod, server.fake.now())
    }

    /// What is in the files, and since when.
    fn follow(&mut self, pod: &Pod, now: Duration) -> Result<(), Wrong> {
        let seen = pod.pair("pair", ["pair.a", "pair.b"]);
        if let Some(version) = seen.and_then(|seen| seen.first.first()?.parse().ok())
            && self.shown.back().is_none_or(|(newest, _)| *newest != version)
        {
            self.shown.push_back((version, now));
            self.changes += 1;
            if self.shown.len() > REMEMBERED {
                self.shown.pop_front();
            }
        }
        let Some([Some(certificate), Some(key)]) = pod.set("tls", ["tls.crt", "tls.key"]) else { return Ok(()) };
        let serial = certificate.lines().next().unwrap_or_default();
        if serial != self.certificate.0 {
            certified_key(certificate.as_bytes(), key.as_bytes())
                .map_err(|error| format!("the certificate {serial} and its key: {error}"))?;
            self.certificate = (serial.to_owned(), now);
            self.certificates += 1;
        }
        Ok(())
    }

    /// What holds while the server lives and nobody meddles: every credential is good, every value fresh.
    pub(crate) fn honoured(&mut self, pod: &Pod, server: &Server) -> Result<(), Wrong> {
        let credentials = credentials(pod);
        if credentials.len() != 3 {
            return Err(format!("{} of 3 credentials can be read", credentials.len()));
        }
        for (user, password) in credentials {
            self.tally.credentials += 1;
            if !server.fake.honours(&user, &password) {
                return Err(format!("the database does not let {user} in, whose credential is in a file"));
            }
        }
        let now = server.fake.now();
        let version: usize = pod
            .pair("pair", ["pair.a", "pair.b"])
            .and_then(|seen| seen.first.first()?.parse().ok())
            .ok_or("no version of the KV secret can be read")?;
        self.tally.values += 1;
        // Version n is out of date since n + 1 was put.
        match self.versions.get(version) {
            Some(since) if now.saturating_sub(*since) > STALE => {
                Err(format!("version {version} is in the file {:?} after the next one was put", now - *since))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, server: &Server) -> Result<(), Wrong> {
        let requests = server.fake.requests();
        server.fake.clear_requests();
        self.tally.requests += requests.len() as u64;
        for request in &requests {
            self.asked.push_back(request.at);
            if request.path == format!("{MOUNT}/login") {
                self.logins += 1;
                self.login_at = request.at;
            }
            self.grants += usize::from(request.path.starts_with("database/creds/"));
        }
        let (now, opened) = (server.fake.now(), server.front.opened());
        for _ in self.opened..opened {
            self.asked.push_back(now);
        }
        self.opened = opened;
        while self.asked.front().is_some_and(|at| now.saturating_sub(*at) > Duration::from_secs(60)) {
            self.asked.pop_front();
        }
        self.tally.most_a_minute = self.tally.most_a_minute.max(self.asked.len());
        if self.asked.len() > MOST_A_MINUTE {
            return Err(format!("{} requests in a minute, {MOST_A_MINUTE} are allowed", self.asked.len()));
        }
        Ok(())
    }

    /// Leases that were lost are accounted for, as [`Ledger::account`] says.
    pub(crate) fn account(&mut self, now: Duration, at_end: bool, said: &Mutex<Said>) -> Result<(), Wrong> {
        self.ledger.account(now, at_end).map_err(|(user, Issued { at, scene, line })| {
            let said = said.lock().unwrap().around(line);
            format!("{said}the lease of {user}, issued at {at:?} in {scene}, reached no file")
        })
    }

    /// Notes the agent's memory, in bytes, early or late in the run.
    pub(crate) fn weigh(&mut self, memory: u64, late: bool) {
        self.tally.weighed += 1;
        let most = if late { &mut self.tally.memory_late } else { &mut self.tally.memory_early };
        *most = memory.max(*most);
    }

    pub(crate) fn flat(&self) -> Result<(), Wrong> {
        let (early, late) = (self.tally.memory_early, self.tally.memory_late);
        if late > early + GROWTH { Err(format!("memory grew from {early} to {late} bytes")) } else { Ok(()) }
    }

    /// Nothing that the agent tells others holds a secret, and it has not panicked.
    pub(crate) fn told(&mut self, pod: &Pod, said: &Mutex<Said>) -> Result<(), Wrong> {
        self.tally.told += 1;
        if let Some(line) = &said.lock().unwrap().wrong {
            return Err(format!("said: {line}"));
        }
        for file in ["state/status.json", "termination"] {
            let text = std::fs::read_to_string(pod.path(file)).unwrap_or_default();
            if crate::process::SECRETS.iter().any(|secret| text.contains(secret)) {
                return Err(format!("{file} holds a secret"));
            }
        }
        Ok(())
    }
}
