//! Workloads that are restarted by their labels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{World, condition, path};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";
const RESTARTED: &str = "/spec/template/metadata/annotations/vso.secrets.hashicorp.com~1restartedAt";

fn workload(world: &World, plural: &str, namespace: &str, name: &str, labels: Value) {
    let metadata = json!({ "name": name, "namespace": namespace, "labels": labels });
    let spec = json!({ "template": { "metadata": {}, "spec": {} } });
    world.cluster.apply(plural, json!({ "apiVersion": "apps/v1", "metadata": metadata, "spec": spec }));
}

fn restarted(world: &World, plural: &str, namespace: &str, name: &str) -> bool {
    let object = world.cluster.get(&format!("/apis/apps/v1/namespaces/{namespace}/{plural}/{name}"));
    object.pointer(RESTARTED).is_some()
}

#[tokio::test]
async fn every_workload_that_a_selector_selects_is_restarted_once_and_no_other() {
    let mut world = World::new().await;
    for (name, labels) in
        [("web", json!({ "uses": "db", "tier": "front" })), ("api", json!({ "uses": "db", "tier": "back" }))]
    {
        workload(&world, "deployments", "app", name, labels);
    }
    workload(&world, "deployments", "app", "old", json!({ "uses": "db", "tier": "none" }));
    workload(&world, "deployments", "app", "bare", json!({}));
    workload(&world, "deployments", "other", "web", json!({ "uses": "db", "tier": "front" }));
    workload(&world, "statefulsets", "app", "web", json!({ "uses": "db" }));
    let selector = json!({ "matchLabels": { "uses": "db" }, "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["none"] }] });
    // One of them is named too, and meant by two selectors.
    let targets = json!([
        { "kind": "Deployment", "selector": selector },
        { "kind": "Deployment", "name": "web" },
        { "kind": "Deployment", "selector": { "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["front"] }] } },
    ]);
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": targets }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    assert_eq!(world.cluster.count("GET", "deployments"), 0, "nobody is looked for before there is a change");
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.condition(VSS, "web", "RolloutRestart", "True").await;
    sleep(Duration::from_secs(2)).await;
    for (namespace, name, wanted) in [
        ("app", "web", true),
        ("app", "api", true),
        ("app", "old", false),
        ("app", "bare", false),
        ("other", "web", false),
    ] {
        assert_eq!(restarted(&world, "deployments", namespace, name), wanted, "{namespace}/{name}");
    }
    assert!(!restarted(&world, "statefulsets", "app", "web"), "of another kind");
    assert_eq!(world.cluster.count("PATCH", "deployments"), 2, "each once");
    assert!(world.events().await.contains(&"RolloutRestartTriggered".to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn of_what_a_selector_selects_only_what_failed_is_tried_again() {
    let mut world = World::new().await;
    for name in ["web", "well"] {
        workload(&world, "deployments", "app", name, json!({ "uses": "db" }));
    }
    let targets = json!([{ "kind": "Deployment", "selector": { "matchLabels": { "uses": "db" } } }]);
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": targets }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.cluster.refuse("GET", "/deployments", 503, 1);
    world.cluster.refuse("PATCH", "deployments/web", 503, 2);
    world.vault.put("secret/web", json!({ "user": "new" }));
    let object = world.condition(VSS, "web", "RolloutRestart", "False").await;
    let message = condition(&object, "RolloutRestart")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("SK7011") && message.contains("Deployment app/"), "{message}");
    world.condition(VSS, "web", "RolloutRestart", "True").await;
    sleep(Duration::from_secs(2)).await;
    let tries = ["web", "well"].map(|name| world.cluster.count("PATCH", &format!("deployments/{name}")));
    assert_eq!(tries, [3, 1], "the one that failed alone");
    world.stop().await;
}

#[tokio::test]
async fn a_target_must_be_clear_and_bounded() {
    let mut world = World::new().await;
    for number in 0..101 {
        workload(&world, "daemonsets", "app", &format!("many-{number}"), json!({ "many": "yes" }));
    }
    let labels = json!({ "matchLabels": { "many": "yes" } });
    let unknown = json!({ "matchExpressions": [{ "key": "many", "operator": "Like", "values": ["y"] }] });
    let cases = [
        ("both", json!({ "kind": "DaemonSet", "name": "many-1", "selector": labels }), "both a name and a selector"),
        ("neither", json!({ "kind": "DaemonSet" }), "neither a name nor a selector"),
        ("many", json!({ "kind": "DaemonSet", "selector": labels }), "more than 100"),
        ("unknown", json!({ "kind": "DaemonSet", "selector": unknown }), "unknown operator"),
        ("kind", json!({ "kind": "Job", "selector": labels }), "the kind Job cannot be restarted"),
    ];
    for (name, target, _) in &cases {
        world.static_secret("app", name, json!({ "rolloutRestartTargets": [target] }));
    }
    // Nobody is there to be restarted, which is nobody's mistake.
    world.static_secret("app", "none", json!({ "rolloutRestartTargets": [{ "kind": "StatefulSet", "selector": {} }] }));
    world.start();
    for (name, ..) in &cases {
        world.condition(VSS, name, "Ready", "True").await;
    }
    world.condition(VSS, "none", "Ready", "True").await;
    world.vault.put("secret/web", json!({ "user": "new" }));
    for (name, _, words) in cases {
        let object = world.condition(VSS, name, "RolloutRestart", "False").await;
        let message = condition(&object, "RolloutRestart")["message"].as_str().unwrap().to_owned();
        assert!(message.contains("SK7011") && message.contains(words), "{name}: {message}");
        assert_eq!(condition(&world.cluster.get(&path(VSS, name)), "Ready")["status"], "True", "the Secret is there");
    }
    world.condition(VSS, "none", "RolloutRestart", "True").await;
    assert_eq!(world.cluster.count("PATCH", "daemonsets"), 0, "none of too many");
    world.stop().await;
}
