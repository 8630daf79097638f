//! The whole process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use sidekey_cluster::api::Api;
use sidekey_core::{Cause, Code};
use sidekey_runtime::drain::Drain;
use sidekey_runtime::readiness::Readiness;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::admin;
use crate::backoff::Backoff;
use crate::controllers::Tools;
use crate::explained::Explained;
use crate::keys;
use crate::leader::Leader;
use crate::metrics::{Calls, Configured, Metrics};
use crate::plan::auth::House;
use crate::plan::storage::Persistence;
use crate::proof::Cloud;
use crate::reads::Reads;
use crate::restart::Restarts;
use crate::sessions::{Means, Sessions, Surroundings};
use crate::storage::{self, Keeping};
use crate::supervisor::{Pace, Supervisor};
use crate::uninstall;
use crate::watch as watching;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the leader's Lease, the key of digests, and the `default` objects.
    pub compat_namespace: String,
    /// This replica's own name.
    pub identity: String,
    /// Port of the numbers.
    pub metrics: SocketAddr,
    /// Port of the probes; the same as `metrics` puts both on one.
    pub health: SocketAddr,
    /// Whether to work only while holding the Lease.
    pub leader_elect: bool,
    /// Most looks at once that wait for one Vault.
    pub looks: usize,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Where tokens may be sent.
    pub addresses: Addresses,
    /// How to reach clouds whose identities log in.
    pub cloud: Cloud,
    /// Whether `_raw` is left out of every Secret.
    pub exclude_raw: bool,
    /// Whether KV v2 metadata is polled in the place of data, where an object does not say.
    pub poll_metadata: bool,
    /// Whether a VaultAuthGlobal `default` may be used by those that ask for it.
    pub default_globals: bool,
    /// Methods that VaultAuths may use; all that are served when empty.
    pub auth_methods: Vec<String>,
    /// Whether connections and transformations may be used from every namespace, whatever they say.
    pub open_references: bool,
    /// Namespaces whose resources are served, beside the operator's own; all when empty.
    pub watch_namespaces: Vec<String>,
    /// How long a restart waits for others of the same workload.
    pub restart_debounce: Duration,
    /// Which logins outlive the process.
    pub persistence: Persistence,
    /// A login that no object uses is given back after this time.
    pub idle_login: Duration,
    /// How many logins the flag allows, for `vso_runtime_config` alone: none is given up for another.
    pub cache_size: u32,
    /// Flags that were given and mean nothing here.
    pub without_effect: Vec<&'static str>,
}

impl Options {
    fn configured(&self) -> Configured {
        Configured {
            backoff: self.backoff,
            looks: self.looks,
            exclude_raw: self.exclude_raw,
            default_globals: self.default_globals,
            persistence: self.persistence,
            cache_size: self.cache_size,
        }
    }

