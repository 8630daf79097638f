//! From a KV engine to a Secret, and everything that can stand in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{World, condition, decoded, path, secret};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";
const RESTARTED: &str = "/spec/template/metadata/annotations/vso.secrets.hashicorp.com~1restartedAt";

#[tokio::test]
async fn a_secret_is_made_owned_and_follows_vault() {
    let mut world = World::new().await;
    let destination =
        json!({ "name": "creds", "create": true, "labels": { "team": "a" }, "annotations": { "note": "b" } });
    world.static_secret("app", "web", json!({ "destination": destination }));
    world.start();
    let made = world.secret("creds", "user", "app").await;
    assert_eq!(decoded(&made, "n"), "7");
    assert!(
        decoded(&made, "_raw").starts_with(r#"{"data":{"n":7,"user":"app"},"metadata":{"created_time":"#),
        "{}",
        decoded(&made, "_raw")
    );
    let object = world.condition(VSS, "web", "Ready", "True").await;
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let labels = &made["metadata"]["labels"];
    assert_eq!(labels["secrets.hashicorp.com/vso-ownerRefUID"], uid);
    assert_eq!((&labels["team"], &labels["app.kubernetes.io/component"]), (&json!("a"), &json!("secret-sync")));
    assert_eq!(made["metadata"]["annotations"]["note"], "b");
    let owner = json!({ "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultStaticSecret", "name": "web", "uid": uid });
    assert_eq!((&made["metadata"]["ownerReferences"], &made["type"]), (&json!([owner]), &json!("Opaque")));
    for kind in ["SecretSynced", "Healthy", "Ready"] {
        assert_eq!(condition(&object, kind)["status"], "True", "{kind}");
    }
    let status = &object["status"];
    assert_eq!(status["lastGeneration"], 1);
    assert!(status["vaultClientMeta"]["cacheKey"].as_str().unwrap().starts_with("kubernetes-"));
    world.vault.put("secret/web", json!({ "user": "changed" }));
    let changed = world.secret("creds", "user", "changed").await;
    assert_eq!(changed["data"]["n"], Value::Null);
    let mac = status["secretMAC"].clone();
    world.cluster.until(&path(VSS, "web"), move |object| object["status"]["secretMAC"] != mac).await;
    world.stop().await;
}

#[tokio::test]
async fn a_quiet_period_has_one_read_per_look_and_nothing_else() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.static_secret("app", "off", json!({ "hmacSecretData": false, "type": "kv-v1", "mount": "kv1" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition(VSS, "off", "Ready", "True").await;
    world.condition("vaultauths", "vault", "Ready", "True").await;
    world.condition("vaultconnections", "vault", "Ready", "True").await;
    sleep(Duration::from_secs(1)).await;
    world.cluster.forget_calls();
    world.vault.clear_requests();
    sleep(Duration::from_secs(4)).await;
    let (one, other) = (world.vault.count("GET", "secret/data/web"), world.vault.count("GET", "kv1/web"));
    assert!((3..=6).contains(&one) && (3..=6).contains(&other), "{one} and {other} looks in 4 s at a period of 1 s");
    assert_eq!(world.vault.requests().len(), one + other, "logins: {:?}", world.vault.requests());
    let calls: Vec<_> = world.cluster.calls().into_iter().filter(|call| !call.path.contains("/leases")).collect();
    assert_eq!(calls, [], "the Kubernetes API is left alone");
    world.stop().await;
}

#[tokio::test]
async fn drift_is_mended_within_moments_and_restarts_nobody() {
    let mut world = World::new().await;
    world.deployment("web");
    let targets = json!([{ "kind": "Deployment", "name": "web" }]);
    world.static_secret("app", "web", json!({ "refreshAfter": "1h", "rolloutRestartTargets": targets }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    sleep(Duration::from_millis(200)).await;
    world.cluster.edit(&secret("web"), |object| object["data"]["user"] = json!("eA=="));
    world.secret("web", "user", "app").await;
    world.cluster.delete(&secret("web"));
    world.secret("web", "user", "app").await;
    sleep(Duration::from_millis(300)).await;
    let deployment = world.cluster.get("/apis/apps/v1/namespaces/app/deployments/web");
    assert_eq!(deployment.pointer(RESTARTED), None);
    world.stop().await;
}

#[tokio::test]
async fn workloads_restart_once_per_change_and_never_at_a_start() {
    let mut world = World::new().await;
    world.deployment("web");
    world.vault.put("secret/two", json!({ "user": "app" }));
    let targets = json!([{ "kind": "Deployment", "name": "web" }]);
    let both = json!({ "rolloutRestartTargets": targets });
    world.static_secret("app", "web", both.clone());
    world.static_secret("app", "two", json!({ "path": "two", "rolloutRestartTargets": targets }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition(VSS, "two", "Ready", "True").await;
    world.stop().await;
    world.start();
    sleep(Duration::from_millis(1500)).await;
    let deployment = "/apis/apps/v1/namespaces/app/deployments/web";
    assert_eq!(world.cluster.get(deployment).pointer(RESTARTED), None, "neither the first sync nor a start restarts");
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.condition(VSS, "web", "RolloutRestart", "True").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.cluster.count("PATCH", "deployments/web"), 1);
    assert!(world.cluster.get(deployment).pointer(RESTARTED).is_some());
    world.stop().await;
}

#[tokio::test]
async fn each_kind_of_workload_is_restarted_in_its_own_way() {
    let mut world = World::new().await;
    let kinds = [
        ("deployments", "Deployment", "apps/v1"),
        ("daemonsets", "DaemonSet", "apps/v1"),
        ("statefulsets", "StatefulSet", "apps/v1"),
        ("rollouts", "Rollout", "argoproj.io/v1alpha1"),
    ];
    for (plural, kind, version) in kinds {
        let metadata = json!({ "name": "web", "namespace": "app" });
        let spec = json!({ "template": { "metadata": {} } });
        world.cluster.apply(plural, json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec }));
    }
    let targets = ["Deployment", "DaemonSet", "StatefulSet", "argo.Rollout"];
    let targets = targets.map(|kind| json!({ "kind": kind, "name": "web" }));
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": targets }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.condition(VSS, "web", "RolloutRestart", "True").await;
    for (plural, kind, version) in kinds {
        let workload = world.cluster.get(&format!("/apis/{version}/namespaces/app/{plural}/web"));
        let (template, own) = (workload.pointer(RESTARTED), &workload["spec"]["restartAt"]);
        let at = match kind {
            "Rollout" => [Some(own), template],
            _ => [template, Some(own).filter(|own| !own.is_null())],
        };
        let times = at.map(|at| at.and_then(Value::as_str).map(|at| at.parse::<jiff::Timestamp>().is_ok()));
        assert_eq!(times, [Some(true), None], "{kind}: {workload}");
    }
    world.stop().await;
}

/// So that a kill in between costs a second restart, never a missed one.
#[tokio::test]
async fn the_secret_is_written_first_and_the_status_last() {
    let mut world = World::new().await;
    world.deployment("web");
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }] }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition("vaultauths", "vault", "Ready", "True").await;
    world.condition("vaultconnections", "vault", "Ready", "True").await;
    world.cluster.forget_calls();
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.condition(VSS, "web", "RolloutRestart", "True").await;
    let calls = world.cluster.calls().into_iter().filter(|call| {
        let aside = ["/leases", "/events"].iter().any(|part| call.path.contains(part));
        !aside && call.method != "GET" && call.method != "WATCH"
    });
    let calls: Vec<_> = calls.map(|call| format!("{} {}", call.method, call.path)).collect();
    let want = [
        format!("PUT {}", secret("web")),
        "PATCH /apis/apps/v1/namespaces/app/deployments/web".to_owned(),
        format!("PATCH {}/status", path(VSS, "web")),
    ];
    assert_eq!(calls, want);
    world.stop().await;
}

/// An operator that ended between the Secret and the status leaves no digest; the workload has the old value all the same.
#[tokio::test]
async fn a_change_restarts_although_the_first_sync_was_never_said() {
    let mut world = World::new().await;
    world.deployment("web");
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }] }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.stop().await;
    world.set_status(&path(VSS, "web"), json!({})).await;
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.start();
    world.condition(VSS, "web", "RolloutRestart", "True").await;
    assert_eq!(world.cluster.count("PATCH", "deployments/web"), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_failed_restart_is_said_and_the_secret_is_there() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": [{ "kind": "StatefulSet", "name": "none" }] }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.vault.put("secret/web", json!({ "user": "new" }));
    let object = world.condition(VSS, "web", "RolloutRestart", "False").await;
    let message = condition(&object, "RolloutRestart")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("SK7011") && message.contains("StatefulSet app/none"), "{message}");
    world.secret("web", "user", "new").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.cluster.count("PATCH", "statefulsets/none"), 1, "what is not there is not asked for again");
    world.stop().await;
}

