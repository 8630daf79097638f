//! One look at one object: gather → plan → apply. A look is a task of its own; it gets copies and hands back what it learnt.

mod auth;
mod connection;
mod dynamic_secret;
mod fetch;
mod pki_secret;
mod poll;
mod rollout;
mod secret;
mod static_secret;
mod transformation;
mod unserved;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sidekey_cluster::api::{Api, JSON, MERGE};
use sidekey_core::{Cause, Code};
use tokio::time::Instant;

use crate::MANAGER;
use crate::addresses::Addresses;
use crate::cache::Owned;
use crate::explained::Explained;
use crate::metrics::Metrics;
use crate::plan::auth::{Connection, Login};
use crate::plan::data::{self, Data, MacKey, Recipe};
use crate::plan::outcome::{Event, Trouble};
use crate::plan::request;
use crate::plan::storage::Persistence;
use crate::plan::transformation::{Rendered, Shared, Source, Transformer};
use crate::plan::vault_auth::About;
use crate::proof::Cloud;
use crate::reads::Reads;
use crate::restart::Restarts;
use crate::sessions::Sessions;
use crate::types::Kind;
use crate::types::destination::Destination;
use crate::types::object::{Key, Object};

/// The annotation that asks for a new read, new credentials or a new certificate, whenever its value changes.
pub const REFRESH: &str = crate::types::object::REFRESH;

/// A JSON patch.
const JSON_PATCH: &str = "application/json-patch+json";

/// What every look can use. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    /// The Kubernetes API.
    pub api: Api,
    /// Logins.
    pub sessions: Sessions,
    /// Reads that objects have in common.
    pub reads: Reads,
    /// Why reads failed.
    pub explained: Explained,
    /// Restarts.
    pub restarts: Restarts,
    /// Key of the digests.
    pub mac_key: MacKey,
    /// Numbers.
    pub metrics: Metrics,
    /// Where tokens may be sent.
    pub addresses: Addresses,
    /// How to reach clouds, and the proxies of the operator's environment.
    pub cloud: Arc<Cloud>,
    /// Whether `_raw` is left out of every Secret.
    pub exclude_raw: bool,
    /// Whether KV v2 metadata is polled in the place of data, where an object does not say.
    pub poll_metadata: bool,
    /// What outlives the process.
    pub persistence: Persistence,
}

/// What a look is given.
#[derive(Clone)]
pub struct Job {
    /// The object's key.
    pub key: Key,
    /// The object.
    pub object: Arc<Object>,
    /// What its references come to.
    pub refers: Refers,
    /// The SecretTransformations that it refers to.
    pub shared: Result<Vec<Shared>, Trouble>,
    /// What is known of its destination, if the Secret is owned.
    pub known: Option<Owned>,
    /// Secrets of its own under other names.
    pub strays: Vec<String>,
    /// Of a VaultAuth: what is to be said beside whether it is well.
    pub remark: Option<String>,
    /// Of an object that reads what others read too.
    pub turn: Option<Turn>,
    /// Of a VaultAuth.
    pub about: Option<About>,
    /// What the last look learnt.
    pub memory: Memory,
}

/// A look together with others.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// What they read, as a number.
    pub of: u64,
    /// The answer is to be asked for no earlier.
    pub since: Instant,
}

/// What an object's references come to.
#[derive(Clone)]
pub enum Refers {
    /// It has none.
    Nothing,
    /// Of an object with a destination, and of a VaultAuth.
    Login(Result<Arc<Login>, Trouble>),
    /// Of a VaultConnection: itself.
    Connection(Result<Box<Connection>, Trouble>),
}

/// What one look hands to the next. Lost when the operator ends, and not missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The destination as it was left or found right.
    pub verified: Option<Verified>,
    /// The trouble last told in an event.
    pub told: Option<String>,
    /// What kind of trouble the last look met.
    pub code: Option<Code>,
    /// A lease, or the request that brought what has none, and when it began: statuses only keep whole seconds.
    pub begun: Option<(String, Instant)>,
    /// When a lease is replaced whose login is not in use any more.
    pub respite: Option<Instant>,
    /// The wish for a refresh that was last met; none before the first look.
    pub refreshed: Option<Option<String>>,
    /// What the Secret was made of, where its version is polled.
    pub seen: Option<String>,
    /// Serial of the login whose policy does not allow the version to be polled.
    pub unseen: Option<u64>,
    /// When a restart that has failed is tried again.
    pub restart: Option<Instant>,
}

/// A destination that was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Version of the Secret.
    pub resource_version: String,
    /// Digest of its data.
    pub mac: String,
}

