//! Why questions to Vault failed. Finding out costs questions of its own, so what fails on and on in the same way is looked into
//! now and then only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sidekey_core::Cause;
use sidekey_vault::VaultError;
use tokio::time::Instant;

use crate::reads::What;

/// Who mends something in Vault and not enough sees the new cause after this at the latest. What is changed in the cluster makes
/// another question.
const AGAIN: Duration = Duration::from_secs(180);

/// Most that is remembered.
const MOST: usize = 10_000;

struct Known {
    error: VaultError,
    cause: Cause,
    since: Instant,
}

/// The causes found lately. Clones are the same.
#[derive(Clone, Default)]
pub struct Explained(Arc<Mutex<BTreeMap<What, Known>>>);

impl Explained {
    /// The cause, if the question failed with the same error a while ago.
    pub fn get(&self, what: &What, error: &VaultError) -> Option<Cause> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(what).filter(|known| known.error == *error && known.since.elapsed() < AGAIN)?;
        Some(known.cause.clone())
    }

    /// A cause that was found just now.
    pub fn put(&self, what: What, error: VaultError, cause: Cause) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&what) {
            known.retain(|_, known| known.since.elapsed() < AGAIN);
        }
        if known.len() < MOST || known.contains_key(&what) {
            known.insert(what, Known { error, cause, since: Instant::now() });
        }
    }
}
