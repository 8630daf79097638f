//! The operator's numbers. Names that dashboards for the Vault Secrets Operator read are kept; its own begin with
//! `sidekey_operator`. What the resources come to is counted as they change (`census`), never by walking over all of them.

mod kept;
pub(crate) mod labels;
mod process;
mod register;
mod underway;

use std::hash::Hash;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use sidekey_cluster::api::Witness;
use sidekey_core::Code;

use crate::types::Kind;
use crate::types::object::Key;
use kept::Kept;
use labels::{
    Call, Component, Controller, Factory, Failed, Group, Lease, LoginFailed, Method, Named, Namespace, Operation,
    Queue, Reconcile, Why, Written,
};
pub use register::Configured;
use underway::Underway;

/// Upper bounds of a request to Vault and of a look, seconds.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Handles to every number; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    operations: Family<Operation, Counter>,
    operation_errors: Family<Operation, Counter>,
    operation_time: Histograms<Operation>,
    factory: Family<Factory, Counter>,
    factory_errors: Family<Factory, Counter>,
    factory_time: Histograms<Component>,
    kept: Kept,
    cache_length: Gauge,
    cache_hits: Gauge,
    cache_misses: Gauge,
    cache_evictions: Gauge,
    status: Family<Named, Gauge>,
    reconciles: Family<Reconcile, Counter>,
    reconcile_errors: Family<Controller, Counter>,
    reconcile_time: Histograms<Controller>,
    active: Family<Controller, Gauge>,
    underway: Underway,
    depth: Family<Queue, Gauge>,
    adds: Family<Queue, Counter>,
    retries: Family<Queue, Counter>,
    queue_time: Histograms<Queue>,
    work_time: Histograms<Queue>,
    leader: Family<Lease, Gauge>,
    resources: Family<Group, Gauge>,
    managed: Family<Namespace, Gauge>,
    namespaces: Gauge,
    methods: Family<Method, Gauge>,
    unresolved: Family<Group, Gauge>,
    conflicts: Family<Namespace, Gauge>,
    syncs: Family<Reconcile, Counter>,
    failures: Family<Failed, Counter>,
    login_failures: Family<LoginFailed, Counter>,
    writes: Family<Written, Counter>,
}

/// Calls to the Kubernetes API, as the client of it counts them.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    requests: Family<Call, Counter>,
    errors: Counter,
}

impl Witness for Calls {
    fn called(&self, method: &str, status: Option<u16>) {
        let code = status.map_or_else(|| "<error>".to_owned(), |status| status.to_string());
        self.requests.get_or_create(&Call { code, method: method.to_owned() }).inc();
    }

    fn failed(&self) {
        self.errors.inc();
    }
}

impl Calls {
    /// How many calls did not do what they should.
    pub fn failures(&self) -> u64 {
        self.errors.get()
    }
}

impl Metrics {
    /// One request to Vault.
    pub fn client(&self, operation: &'static str, connection: &Key, took: Duration, good: bool) {
        let label = Operation { operation, vault_connection: place(connection) };
        self.operations.get_or_create(&label).inc();
        self.operation_time.get_or_create(&label).observe(took.as_secs_f64());
        // A series that begins with its first failure would hide that failure from `rate`.
        let errors = self.operation_errors.get_or_create_owned(&label);
        if !good {
            errors.inc();
        }
    }

    /// Somebody asked for a login, and it was there or had to be made.
    pub fn login_asked(&self, there: bool) {
        self.factory.get_or_create(&Factory { operation: "get" }).inc();
        if there { &self.cache_hits } else { &self.cache_misses }.inc();
    }