/// What a look hands back.
pub struct Done {
    /// The object's key.
    pub key: Key,
    /// For the next look.
    pub memory: Memory,
    /// When that is.
    pub next: Next,
    /// Whether all was well.
    pub well: bool,
    /// Whether workloads are owed a restart: then the next look is no later than a retry.
    pub owes: bool,
    /// The object after its status was written.
    pub object: Option<Object>,
    /// How long the look took.
    pub took: Duration,
}

impl Done {
    /// A look that ended before it could say anything.
    pub fn early(key: Key) -> Self {
        let (memory, next) = (Memory::default(), Next::Retry);
        Self { key, memory, next, well: false, owes: false, object: None, took: Duration::ZERO }
    }

    fn new(job: Job, next: Next, well: bool, object: Option<Object>) -> Self {
        Self { key: job.key, memory: job.memory, next, well, owes: false, object, took: Duration::ZERO }
    }

    fn owing(self, owes: bool) -> Self {
        Self { owes, ..self }
    }
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// After this time, times a random factor between the two.
    After(Duration, (f64, f64)),
    /// Within this time, at once with all that read what has this number.
    Together(Duration, u64),
    /// Soon, and ever later.
    Retry,
    /// When something changes.
    Never,
}

/// Looks at one object.
pub async fn look(tools: Tools, job: Job) -> Done {
    let begun = Instant::now();
    tools.metrics.looking(&job.key);
    let done = match job.object.is_leaving() {
        true => leave(&tools, job).await,
        false => look_at(&tools, job).await,
    };
    Done { took: begun.elapsed(), ..done }
}

async fn look_at(tools: &Tools, job: Job) -> Done {
    match job.key.kind {
        Kind::VaultStaticSecret => static_secret::look(tools, job).await,
        Kind::VaultDynamicSecret => dynamic_secret::look(tools, job).await,
        Kind::VaultPkiSecret => pki_secret::look(tools, job).await,
        Kind::VaultConnection | Kind::ClusterVaultConnection => connection::look(tools, job).await,
        Kind::VaultAuth | Kind::ClusterVaultAuth => auth::look(tools, job).await,
        Kind::SecretTransformation => transformation::look(tools, job).await,
        Kind::VaultAuthGlobal => Done::new(job, Next::Never, true, None),
        _ => unserved::look(tools, job).await,
    }
}

/// Takes away the finalizer that the Vault Secrets Operator has put there, and lets the object go.
async fn leave(tools: &Tools, job: Job) -> Done {
    let ours = |name: &&String| job.key.kind.finalizer() != Some(name.as_str());
    let metadata = &job.object.metadata;
    let kept: Vec<_> = metadata.finalizers.iter().filter(ours).collect();
    let mut next = Next::Never;
    if kept.len() < metadata.finalizers.len() {
        match job.key.kind {
            Kind::VaultDynamicSecret => dynamic_secret::leave(tools, &job).await,
            Kind::VaultPkiSecret => pki_secret::leave(tools, &job).await,
            _ => {}
        }
        let patch = json!({ "metadata": { "finalizers": kept, "resourceVersion": metadata.resource_version } });
        let path = format!("{}?fieldManager={MANAGER}", job.key.path());
        let sent = tools.api.send::<IgnoredAny>(Method::PATCH, &path, MERGE, &patch).await;
        tools.metrics.wrote("finalizer", sent.is_ok());
        if sent.is_err_and(|error| !error.is_absent()) {
            next = Next::Retry;
        }
    }
    Done::new(job, next, true, None)
}

/// Makes sure that the deletion of the object waits for what has to be revoked with it.
async fn hold(tools: &Tools, job: &Job) -> Result<(), Trouble> {
    let metadata = &job.object.metadata;
    let Some(finalizer) = job.key.kind.finalizer() else { return Ok(()) };
    if metadata.finalizers.iter().any(|own| own == finalizer) {
        return Ok(());
    }
    let mut finalizers = metadata.finalizers.clone();
    finalizers.push(finalizer.to_owned());
    let patch = json!({ "metadata": { "finalizers": finalizers, "uid": metadata.uid } });
    let sent = tools
        .api
        .send::<IgnoredAny>(Method::PATCH, &format!("{}?fieldManager={MANAGER}", job.key.path()), MERGE, &patch)
        .await;
    tools.metrics.wrote("finalizer", sent.is_ok());
    sent.map(drop).map_err(|error| Trouble::new("K8sClientError", error.cause(Code::KubernetesApi)))
}