#[tokio::test]
async fn a_restart_that_failed_is_tried_again_until_it_succeeds_and_no_more() {
    let mut world = World::new().await;
    world.deployment("web");
    world.deployment("well");
    let target = |name: &str| json!({ "kind": "Deployment", "name": name });
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": [target("web"), target("well")] }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.cluster.refuse("PATCH", "deployments/web", 503, 3);
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.condition(VSS, "web", "RolloutRestart", "False").await;
    let object = world.condition(VSS, "web", "RolloutRestart", "True").await;
    assert_eq!(condition(&object, "Ready")["status"], "True");
    sleep(Duration::from_secs(2)).await;
    let tries = ["web", "well"].map(|name| world.cluster.count("PATCH", &format!("deployments/{name}")));
    assert_eq!(tries, [4, 1], "the one that failed alone");
    world.stop().await;
}

/// Accepted, and without effect: the Secret is kept, and the object says what it does not get.
#[tokio::test]
async fn what_is_asked_for_in_vain_is_said_beside_a_secret_that_is_synced() {
    let mut world = World::new().await;
    world.deployment("web");
    let targets = json!([{ "kind": "Deployment", "name": "web" }]);
    world.static_secret("app", "blind", json!({ "hmacSecretData": false, "rolloutRestartTargets": targets }));
    world.static_secret("app", "pushed", json!({ "syncConfig": { "instantUpdates": true } }));
    world.start();
    for (name, field) in [("blind", "hmacSecretData: false"), ("pushed", "syncConfig.instantUpdates is not served")] {
        let object = world.condition(VSS, name, "Ready", "True").await;
        for kind in ["Ready", "Healthy"] {
            let message = condition(&object, kind)["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("The Secret holds what Vault holds. ") && message.contains(field), "{message}");
        }
    }
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.secret("blind", "user", "new").await;
    sleep(Duration::from_millis(500)).await;
    let object = world.cluster.get(&path(VSS, "blind"));
    assert_eq!((&object["status"]["secretMAC"], condition(&object, "RolloutRestart")), (&Value::Null, Value::Null));
    assert_eq!(world.cluster.count("PATCH", "deployments/web"), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_secret_that_must_be_there_is_filled_and_left_unowned() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({ "destination": { "name": "given" } }));
    world.start();
    let object = world.condition(VSS, "web", "Ready", "False").await;
    let message = condition(&object, "SecretSynced")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("SK7006") && message.contains("app/given"), "{message}");
    world.cluster.apply(
        "secrets",
        json!({ "metadata": { "name": "given", "namespace": "app" }, "type": "Opaque", "data": { "old": "eA==" } }),
    );
    let filled = world.secret("given", "user", "app").await;
    assert_eq!((&filled["metadata"]["labels"], &filled["data"]["old"]), (&Value::Null, &Value::Null));
    assert_eq!(filled["metadata"]["ownerReferences"], Value::Null);
    world.condition(VSS, "web", "Ready", "True").await;
    sleep(Duration::from_millis(300)).await;
    world.cluster.forget_calls();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(world.cluster.count("PUT", "secrets/given"), 0, "no endless rewriting");
    world.stop().await;
}