    /// The `default` objects are the operator's own namespace's: that is always among them.
    fn watched(&self) -> Vec<String> {
        if self.watch_namespaces.is_empty() {
            return Vec::new();
        }
        let named = self.watch_namespaces.iter().chain([&self.compat_namespace]);
        named.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Why the process ends early.
#[derive(Debug, Error)]
pub enum RunError {
    /// Something that a person can mend.
    #[error("{0}")]
    Start(Cause),
    /// A task that never ends has ended.
    #[error("the {0} task ended")]
    Task(&'static str),
    /// Another replica works now.
    #[error("the leader's Lease is lost")]
    LeaseLost,
}

/// Finds the cluster and works until the drain is over.
///
/// # Errors
/// [`RunError`].
pub async fn run(options: Options, drain: Drain) -> Result<(), RunError> {
    if !options.without_effect.is_empty() {
        let flags = options.without_effect.join(" ");
        tracing::warn!(
            flags,
            "flags of the Vault Secrets Operator are given that have no effect here; they can be taken out"
        );
    }
    let api = Api::connect().await.map_err(|error| RunError::Start(error.cause(Code::KubernetesApi)))?;
    run_with(options, api, drain).await
}

/// Takes the operator's finalizers away, in the namespaces that it would serve; see [`uninstall`].
///
/// # Errors
/// [`RunError::Start`].
pub async fn release_all(options: &Options, longest: Duration) -> Result<(), RunError> {
    let api = Api::connect().await.map_err(|error| RunError::Start(error.cause(Code::KubernetesApi)))?;
    let late = || Cause::new(Code::KubernetesApi, "taking finalizers away", format!("not done within {longest:?}"));
    let done =
        timeout(longest, uninstall::uninstall(&api, &options.watched())).await.map_err(|_| RunError::Start(late()))?;
    let objects = done.map_err(RunError::Start)?;
    tracing::info!(objects, "finalizers are taken away");
    Ok(())
}

/// [`run`] with a cluster of the caller's.
///
/// # Errors
/// [`RunError`].
pub async fn run_with(options: Options, api: Api, mut drain: Drain) -> Result<(), RunError> {
    let readiness = Readiness::new();
    let mut registry = Registry::default();
    let calls = Calls::default();
    let metrics = Metrics::register(&mut registry, &options.configured(), &calls);
    let api = api.witnessed(calls);
    let mut tasks = JoinSet::new();
    serve(&mut tasks, &options, &readiness, registry).await.map_err(RunError::Start)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), namespace = options.compat_namespace, "operator started");

    let mut leader = Leader::new(api.clone(), options.compat_namespace.clone(), options.identity.clone());
    if options.leader_elect {
        tokio::select! {
            won = leader.won() => won.map_err(RunError::Start)?,
            () = drain.started() => return Ok(()),
        }
    }
    metrics.leads(true);
    let ended = tokio::select! {
        ended = work(&options, api, &metrics, &readiness, drain.clone()) => ended,
        () = leader.lost(), if options.leader_elect => Err(RunError::LeaseLost),
        Some(ended) = tasks.join_next() => Err(RunError::Task(ended.unwrap_or("admin"))),
    };
    metrics.leads(false);
    readiness.close("ending");
    if options.leader_elect && !matches!(ended, Err(RunError::LeaseLost)) {
        leader.release().await;
    }
    ended
}

async fn serve(
    tasks: &mut JoinSet<&'static str>,
    options: &Options,
    readiness: &Readiness,
    registry: Registry,
) -> Result<(), Cause> {
    let numbers = admin::numbers(Arc::new(registry));
    let health = admin::health(readiness.clone());
    if options.metrics == options.health {
        let listener = admin::bind(options.metrics).await?;
        tasks.spawn(named("admin", admin::serve(listener, numbers.merge(health))));
        return Ok(());
    }
    let (first, second) = (admin::bind(options.metrics).await?, admin::bind(options.health).await?);
    tasks.spawn(named("metrics", admin::serve(first, numbers)));
    tasks.spawn(named("health", admin::serve(second, health)));
    Ok(())
}

/// What the leader does, until the drain.
async fn work(
    options: &Options,
    api: Api,
    metrics: &Metrics,
    readiness: &Readiness,
    drain: Drain,
) -> Result<(), RunError> {
    let ready = readiness.token("first lists");
    let mac_key = keys::mac_key(&api, &options.compat_namespace).await.map_err(RunError::Start)?;
    let (notes, told) = mpsc::channel(256);
    let namespace = options.compat_namespace.clone();
    if options.persistence == Persistence::None {
        storage::purge(&api, metrics, &namespace, |_| true).await;
    }
    let (surroundings, seen_by_logins) = watch::channel(Surroundings::default());
    let cloud = Arc::new(options.cloud.clone());
    let means = Means {
        api: api.clone(),
        addresses: options.addresses.clone(),
        cloud: cloud.clone(),
        metrics: metrics.clone(),
        keeping: Keeping { persistence: options.persistence, namespace, mac_key: mac_key.clone() },
        surroundings: seen_by_logins,
        idle: options.idle_login,
    };
    let (sessions, keeper) = Sessions::start(means, notes);
    let (restarts, restarter) = Restarts::start(api.clone(), metrics.clone(), options.restart_debounce);
    let tools = Tools {
        api: api.clone(),
        sessions,
        reads: Reads::default(),
        explained: Explained::default(),
        restarts,
        mac_key,
        metrics: metrics.clone(),
        addresses: options.addresses.clone(),
        cloud,
        exclude_raw: options.exclude_raw,
        poll_metadata: options.poll_metadata,
        persistence: options.persistence,
    };
    let sources = watching::sources(&options.watched());
    let (sink, seen) = mpsc::channel(1024);
    let mut tasks = JoinSet::new();
    tasks.spawn(named("sessions", keeper));
    tasks.spawn(named("restarts", restarter));
    for source in &sources {
        tasks.spawn(named("watch", watching::follow(api.clone(), source.clone(), sink.clone())));
    }
    let house = House {
        namespace: options.compat_namespace.clone(),
        default_globals: options.default_globals,
        methods: options.auth_methods.clone(),
        open_references: options.open_references,
    };
    let usage = (options.idle_login / 5).max(Duration::from_millis(100));
    let pace = Pace { looks: options.looks.max(1), backoff: options.backoff, usage };
    let supervisor = Supervisor::new(tools, house, pace, sources, sink, ready, surroundings);
    tokio::select! {
        () = supervisor.run(seen, told, drain) => Ok(()),
        Some(ended) = tasks.join_next() => Err(RunError::Task(ended.unwrap_or("panicked"))),
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}
