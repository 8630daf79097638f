//! The webhook gone: who is refused and who is not. It touches every pod of the cluster, so it runs after everything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use serde_json::json;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Sandbox, Shape, api, setting};

fn scale(replicas: u64) {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/sidekey-webhook", setting().system);
    api::patch(&path, &json!({"spec": {"replicas": replicas}})).expect("scale");
    until(seconds(120), &format!("at {replicas} replicas: the webhook"), || {
        let status = api::get(&path).json()["status"].clone();
        let now = status["replicas"].as_u64().unwrap_or_default();
        let available = status["availableReplicas"].as_u64().unwrap_or_default();
        if (now, available) == (replicas, replicas) { Ok(()) } else { Err(status) }
    });
}

/// One that was told to end answers what still reaches it, and is counted no more.
fn gone() {
    let path = format!("/api/v1/namespaces/{}/pods", setting().system);
    until(seconds(60), "gone: the pods of the webhook", || {
        let list = api::get(&format!("{path}?labelSelector=app.kubernetes.io/name%3Dsidekey-webhook")).json();
        match list["items"].as_array() {
            Some(pods) if pods.is_empty() => Ok(()),
            _ => Err(list["items"].clone()),
        }
    });
}

/// Brings the webhook back, whatever the test comes to.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        scale(2);
    }
}

#[test]
fn without_the_webhook_only_pods_that_ask_for_it_are_refused() {
    let sandbox = Sandbox::new("outage").with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    let annotated = |name| {
        Shape::new(name, &["sleep"]).native(&[
            ("inject", "true"),
            ("role", &sandbox.namespace),
            ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
        ])
    };
    scale(0);
    gone();
    let message = {
        let _back = Back;
        sandbox.start(&Shape::new("plain", &["sleep"])).ready(START);
        sandbox.refused(&annotated("refused"))
    };
    println!("{message}");
    assert!(message.contains("inject.sidekey.dev"), "the message names the webhook: {message}");
    sandbox.start(&annotated("back")).ready(START);
}
