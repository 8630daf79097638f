//! What logins depend on beyond their own objects: which VaultAuths there are, and which of them encrypts what is kept.

use std::sync::Arc;

use tokio::time::Instant;

use super::Supervisor;
use crate::plan::auth::Stamp;
use crate::plan::storage::{self, Persistence};
use crate::sessions::Surroundings;
use crate::types::Kind;
use crate::types::object::{Key, Object};

impl Supervisor {
    /// An object of this kind came, went or changed.
    pub(super) fn survey_after(&mut self, kind: Kind) {
        if (kind.is_auth() || kind.is_connection() || kind == Kind::VaultAuthGlobal) && self.unlisted.is_empty() {
            self.survey();
        }
    }

    /// Tells the logins what has changed.
    pub(super) fn survey(&mut self) {
        let transit = match self.tools.persistence {
            Persistence::Encrypted => storage::transit(&self.cache, &self.house).map(|transit| Some(Arc::new(transit))),
            _ => Ok(None),
        };
        let why = transit.as_ref().err().cloned();
        if why != self.unkept {
            if let Some(cause) = &why {
                tracing::warn!(%cause, "logins do not outlive a restart");
            }
            self.unkept = why;
        }
        let auths = self.cache.all(Kind::VaultAuth).chain(self.cache.all(Kind::ClusterVaultAuth));
        let auths = auths.map(|(_, object)| Stamp::of(object).to_string()).collect();
        let before = self.surroundings.borrow().clone();
        let now = Surroundings {
            transit: transit.unwrap_or_default(),
            auths: Some(Arc::new(auths)),
            used: before.used.clone(),
        };
        if now == before {
            return;
        }
        if now.transit != before.transit {
            self.look_at_keys();
        }
        self.surroundings.send_replace(now);
    }

    /// Each VaultAuth that could encrypt says whether it does.
    fn look_at_keys(&mut self) {
        let own = self.cache.all(Kind::VaultAuth).filter(|(key, _)| *key.namespace == *self.house.namespace);
        let keys: Vec<_> = own.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.schedule.at(&key, Instant::now());
        }
    }

    pub(super) fn remark(&self, key: &Key, object: &Object) -> Option<String> {
        let is_auth = key.kind == Kind::VaultAuth;
        is_auth.then(|| storage::remark(&self.cache, &self.house, self.tools.persistence, key, object)).flatten()
    }
}
