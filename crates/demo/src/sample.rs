//! The sample pods of `deploy/samples`, as an API server hands them to a webhook.

use serde_json::{Value, json};

use crate::failure::{Doing as _, Failure};

/// With `sidekey.dev/*` annotations.
pub(crate) const NATIVE: &str = include_str!("../../../deploy/samples/web-native.yaml");
/// With `vault.hashicorp.com/*` annotations.
pub(crate) const VAULT: &str = include_str!("../../../deploy/samples/web-vault.yaml");

/// The pod of a manifest, with what every pod has before webhooks see it: a namespace and a service account.
///
/// # Errors
/// No pod is in it.
pub(crate) fn pod(manifest: &str) -> Result<Value, Failure> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).doing("reading the sample pod")?;
    let mut pod = documents.into_iter().find(|document| document["kind"] == "Pod").doing("finding the sample pod")?;
    if pod["metadata"]["namespace"].is_null() {
        pod["metadata"]["namespace"] = json!("default");
    }
    if pod["spec"]["serviceAccountName"].is_null() {
        pod["spec"]["serviceAccountName"] = json!("default");
    }
    Ok(pod)
}

/// The same pod with another Vault role, which its annotations name.
///
/// # Errors
/// No annotation names one.
pub(crate) fn with_role(mut pod: Value, role: &str) -> Result<Value, Failure> {
    let annotations = pod["metadata"]["annotations"].as_object_mut().doing("reading the sample's annotations")?;
    let keys = ["sidekey.dev/role", "vault.hashicorp.com/role"];
    let value =
        keys.into_iter().find_map(|key| annotations.get(key).map(|_| key)).doing("finding the sample's role")?;
    annotations.insert(value.to_owned(), json!(role));
    Ok(pod)
}

/// Name of a pod.
pub(crate) fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or("pod")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_samples_are_pods_with_a_role() {
        for manifest in [NATIVE, VAULT] {
            let pod = pod(manifest).unwrap();
            assert!(with_role(pod.clone(), "other").unwrap() != pod);
            assert_ne!(name(&pod), "pod");
        }
    }
}
