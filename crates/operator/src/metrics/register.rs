//! Every number's name and what it is, once.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::kept::Kept;
use super::labels::Controller;
use super::process::Process;
use super::underway::Underway;
use super::{BUCKETS, Calls, Metrics};
use crate::backoff::Backoff;
use crate::plan::storage::Persistence;
use crate::types::Kind;

/// What the operator was told, for `vso_runtime_config`.
#[derive(Clone, Debug)]
pub struct Configured {
    /// Waits after failures.
    pub backoff: Backoff,
    /// Most looks at once that wait for one Vault.
    pub looks: usize,
    /// Whether `_raw` is left out of every Secret.
    pub exclude_raw: bool,
    /// Whether a VaultAuthGlobal `default` may be used.
    pub default_globals: bool,
    /// Which logins outlive the process.
    pub persistence: Persistence,
    /// How many logins the flag allows; none is given up for it.
    pub cache_size: u32,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    /// Registers them all.
    pub fn register(registry: &mut Registry, configured: &Configured, calls: &Calls) -> Self {
        let metrics = Self::new();
        about(registry, configured);
        metrics.vault(registry);
        metrics.kept.register(registry, configured.persistence);
        metrics.looks(registry);
        metrics.resources(registry);
        registry.register("rest_client_requests", "Calls to the Kubernetes API", calls.requests.clone());
        let about = "Calls to the Kubernetes API that failed, but for objects that are not there and lost races";
        registry.register("sidekey_operator_kubernetes_api_errors", about, calls.errors.clone());
        registry.register_collector(Box::new(Process));
        for kind in Kind::ALL {
            drop(metrics.reconcile_errors.get_or_create(&Controller { controller: kind }));
        }
        metrics.leads(false);
        let most = Family::<Controller, Gauge>::default();
        for kind in Kind::ALL {
            let looks = i64::try_from(configured.looks).unwrap_or(i64::MAX);
            most.get_or_create(&Controller { controller: kind }).set(looks);
        }
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Most looks at once that wait for one Vault, of all kinds",
            most,
        );
        metrics
    }

    fn new() -> Self {
        Self {
            operations: Family::default(),
            operation_errors: Family::default(),
            operation_time: Family::new_with_constructor(histogram),
            factory: Family::default(),
            factory_errors: Family::default(),
            factory_time: Family::new_with_constructor(histogram),
            kept: Kept::default(),
            cache_length: Gauge::default(),
            cache_hits: Gauge::default(),
            cache_misses: Gauge::default(),
            cache_evictions: Gauge::default(),
            status: Family::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_time: Family::new_with_constructor(histogram),
            active: Family::default(),
            underway: Underway::default(),
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            queue_time: Family::new_with_constructor(histogram),
            work_time: Family::new_with_constructor(histogram),
            leader: Family::default(),
            resources: Family::default(),
            managed: Family::default(),
            namespaces: Gauge::default(),
            methods: Family::default(),
            unresolved: Family::default(),
            conflicts: Family::default(),
            syncs: Family::default(),
            failures: Family::default(),
            login_failures: Family::default(),
            writes: Family::default(),
        }
    }

    /// Requests and logins. What the Vault Secrets Operator counts without `_total` is a gauge here, to keep its name.
    fn vault(&self, registry: &mut Registry) {
        registry.register("vso_client_operations", "Requests to Vault", self.operations.clone());
        let about = "Requests to Vault that failed";
        registry.register("vso_client_operations_errors", about, self.operation_errors.clone());
        let (name, about, time) =
            ("vso_client_operations_time", "Time of requests to Vault", self.operation_time.clone());
        registry.register_with_unit(name, about, Unit::Seconds, time);
        registry.register("vso_client_factory_requests", "Logins asked for", self.factory.clone());
        registry.register("vso_client_factory_requests_errors", "Logins that failed", self.factory_errors.clone());
        let (name, about) = ("vso_client_factory_operations_time", "Time from asking for a login to having it");
        registry.register_with_unit(name, about, Unit::Seconds, self.factory_time.clone());
        registry.register("vso_client_cache_length", "Logins held", self.cache_length.clone());
        registry.register("vso_client_cache_hits", "Logins that were there when asked for", self.cache_hits.clone());
        registry.register("vso_client_cache_misses", "Logins that had to be made", self.cache_misses.clone());
        registry.register("vso_client_cache_evictions", "Logins given up", self.cache_evictions.clone());
        let about = "Logins that failed, by method and code";
        registry.register("sidekey_operator_login_failures", about, self.login_failures.clone());
    }

    fn looks(&self, registry: &mut Registry) {
        registry.register("controller_runtime_reconcile", "Looks at resources, by result", self.reconciles.clone());
        let about = "Looks at resources that failed";
        registry.register("controller_runtime_reconcile_errors", about, self.reconcile_errors.clone());
        let (name, about) = ("controller_runtime_reconcile_time", "Time of a look at a resource");
        registry.register_with_unit(name, about, Unit::Seconds, self.reconcile_time.clone());
        registry.register("controller_runtime_active_workers", "Looks under way", self.active.clone());
        self.queue(registry);
        registry.register("leader_election_master_status", "1 for the replica that works", self.leader.clone());
        registry.register("controller_resource_status", "1 when the resource is ready", self.status.clone());
        registry.register("sidekey_operator_syncs", "Looks at secrets, by result", self.syncs.clone());
        let about = "Looks that failed, by kind, namespace and code";
        registry.register("sidekey_operator_failures", about, self.failures.clone());
        registry.register("sidekey_operator_writes", "Writes to the Kubernetes API", self.writes.clone());
    }

    fn queue(&self, registry: &mut Registry) {
        registry.register("workqueue_depth", "Resources that are due and wait", self.depth.clone());
        registry.register("workqueue_adds", "Resources whose turn has come", self.adds.clone());
        registry.register("workqueue_retries", "Looks that are to be tried again", self.retries.clone());
        let (name, about) = ("workqueue_queue_duration", "Time from when a resource is due until its turn");
        registry.register_with_unit(name, about, Unit::Seconds, self.queue_time.clone());
        let (name, about) = ("workqueue_work_duration", "Time of a look at a resource");
        registry.register_with_unit(name, about, Unit::Seconds, self.work_time.clone());
        registry.register_collector(Box::new(self.underway.clone()));
    }

    fn resources(&self, registry: &mut Registry) {
        registry.register("sidekey_operator_resources", "Resources, by kind and namespace", self.resources.clone());
        let about = "Secrets that a resource owns, by namespace";
        registry.register("sidekey_operator_managed_secrets", about, self.managed.clone());
        let about = "Namespaces that have a secret resource";
        registry.register("sidekey_operator_namespaces", about, self.namespaces.clone());
        registry.register("sidekey_operator_auth_methods", "VaultAuths, by method", self.methods.clone());
        let about =
            "Resources whose references lead nowhere: VaultAuths without a connection, secrets without a VaultAuth";
        registry.register("sidekey_operator_unresolved_references", about, self.unresolved.clone());
        let about = "Resources whose destination belongs to another resource";
        registry.register("sidekey_operator_destination_conflicts", about, self.conflicts.clone());
    }
}

