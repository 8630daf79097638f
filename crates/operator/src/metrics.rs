//! The operator's numbers. Names that dashboards for the Vault Secrets Operator read are kept; its own begin with `sidekey_operator`.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::types::Kind;
use crate::types::object::Key;

/// Upper bounds of a request to Vault, seconds.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0];

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.name().to_ascii_lowercase().as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
    vault_connection: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    controller: Kind,
    name: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    controller: Kind,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Group {
    controller: Kind,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    what: &'static str,
    result: &'static str,
}

/// Handles to every number; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    operations: Family<Operation, Counter>,
    operation_errors: Family<Operation, Counter>,
    operation_time: Family<Operation, Histogram, fn() -> Histogram>,
    status: Family<Named, Gauge>,
    reconciles: Family<Reconcile, Counter>,
    resources: Family<Group, Gauge>,
    writes: Family<Written, Counter>,
    leader: Gauge,
}

impl Metrics {
    /// Registers them all.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            operations: Family::default(),
            operation_errors: Family::default(),
            operation_time: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            status: Family::default(),
            reconciles: Family::default(),
            resources: Family::default(),
            writes: Family::default(),
            leader: Gauge::default(),
        };
        let version = Info::new([("git_version", env!("CARGO_PKG_VERSION")), ("compiler", "rustc")]);
        registry.register("vso_build", "What is running", version);
        let about = "Requests to Vault";
        registry.register("vso_client_operations", about, metrics.operations.clone());
        registry.register(
            "vso_client_operations_errors",
            "Requests to Vault that failed",
            metrics.operation_errors.clone(),
        );
        let time = metrics.operation_time.clone();
        registry.register_with_unit("vso_client_operations_time", "Time of requests to Vault", Unit::Seconds, time);
        registry.register("controller_resource_status", "1 when the resource is ready", metrics.status.clone());
        registry.register("controller_runtime_reconcile", "Looks at resources, by result", metrics.reconciles.clone());
        registry.register("sidekey_operator_resources", "Resources, by kind and namespace", metrics.resources.clone());
        registry.register("sidekey_operator_writes", "Writes to the Kubernetes API", metrics.writes.clone());
        registry.register("leader_election_master_status", "1 for the replica that works", metrics.leader.clone());
        metrics
    }

    /// One request to Vault.
    pub fn client(&self, operation: &'static str, connection: &Key, took: Duration, good: bool) {
        let vault_connection = format!("{}/{}", connection.namespace, connection.name);
        let label = Operation { operation, vault_connection };
        self.operations.get_or_create(&label).inc();
        self.operation_time.get_or_create(&label).observe(took.as_secs_f64());
        if !good {
            self.operation_errors.get_or_create(&label).inc();
        }
    }

    /// One look at a resource.
    pub fn looked(&self, key: &Key, ready: bool) {
        let Key { kind: controller, namespace, name } = key.clone();
        self.status.get_or_create(&Named { controller, name, namespace }).set(i64::from(ready));
        let result = if ready { "success" } else { "error" };
        self.reconciles.get_or_create(&Reconcile { controller, result }).inc();
    }

    /// A resource came or went.
    pub fn counted(&self, key: &Key, there: bool) {
        let Key { kind: controller, namespace, name } = key.clone();
        let group = self.resources.get_or_create_owned(&Group { controller, namespace: namespace.clone() });
        if there {
            group.inc();
        } else {
            group.dec();
            self.status.remove(&Named { controller, name, namespace });
        }
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
        self.leader.set(i64::from(leads));
    }
}
