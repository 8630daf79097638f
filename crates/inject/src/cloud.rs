//! AWS's identity of a pod: what EKS's own webhook gave the app's containers, the agent gets as well.

use k8s_openapi::api::core::v1::VolumeMount;
use serde_json::Value;
use sidekey_core::contract::AuthMethod;

use crate::pod::{List, Pod, items, text};

/// What IAM roles for service accounts put into a container.
const VARIABLES: [&str; 4] = ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_DEFAULT_REGION", "AWS_REGION"];

/// Part of the path at which EKS mounts the web identity's token.
const PLACE: &str = "eks.amazonaws.com";

/// The variables, each from the first container that has it, raw: a reference stays a reference, of whichever kind.
pub(crate) fn environment<'a>(pod: &Pod<'a>, method: &AuthMethod) -> Vec<&'a Value> {
    let AuthMethod::Aws(_) = method else { return Vec::new() };
    let all: Vec<&Value> = pod.containers(List::Regular).iter().flat_map(|one| items(one, "env")).collect();
    let first = |name: &&str| all.iter().copied().find(|variable| text(variable, "name") == *name);
    VARIABLES.iter().filter_map(first).collect()
}

/// The mount of the web identity's token.
pub(crate) fn mount(pod: &Pod<'_>, method: &AuthMethod) -> Option<VolumeMount> {
    let AuthMethod::Aws(_) = method else { return None };
    let mut all = pod.containers(List::Regular).iter().flat_map(|one| items(one, "volumeMounts"));
    let found = all.find(|mount| text(mount, "mountPath").contains(PLACE))?;
    let mount: VolumeMount = serde_json::from_value(found.clone()).ok()?;
    Some(VolumeMount { read_only: Some(true), ..mount })
}