/// What is running, and how it was told to.
fn about(registry: &mut Registry, configured: &Configured) {
    let version = env!("CARGO_PKG_VERSION");
    let mut parts = version.split('.');
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    // A label that is empty is none to Prometheus; texts that are compared have them all.
    let unknown = |name| (name, String::new());
    let info = Info::new(vec![
        unknown("build_date"),
        unknown("git_commit"),
        unknown("git_tree_state"),
        unknown("go_version"),
        ("major", parts.next().unwrap_or_default().to_owned()),
        ("minor", parts.next().unwrap_or_default().to_owned()),
        ("git_version", version.to_owned()),
        ("compiler", "rustc".to_owned()),
        ("platform", format!("{}/{arch}", std::env::consts::OS)),
    ]);
    registry.register("vso_build", "What is running", info);
    registry.register("sidekey_operator_build", "What is running", Info::new([("version", version)]));
    let Configured { backoff, looks, exclude_raw, default_globals, persistence, cache_size } = configured;
    let model = match persistence {
        Persistence::None => "none",
        Persistence::Unencrypted => "direct-unencrypted",
        Persistence::Encrypted => "direct-encrypted",
    };
    let option = |on: &bool, name: &str| if *on { name.to_owned() } else { String::new() };
    let labels: Vec<(&str, String)> = vec![
        ("backoffInitialInterval", seconds(backoff.initial)),
        ("backoffMaxElapsedTime", "0s".to_owned()),
        ("backoffMaxInterval", seconds(backoff.longest)),
        ("backoffMultiplier", backoff.multiplier.to_string()),
        ("backoffRandomizationFactor", backoff.randomization.to_string()),
        ("clientCachePersistenceModel", model.to_owned()),
        ("clientCacheSize", cache_size.to_string()),
        ("globalTransformationOptions", option(exclude_raw, "exclude-raw")),
        ("globalVaultAuthOptions", option(default_globals, "allow-default-globals")),
        ("maxConcurrentReconciles", looks.to_string()),
    ];
    let told = Family::<Vec<(&str, String)>, Gauge>::default();
    told.get_or_create(&labels).set(1);
    registry.register("vso_runtime_config", "How the operator was told to run", told);
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}
