//! What a look at an object comes to, in the words that conditions and events have for it.

use sidekey_core::Cause;

use crate::types::condition::{Condition, Verdict};

/// Aspects.
pub const SYNCED: &str = "SecretSynced";
/// Whether workloads could be restarted.
pub const ROLLOUT: &str = "RolloutRestart";
/// The reason of a restart that is still to be asked for.
const PENDING: &str = "RolloutRestartPending";
/// All is well.
pub const HEALTHY: &str = "Healthy";
/// The same, for those who wait for it.
pub const READY: &str = "Ready";

/// A look that failed: the cause, and the one word that events and conditions have for its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What a person reads.
    pub cause: Cause,
    /// What a program reads.
    pub reason: &'static str,
}

impl Trouble {
    /// A cause with its reason.
    pub const fn new(reason: &'static str, cause: Cause) -> Self {
        Self { cause, reason }
    }
}

/// An event to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether somebody should look.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// In words.
    pub message: String,
}

impl Event {
    /// All went well.
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, message: message.into() }
    }

    /// Something did not.
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, message: message.into() }
    }
}

/// Verdicts of an object that has no destination.
pub fn health(trouble: Option<&Trouble>, well: &str) -> Vec<Verdict> {
    match trouble {
        None => vec![Verdict::new(HEALTHY, true, "Healthy", well), Verdict::new(READY, true, "Ready", well)],
        Some(Trouble { cause, .. }) => vec![
            Verdict::new(HEALTHY, false, "Unhealthy", cause.to_string()),
            Verdict::new(READY, false, "Ready", cause.to_string()),
        ],
    }
}

/// Adds what is to be said although all is well.
pub fn remark(verdicts: &mut [Verdict], words: &[&str]) {
    for verdict in verdicts.iter_mut().filter(|verdict| [HEALTHY, READY].contains(&verdict.kind)) {
        verdict.message = [&[verdict.message.as_str()], words].concat().join(" ");
    }
}

/// Verdicts of an object with a destination.
pub fn sync(trouble: Option<&Trouble>) -> Vec<Verdict> {
    let synced = match trouble {
        None => Verdict::new(SYNCED, true, "Synced", "Secret synced"),
        Some(trouble) => {
            Verdict::new(SYNCED, false, trouble.reason, format!("Failed to sync the secret: {}", trouble.cause))
        }
    };
    let mut verdicts = health(trouble, "The Secret holds what Vault holds.");
    verdicts.push(synced);
    verdicts
}

/// A restart that is to come. It stands in the status before it is asked for, so that a kill in between does not lose it.
pub fn owed() -> Verdict {
    Verdict::open(ROLLOUT, PENDING, "The workloads are to be restarted.")
}

/// Whether a restart was said to come and never said to have come.
pub fn owes(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| condition.kind == ROLLOUT && condition.reason == PENDING)
}
