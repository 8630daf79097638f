//! The CustomResourceDefinitions, brought to this version in a cluster that may have older ones, or another operator's.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use sidekey_cluster::api::{Api, JSON};
use sidekey_core::{Cause, Code};
use tokio::time::{Instant, sleep};

use crate::types::crd;

/// A server-side apply; JSON is YAML.
const APPLY: &str = "application/apply-patch+yaml";

/// Where CRDs are.
const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Applies every CRD and waits until each is served; their names, in order. Fields of others' making stay, those that are
/// ours by name become ours: the shape is the same.
///
/// # Errors
/// The API server refuses one, or does not serve it in time.
pub async fn crds(api: &Api, time: Duration) -> Result<Vec<String>, Cause> {
    let end = Instant::now() + time;
    let mut names = Vec::new();
    for definition in crd::all() {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let path = format!("{PATH}/{name}?fieldManager=sidekey-crds&force=true");
        let applied = api.send::<Value>(Method::PATCH, &path, APPLY, &definition).await;
        applied.map_err(|error| error.cause(Code::KubernetesApi))?;
        names.push(name);
    }
    for name in &names {
        while let Some(answer) = unserved(api, name).await? {
            if Instant::now() >= end {
                let attempted = format!("waiting until {name} is served");
                return Err(Cause::new(Code::KubernetesApi, attempted, answer));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(names)
}

/// Why a CRD is not served yet; none when it is.
async fn unserved(api: &Api, name: &str) -> Result<Option<String>, Cause> {
    let read = api.get::<Value>(&format!("{PATH}/{name}"), JSON).await;
    let object = read.map_err(|error| error.cause(Code::KubernetesApi))?;
    let conditions = object["status"]["conditions"].as_array();
    let holds = |kind: &str, status: &str| {
        let found = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
        found.filter(|condition| condition["status"] == status).cloned()
    };
    Ok(match (holds("NamesAccepted", "False"), holds("Established", "True")) {
        (Some(refused), _) => Some(refused["message"].as_str().unwrap_or("its names are taken").to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some("it is not established".to_owned()),
    })
}