    /// Somebody had a login, or its failure, after this time.
    pub fn login_took(&self, took: Duration) {
        let label = Component { component: "sessions", operation: "get" };
        self.factory_time.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// A login failed.
    pub fn login_failed(&self, connection: &Key, method: &'static str, code: Code) {
        self.factory_errors.get_or_create(&Factory { operation: "get" }).inc();
        let label = LoginFailed { vault_connection: place(connection), method, code: Why(code) };
        self.login_failures.get_or_create(&label).inc();
    }

    /// So many logins are held.
    pub fn logins(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.cache_length.set(count);
        if count < before {
            self.cache_evictions.inc_by(before - count);
        }
    }

    /// A look at a resource begins.
    pub fn looking(&self, key: &Key) {
        self.active.get_or_create(&Controller { controller: key.kind }).inc();
        self.underway.begun(key);
    }

    /// A resource's turn has come, so long after it was due.
    pub fn begun(&self, kind: Kind, waited: Duration) {
        let label = Queue::of(kind);
        self.adds.get_or_create(&label).inc();
        self.queue_time.get_or_create(&label).observe(waited.as_secs_f64());
    }

    /// A look is to be tried again.
    pub fn retried(&self, kind: Kind) {
        self.retries.get_or_create(&Queue::of(kind)).inc();
    }

    /// A look has ended.
    pub fn looked(&self, key: &Key, ready: bool, took: Duration) {
        self.underway.ended(key);
        let Key { kind: controller, namespace, name } = key.clone();
        self.active.get_or_create(&Controller { controller }).dec();
        self.reconcile_time.get_or_create(&Controller { controller }).observe(took.as_secs_f64());
        self.work_time.get_or_create(&Queue::of(controller)).observe(took.as_secs_f64());
        self.status.get_or_create(&Named { controller, name, namespace }).set(i64::from(ready));
        let label = Reconcile { controller, result: if ready { "success" } else { "error" } };
        self.reconciles.get_or_create(&label).inc();
        let errors = self.reconcile_errors.get_or_create_owned(&Controller { controller });
        if !ready {
            errors.inc();
        }
        if controller.is_secret() {
            self.syncs.get_or_create(&label).inc();
        }
    }

    /// Why a look failed.
    pub fn failed(&self, key: &Key, code: Code) {
        let label = Failed { controller: key.kind, namespace: key.namespace.to_string(), code: Why(code) };
        self.failures.get_or_create(&label).inc();
    }

    /// So many resources of the kind are due and wait for their turn.
    pub fn waiting(&self, kind: Kind, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.depth.get_or_create(&Queue::of(kind)).set(count);
    }

    /// A resource came or went.
    pub fn counted(&self, key: &Key, there: bool) {
        let label = Group { controller: key.kind, namespace: key.namespace.to_string() };
        add(&self.resources, &label, change(there));
        if !there {
            self.forget(key);
        }
    }

    /// A resource that is gone has no state.
    pub fn forget(&self, key: &Key) {
        let Key { kind: controller, namespace, name } = key.clone();
        self.status.remove(&Named { controller, name, namespace });
    }

    /// A Secret came under the operator's care, or left it.
    pub fn managed(&self, namespace: &str, there: bool) {
        add(&self.managed, &Namespace { namespace: namespace.to_owned() }, change(there));
    }

    /// So many namespaces have secrets.
    pub fn namespaces(&self, count: usize) {
        self.namespaces.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A VaultAuth uses this method, or does no more.
    pub fn method(&self, method: &'static str, uses: bool) {
        add(&self.methods, &Method { method }, change(uses));
    }

    /// What a resource refers to is missing, or is there again.
    pub fn unresolved(&self, key: &Key, missing: bool) {
        add(&self.unresolved, &Group { controller: key.kind, namespace: key.namespace.to_string() }, change(missing));
    }

    /// A resource's destination is another's, or is its own again.
    pub fn conflict(&self, namespace: &str, there: bool) {
        add(&self.conflicts, &Namespace { namespace: namespace.to_owned() }, change(there));
    }

    /// One write to the Kubernetes API: `secret`, `status`, `event`, `restart`, `finalizer`.
    pub fn wrote(&self, what: &'static str, good: bool) {
        let result = if good { "success" } else { "error" };
        self.writes.get_or_create(&Written { what, result }).inc();
    }

    /// Writes of a kind that succeeded so far.
    pub fn writes(&self, what: &'static str) -> u64 {
        self.writes.get_or_create(&Written { what, result: "success" }).get()
    }

    /// Whether this replica works.
    pub fn leads(&self, leads: bool) {
        self.leader.get_or_create(&Lease { name: crate::leader::LEASE }).set(i64::from(leads));
    }
}

fn place(key: &Key) -> String {
    match &*key.namespace {
        "" => key.name.to_string(),
        namespace => format!("{namespace}/{}", key.name),
    }
}

const fn change(there: bool) -> i64 {
    if there { 1 } else { -1 }
}

/// Counts up or down; a series that is back at nothing goes, so that namespaces that come and go leave none behind.
fn add<L: Clone + Eq + Hash + EncodeLabelSet>(family: &Family<L, Gauge>, label: &L, change: i64) {
    let gauge = family.get_or_create_owned(label);
    gauge.inc_by(change);
    if gauge.get() == 0 {
        family.remove(label);
    }
}
