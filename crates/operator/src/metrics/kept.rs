//! Numbers of logins that are copied for a Vault namespace, and of those that outlive the process.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::labels::{Enforced, Factory};
use crate::plan::storage::Persistence;

/// What is asked of the store.
const ASKED: [&str; 4] = ["store", "restore", "delete", "prune"];

/// What it asks of the Kubernetes API.
const DONE: [&str; 4] = ["create", "get", "delete", "list"];

/// Handles to them; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    clone_hits: Gauge,
    clone_misses: Gauge,
    clone_evictions: Gauge,
    clones: Gauge,
    length: Gauge,
    requests: Family<Factory, Counter>,
    request_errors: Family<Factory, Counter>,
    operations: Family<Factory, Counter>,
    operation_errors: Family<Factory, Counter>,
}

impl Kept {
    pub(super) fn register(&self, registry: &mut Registry, persistence: Persistence) {
        // No login is given up to make room for another one.
        let size = Gauge::<f64, AtomicU64>::default();
        size.set(f64::INFINITY);
        registry.register("vso_client_cache_size", "Most logins held: there is no bound", size);
        let about = "Logins that were there for another Vault namespace than their own";
        registry.register("vso_client_clone_cache_hits", about, self.clone_hits.clone());
        let about = "Logins that were copied for another Vault namespace";
        registry.register("vso_client_clone_cache_misses", about, self.clone_misses.clone());
        let about = "Copies of logins given up";
        registry.register("vso_client_clone_cache_evictions", about, self.clone_evictions.clone());
        let config = Family::<Enforced, Gauge>::default();
        let enforced = Enforced { enforce_encryption: (persistence == Persistence::Encrypted).to_string() };
        config.get_or_create(&enforced).set(i64::from(persistence != Persistence::None));
        registry.register("vso_client_cache_storage_config", "1 when logins outlive the process", config);
        registry.register("vso_client_cache_storage_length", "Logins held and kept", self.length.clone());
        let about = "What was asked of the store of logins";
        registry.register("vso_client_cache_storage_requests", about, self.requests.clone());
        let about = "What was asked of the store of logins and failed";
        registry.register("vso_client_cache_storage_requests_errors", about, self.request_errors.clone());
        let about = "Calls of the store of logins to the Kubernetes API";
        registry.register("vso_client_cache_storage_operations", about, self.operations.clone());
        let about = "Calls of the store of logins to the Kubernetes API that failed";
        registry.register("vso_client_cache_storage_operations_errors", about, self.operation_errors.clone());
        for (all, families) in
            [(ASKED, [&self.requests, &self.request_errors]), (DONE, [&self.operations, &self.operation_errors])]
        {
            for (operation, family) in all.into_iter().flat_map(|name| families.map(|family| (name, family))) {
                drop(family.get_or_create(&Factory { operation }));
            }
        }
    }
}

impl Metrics {
    /// A login was asked for in another Vault namespace than its own, and had been before or not.
    pub fn clone_asked(&self, there: bool) {
        if there { &self.kept.clone_hits } else { &self.kept.clone_misses }.inc();
    }

    /// So many copies of logins are held, and so many logins are kept.
    pub fn copies(&self, clones: usize, kept: usize) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.kept.clones.set(number(clones));
        self.kept.clone_evictions.inc_by((before - number(clones)).max(0));
        self.kept.length.set(number(kept));
    }

    /// The store of logins was asked to `store`, `restore`, `delete` or `prune`.
    pub fn store_asked(&self, operation: &'static str, good: bool) {
        count(&self.kept.requests, &self.kept.request_errors, operation, good);
    }

    /// The store of logins made a call: `create`, `get`, `delete`, `list`.
    pub fn store_called(&self, operation: &'static str, good: bool) {
        count(&self.kept.operations, &self.kept.operation_errors, operation, good);
    }
}

fn count(all: &Family<Factory, Counter>, errors: &Family<Factory, Counter>, operation: &'static str, good: bool) {
    all.get_or_create(&Factory { operation }).inc();
    if !good {
        errors.get_or_create(&Factory { operation }).inc();
    }
}
