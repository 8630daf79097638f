//! What the resources come to, in numbers: kept as they change, since walking over all of them costs too much.

use std::collections::BTreeMap;
use std::sync::Arc;

use sidekey_core::Code;

use crate::controllers::Refers;
use crate::metrics::Metrics;
use crate::plan::outcome::Trouble;
use crate::types::Kind;
use crate::types::object::Key;

/// What one object counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Of a VaultAuth.
    method: Option<&'static str>,
    unresolved: bool,
    taken: bool,
}

impl Facts {
    /// Of what the references came to.
    pub(super) fn of(kind: Kind, refers: &Refers, shared: Option<&Trouble>) -> Self {
        let code = match refers {
            Refers::Login(Err(trouble)) | Refers::Connection(Err(trouble)) => Some(trouble.cause.code),
            _ => shared.map(|trouble| trouble.cause.code),
        };
        let method = match refers {
            Refers::Login(Ok(login)) if kind.is_auth() => Some(login.method.name()),
            _ => None,
        };
        let missing = matches!(code, Some(Code::ReferenceMissing | Code::ReferenceRefused));
        Self { method, unresolved: missing, taken: code == Some(Code::DestinationTaken) }
    }
}

/// The counts.
#[derive(Default)]
pub(super) struct Census {
    /// Of those objects about which there is something to say.
    facts: BTreeMap<Key, Facts>,
    /// Secret resources of each namespace.
    namespaces: BTreeMap<Arc<str>, usize>,
}

impl Census {
    pub(super) fn came(&mut self, metrics: &Metrics, key: &Key) {
        metrics.counted(key, true);
        if key.kind.is_secret() {
            *self.namespaces.entry(key.namespace.clone()).or_default() += 1;
            metrics.namespaces(self.namespaces.len());
        }
    }

    pub(super) fn went(&mut self, metrics: &Metrics, key: &Key) {
        metrics.counted(key, false);
        self.tell(metrics, key, Facts::default());
        if let Some(count) = self.namespaces.get_mut(&key.namespace).filter(|_| key.kind.is_secret()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.namespaces.remove(&key.namespace);
            }
            metrics.namespaces(self.namespaces.len());
        }
    }

    /// What a look at the object begins with.
    pub(super) fn learnt(&mut self, metrics: &Metrics, key: &Key, mut facts: Facts) {
        if facts.method.is_none() && !facts.unresolved {
            // A login that fails is still one by its method.
            facts.method = self.facts.get(key).and_then(|before| before.method);
        }
        self.tell(metrics, key, facts);
    }

    fn tell(&mut self, metrics: &Metrics, key: &Key, after: Facts) {
        let before = self.facts.get(key).copied().unwrap_or_default();
        if before == after {
            return;
        }
        if before.method != after.method {
            before.method.into_iter().for_each(|method| metrics.method(method, false));
            after.method.into_iter().for_each(|method| metrics.method(method, true));
        }
        if before.unresolved != after.unresolved {
            metrics.unresolved(key, after.unresolved);
        }
        if before.taken != after.taken {
            metrics.conflict(&key.namespace, after.taken);
        }
        match after == Facts::default() {
            true => drop(self.facts.remove(key)),
            false => drop(self.facts.insert(key.clone(), after)),
        }
    }
}
