//! When the operator goes: takes its finalizers away, in all namespaces that it served, so that nothing waits for it for ever.

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

/// Takes the finalizers away, in these namespaces or, where none is named, in all; from how many objects. The objects stay, and
/// so do their Secrets. Nothing is revoked: what the Secrets hold is in use. An operator that still works may put a finalizer
/// back with its next credential.
///
/// # Errors
/// The API server refuses; what was done until then is done.
pub async fn uninstall(api: &Api, namespaces: &[String]) -> Result<usize, Cause> {
    let mut done = 0;
    for kind in Kind::ALL.into_iter().filter(|kind| kind.finalizer().is_some()) {
        if namespaces.is_empty() {
            done += collection(api, kind, None).await?;
        }
        for namespace in namespaces {
            done += collection(api, kind, Some(namespace)).await?;
        }
    }
    Ok(done)
}

/// Page by page through the objects of a kind; how many had a finalizer.
async fn collection(api: &Api, kind: Kind, namespace: Option<&str>) -> Result<usize, Cause> {
    let (mut done, mut from) = (0, String::new());
    loop {
        let path = format!("{}?limit={PAGE}{from}", kind.collection(namespace));
        let List { metadata, items } = match api.get(&path, JSON).await {
            Ok(page) => page,
            // The CRD is not installed, or not any more.
            Err(error) if error.is_absent() => return Ok(done),
            Err(error) => return Err(error.cause(Code::KubernetesApi)),
        };
        for object in items {
            done += usize::from(release(api, kind, &object).await?);
        }
        if metadata.r#continue.is_empty() {
            return Ok(done);
        }
        from = format!("&continue={}", metadata.r#continue);
    }
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
