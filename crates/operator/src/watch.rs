//! list, page by page → watch → list again when the watch has fallen behind: one task per source, for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use sidekey_cluster::Lines;
use sidekey_cluster::api::{Api, ApiError, JSON, METADATA, METADATA_LIST};
use sidekey_cluster::jitter;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use crate::cache::Place;
use crate::types::Kind;
use crate::types::object::Object;

/// Objects of one answer.
const PAGE: usize = 500;

/// The API server ends a watch after this; below the client's own read timeout.
const WATCH_SECONDS: u32 = 240;

/// Labels of every Secret that a custom resource owns.
const OWNED: &str = "app.kubernetes.io%2Fmanaged-by%3Dhashicorp-vso%2Capp.kubernetes.io%2Fcomponent%3Dsecret-sync";

/// What is followed, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// What.
    pub of: Of,
    /// In one namespace; in all without it.
    pub namespace: Option<Arc<str>>,
    /// By name; every one without it.
    pub name: Option<Arc<str>>,
}

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// Custom resources of a kind.
    Kind(Kind),
    /// The metadata of the Secrets that custom resources own.
    Secrets,
    /// The metadata of the namespaces, whose labels cluster-wide objects select by.
    Namespaces,
    /// The metadata of a Secret that a connection names.
    Secret,
    /// The metadata of a ConfigMap that a connection names.
    ConfigMap,
}

/// Everything to follow: in these namespaces, or in all when none is named. Cluster-wide kinds need rights in the whole cluster,
/// so in some namespaces there are none.
pub fn sources(namespaces: &[String]) -> Vec<Source> {
    if namespaces.is_empty() {
        let all = Kind::ALL.into_iter().map(Of::Kind).chain([Of::Secrets, Of::Namespaces]);
        return all.map(|of| Source { of, namespace: None, name: None }).collect();
    }
    let kinds = Kind::ALL.into_iter().filter(|kind| !kind.is_cluster());
    let all: Vec<_> = kinds.map(Of::Kind).chain([Of::Secrets]).collect();
    let named = namespaces.iter().map(|namespace| Arc::<str>::from(namespace.as_str()));
    named
        .flat_map(|namespace| {
            all.iter().map(move |of| Source { of: *of, namespace: Some(Arc::clone(&namespace)), name: None })
        })
        .collect()
}

/// One change, in the order of the API server.
#[derive(Debug)]
pub struct Seen {
    /// Of what.
    pub source: Source,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Debug)]
pub enum Change {
    /// It is there, new or changed.
    Present(Box<Object>),
    /// It is gone.
    Gone(Box<Object>),
    /// A whole list has been told: what is not named here, as namespace and name, is gone.
    Listed(BTreeSet<Place>),
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    // An empty list of mere metadata is `null`.
    items: Option<Vec<Object>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    r#continue: Option<String>,
}

/// A line of a watch. Its object is read once it is known to be one: an error's is a `Status`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl Source {
    fn path(&self) -> String {
        match (self.of, self.namespace.as_deref()) {
            (Of::Kind(kind), namespace) => format!("{}?", kind.collection(namespace)),
            (Of::Secrets, None) => format!("/api/v1/secrets?labelSelector={OWNED}&"),
            (Of::Secrets, Some(namespace)) => {
                format!("/api/v1/namespaces/{namespace}/secrets?labelSelector={OWNED}&")
            }
            (Of::Namespaces, _) => "/api/v1/namespaces?".to_owned(),
            (Of::Secret, namespace) => self.one("secrets", namespace),
            (Of::ConfigMap, namespace) => self.one("configmaps", namespace),
        }
    }

    fn one(&self, plural: &str, namespace: Option<&str>) -> String {
        let (namespace, name) = (namespace.unwrap_or_default(), self.name.as_deref().unwrap_or_default());
        format!("/api/v1/namespaces/{namespace}/{plural}?fieldSelector=metadata.name%3D{name}&")
    }

    const fn accept(&self) -> (&'static str, &'static str) {
        match self.of {
            Of::Kind(_) => (JSON, JSON),
            Of::Secrets | Of::Namespaces | Of::Secret | Of::ConfigMap => (METADATA_LIST, METADATA),
        }
    }

    /// Whether a list of this source would name what lies in the namespace.
    pub fn covers(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.of {
            Of::Kind(kind) => kind.plural(),
            Of::Secrets => "secrets",
            Of::Namespaces => "namespaces",
            Of::Secret => "Secret",
            Of::ConfigMap => "ConfigMap",
        };
        let (name, space) = (self.name.as_deref().unwrap_or_default(), if self.name.is_some() { " " } else { "" });
        write!(f, "{what}{space}{name} of {}", self.namespace.as_deref().unwrap_or("all namespaces"))
    }
}

