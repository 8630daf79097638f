//! Destinations: who has which, and what becomes of the Secrets there.

use std::sync::Arc;

use super::Supervisor;
use crate::cache::{Owned, Place};
use crate::plan::destination::OWNER_UID;
use crate::types::object::{Key, Object};

impl Supervisor {
    /// An object has another destination now, or none: who wanted the one it left looks again.
    pub(super) fn claims(&mut self, key: &Key, left: Option<&str>, taken: Option<&str>) {
        if left == taken {
            return;
        }
        if let Some(taken) = taken {
            self.cache.claim(key, taken, true);
        }
        if let Some(left) = left {
            self.cache.claim(key, left, false);
            self.wake_failing_on(&key.namespace, left);
        }
    }

    pub(super) fn secret(&mut self, object: &Object, there: bool) {
        let metadata = &object.metadata;
        let mut at = (self.names.share(Arc::clone(&metadata.namespace)), Arc::clone(&metadata.name));
        if !there {
            return self.secret_gone(&at);
        }
        let Some(uid) = metadata.labels.get(OWNER_UID) else { return };
        let owner = self.owners.get_key_value(uid.as_str());
        if let Some((_, key)) = owner {
            at.1 = key.text(at.1);
        }
        let uid = owner.map_or_else(|| uid.as_str().into(), |(uid, _)| Arc::clone(uid));
        let owned = Owned { owner: Arc::clone(&uid), resource_version: metadata.resource_version.clone() };
        if self.cache.put_secret(at, Some(owned)).is_none() {
            self.tools.metrics.managed(&metadata.namespace, true);
        }
        if let Some(key) = self.owners.get(&uid) {
            self.schedule.secret_changed(key, &metadata.resource_version);
        }
    }

    pub(super) fn secret_gone(&mut self, at: &Place) {
        let before = self.cache.put_secret(at.clone(), None);
        if before.is_some() {
            self.tools.metrics.managed(&at.0, false);
        }
        if let Some(key) = before.and_then(|owned| self.owners.get(&owned.owner)) {
            self.schedule.secret_changed(key, "");
        }
        // Whoever wanted it and could not have it.
        self.wake_failing_on(&at.0, &at.1);
    }
}
