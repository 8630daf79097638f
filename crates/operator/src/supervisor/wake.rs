//! Whom a change concerns.

use std::time::Duration;

use sidekey_core::Code;
use tokio::time::Instant;

use super::schedule::Used;
use super::{Supervisor, destination, destination_of};
use crate::controllers::Refers;
use crate::types::Kind;
use crate::types::destination::Destination;
use crate::types::object::Key;

/// A failing secret has its connection looked at, unless that was done a moment ago.
const MOMENT: Duration = Duration::from_secs(3);

impl Supervisor {
    /// An object that others refer to came, went or changed: those that used it, use it now, or lack something look again.
    pub(super) fn wake_dependants(&mut self, of: &Key) {
        let (now, all) = (Instant::now(), matches!(of.kind, Kind::SecretTransformation));
        if !self.unlisted.is_empty() || !(all || is_referred_to(of.kind)) {
            return;
        }
        let concerned = |(key, uses): &(&Key, Used<'_>)| {
            if !(key.kind.is_secret() || key.kind.is_auth()) || *key == of {
                return false;
            }
            let Some(object) = self.cache.get(key) else { return false };
            if all {
                let refers = |to: Destination| !to.transformation.transformation_refs.is_empty();
                return destination_of(object).is_some_and(refers);
            }
            uses.has(of)
                || match self.refers(key, object) {
                    Refers::Login(Ok(login)) => {
                        login.auth == *of || login.connection.key == *of || of.kind == Kind::VaultAuthGlobal
                    }
                    Refers::Login(Err(_)) => true,
                    _ => false,
                }
        };
        let keys: Vec<_> = self.schedule.all().filter(concerned).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.schedule.at(&key, now);
        }
    }

    /// What failed and uses this object looks again: it is well now.
    pub(super) fn wake_failing(&mut self, of: &Key) {
        let concerned = |(_, uses): &(&Key, Used<'_>)| uses.has(of);
        let keys: Vec<_> = self.schedule.failing().filter(concerned).map(|(key, _)| key.clone()).collect();
        let now = Instant::now();
        for key in keys {
            self.schedule.at(&key, now);
        }
    }

    /// A login was replaced: what holds a lease under the old one looks again.
    pub(super) fn wake_leases(&mut self, of: &Key) {
        let concerned = |(key, uses): &(&Key, Used<'_>)| key.kind == Kind::VaultDynamicSecret && uses.has(of);
        let keys: Vec<_> = self.schedule.all().filter(concerned).map(|(key, _)| key.clone()).collect();
        let now = Instant::now();
        for key in keys {
            self.schedule.at(&key, now);
        }
    }

    /// What failed and has this destination looks again: the Secret that stood in its way is gone.
    pub(super) fn wake_failing_on(&mut self, namespace: &str, name: &str) {
        let concerned = |(key, _): &(&Key, Used<'_>)| {
            key.kind.is_secret()
                && &*key.namespace == namespace
                && self.cache.get(key).and_then(|object| destination(object)).is_some_and(|own| own == name)
        };
        let keys: Vec<_> = self.schedule.failing().filter(concerned).map(|(key, _)| key.clone()).collect();
        let now = Instant::now();
        for key in keys {
            self.schedule.at(&key, now);
        }
    }

    /// A secret failed: its connection may be why, and then that is watched closely for all that use it.
    pub(super) fn doubt_connection(&mut self, key: &Key) {
        let connection = self.schedule.login(key).map(|login| login.connection.key.clone());
        if let Some(connection) = connection
            && !self.schedule.looked_within(&connection, MOMENT)
        {
            self.schedule.at(&connection, Instant::now());
        }
    }
}

impl Supervisor {
    /// A namespace's labels changed: cluster-wide objects may admit it now, or no more.
    pub(super) fn wake_namespace(&mut self, namespace: &str) {
        if !self.unlisted.is_empty() {
            return;
        }
        let concerned =
            |(key, _): &(&Key, Used<'_>)| &*key.namespace == namespace && (key.kind.is_secret() || key.kind.is_auth());
        let keys: Vec<_> = self.schedule.all().filter(concerned).map(|(key, _)| key.clone()).collect();
        let now = Instant::now();
        for key in keys {
            self.schedule.at(&key, now);
        }
    }
}

/// Whether it was Vault that said so: then it answers, and its connection is as well as it can be.
pub(super) const fn is_answer(code: Code) -> bool {
    matches!(
        code,
        Code::PolicyDenied
            | Code::SecretMountUnknown
            | Code::SecretNotFound
            | Code::SecretDeleted
            | Code::SecretRefused
            | Code::SecretMethod
            | Code::SecretShape
    )
}

const fn is_referred_to(kind: Kind) -> bool {
    kind.is_connection() || kind.is_auth() || matches!(kind, Kind::VaultAuthGlobal)
}