/// Tells `sink` of everything, until nobody listens.
pub async fn follow(api: Api, source: Source, sink: Sender<Seen>) {
    let mut failures = 0;
    while !sink.is_closed() {
        match list(&api, &source, &sink).await {
            Ok(Some(version)) => {
                failures = 0;
                watch(&api, &source, version, &sink).await;
                continue;
            }
            Ok(None) => return,
            // The CRD is not installed: nothing of the kind can be there.
            Err(error) if error.is_absent() => {
                tracing::debug!(%source, "the kind is not installed");
                let listed = Seen { source: source.clone(), change: Change::Listed(BTreeSet::new()) };
                if sink.send(listed).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%source, %error, "listing again"),
        }
        failures += 1;
        sleep(pause(failures)).await;
    }
}

/// The version to watch from; none when nobody listens.
async fn list(api: &Api, source: &Source, sink: &Sender<Seen>) -> Result<Option<String>, ApiError> {
    let (mut names, mut from) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("{}limit={PAGE}{from}", source.path());
        let List { metadata, items } = api.get(&path, source.accept().0).await?;
        for object in items.unwrap_or_default() {
            names.insert((object.metadata.namespace.clone(), object.metadata.name.clone()));
            if sink.send(Seen { source: source.clone(), change: Change::Present(Box::new(object)) }).await.is_err() {
                return Ok(None);
            }
        }
        match metadata.r#continue.filter(|token| !token.is_empty()) {
            Some(token) => from = format!("&continue={token}"),
            None => {
                let told = sink.send(Seen { source: source.clone(), change: Change::Listed(names) }).await;
                return Ok(told.is_ok().then_some(metadata.resource_version));
            }
        }
    }
}

/// Until a list is due: the version is too old, or watching fails again and again.
async fn watch(api: &Api, source: &Source, mut version: String, sink: &Sender<Seen>) {
    let mut failures = 0;
    while failures < 5 && !sink.is_closed() {
        let base = source.path();
        let path = format!(
            "{base}watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}"
        );
        let before = version.clone();
        let ended = match api.watch(&path, source.accept().1).await {
            Ok(lines) => pass_on(lines, source, &mut version, sink).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(Ended::Early) => {}
            Ok(Ended::TooOld) => return,
            Err(error) if error.status() == Some(410) => return,
            Err(error) => tracing::debug!(%source, %error, "watching again"),
        }
        // A watch that ends at once and brings nothing must not be asked for in a circle.
        failures = if version == before { failures + 1 } else { 0 };
        sleep(pause(failures)).await;
    }
}

/// How a watch ended.
enum Ended {
    /// By time, or with its connection: it goes on from where it was.
    Early,
    /// What it would have told is forgotten.
    TooOld,
}

/// Passes events on, and keeps the version of the last.
async fn pass_on(
    mut lines: Lines,
    source: &Source,
    version: &mut String,
    sink: &Sender<Seen>,
) -> Result<Ended, ApiError> {
    while let Some(line) = lines.next().await? {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(&line) else { continue };
        if line.kind == "ERROR" {
            return Ok(Ended::TooOld);
        }
        // One object that cannot be read is no reason to stop hearing of the others.
        let Ok(object) = serde_json::from_str::<Box<Object>>(line.object.get()) else {
            tracing::warn!(%source, "an object cannot be read");
            continue;
        };
        version.clone_from(&object.metadata.resource_version);
        let change = match line.kind {
            "ADDED" | "MODIFIED" => Change::Present(object),
            "DELETED" => Change::Gone(object),
            // A bookmark.
            _ => continue,
        };
        if sink.send(Seen { source: source.clone(), change }).await.is_err() {
            return Ok(Ended::Early);
        }
    }
    Ok(Ended::Early)
}

/// From a quarter of a second to half a minute.
fn pause(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    jitter::around(Duration::from_millis(250).saturating_mul(1 << failures.min(7)).min(Duration::from_secs(30)), 0.3)
}