/// Writes a status, if it says anything new; the object after it.
async fn write_status<T: Serialize + PartialEq>(
    tools: &Tools,
    job: &Job,
    before: &T,
    after: &T,
) -> Result<Option<Object>, Trouble> {
    if before == after {
        return Ok(None);
    }
    let patch = json!([{ "op": "add", "path": "/status", "value": after }]);
    let path = format!("{}/status?fieldManager={MANAGER}", job.key.path());
    let sent = tools.api.send(Method::PATCH, &path, JSON_PATCH, &patch).await;
    tools.metrics.wrote("status", sent.is_ok());
    match sent {
        Ok(object) => Ok(Some(object)),
        Err(error) if !error.is_absent() => {
            let cause = error.cause(Code::KubernetesApi);
            tracing::warn!(object = %job.key, %cause, "the status is not written");
            Err(Trouble::new("StatusUpdateError", cause))
        }
        Err(_) => Ok(None),
    }
}

/// Tells of a trouble once, in log and event, for as long as it stays the same; and of its end.
async fn tell(tools: &Tools, job: &mut Job, trouble: Option<&Trouble>) {
    if let Some(trouble) = trouble {
        tools.metrics.failed(&job.key, trouble.cause.code);
    }
    job.memory.code = trouble.map(|trouble| trouble.cause.code);
    let words = trouble.map(|trouble| trouble.cause.to_string());
    if job.memory.told == words {
        return;
    }
    match trouble {
        Some(trouble) => {
            tracing::warn!(object = %job.key, cause = %trouble.cause, "not synced");
            tell_event(tools, job, &Event::warning(trouble.reason, trouble.cause.to_string())).await;
        }
        None => {
            tracing::info!(object = %job.key, "well again");
            let reason = if job.key.kind.is_secret() { "SecretSynced" } else { "Accepted" };
            tell_event(tools, job, &Event::normal(reason, "Well again")).await;
        }
    }
    job.memory.told = words;
}

/// Writes an event. One that is lost is only a line less to read.
async fn tell_event(tools: &Tools, job: &Job, event: &Event) {
    let (namespace, name, kind) = (&*job.key.namespace, &*job.key.name, job.key.kind);
    let now = now();
    let metadata = &job.object.metadata;
    let (group, version) = kind.group();
    // Events of what is in no namespace are kept in `default`.
    let at = if namespace.is_empty() { "default" } else { namespace };
    let body: Value = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "generateName": format!("{name}."), "namespace": at },
        "involvedObject": {
            "apiVersion": format!("{group}/{version}"),
            "kind": kind.name(),
            "namespace": namespace,
            "name": name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": if event.warning { "Warning" } else { "Normal" },
        "reason": event.reason,
        "message": event.message.chars().take(1000).collect::<String>(),
        "source": { "component": "sidekey-operator" },
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    });
    let sent =
        tools.api.send::<IgnoredAny>(Method::POST, &format!("/api/v1/namespaces/{at}/events"), JSON, &body).await;
    tools.metrics.wrote("event", sent.is_ok());
}

/// What the destination is to hold, of what Vault has answered.
fn shape(tools: &Tools, job: &Job, destination: &Destination, source: Source<'_>) -> Result<Data, Trouble> {
    let failed = |cause| Trouble::new("SecretDataBuilderError", cause);
    let shared = job.shared.as_ref().map_err(Trouble::clone)?;
    let recipe = Transformer::new(&job.key, &destination.transformation, shared).map_err(failed)?;
    let Rendered { data: rendered, fields } = recipe.render(&job.object.metadata, source).map_err(failed)?;
    let excluded = destination.transformation.exclude_raw.unwrap_or(false) || tools.exclude_raw;
    let recipe = Recipe { filter: recipe.filter(), exclude_raw: excluded || source.raw.is_none(), rendered };
    data::build(source.raw.unwrap_or(source.fields), &fields, recipe).map_err(failed)
}

/// Whether a person has asked for a refresh since the last look. What was asked for before the first one was met by it, or by
/// another process.
fn is_asked(job: &Job) -> bool {
    let wish = job.object.metadata.annotations.get(REFRESH);
    wish.is_some() && job.memory.refreshed.as_ref().is_some_and(|met| met.as_ref() != wish)
}

/// The wish is met.
fn answered(job: &mut Job) {
    job.memory.refreshed = Some(job.object.metadata.annotations.get(REFRESH).cloned());
}

/// Unix seconds.
fn unix() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// As statuses write times.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The digest of what an object asks for; see [`request`].
fn requested(job: &Job, without: &[&str]) -> Result<String, Trouble> {
    job.object.spec().map(|spec| request::digest(spec, without)).map_err(|words| unreadable(&job.key, &words))
}

/// A spec that cannot be read.
fn unreadable(key: &Key, words: &str) -> Trouble {
    Trouble::new("InvalidConfiguration", Cause::new(Code::ResourceInvalid, format!("reading {key}"), words))
}
