//! Leases that have a successor, where the configuration asks for their early end.
//!
//! Vault breaks the sessions of a database user whose lease it revokes, so an old lease runs to its natural end unless somebody
//! asks for less: then it goes an overlap after its successor is on disk and every action after that change is done.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sidekey_core::planner::{FailureKind, Time};
use sidekey_vault::{Class, VaultError};

use crate::group::Group;
use crate::request;
use crate::supervisor::Supervisor;

/// More than one overlap ever sees; what is beyond is left to its natural end.
const MOST: usize = 32;

/// Tries to revoke one of them.
const TRIES: u32 = 5;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(60);

/// A lease that was replaced; never to be logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Old {
    login: usize,
    lease: String,
    /// When it goes; `None` until its successor is in use.
    due: Option<Time>,
    tries: u32,
    #[serde(skip)]
    in_flight: bool,
}

impl Supervisor {
    /// A secret has a new lease.
    pub(crate) fn superseded(&mut self, login: usize, lease: String) {
        let old = &mut self.state.superseded;
        if self.config.refresh.revoke_superseded_seconds.is_some() && !lease.is_empty() && old.len() < MOST {
            old.push(Old { login, lease, due: None, tries: 0, in_flight: false });
        }
    }

    /// Revokes what is due, one at a time.
    pub(crate) fn retire(&mut self, now: Time) {
        let Some(overlap) = self.config.refresh.revoke_superseded_seconds else { return };
        if self.groups.iter().all(Group::is_settled) && self.notifier.is_idle() {
            let due = now + Duration::from_secs(overlap.into());
            self.state.superseded.iter_mut().for_each(|old| old.due = old.due.or(Some(due)));
        }
        if self.state.superseded.iter().any(|old| old.in_flight) {
            return;
        }
        let Some(index) = self.state.superseded.iter().position(|old| old.due.is_some_and(|due| due <= now)) else {
            return;
        };
        let login = self.state.superseded[index].login;
        if let (Some(token), Ok(client)) = (self.current(login), self.client(login)) {
            let old = &mut self.state.superseded[index];
            old.in_flight = true;
            self.work.spawn(request::revoke_lease(client, token, old.lease.clone()));
        }
    }

    /// When the next one is due.
    pub(crate) fn retires_at(&self) -> Option<Time> {
        self.state.superseded.iter().filter(|old| !old.in_flight).filter_map(|old| old.due).min()
    }

    /// What came of it. A policy that does not let leases be revoked is normal, and a lease that is gone is as good.
    pub(crate) fn retired(&mut self, lease: &str, answer: &Result<(), VaultError>, now: Time) {
        let again = match answer {
            Ok(()) => {
                tracing::info!("the lease before is revoked");
                false
            }
            Err(error) if error.class == Class::Denied => {
                let words = "the policy does not let leases be revoked: left to expire";
                self.say_once(FailureKind::Denied.into(), words);
                false
            }
            Err(error) => {
                let kind = error.failure().kind;
                error.class == Class::Internal
                    || matches!(kind, FailureKind::Unreachable | FailureKind::Limited | FailureKind::Stale)
            }
        };
        self.state.superseded.retain(|old| old.lease != lease || (again && old.tries + 1 < TRIES));
        if let Some(old) = self.state.superseded.iter_mut().find(|old| old.lease == lease) {
            (old.in_flight, old.tries, old.due) = (false, old.tries + 1, Some(now + PAUSE));
        }
    }
}
