//! Steps that are due become requests.

use std::collections::BTreeSet;

use sidekey_core::planner::{FailureKind, Step, Time, TokenId};
use sidekey_core::{Lookup, Sensitive};
use sidekey_vault::{Client, VaultError};

use crate::credential::Source;
use crate::group::Group;
use crate::request;
use crate::supervisor::Supervisor;
use crate::trouble::Subject;

/// More than one planner ever has in flight; what is left waits for the next turn of the loop.
const MOST_AT_ONCE: usize = 64;

impl Supervisor {
    /// Starts what is due; returns when to look again.
    pub(crate) fn launch(&mut self, now: Time) -> Option<Time> {
        for action in self.notifier.start(now) {
            self.work.spawn(request::act(action, self.env.clone()));
        }
        self.retire(now);
        (0..self.state.sessions.len()).filter_map(|login| self.launch_of(login, now)).min()
    }

    fn launch_of(&mut self, login: usize, now: Time) -> Option<Time> {
        for _ in 0..MOST_AT_ONCE {
            let planner = &mut self.state.sessions[login].planner;
            match planner.next(now) {
                Step::Wait(until) => return until,
                step => {
                    planner.started(&step, now);
                    self.start(login, step, now);
                }
            }
        }
        Some(now + std::time::Duration::from_millis(100))
    }

    fn start(&mut self, login: usize, step: Step, now: Time) {
        let client = match self.client(login) {
            Ok(client) => client,
            Err(error) => return self.failed(login, &step, &error, error.failure(), now),
        };
        match step {
            Step::LogIn => {
                self.state.sessions[login].logging_in = true;
                let source = Source::new(&self.config, login, &self.platform.env);
                self.work.spawn(request::log_in(login, client.clone(), source));
                if self.will_ask_twice_at_once(login) {
                    client.warm();
                }
            }
            Step::RevokeToken(id) => self.start_revocation(login, client, id, now),
            step => match (self.current(login), step) {
                (Some(token), Step::RenewToken) => {
                    let auth = self.config.auth_of(login).clone();
                    drop(self.work.spawn(request::renew_token(login, client, auth, token)));
                }
                (Some(token), Step::Fetch(lookup)) => {
                    let mounts = self.state.sessions[login].mounts.clone();
                    drop(self.work.spawn(request::fetch(login, client, token, lookup, mounts)));
                }
                (Some(token), Step::RenewLease(lookup)) => self.start_renewal(login, client, token, lookup, now),
                (None, step) => self.orphaned(login, &step, now),
                _ => {}
            },
        }
    }

    /// What comes after the login wants a second connection, which can be made while Vault thinks. After a failure none is
    /// made ahead: a server in need shall not see two for each try.
    fn will_ask_twice_at_once(&self, login: usize) -> bool {
        let needs: BTreeSet<&Lookup> = self.groups.iter().flat_map(|group| group.needs(login)).collect();
        needs.len() > 1 && self.troubles.get(&Subject::Login(login)).is_none()
    }

    fn start_renewal(&mut self, login: usize, client: Client, token: Sensitive<String>, lookup: Lookup, now: Time) {
        match self.state.sessions[login].planner.lease_id(&lookup).map(str::to_owned) {
            Some(lease) => drop(self.work.spawn(request::renew_lease(login, client, token, lookup, lease))),
            None => self.orphaned(login, &Step::RenewLease(lookup), now),
        }
    }

    /// A superseded token goes only when what replaces its leases is on disk.
    fn start_revocation(&mut self, login: usize, client: Client, id: TokenId, now: Time) {
        let session = &mut self.state.sessions[login];
        let held = session.tokens.get(&id).map(|held| held.token.clone());
        match held {
            Some(token) if self.groups.iter().filter(|group| group.is_of(login)).all(Group::is_settled) => {
                drop(self.work.spawn(request::revoke_token(login, client, token, id)));
            }
            Some(_) => session.planner.token_revoke_postponed(id, now),
            None => session.planner.token_revoked(id, now),
        }
    }

    /// The planner counts on something that is not there: as good as a dead token.
    fn orphaned(&mut self, login: usize, step: &Step, now: Time) {
        let (failure, planner) = (FailureKind::TokenDead.into(), &mut self.state.sessions[login].planner);
        match step {
            Step::RenewToken => planner.token_renew_failed(&failure, now),
            Step::Fetch(lookup) => planner.fetch_failed(lookup, &failure, now),
            Step::RenewLease(lookup) => planner.lease_renew_failed(lookup, &failure, now),
            Step::LogIn | Step::RevokeToken(_) | Step::Wait(_) => {}
        }
    }

    pub(crate) fn current(&self, login: usize) -> Option<Sensitive<String>> {
        self.state.sessions.get(login)?.token()
    }

    pub(crate) fn client(&mut self, login: usize) -> Result<Client, VaultError> {
        self.state.sessions[login].client(self.config.server_of(login))
    }

    /// Asks what is behind a failure, once for each new symptom and rarely after that.
    pub(crate) fn explain(&mut self, login: usize, subject: Subject, error: &VaultError, now: Time) {
        if !self.troubles.ask_about(&subject, error, now) {
            return;
        }
        if let Ok(client) = self.client(login) {
            let (token, config) = (self.current(login), self.config.clone());
            self.work.spawn(request::explain(client, token, config, subject, error.clone()));
        }
    }
}
