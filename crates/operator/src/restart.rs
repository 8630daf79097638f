//! Workloads to restart: selected by name or by labels; requests for one within a moment become one restart.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sidekey_cluster::api::{Api, MERGE, METADATA_LIST, STRATEGIC};
use sidekey_cluster::labels;
use sidekey_core::{Cause, Code};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::MANAGER;
use crate::metrics::Metrics;
use crate::types::destination::RestartTarget;
use crate::types::object::Metadata;
use crate::types::selector::Selector;

/// The annotation of a pod template that makes its pods new ones.
pub const RESTARTED_AT: &str = "vso.secrets.hashicorp.com/restartedAt";

/// Most workloads that one selector may select.
const MOST: usize = 100;

type Target = (String, RestartTarget);
type Reply = oneshot::Sender<Result<(), Failure>>;

/// A workload that was not restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// Whether another try would end the same: it is not there, or of a kind that cannot be restarted.
    pub lasting: bool,
}

/// Asks the task that restarts. Cheap to clone.
#[derive(Clone)]
pub struct Restarts {
    api: Api,
    asks: mpsc::Sender<(Target, Reply)>,
}

impl Restarts {
    /// Starts the task. `moment` is how long the first request waits for others.
    pub fn start(api: Api, metrics: Metrics, moment: Duration) -> (Self, impl Future<Output = ()>) {
        let (sender, asks) = mpsc::channel(256);
        (Self { api: api.clone(), asks: sender }, run(api, metrics, moment, asks))
    }

    /// The workloads that a target means, each by its name.
    ///
    /// # Errors
    /// It means none clearly, or more than are restarted at once; or the API server could not say.
    pub async fn select(&self, namespace: &str, target: &RestartTarget) -> Result<Vec<RestartTarget>, Failure> {
        match (&target.selector, target.name.is_empty()) {
            (None, false) => Ok(vec![target.clone()]),
            (Some(selector), true) => selected(&self.api, namespace, target, selector).await,
            (None, true) => Err(failure(namespace, target, "it has neither a name nor a selector", true)),
            (Some(_), false) => Err(failure(namespace, target, "it has both a name and a selector", true)),
        }
    }

    /// Restarts one workload, by its name, together with whoever else asks for it now.
    ///
    /// # Errors
    /// What the API server said.
    pub async fn request(&self, namespace: &str, target: &RestartTarget) -> Result<(), Failure> {
        let ending = || failure(namespace, target, "the operator is ending", false);
        let (reply, answer) = oneshot::channel();
        self.asks.send(((namespace.to_owned(), target.clone()), reply)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }
}

fn failure(namespace: &str, target: &RestartTarget, answer: &str, lasting: bool) -> Failure {
    let which = if target.name.is_empty() { "by labels" } else { target.name.as_str() };
    let attempted = format!("restarting {} {namespace}/{which}", target.kind);
    Failure { cause: Cause::new(Code::RestartFailed, attempted, answer), lasting }
}

async fn run(api: Api, metrics: Metrics, moment: Duration, mut asks: mpsc::Receiver<(Target, Reply)>) {
    let mut waiting: BTreeMap<Target, (Instant, Vec<Reply>)> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let due = waiting.values().map(|(due, _)| *due).min();
        tokio::select! {
            ask = asks.recv() => {
                let Some((target, reply)) = ask else { return };
                waiting.entry(target).or_insert_with(|| (Instant::now() + moment, Vec::new())).1.push(reply);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let now = Instant::now();
                let ready: Vec<_> = waiting.iter().filter(|(_, (due, _))| *due <= now).map(|(target, _)| target.clone()).collect();
                for target in ready {
                    let Some((_, replies)) = waiting.remove(&target) else { continue };
                    let (api, metrics) = (api.clone(), metrics.clone());
                    tasks.spawn(async move {
                        let done = restart(&api, &target).await;
                        metrics.wrote("restart", done.is_ok());
                        for reply in replies {
                            let _ = reply.send(done.clone());
                        }
                    });
                }
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

#[derive(Deserialize)]
struct List {
    // An empty list of mere metadata is `null`.
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

async fn selected(
    api: &Api,
    namespace: &str,
    target: &RestartTarget,
    selector: &Selector,
) -> Result<Vec<RestartTarget>, Failure> {
    let failed = |answer: &str| failure(namespace, target, answer, true);
    let query =
        labels::Selector::from(selector).query().ok_or_else(|| failed("its selector has an unknown operator"))?;
    let all = collection(namespace, target)?;
    let list: Result<List, _> =
        api.get(&format!("{all}?limit={}&labelSelector={query}", MOST + 1), METADATA_LIST).await;
    let list = list.map_err(|error| failure(namespace, target, &error.failure.to_string(), error.is_absent()))?;
    let found = list.items.unwrap_or_default();
    if found.len() > MOST {
        return Err(failed(&format!("its selector selects more than {MOST}, so none is restarted")));
    }
    Ok(found.iter().map(|item| target.named(&item.metadata.name)).collect())
}

/// Where workloads of the kind are.
fn collection(namespace: &str, target: &RestartTarget) -> Result<String, Failure> {
    match target.kind.as_str() {
        "argo.Rollout" => Ok(format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts")),
        "Deployment" | "DaemonSet" | "StatefulSet" => {
            Ok(format!("/apis/apps/v1/namespaces/{namespace}/{}s", target.kind.to_ascii_lowercase()))
        }
        other => Err(failure(namespace, target, &format!("the kind {other} cannot be restarted"), true)),
    }
}

async fn restart(api: &Api, (namespace, target): &Target) -> Result<(), Failure> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (kind, patch) = if target.kind == "argo.Rollout" {
        (MERGE, json!({ "spec": { "restartAt": now } }))
    } else {
        let annotations = json!({ RESTARTED_AT: now });
        (STRATEGIC, json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } }))
    };
    let path = format!("{}/{}?fieldManager={MANAGER}", collection(namespace, target)?, target.name);
    let sent = api.send::<IgnoredAny>(Method::PATCH, &path, kind, &patch).await;
    sent.map(drop).map_err(|error| failure(namespace, target, &error.failure.to_string(), error.is_absent()))
}