#[tokio::test]
async fn a_renamed_destination_leaves_nothing_behind_and_a_type_is_changed_by_a_new_secret() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.start();
    world.secret("web", "user", "app").await;
    world.static_secret("app", "web", json!({ "destination": { "name": "other", "create": true } }));
    let other = world.secret("other", "user", "app").await;
    world.cluster.until(&secret("web"), Value::is_null).await;
    world.static_secret(
        "app",
        "web",
        json!({ "destination": { "name": "other", "create": true, "type": "example.com/x" } }),
    );
    let uid = other["metadata"]["uid"].clone();
    world
        .cluster
        .until(&secret("other"), move |object| object["type"] == "example.com/x" && object["metadata"]["uid"] != uid)
        .await;
    world.stop().await;
}

#[tokio::test]
async fn of_two_with_one_destination_the_owner_keeps_it_and_the_other_says_so() {
    let mut world = World::new().await;
    world.static_secret("app", "first", json!({ "destination": { "name": "shared", "create": true } }));
    world.start();
    world.secret("shared", "user", "app").await;
    world.vault.put("secret/two", json!({ "user": "second" }));
    let second = json!({ "path": "two", "destination": { "name": "shared", "create": true, "overwrite": true } });
    world.static_secret("app", "second", second);
    let object = world.condition(VSS, "second", "Ready", "False").await;
    let message = condition(&object, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("SK7007"), "{message}");
    world.secret("shared", "user", "app").await;
    world.cluster.delete(&path(VSS, "first"));
    world.secret("shared", "user", "second").await;
    world.stop().await;
}

