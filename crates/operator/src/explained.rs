//! Why questions to Vault failed. Finding out costs questions of its own, so what fails on and on in the same way is looked into
//! now and then only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sidekey_core::Cause;
use sidekey_vault::VaultError;
use sidekey_vault::diagnose::Sight;
use tokio::time::Instant;

use crate::reads::What;

/// Who mends something in Vault and not enough sees the new cause after this at the latest. What is changed in the cluster makes
/// another question.
const AGAIN: Duration = Duration::from_secs(180);

/// What a token may see is asked anew after this, whichever of its questions fail.
const SEEN: Duration = Duration::from_secs(30);

/// Most that is remembered.
const MOST: usize = 10_000;

struct Known {
    error: VaultError,
    cause: Cause,
    since: Instant,
}

/// A login's serial, and the Vault namespace.
type Eyes = (u64, Option<String>);

/// Since when, and what.
type Seen = BTreeMap<Eyes, (Instant, Arc<Sight>)>;

/// The causes found lately. Clones are the same.
#[derive(Clone, Default)]
pub struct Explained {
    known: Arc<Mutex<BTreeMap<What, Known>>>,
    seen: Arc<Mutex<Seen>>,
}

impl Explained {
    /// The cause, if the question failed with the same error a while ago.
    pub fn get(&self, what: &What, error: &VaultError) -> Option<Cause> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(what).filter(|known| known.error == *error && known.since.elapsed() < AGAIN)?;
        Some(known.cause.clone())
    }

    /// A cause that was found just now.
    pub fn put(&self, what: What, error: VaultError, cause: Cause) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&what) {
            known.retain(|_, known| known.since.elapsed() < AGAIN);
        }
        if known.len() < MOST || known.contains_key(&what) {
            known.insert(what, Known { error, cause, since: Instant::now() });
        }
    }

    /// What was found out lately about the token of this login, and what will be.
    pub fn sight(&self, serial: u64, namespace: Option<&str>) -> Arc<Sight> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (since, _)| since.elapsed() < SEEN);
        if seen.len() >= MOST {
            return Arc::default();
        }
        let (_, sight) =
            seen.entry((serial, namespace.map(str::to_owned))).or_insert_with(|| (Instant::now(), Arc::default()));
        Arc::clone(sight)
    }
}
