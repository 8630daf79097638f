//! The operator as a whole: away for a while, and back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::api;
use crate::kept::OPERATOR;
use crate::wait::{seconds, until};

/// One test at a time may take it away.
static ALONE: Mutex<()> = Mutex::new(());

/// The operator has no pod while this lives. Brings it back, whatever the test comes to.
pub struct Away {
    _alone: MutexGuard<'static, ()>,
}

impl Away {
    /// Takes it away.
    ///
    /// # Panics
    /// When it does not go.
    pub fn new() -> Self {
        let away = Self { _alone: alone() };
        scale(0);
        away
    }

    /// Brings it back, and ends when both replicas are there.
    pub fn back(self) {
        drop(self);
    }
}

impl Default for Away {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        scale(2);
    }
}

/// For a test that needs it to stay.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scale(replicas: u64) {
    let path = format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/sidekey-operator");
    api::patch(&path, &json!({"spec": {"replicas": replicas}})).expect("scale");
    until(seconds(120), &format!("at {replicas} replicas: the operator"), || {
        let status = api::get(&path).json()["status"].clone();
        let pods = api::get(&format!(
            "/api/v1/namespaces/{OPERATOR}/pods?labelSelector=app.kubernetes.io/name%3Dsidekey-operator"
        ));
        let there = pods.json()["items"].as_array().map_or(0, Vec::len) as u64;
        let available = status["availableReplicas"].as_u64().unwrap_or_default();
        if (there, available) == (replicas, replicas) { Ok(()) } else { Err(status) }
    });
}
