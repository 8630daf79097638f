//! What has come back is taken in: the planner is told, the answer kept on disk, and only then acted on.

use std::sync::Arc;
use std::time::Duration;

use sidekey_core::failure::{Failure, FailureKind};
use sidekey_core::planner::{LeaseTerms, Planner, Step, Time, TokenId, TokenTerms};
use sidekey_core::{Cause, Code, Lookup, Response};
use sidekey_vault::{Class, Grant, VaultError, diagnose};

use crate::clock::unix_seconds;
use crate::pair;
use crate::request::{self, Answer, Done};
use crate::session::Held;
use crate::sink::Sink;
use crate::supervisor::Supervisor;
use crate::suspects::verdict;
use crate::trouble::Subject;

/// How long the state on disk may not know of secrets that were read again.
const LAG: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Takes in one result and whatever else is ready, then keeps the state. The file is written whole, so secrets that were
    /// read again and are as they were wait for it: all that a kill loses is that they were read.
    pub(crate) fn absorb(&mut self, first: Done) {
        let now = self.now();
        let mut news = self.is_news(&first);
        self.take(first, now);
        while let Some(Ok(done)) = self.work.try_join_next() {
            news |= self.is_news(&done);
            self.take(done, now);
        }
        self.state.sessions.iter_mut().for_each(|session| session.forget_tokens(now));
        if news {
            self.keep();
        } else {
            let by = now + LAG;
            self.keep_by = Some(self.keep_by.map_or(by, |known| known.min(by)));
        }
    }

    /// Whether a restarted agent would do without this what must not be done twice, or write what is not so.
    fn is_news(&self, done: &Done) -> bool {
        let Done::Answered(login, Step::Fetch(lookup), Ok(Answer::Response(response))) = done else { return true };
        let before = self.state.sessions.get(*login).and_then(|session| session.answers.get(lookup));
        !response.lease_id.is_empty() || !before.is_some_and(|before| repeats(before, response))
    }

    fn take(&mut self, done: Done, now: Time) {
        if let Done::Answered(login, Step::LogIn, _) | Done::NoCredential(login, _) = &done {
            self.state.sessions[*login].logging_in = false;
        }
        match done {
            Done::Answered(login, step, Ok(answer)) => self.succeeded(login, step, answer, now),
            Done::Answered(login, step, Err(error)) => self.doubt(login, step, error, now),
            Done::NoCredential(login, cause) => {
                self.count(&cause);
                self.troubles.set(Subject::Login(login), cause);
                self.planner(login).login_failed(&FailureKind::Other.into(), now);
            }
            Done::Probed(login, id, answer) => self.judge(login, id, &answer, now),
            Done::Retired(lease, answer) => self.retired(&lease, &answer, now),
            Done::Wrapped(index, answer) => {
                if let Some(cause) = self.sinks.get_mut(index).and_then(|sink| sink.wrapped(answer, now)) {
                    self.count(&cause);
                    self.troubles.set(Subject::Sink(index), cause);
                }
            }
            // It may have gone well in the meantime.
            Done::Explained(subject, cause) if self.troubles.is_asked_about(&subject) => {
                self.count(&cause);
                self.troubles.set(subject, cause);
            }
            Done::Explained(..) => {}
            Done::Acted(action, result) => match self.notifier.finished(&action, result, now) {
                Some(cause) => self.count(&cause),
                None => self.counters.actions += 1,
            },
        }
    }

    fn judge(&mut self, login: usize, id: TokenId, lives: &Result<bool, VaultError>, now: Time) {
        let kind = verdict(lives);
        if kind == FailureKind::TokenDead {
            self.mourn(login, kind);
            self.planner(login).token_dead(id, now);
        }
        for (step, error) in self.state.sessions[login].suspects.take(lives, now) {
            self.failed(login, &step, &error, kind.into(), now);
        }
    }

    fn planner(&mut self, login: usize) -> &mut Planner {
        &mut self.state.sessions[login].planner
    }

    fn succeeded(&mut self, login: usize, step: Step, answer: Answer, now: Time) {
        self.troubles.clear(&Subject::Server(login));
        match (step, answer) {
            (Step::LogIn, Answer::Grant(grant)) => self.logged_in(login, grant, now),
            (Step::RenewToken, Answer::Renewal(renewal)) => {
                self.counters.renewals += 1;
                self.planner(login).token_renewed(renewal.ttl, now);
            }
            (Step::Fetch(lookup), Answer::Response(response)) => self.fetched(login, &lookup, response, now),
            (Step::RenewLease(lookup), Answer::Renewal(renewal)) => {
                self.counters.renewals += 1;
                self.planner(login).lease_renewed(&lookup, renewal.ttl, now);
            }
            (Step::RevokeToken(id), Answer::Revoked) => {
                tracing::info!("the token before is revoked");
                self.planner(login).token_revoked(id, now);
            }
            _ => {}
        }
    }

    fn logged_in(&mut self, login: usize, grant: Grant, now: Time) {
        let has_default = grant.has_default();
        let Grant { token, accessor, ttl, renewable, uses, batch, .. } = grant;
        let session = &mut self.state.sessions[login];
        let id = session.planner.logged_in(&TokenTerms { ttl, renewable, uses, batch }, now);
        let auth = self.config.auth_of(login);
        tracing::info!(
            mount = auth.mount,
            role = auth.role,
            accessor,
            ttl_seconds = ttl.as_secs(),
            renewable,
            "logged in"
        );
        session.tokens.insert(id, Held { token, accessor, issued: unix_seconds(), has_default });
        self.counters.logins += 1;
        self.troubles.clear(&Subject::Login(login));
        if login == 0 {
            self.sinks.iter_mut().for_each(Sink::outdate);
        }
    }

    fn fetched(&mut self, login: usize, lookup: &Lookup, response: Response, now: Time) {
        let subject = Subject::Secret(login, lookup.clone());
        if let Err(cause) = pair::check(lookup, &response) {
            self.count(&cause);
            self.troubles.set(subject, cause);
            return self.planner(login).fetch_failed(lookup, &FailureKind::Other.into(), now);
        }
        self.counters.fetches += 1;
        self.troubles.clear(&subject);
        let session = &mut self.state.sessions[login];
        let terms = LeaseTerms::of(&response, u64::try_from(unix_seconds()).unwrap_or(0));
        session.planner.fetched(lookup, &terms, now);
        // The old one stays where it is: what is made anew at every look would scatter over the heap.
        if session.answers.get(lookup).is_some_and(|before| repeats(before, &response)) {
            return;
        }
        let before = session.answers.insert(lookup.clone(), Arc::new(response));
        let after = &session.answers[lookup];
        let superseded =
            before.as_ref().map(|before| &before.lease_id).filter(|lease| **lease != after.lease_id).cloned();
        if before.is_none_or(|before| before.data != after.data || before.lease_id != after.lease_id) {
            tracing::info!(path = lookup.path, login = other(login), lease_seconds = after.lease_duration, "fetched");
            self.groups.iter_mut().for_each(|group| group.answered(login, lookup));
        }
        if let Some(lease) = superseded {
            self.superseded(login, lease);
        }
    }

    /// A denial is looked into before anybody is told: the token may be dead.
    fn doubt(&mut self, login: usize, step: Step, error: VaultError, now: Time) {
        let asks = matches!(step, Step::Fetch(_) | Step::RenewLease(_) | Step::RenewToken);
        let session = &mut self.state.sessions[login];
        let shown = session.held().cloned().zip(session.planner.token()).zip(session.client.clone());
        if let (true, Class::Denied, Some(((held, id), client))) = (asks, error.class, shown) {
            if session.suspects.add(step, error, id) {
                let telling = held.has_default && session.suspects.trusts_denials(now);
                self.work.spawn(request::probe(login, client, held.token, id, telling));
            }
        } else {
            self.failed(login, &step, &error, error.failure(), now);
        }
    }

    /// Tells the planner, and people.
    pub(crate) fn failed(&mut self, login: usize, step: &Step, error: &VaultError, failure: Failure, now: Time) {
        if failure.kind == FailureKind::Unreachable {
            // Made anew with the CA files as they are then.
            self.state.sessions[login].client = None;
        } else {
            self.troubles.clear(&Subject::Server(login));
        }
        if *step != Step::LogIn {
            self.mourn(login, failure.kind);
        }
        match step {
            Step::LogIn => {
                self.planner(login).login_failed(&failure, now);
                self.look_into(login, Subject::Login(login), error, failure, now);
            }
            Step::Fetch(lookup) => {
                self.planner(login).fetch_failed(lookup, &failure, now);
                self.look_into(login, Subject::Secret(login, lookup.clone()), error, failure, now);
            }
            Step::RenewToken => {
                self.say_once(failure, "the policy does not let the token be renewed: logging in again before it ends");
                self.look_into(login, Subject::Server(login), error, failure, now);
                self.planner(login).token_renew_failed(&failure, now);
            }
            Step::RenewLease(lookup) => {
                self.say_once(failure, "the policy does not let leases be renewed: left to expire, replaced early");
                self.lease_lost(lookup, error, failure);
                self.look_into(login, Subject::Server(login), error, failure, now);
                self.planner(login).lease_renew_failed(lookup, &failure, now);
            }
            Step::RevokeToken(id) => {
                self.say_once(failure, "the policy does not let the token before be revoked: left to expire");
                self.planner(login).token_revoke_failed(*id, &failure, now);
            }
            Step::Wait(_) => {}
        }
    }

    /// A dead token mends itself, and a renewal that is denied is replaced by something new: no word of these.
    fn look_into(&mut self, login: usize, subject: Subject, error: &VaultError, failure: Failure, now: Time) {
        match failure.kind {
            FailureKind::Unreachable => {
                let cause = diagnose::transport(error, self.config.server_of(login));
                self.count(&cause);
                self.troubles.set(subject, cause);
            }
            FailureKind::TokenDead if !matches!(subject, Subject::Login(_)) => {}
            _ if matches!(subject, Subject::Server(_)) => {}
            _ => self.explain(login, subject, error, now),
        }
    }

    /// Said once for each token: the planner has buried it when the next of its requests comes back.
    fn mourn(&mut self, login: usize, kind: FailureKind) {
        if kind == FailureKind::TokenDead && self.planner(login).token().is_some() {
            let cause = Cause::new(Code::TokenDead, "using the token", "it was revoked or has expired");
            tracing::warn!(code = %cause.code, login = other(login), "{cause}");
            self.count(&cause);
        }
    }

    fn lease_lost(&mut self, lookup: &Lookup, error: &VaultError, failure: Failure) {
        if failure.kind == FailureKind::Missing {
            let attempted = format!("renewing the lease of {}", lookup.path);
            let cause = Cause::new(Code::LeaseLost, attempted, error.answer());
            tracing::warn!(code = %cause.code, path = lookup.path, "{cause}");
            self.count(&cause);
        }
    }

    /// Policies that grant only `read` are normal.
    pub(crate) fn say_once(&mut self, failure: Failure, words: &'static str) {
        if failure.kind == FailureKind::Denied && self.said.insert(words) {
            tracing::info!("{words}");
        }
    }

    fn count(&mut self, cause: &Cause) {
        *self.counters.failures.entry(cause.code).or_default() += 1;
    }
}

/// Whether an answer says what the one before said; each request has an id of its own.
fn repeats(before: &Response, after: &Response) -> bool {
    let terms = |it: &Response| (it.lease_duration, it.renewable);
    before.lease_id == after.lease_id
        && terms(before) == terms(after)
        && before.data == after.data
        && before.auth == after.auth
        && before.warnings == after.warnings
}

/// The number of a login that is not the pod's own, for the log.
fn other(login: usize) -> Option<usize> {
    Some(login).filter(|login| *login > 0)
}
