//! What has changed is told: `status.json`, the socket's readers, the termination message.

use std::sync::Arc;

use sidekey_core::AgentConfig;
use sidekey_core::output::full_path;
use sidekey_core::planner::{Entry, State, Time};

use crate::clock::unix_seconds;
use crate::group::Group;
use crate::member::Member;
use crate::session::Session;
use crate::status::{Counters, FileStatus, LoginStatus, Phase, SecretStatus, Status, TokenStatus};
use crate::supervisor::Supervisor;
use crate::termination;
use crate::trouble::{Subject, Troubles};

impl Status {
    /// Nothing done yet.
    pub(crate) fn of_start(config: &AgentConfig) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: Phase::Starting,
            updated: unix_seconds(),
            login: config.login_name(0),
            cause: None,
            token: None,
            others: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            actions: Vec::new(),
            counters: Counters::default(),
        }
    }
}

impl Supervisor {
    /// Writes the status if it differs from what was written last, but for its date.
    pub(crate) fn report(&mut self, now: Time) {
        let last = self.status.borrow().clone();
        let mut status = self.snapshot(now);
        status.updated = last.updated;
        if *last == status && self.reported {
            return;
        }
        status.updated = unix_seconds();
        self.reported = status
            .save(&self.config.state_dir)
            .inspect_err(|error| {
                tracing::debug!(%error, "the status cannot be written");
            })
            .is_ok();
        self.message(&status);
        self.status.send_replace(Arc::new(status));
    }

    /// While the start lasts the kubelet should show why, however the container ends.
    fn message(&mut self, status: &Status) {
        let line = if status.phase == Phase::Starting { status.line() } else { String::new() };
        if self.told != line {
            termination::write(&self.platform.termination, &line);
            self.told = line;
        }
    }

    fn snapshot(&self, now: Time) -> Status {
        let phase = match (self.ending, self.state.published) {
            (true, _) => Phase::Ending,
            (false, true) => Phase::Ready,
            (false, false) => Phase::Starting,
        };
        let files = self.groups.iter().flat_map(|group| group.members().iter().map(move |member| (group, member)));
        let mut files: Vec<FileStatus> = files.map(|(group, member)| file(group, member, &self.troubles)).collect();
        let order = |file: &FileStatus| self.config.outputs.iter().position(|output| output.name == file.name);
        files.sort_by_key(order);
        Status {
            phase,
            cause: self.troubles.general().cloned(),
            token: self.token(0),
            others: (1..self.config.login_count()).map(|login| self.other(login)).collect(),
            files,
            secrets: self.secrets(now),
            actions: self.notifier.status(),
            counters: self.counters.clone(),
            ..Status::of_start(&self.config)
        }
    }

    fn token(&self, login: usize) -> Option<TokenStatus> {
        let held = self.state.sessions.get(login)?.held()?;
        Some(TokenStatus { accessor: held.accessor.clone(), issued: held.issued })
    }

    fn other(&self, login: usize) -> LoginStatus {
        let (name, cause) = (self.config.login_name(login), self.troubles.of_login(login).cloned());
        LoginStatus { login: name, token: self.token(login), cause }
    }

    fn secrets(&self, now: Time) -> Vec<SecretStatus> {
        let all = self.state.sessions.iter().enumerate();
        let of = |(login, session): (usize, &Session)| {
            session.planner.report(now).iter().map(|entry| self.secret(login, entry, now)).collect::<Vec<_>>()
        };
        all.flat_map(of).collect()
    }

    fn secret(&self, login: usize, entry: &Entry, now: Time) -> SecretStatus {
        let date = |at: Option<Time>| at.map(|at| unix(at, now));
        SecretStatus {
            path: entry.lookup.path.clone(),
            login: (login > 0).then(|| self.config.login_name(login)),
            state: word(entry.state).to_owned(),
            next: date(entry.next),
            expires: date(entry.end),
            answered: date(entry.confirmed),
            failures: entry.failures,
            cause: self.troubles.get(&Subject::Secret(login, entry.lookup.clone())).cloned(),
        }
    }
}

fn file(group: &Group, member: &Member, troubles: &Troubles) -> FileStatus {
    let login = member.login();
    let secret = member.needs().find_map(|lookup| troubles.get(&Subject::Secret(login, lookup.clone())));
    // A file of another login waits for that one alone.
    let secret = secret.or_else(|| troubles.of_login(login).filter(|_| login > 0));
    let output = member.output();
    FileStatus {
        name: output.name.clone(),
        path: full_path(output),
        group: output.group.clone(),
        optional: output.optional,
        good: member.good(),
        stale_since: group.stale_since(),
        cause: member.cause().or(group.cause()).or(secret).cloned(),
    }
}

const fn word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Fresh => "fresh",
        State::Failing => "failing",
        State::Ended => "ended",
    }
}

/// A time of the boot clock as a date, to the second.
pub(crate) fn unix(at: Time, now: Time) -> i64 {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let today = unix_seconds();
    if at >= now { today.saturating_add(seconds(at.since(now))) } else { today.saturating_sub(seconds(now.since(at))) }
}
