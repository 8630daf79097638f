//! Workloads beside Deployment and StatefulSet that restart after a change: DaemonSets, and the Rollouts of Argo.

use std::thread::sleep;

use serde_json::json;
use sidekey_e2e::kept::{condition, restarted};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, setting};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The kind `Rollout`, with as much of a schema as is of use here. Where somebody has installed Argo's own, that stays.
struct RolloutKind {
    ours: bool,
}

impl RolloutKind {
    fn new() -> Self {
        let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"restartAt": {"type": "string", "format": "date-time"}}});
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
        let version = json!({"name": "v1alpha1", "served": true, "storage": true, "schema": schema});
        let names = json!({"plural": "rollouts", "singular": "rollout", "kind": "Rollout", "listKind": "RolloutList"});
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "rollouts.argoproj.io"},
            "spec": {"group": "argoproj.io", "scope": "Namespaced", "names": names, "versions": [version]}});
        let answer = api::create(CRDS, &crd);
        let ours = answer.status != 409;
        if ours {
            answer.expect("the kind Rollout");
        }
        Self { ours }
    }
}

impl Drop for RolloutKind {
    fn drop(&mut self) {
        if self.ours {
            api::delete(&format!("{CRDS}/rollouts.argoproj.io"));
        }
    }
}

/// A DaemonSet for nodes that nobody has; its path.
fn daemon_set(kept: &Kept) -> String {
    let collection = format!("/apis/apps/v1/namespaces/{}/daemonsets", kept.sandbox.namespace);
    let labels = json!({"app": "agent"});
    let container = json!({"name": "app", "image": setting().probe});
    let pod = json!({"nodeSelector": {"no": "node"}, "containers": [container]});
    let spec = json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}});
    api::create(&collection, &json!({"metadata": {"name": "agent"}, "spec": spec})).expect("daemonsets");
    format!("{collection}/agent")
}

/// A Rollout as Argo's manuals have it; its path.
fn rollout(kept: &Kept) -> String {
    let collection = format!("/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts", kept.sandbox.namespace);
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "web"}]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template,
        "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}});
    let object =
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": spec});
    until(seconds(30), "served: the kind Rollout", || match api::create(&collection, &object) {
        answer if answer.ok() => Ok(()),
        answer => Err(answer.message()),
    });
    format!("{collection}/web")
}

#[test]
fn a_change_restarts_a_rollout_and_a_daemon_set_once_and_tells_of_what_is_not_there() {
    let _kind = RolloutKind::new();
    let kept = Kept::new("op-rollouts");
    let (rollout, daemon_set) = (rollout(&kept), daemon_set(&kept));
    kept.sandbox.put("web", &json!({"n": "0"}));
    let argo = json!({"kind": "argo.Rollout", "name": "web"});
    let targets = json!([argo, {"kind": "DaemonSet", "name": "agent"}]);
    kept.static_secret("web", &json!({"rolloutRestartTargets": targets}));
    kept.static_secret(
        "lost",
        &json!({"path": format!("{}/web", kept.sandbox.namespace),
        "rolloutRestartTargets": [{"kind": "argo.Rollout", "name": "lost"}, argo]}),
    );
    let at = || api::get(&rollout).json()["spec"]["restartAt"].as_str().map(str::to_owned);
    let template = || api::get(&rollout).json()["spec"]["template"].clone();
    let before = template();
    for name in ["web", "lost"] {
        kept.holds(name, "n", "0");
        kept.ready("vaultstaticsecrets", name, "True");
    }
    sleep(seconds(3));
    assert_eq!((at(), restarted(&daemon_set)), (None, None), "the first sync restarts nobody");

    kept.sandbox.put("web", &json!({"n": "1"}));
    let first = until(seconds(30), "restarted", || match (at(), restarted(&daemon_set)) {
        (Some(rollout), Some(daemon_set)) => Ok((rollout, daemon_set)),
        other => Err(format!("{other:?}")),
    });
    let words = until(seconds(30), "told: a Rollout that is not there", || {
        let told = condition(&kept.get("vaultstaticsecrets", "lost"), "RolloutRestart");
        if told["status"] == "False" { Ok(told["message"].to_string()) } else { Err(told.to_string()) }
    });
    assert!(words.contains("argo.Rollout") && words.contains("lost"), "{words}");
    kept.ready("vaultstaticsecrets", "lost", "True");
    // The annotation is of whole seconds, so a generation tells more restarts apart.
    let generations = || [&rollout, &daemon_set].map(|path| api::get(path).json()["metadata"]["generation"].clone());
    let settled = generations();
    sleep(seconds(6));
    assert_eq!((generations(), restarted(&daemon_set)), (settled.clone(), Some(first.1)), "one change restarts once");
    assert_eq!(settled[1], json!(2), "the DaemonSet's one");
    assert_eq!(template(), before, "a Rollout's pods are its controller's to replace");
}
