//! What is said of a missed pod, and the request that removes it; pure but for the Event's time.

use serde_json::{Value, json};
use sidekey_core::{Cause, Code};

use super::find::Candidate;

/// Longest message of an Event (Kubernetes API, `Event.message`: 1024 bytes).
const LONGEST: usize = 1024;

/// It has no agent and would have got one.
pub(super) fn missed(pod: &Candidate) -> Cause {
    let attempted = format!("looking at pod {} of namespace {}", pod.name, pod.namespace);
    let answer =
        format!("{} asks for an agent and the pod has none: the webhook was not asked when it was created", pod.key);
    let fix = if pod.controlled {
        "Delete the pod: its controller creates it again."
    } else {
        "Delete the pod and create it again."
    };
    Cause::new(Code::NotInjected, attempted, answer).with_fix(fix)
}

/// It has no agent, and would be refused if it were created now.
pub(super) fn refused(pod: &Candidate, cause: &Cause) -> Cause {
    let attempted = format!("looking at pod {} of namespace {}", pod.name, pod.namespace);
    let Cause { code, attempted: trying, answer, fix } = cause;
    let answer =
        format!("{} asks for an agent, the pod has none, and now it would be refused: {trying}: {answer}", pod.key);
    Cause::new(*code, attempted, answer).with_fix(fix)
}

/// One for each pod: the name makes the API server refuse a second one.
pub(super) fn event(pod: &Candidate, cause: &Cause) -> Value {
    let now = jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string();
    let mut message = cause.to_string();
    message.truncate(message.floor_char_boundary(LONGEST));
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": format!("{}.{}", pod.name, pod.uid), "namespace": pod.namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "type": "Warning",
        "reason": "NotInjected",
        "action": "Inject",
        "message": message,
        "source": {"component": "sidekey-webhook"},
        "reportingComponent": "sidekey-webhook",
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    })
}

/// Of this pod and no namesake; disruption budgets have their say.
pub(super) fn eviction(pod: &Candidate) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    })
}
