//! What is said of a missed pod, and the request that removes it; pure but for the Event's time.

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_core::{Cause, Code};

use super::find::Candidate;

/// Longest message of an Event (Kubernetes API, `Event.message`: 1024 bytes).
const LONGEST: usize = 1024;

/// Why a pod has no agent, as far as it can be told.
#[derive(Debug)]
pub(super) enum Why {
    /// It would have got one.
    Unasked,
    /// The same, unless these match conditions leave it out on purpose.
    Perhaps(Vec<String>),
    /// It would be refused if it were created now.
    Refused(Cause),
}

/// For a person; `left_alone` is how long no pod of its controller is evicted, since those that were came back as they had been.
pub(super) fn cause(pod: &Candidate, why: &Why, left_alone: Option<Duration>) -> Cause {
    let attempted = format!("looking at pod {} of namespace {}", pod.name, pod.namespace);
    let lacks = format!("{} asks for an agent and the pod has none", pod.key);
    let again = if pod.owner.is_some() { ": its controller creates it again" } else { " and create it again" };
    let (code, answer, fix) = match (why, left_alone) {
        (Why::Unasked, None) => (
            Code::NotInjected,
            format!("{lacks}: the webhook was not asked when it was created"),
            format!("Delete the pod{again}."),
        ),
        (Why::Unasked, Some(wait)) => (
            Code::NotInjected,
            format!(
                "{lacks}, nor had one of the same controller when it came back from an eviction: the webhook is still not asked"
            ),
            format!(
                "Find out whether the API server reaches the webhook and what its configuration selects. No pod of this controller is \
                 evicted for {} minutes.",
                wait.as_secs().div_ceil(60)
            ),
        ),
        (Why::Perhaps(conditions), _) => (
            Code::NotInjected,
            format!(
                "{lacks}: the webhook was not asked when it was created, or its matchConditions leave the pod out ({}), which only the \
                 API server can tell",
                conditions.join(", ")
            ),
            format!(
                "Delete the pod if it should have an agent{again}. If not, take the annotation away, or leave the pod out by an \
                 objectSelector. It is never evicted."
            ),
        ),
        (Why::Refused(Cause { code, attempted, answer, fix }), _) => {
            let answer = format!("{lacks}, and now it would be refused: {attempted}: {answer}");
            (*code, answer, fix.clone())
        }
    };
    Cause::new(code, attempted, answer).with_fix(fix)
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
