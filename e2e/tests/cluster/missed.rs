//! A pod that asks for an agent and has none is told about: the webhook was not asked when it was created.

use serde_json::json;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Sandbox, Shape, api};

/// An annotation that comes later is like a webhook that was not asked: pods are reviewed when they are created.
#[test]
fn a_pod_without_the_agent_it_asks_for_has_an_event_that_says_so() {
    let sandbox = Sandbox::new("missed");
    let pod = sandbox.start(&Shape::new("bare", &["sleep"]));
    pod.ready(START);
    let annotations = json!({"sidekey.dev/inject": "true", "sidekey.dev/role": "web",
        "sidekey.dev/secret-web": "secret/data/web"});
    let path = format!("{}/bare", sandbox.path("pods"));
    api::patch(&path, &json!({"metadata": {"annotations": annotations}})).expect("annotating");
    // A look every two minutes, give or take a fifth.
    let event = until(seconds(170), "an Event NotInjected", || {
        let events = pod.events();
        events.iter().find(|event| event.starts_with("NotInjected: ")).cloned().ok_or_else(|| events.join("\n"))
    });
    for words in ["SK1013", "sidekey.dev/inject asks for an agent", "pod bare of namespace", "Delete the pod"] {
        assert!(event.contains(words), "{words}: {event}");
    }
    assert!(pod.is_ready(), "reported, not evicted");
}
