//! Steps that are due become requests.

use sidekey_core::planner::{FailureKind, Step, Time, TokenId};
use sidekey_core::{Lookup, Sensitive};
use sidekey_vault::{Client, VaultError};

use crate::credential::Source;
use crate::group::Group;
use crate::request;
use crate::supervisor::Supervisor;
use crate::trouble::Subject;

/// More than the planner ever has in flight; what is left waits for the next turn of the loop.
const MOST_AT_ONCE: usize = 64;

impl Supervisor {
    /// Starts what is due; returns when to look again.
    pub(crate) fn launch(&mut self, now: Time) -> Option<Time> {
        for action in self.notifier.start(now) {
            self.work.spawn(request::act(action, self.env.clone()));
        }
        for _ in 0..MOST_AT_ONCE {
            match self.state.planner.next(now) {
                Step::Wait(until) => return until,
                step => {
                    self.state.planner.started(&step, now);
                    self.start(step, now);
                }
            }
        }
        Some(now + std::time::Duration::from_millis(100))
    }

    fn start(&mut self, step: Step, now: Time) {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return self.failed(&step, &error, error.failure(), now),
        };
        match step {
            Step::LogIn => {
                self.logging_in = true;
                self.work.spawn(request::log_in(client, Source::new(&self.config, &self.platform.env)));
            }
            Step::RevokeToken(id) => self.start_revocation(client, id, now),
            step => match (self.current(), step) {
                (Some(token), Step::RenewToken) => {
                    drop(self.work.spawn(request::renew_token(client, self.config.auth.clone(), token)));
                }
                (Some(token), Step::Fetch(lookup)) => {
                    drop(self.work.spawn(request::fetch(client, token, lookup, self.state.mounts.clone())));
                }
                (Some(token), Step::RenewLease(lookup)) => self.start_renewal(client, token, lookup, now),
                (None, step) => self.orphaned(&step, now),
                _ => {}
            },
        }
    }

    fn start_renewal(&mut self, client: Client, token: Sensitive<String>, lookup: Lookup, now: Time) {
        match self.state.planner.lease_id(&lookup).map(str::to_owned) {
            Some(lease) => drop(self.work.spawn(request::renew_lease(client, token, lookup, lease))),
            None => self.orphaned(&Step::RenewLease(lookup), now),
        }
    }

    /// A superseded token goes only when what replaces its leases is on disk.
    fn start_revocation(&mut self, client: Client, id: TokenId, now: Time) {
        let held = self.state.tokens.get(&id).map(|held| held.token.clone());
        match held {
            Some(token) if self.groups.iter().all(Group::is_settled) => {
                drop(self.work.spawn(request::revoke_token(client, token, id)));
            }
            Some(_) => self.state.planner.token_revoke_failed(id, &FailureKind::Other.into(), now),
            None => self.state.planner.token_revoked(id, now),
        }
    }

    /// The planner counts on something that is not there: as good as a dead token.
    fn orphaned(&mut self, step: &Step, now: Time) {
        let failure = FailureKind::TokenDead.into();
        match step {
            Step::RenewToken => self.state.planner.token_renew_failed(&failure, now),
            Step::Fetch(lookup) => self.state.planner.fetch_failed(lookup, &failure, now),
            Step::RenewLease(lookup) => self.state.planner.lease_renew_failed(lookup, &failure, now),
            Step::LogIn | Step::RevokeToken(_) | Step::Wait(_) => {}
        }
    }

    pub(crate) fn current(&self) -> Option<Sensitive<String>> {
        let id = self.state.planner.token()?;
        self.state.tokens.get(&id).map(|held| held.token.clone())
    }

    /// Made when needed, and again after a failure that a changed CA file may have mended.
    pub(crate) fn client(&mut self) -> Result<Client, VaultError> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => Client::new(&self.config.server).inspect(|client| self.client = Some(client.clone())),
        }
    }

    /// Asks what is behind a failure, once for each new symptom and rarely after that.
    pub(crate) fn explain(&mut self, subject: Subject, error: &VaultError, now: Time) {
        if !self.troubles.ask_about(&subject, error, now) {
            return;
        }
        if let Ok(client) = self.client() {
            let (token, config) = (self.current(), self.config.clone());
            self.work.spawn(request::explain(client, token, config, subject, error.clone()));
        }
    }
}
