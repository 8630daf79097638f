//! The destination Secret: reads it, and does to it what was planned.

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sidekey_cluster::api::{ApiError, JSON};
use sidekey_core::{Cause, Code};

use super::{Job, Tools};
use crate::MANAGER;
use crate::plan::data::Data;
use crate::plan::destination::{Change, Owner, Secret, Wish, decide};
use crate::plan::outcome::Trouble;
use crate::types::destination::Destination;

#[derive(Deserialize)]
struct Sent {
    metadata: SentMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentMetadata {
    #[serde(default)]
    resource_version: String,
}

/// The destination, if it is there; with the object's own keys alone for its data where others have theirs.
pub(super) async fn read(tools: &Tools, job: &Job, destination: &Destination) -> Result<Option<Secret>, Trouble> {
    let path = format!("/api/v1/namespaces/{}/secrets/{}", job.key.namespace, destination.name);
    match tools.api.get::<Secret>(&path, JSON).await {
        Ok(secret) if destination.merge => Ok(Some(secret.divided(&job.object.metadata.uid))),
        Ok(secret) => Ok(Some(secret)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(Trouble::new("K8sClientError", error.cause(Code::KubernetesApi))),
    }
}

/// Does it; the Secret's new version when it was written.
pub(super) async fn apply(
    tools: &Tools,
    namespace: &str,
    name: &str,
    change: &Change,
    data: &Data,
    observed: Option<&Secret>,
) -> Result<Option<String>, Trouble> {
    let whole = observed.map(|secret| data.beside(&secret.others));
    let data = whole.as_ref().unwrap_or(data);
    let all = format!("/api/v1/namespaces/{namespace}/secrets");
    let one = format!("{all}/{name}");
    let sent = match change {
        Change::Nothing => return Ok(None),
        Change::Create(body) => send(tools, Method::POST, &all, &body.with(data)).await,
        Change::Replace(body) => send(tools, Method::PUT, &one, &body.with(data)).await,
        Change::Recreate { uid, body } => {
            let only = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": uid } });
            let gone = tools.api.send::<IgnoredAny>(Method::DELETE, &one, JSON, &only).await;
            match gone {
                Err(error) if !error.is_absent() => Err(error),
                _ => send(tools, Method::POST, &all, &body.with(data)).await,
            }
        }
    };
    tools.metrics.wrote("secret", sent.is_ok());
    sent.map(Some).map_err(|error| {
        let attempted = format!("writing Secret {namespace}/{name}");
        let cause = Cause::new(Code::DestinationRefused, attempted, error.failure.to_string());
        Trouble::new("SecretSyncError", cause)
    })
}

async fn send(tools: &Tools, method: Method, path: &str, body: &serde_json::Value) -> Result<String, ApiError> {
    let sent: Sent = tools.api.send(method, &format!("{path}?fieldManager={MANAGER}"), JSON, body).await?;
    Ok(sent.metadata.resource_version)
}

/// Removes the object's Secrets of other names: the destination was renamed.
pub(super) async fn prune(tools: &Tools, job: &Job) {
    for name in &job.strays {
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", job.key.namespace);
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        let gone = tools.api.send::<IgnoredAny>(Method::DELETE, &path, JSON, &options).await;
        tracing::info!(object = %job.key, secret = name, done = gone.is_ok(), "a Secret of an earlier destination is removed");
    }
}

/// Takes the object's part out of its destination: the Secret, if it is the object's own; the object's keys, else. Whether there
/// was something to take.
pub(super) async fn withdraw(tools: &Tools, job: &Job, destination: &Destination) -> Result<bool, Trouble> {
    let own = destination.create && !destination.merge;
    if own && job.known.is_none() {
        return Ok(false);
    }
    let Some(secret) = read(tools, job, destination).await? else { return Ok(false) };
    let (namespace, name, metadata) = (&job.key.namespace, &destination.name, &job.object.metadata);
    if own {
        if !secret.is_of(&metadata.uid) {
            return Ok(false);
        }
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let only = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": secret.uid() } });
        let gone = tools.api.send::<IgnoredAny>(Method::DELETE, &path, JSON, &only).await;
        tools.metrics.wrote("secret", gone.is_ok());
        return match gone {
            Err(error) if !error.is_absent() => Err(Trouble::new("K8sClientError", error.cause(Code::KubernetesApi))),
            _ => Ok(true),
        };
    }
    let (data, owner) = (Data::default(), Owner { key: &job.key, metadata });
    let wish = Wish { owner, destination, data: &data, respec: false };
    let change = decide(wish, Some(&secret)).map_err(|cause| Trouble::new("SecretSyncError", cause))?;
    apply(tools, namespace, name, &change, &data, Some(&secret)).await.map(|written| written.is_some())
}
