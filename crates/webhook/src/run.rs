//! The whole process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sidekey_cluster::api::Api;
use sidekey_core::{Cause, Code};
use sidekey_inject::Settings;
use sidekey_runtime::drain::Drain;
use sidekey_runtime::readiness::Readiness;
use sidekey_runtime::{metrics as runtime_metrics, tls, watch};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admit::Admission;
use crate::app::Limits;
use crate::certs::Served;
use crate::certs::files::{self, Pair};
use crate::certs::keeper::{Keeper, Names};
use crate::metrics::Metrics;
use crate::missed;
use crate::nodes::Nodes;
use crate::server::{Connections, Timing, serve};
use crate::{admin, app, nodes, settings};

/// Longest wait for the first look at the nodes; after it, pods get the classic pair until the nodes are known.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The webhook's port. `[::]` also serves IPv4, and falls back to it.
    pub listen: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// The settings file; defaults without one.
    pub settings: Option<PathBuf>,
    /// Where the certificate comes from.
    pub certificates: Certificates,
    /// What the watch for missed pods needs to know.
    pub missed: missed::Names,
    /// Bounds of a request.
    pub limits: Limits,
    /// Bounds of a connection.
    pub timing: Timing,
}

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// Mounted files.
    Files(Pair),
    /// Our own CA.
    SelfMade(Names),
}

/// Why the process ends early.
#[derive(Debug, Error)]
pub enum RunError {
    /// The settings file, at start.
    #[error("{0}")]
    Settings(Cause),
    /// Everything else that a person can mend.
    #[error("{0}")]
    Start(Cause),
    /// A task that never ends has ended.
    #[error("the {0} task ended")]
    Task(&'static str),
}

/// Finds the cluster and serves until the drain is over.
///
/// # Errors
/// [`RunError`].
pub async fn run(options: Options, drain: Drain) -> Result<(), RunError> {
    let api = connect(&options.certificates).await?;
    run_with(options, api, drain).await
}

/// [`run`] with a cluster of the caller's, or none: then the certificate must be [`Certificates::Files`].
///
/// # Errors
/// [`RunError`].
pub async fn run_with(options: Options, api: Option<Api>, drain: Drain) -> Result<(), RunError> {
    let readiness = Readiness::new();
    let mut registry = runtime_metrics::registry("sidekey_webhook", env!("CARGO_PKG_VERSION"));
    let metrics = Metrics::register(&mut registry);
    let served = Arc::new(Served::default());
    let (hooks, admin) = (bind(options.listen).await?, bind(options.admin).await?);
    let settings = options.settings.as_deref().map_or_else(|| Ok(Settings::default()), settings::load);
    let settings = settings.map_err(RunError::Settings)?;
    let nodes = first_look(api.as_ref()).await;
    let admission = Arc::new(Admission::new(settings, false, metrics.clone()));
    admission.set_nodes(nodes.unwrap_or_default());

    let mut tasks = JoinSet::new();
    if let Some(file) = options.settings.clone() {
        let changes = watch::directory(directory(&file));
        let (admission, readiness, metrics) = (Arc::clone(&admission), readiness.clone(), metrics.clone());
        tasks.spawn(named("settings", settings::follow(file, changes, admission, readiness, metrics)));
    }
    if let Some(api) = api.clone() {
        tasks.spawn(named("nodes", nodes::follow(api.clone(), Arc::clone(&admission), metrics.clone(), nodes)));
        let watch = missed::Watch::new(api, options.missed.clone(), Arc::clone(&admission), metrics.clone());
        tasks.spawn(named("missed pods", watch.run()));
    }
    spawn_certificates(&mut tasks, &options.certificates, api, &served, &readiness, &metrics);

    let tls = tls::server_config(served)
        .map_err(|error| start(Code::CertificateUnusable, "setting up TLS", error.to_string()))?;
    tracing::info!(
        listen = place(&hooks),
        admin = place(&admin),
        version = env!("CARGO_PKG_VERSION"),
        "webhook started"
    );
    let admin_app = admin::router(readiness.clone(), Arc::new(registry));
    tasks.spawn(named("admin", serve(admin, None, admin_app, forever(), options.timing, Connections::default())));
    let app = app::router(admission, metrics.clone(), options.limits);

    let closing = close_on(drain.clone(), readiness);
    tokio::select! {
        ((), ()) = async { tokio::join!(serve(hooks, Some(tls), app, drain, options.timing, metrics.connections), closing) } => {
            tracing::info!("drained");
            Ok(())
        }
        Some(ended) = tasks.join_next() => Err(RunError::Task(ended.unwrap_or("panicked"))),
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Unready at once; the port stays open while that spreads.
async fn close_on(mut drain: Drain, readiness: Readiness) {
    drain.started().await;
    readiness.close("draining");
}

/// The admin port answers to the very end.
fn forever() -> Drain {
    sidekey_runtime::drain::channel().1
}

fn spawn_certificates(
    tasks: &mut JoinSet<&'static str>,
    certificates: &Certificates,
    api: Option<Api>,
    served: &Arc<Served>,
    readiness: &Readiness,
    metrics: &Metrics,
) {
    match (certificates.clone(), api) {
        (Certificates::Files(pair), _) => {
            let changes = watch::directory(directory(&pair.certificate));
            let ready = readiness.token("certificate");
            tasks.spawn(named("certificate", files::follow(pair, changes, Arc::clone(served), ready, metrics.clone())));
        }
        (Certificates::SelfMade(names), Some(api)) => {
            let ready = readiness.token("trusted certificate");
            let keeper = Keeper::new(api, names, Arc::clone(served), ready, metrics.clone());
            tasks.spawn(named("certificate", Keeper::run(keeper)));
        }
        (Certificates::SelfMade(_), None) => {}
    }
}

/// With mounted files the webhook works without the Kubernetes API; with its own CA it cannot.
async fn connect(certificates: &Certificates) -> Result<Option<Api>, RunError> {
    match (Api::connect().await, certificates) {
        (Ok(api), _) => Ok(Some(api)),
        (Err(error), Certificates::Files(_)) => {
            tracing::warn!(cause = %error.cause(Code::KubernetesApi), "without a cluster: pods get the classic pair unless settings say otherwise");
            Ok(None)
        }
        (Err(error), Certificates::SelfMade(_)) => Err(RunError::Start(error.cause(Code::KubernetesApi))),
    }
}

async fn first_look(api: Option<&Api>) -> Option<Nodes> {
    let answer = timeout(FIRST_LOOK, nodes::look(api?)).await;
    match answer {
        Ok(Ok(nodes)) => Some(nodes),
        Ok(Err(error)) => {
            tracing::warn!(cause = %error.cause(Code::KubernetesApi), "the nodes are not known yet");
            None
        }
        Err(_) => None,
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, RunError> {
    let bound = match TcpListener::bind(address).await {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.map_err(|error| start(Code::ListenFailed, &format!("listening on {address}"), error.to_string()))
}

fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        parent => parent.unwrap_or(file).to_owned(),
    }
}

fn place(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}

fn start(code: Code, attempted: &str, answer: String) -> RunError {
    RunError::Start(Cause::new(code, attempted, answer))
}
