//! Before the operator goes: takes its finalizers away, in all namespaces, so that nothing waits for it for ever.

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sidekey_cluster::api::{Api, JSON, MERGE};
use sidekey_core::{Cause, Code};

use crate::MANAGER;
use crate::types::Kind;
use crate::types::object::{Key, Object};

/// Objects of one answer.
const PAGE: usize = 500;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<Object>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default)]
    r#continue: String,
}

/// Takes the finalizers away; from how many objects. The objects stay, and so do their Secrets. Nothing is revoked: what the
/// Secrets hold is in use. An operator that still works may put a finalizer back with its next credential.
///
/// # Errors
/// The API server refuses; what was done until then is done.
pub async fn uninstall(api: &Api) -> Result<usize, Cause> {
    let mut done = 0;
    for kind in Kind::ALL.into_iter().filter(|kind| kind.finalizer().is_some()) {
        let mut from = String::new();
        loop {
            let page: Result<List, _> = api.get(&format!("{}?limit={PAGE}{from}", kind.collection(None)), JSON).await;
            let List { metadata, items } = match page {
                Ok(page) => page,
                // The CRD is not installed, or not any more.
                Err(error) if error.is_absent() => break,
                Err(error) => return Err(error.cause(Code::KubernetesApi)),
            };
            for object in items {
                done += usize::from(release(api, kind, &object).await?);
            }
            if metadata.r#continue.is_empty() {
                break;
            }
            from = format!("&continue={}", metadata.r#continue);
        }
    }
    Ok(done)
}

/// Whether there was a finalizer.
async fn release(api: &Api, kind: Kind, object: &Object) -> Result<bool, Cause> {
    let metadata = &object.metadata;
    let kept: Vec<_> = metadata.finalizers.iter().filter(|name| kind.finalizer() != Some(name.as_str())).collect();
    if kept.len() == metadata.finalizers.len() {
        return Ok(false);
    }
    let key = Key::new(kind, metadata.namespace.clone(), metadata.name.clone());
    let patch = json!({ "metadata": { "finalizers": kept, "uid": metadata.uid } });
    let sent =
        api.send::<IgnoredAny>(Method::PATCH, &format!("{}?fieldManager={MANAGER}", key.path()), MERGE, &patch).await;
    match sent {
        Err(error) if !error.is_absent() => Err(error.cause(Code::KubernetesApi)),
        _ => Ok(true),
    }
}