#[tokio::test]
async fn objects_of_a_vault_secrets_operator_are_adopted_without_a_write_or_a_restart() {
    let mut world = World::new().await;
    world.deployment("web");
    let key = json!({ "metadata": { "name": "vso-cc-storage-hmac-key", "namespace": support::HOUSE }, "immutable": true, "data": { "key": "MDEyMzQ1Njc4OWFiY2RlZg==" } });
    world.cluster.apply("secrets", key);
    let targets = json!([{ "kind": "Deployment", "name": "web" }]);
    world.static_secret("app", "web", json!({ "destination": { "name": "web", "create": true, "transformation": { "excludeRaw": true, "excludes": ["n"] } }, "rolloutRestartTargets": targets }));
    let uid = world.cluster.get(&path(VSS, "web"))["metadata"]["uid"].clone();
    let labels = json!({ "app.kubernetes.io/managed-by": "hashicorp-vso", "app.kubernetes.io/name": "vault-secrets-operator", "app.kubernetes.io/component": "secret-sync", "secrets.hashicorp.com/vso-ownerRefUID": uid });
    let owner = json!([{ "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultStaticSecret", "name": "web", "uid": uid }]);
    world.cluster.apply("secrets", json!({ "metadata": { "name": "web", "namespace": "app", "labels": labels, "ownerReferences": owner }, "type": "Opaque", "data": { "user": "YXBw" } }));
    world.cluster.edit(&path(VSS, "web"), |object| {
        object["metadata"]["finalizers"] = json!(["vaultstaticsecret.secrets.hashicorp.com/finalizer"]);
    });
    // `printf '{"user":"YXBw"}' | openssl dgst -sha256 -hmac 0123456789abcdef -binary | base64`
    let mac = "tv4zFKBwekpHUjm+zPOkCXZnTFaJnLML1gLzTIZg5Fw=";
    world.cluster.edit(&path(VSS, "web"), |object| object["status"] = json!({ "lastGeneration": 1, "secretMAC": mac }));
    world.start();
    let object = world.condition(VSS, "web", "Ready", "True").await;
    assert_eq!(object["status"]["secretMAC"], mac);
    assert_eq!(world.cluster.count("PUT", "secrets/web"), 0);
    assert_eq!(world.cluster.count("PATCH", "deployments"), 0);
    world.cluster.delete(&path(VSS, "web"));
    world.cluster.until(&path(VSS, "web"), Value::is_null).await;
    world.cluster.until(&secret("web"), Value::is_null).await;
    world.stop().await;
}

#[tokio::test]
async fn a_shared_transformation_fills_the_secret_and_its_change_is_taken_up_at_once() {
    let mut world = World::new().await;
    let transformation = json!({ "transformationRefs": [{ "name": "st" }], "excludes": [".*"], "excludeRaw": true });
    let destination = json!({ "name": "web", "create": true, "transformation": transformation });
    world.static_secret("app", "web", json!({ "refreshAfter": "1h", "destination": destination }));
    world.start();
    let object = world.condition(VSS, "web", "Ready", "False").await;
    let message = condition(&object, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("SK7002") && message.contains("SecretTransformation app/st"), "{message}");
    let shared = |text: &str| json!({ "templates": { "url": { "text": text } } });
    world.apply(
        "secrettransformations",
        "SecretTransformation",
        "app",
        "st",
        shared("{{ .Secrets.user | upper }}@{{ .Metadata.version }}"),
    );
    let made = world.secret("web", "url", "APP@1").await;
    assert_eq!(made["data"].as_object().unwrap().len(), 1);
    world.condition("secrettransformations", "st", "Ready", "True").await;
    world.apply("secrettransformations", "SecretTransformation", "app", "st", shared("{{ .Secrets.user }}"));
    world.secret("web", "url", "app").await;
    world.apply("secrettransformations", "SecretTransformation", "app", "st", shared("{{ nothing }}"));
    world.condition("secrettransformations", "st", "Ready", "False").await;
    world.condition(VSS, "web", "Ready", "False").await;
    world.secret("web", "url", "app").await;
    world.stop().await;
}
