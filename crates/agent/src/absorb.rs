//! What has come back is taken in: the planner is told, the answer kept on disk, and only then acted on.

use std::sync::Arc;

use sidekey_core::failure::{Failure, FailureKind};
use sidekey_core::planner::{LeaseTerms, Step, Time, TokenTerms};
use sidekey_core::{Cause, Code, Lookup, Response};
use sidekey_vault::{Class, Grant, VaultError, diagnose};

use crate::clock::unix_seconds;
use crate::pair;
use crate::request::{self, Answer, Done};
use crate::sink::Sink;
use crate::state::Held;
use crate::supervisor::Supervisor;
use crate::suspects::verdict;
use crate::trouble::Subject;

impl Supervisor {
    /// Takes in one result and whatever else is ready, then keeps the state.
    pub(crate) fn absorb(&mut self, first: Done) {
        let now = self.now();
        self.take(first, now);
        while let Some(Ok(done)) = self.work.try_join_next() {
            self.take(done, now);
        }
        let needed = self.state.planner.tokens();
        self.state.tokens.retain(|id, _| needed.contains(id));
        self.keep();
    }

    fn take(&mut self, done: Done, now: Time) {
        self.logging_in &= !matches!(done, Done::Answered(Step::LogIn, _) | Done::NoCredential(_));
        match done {
            Done::Answered(step, Ok(answer)) => self.succeeded(step, answer, now),
            Done::Answered(step, Err(error)) => self.doubt(step, error, now),
            Done::NoCredential(cause) => {
                self.count(&cause);
                self.troubles.set(Subject::Login, cause);
                self.state.planner.login_failed(&FailureKind::Other.into(), now);
            }
            Done::Probed(id, answer) => {
                let kind = verdict(&answer);
                if kind == FailureKind::TokenDead {
                    self.mourn(kind);
                    self.state.planner.token_dead(id, now);
                }
                for (step, error) in self.suspects.take() {
                    self.failed(&step, &error, kind.into(), now);
                }
            }
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

    fn succeeded(&mut self, step: Step, answer: Answer, now: Time) {
        self.troubles.clear(&Subject::Server);
        match (step, answer) {
            (Step::LogIn, Answer::Grant(grant)) => self.logged_in(grant, now),
            (Step::RenewToken, Answer::Renewal(renewal)) => {
                self.counters.renewals += 1;
                self.state.planner.token_renewed(renewal.ttl, now);
            }
            (Step::Fetch(lookup), Answer::Response(response)) => self.fetched(&lookup, response, now),
            (Step::RenewLease(lookup), Answer::Renewal(renewal)) => {
                self.counters.renewals += 1;
                self.state.planner.lease_renewed(&lookup, renewal.ttl, now);
            }
            (Step::RevokeToken(id), Answer::Revoked) => {
                tracing::info!("the token before is revoked");
                self.state.planner.token_revoked(id, now);
            }
            _ => {}
        }
    }

    fn logged_in(&mut self, grant: Grant, now: Time) {
        let Grant { token, accessor, ttl, renewable, uses, batch, .. } = grant;
        let id = self.state.planner.logged_in(&TokenTerms { ttl, renewable, uses, batch }, now);
        let auth = &self.config.auth;
        tracing::info!(
            mount = auth.mount,
            role = auth.role,
            accessor,
            ttl_seconds = ttl.as_secs(),
            renewable,
            "logged in"
        );
        self.state.tokens.insert(id, Held { token, accessor, issued: unix_seconds() });
        self.counters.logins += 1;
        self.troubles.clear(&Subject::Login);
        self.sinks.iter_mut().for_each(Sink::outdate);
    }

    fn fetched(&mut self, lookup: &Lookup, response: Response, now: Time) {
        if let Err(cause) = pair::check(lookup, &response) {
            self.count(&cause);
            self.troubles.set(Subject::Secret(lookup.clone()), cause);
            return self.state.planner.fetch_failed(lookup, &FailureKind::Other.into(), now);
        }
        let terms = LeaseTerms::of(&response, u64::try_from(unix_seconds()).unwrap_or(0));
        self.state.planner.fetched(lookup, &terms, now);
        self.counters.fetches += 1;
        self.troubles.clear(&Subject::Secret(lookup.clone()));
        let before = self.state.answers.insert(lookup.clone(), Arc::new(response));
        let after = &self.state.answers[lookup];
        if before.is_none_or(|before| before.data != after.data || before.lease_id != after.lease_id) {
            tracing::info!(path = lookup.path, lease_seconds = after.lease_duration, "fetched");
            let changed = [lookup.clone()].into();
            self.groups.iter_mut().for_each(|group| group.answered(&changed));
        }
    }

    /// A denial is looked into before anybody is told: the token may be dead.
    fn doubt(&mut self, step: Step, error: VaultError, now: Time) {
        let asks = matches!(step, Step::Fetch(_) | Step::RenewLease(_) | Step::RenewToken);
        let (token, id) = (self.current(), self.state.planner.token());
        if let (true, Class::Denied, Some(token), Some(id), Some(client)) = (asks, error.class, token, id, &self.client)
        {
            let client = client.clone();
            if self.suspects.add(step, error, id) {
                self.work.spawn(request::probe(client, token, id));
            }
        } else {
            self.failed(&step, &error, error.failure(), now);
        }
    }

    /// Tells the planner, and people.
    pub(crate) fn failed(&mut self, step: &Step, error: &VaultError, failure: Failure, now: Time) {
        if failure.kind == FailureKind::Unreachable {
            // Made anew with the CA files as they are then.
            self.client = None;
        } else {
            self.troubles.clear(&Subject::Server);
        }
        if *step != Step::LogIn {
            self.mourn(failure.kind);
        }
        match step {
            Step::LogIn => {
                self.state.planner.login_failed(&failure, now);
                self.look_into(Subject::Login, error, failure, now);
            }
            Step::Fetch(lookup) => {
                self.state.planner.fetch_failed(lookup, &failure, now);
                self.look_into(Subject::Secret(lookup.clone()), error, failure, now);
            }
            Step::RenewToken => {
                self.say_once(failure, "the policy does not let the token be renewed: logging in again before it ends");
                self.look_into(Subject::Server, error, failure, now);
                self.state.planner.token_renew_failed(&failure, now);
            }
            Step::RenewLease(lookup) => {
                self.say_once(failure, "the policy does not let leases be renewed: left to expire, replaced early");
                self.lease_lost(lookup, error, failure);
                self.look_into(Subject::Server, error, failure, now);
                self.state.planner.lease_renew_failed(lookup, &failure, now);
            }
            Step::RevokeToken(id) => {
                self.say_once(failure, "the policy does not let the token before be revoked: left to expire");
                self.state.planner.token_revoke_failed(*id, &failure, now);
            }
            Step::Wait(_) => {}
        }
    }

    /// A dead token mends itself, and a renewal that is denied is replaced by something new: no word of these.
    fn look_into(&mut self, subject: Subject, error: &VaultError, failure: Failure, now: Time) {
        match failure.kind {
            FailureKind::Unreachable => {
                let cause = diagnose::transport(error, &self.config.server);
                self.count(&cause);
                self.troubles.set(subject, cause);
            }
            FailureKind::TokenDead if subject != Subject::Login => {}
            _ if subject == Subject::Server => {}
            _ => self.explain(subject, error, now),
        }
    }

    /// Said once for each token: the planner has buried it when the next of its requests comes back.
    fn mourn(&mut self, kind: FailureKind) {
        if kind == FailureKind::TokenDead && self.state.planner.token().is_some() {
            let cause = Cause::new(Code::TokenDead, "using the token", "it was revoked or has expired");
            tracing::warn!(code = %cause.code, "{cause}");
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
    fn say_once(&mut self, failure: Failure, words: &'static str) {
        if failure.kind == FailureKind::Denied && self.said.insert(words) {
            tracing::info!("{words}");
        }
    }

    fn count(&mut self, cause: &Cause) {
        *self.counters.failures.entry(cause.code).or_default() += 1;
    }
}
