//! Workloads to restart: requests for one target within a moment become one restart.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::de::IgnoredAny;
use serde_json::json;
use sidekey_cluster::api::{Api, MERGE, STRATEGIC};
use sidekey_core::{Cause, Code};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::MANAGER;
use crate::metrics::Metrics;
use crate::types::destination::RestartTarget;

/// The annotation of a pod template that makes its pods new ones.
pub const RESTARTED_AT: &str = "vso.secrets.hashicorp.com/restartedAt";

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
pub struct Restarts(mpsc::Sender<(Target, Reply)>);

impl Restarts {
    /// Starts the task. `moment` is how long the first request waits for others.
    pub fn start(api: Api, metrics: Metrics, moment: Duration) -> (Self, impl Future<Output = ()>) {
        let (sender, asks) = mpsc::channel(256);
        (Self(sender), run(api, metrics, moment, asks))
    }

    /// Restarts one workload, together with whoever else asks for it now.
    ///
    /// # Errors
    /// What the API server said.
    pub async fn request(&self, namespace: &str, target: &RestartTarget) -> Result<(), Failure> {
        let ending = || failure(namespace, target, "the operator is ending", false);
        let (reply, answer) = oneshot::channel();
        self.0.send(((namespace.to_owned(), target.clone()), reply)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }
}

fn failure(namespace: &str, target: &RestartTarget, answer: &str, lasting: bool) -> Failure {
    let attempted = format!("restarting {} {namespace}/{}", target.kind, target.name);
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

async fn restart(api: &Api, (namespace, target): &Target) -> Result<(), Failure> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let name = &target.name;
    let (path, kind, patch) = match target.kind.as_str() {
        "argo.Rollout" => {
            let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{name}");
            (path, MERGE, json!({ "spec": { "restartAt": now } }))
        }
        "Deployment" | "DaemonSet" | "StatefulSet" => {
            let plural = format!("{}s", target.kind.to_ascii_lowercase());
            let annotations = json!({ RESTARTED_AT: now });
            let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
            (format!("/apis/apps/v1/namespaces/{namespace}/{plural}/{name}"), STRATEGIC, patch)
        }
        other => return Err(failure(namespace, target, &format!("the kind {other} cannot be restarted"), true)),
    };
    let sent = api.send::<IgnoredAny>(Method::PATCH, &format!("{path}?fieldManager={MANAGER}"), kind, &patch).await;
    sent.map(drop).map_err(|error| failure(namespace, target, &error.failure.to_string(), error.is_absent()))
}
