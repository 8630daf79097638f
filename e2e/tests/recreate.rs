//! Every object of the webhook replaced and made anew, as GitOps tools do, and the API server started again, under a stream of
//! pods. What is deleted is gone for a moment: nothing can be promised then but that every pod is created in the end, and that
//! one created while nobody asked the webhook is found, and healed where that is asked for. It runs after everything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_e2e::stream::{self, injected};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, api, command, setting};

const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidekey-webhook";

/// What a controller waits at the very most for a pod.
const PATIENCE: Duration = seconds(60);

/// One test at a time: each changes what the others need.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The objects that installed the webhook, but for the namespace that holds them.
fn manifests() -> Vec<Value> {
    let file = setting().manifests.as_ref().expect("not run: E2E_MANIFESTS names no file");
    let all =
        command::run("kubectl", &["create", "--dry-run=client", "-o", "json", "-f", file], "").expect("manifests");
    let objects: Vec<Value> = serde_json::Deserializer::from_str(&all).into_iter().map(Result::unwrap).collect();
    let flat = objects.into_iter().flat_map(|it| it["items"].as_array().cloned().unwrap_or_else(|| vec![it]));
    flat.filter(|it| it["kind"] != "Namespace").collect()
}

fn kubectl(args: &[&str], object: &Value) {
    let args = [args, &["-f", "-"]].concat();
    let what = format!("kubectl {} of {} {}", args.join(" "), object["kind"], object["metadata"]["name"]);
    command::run("kubectl", &args, &object.to_string()).expect(&what);
}

fn in_namespace(group: &str, rest: &str) -> String {
    format!("{group}/namespaces/{}/{rest}", setting().system)
}

/// Two replicas, trusted, and behind the Service.
fn available() {
    until(seconds(120), "two replicas", || {
        let status = api::get(&in_namespace("/apis/apps/v1", "deployments/sidekey-webhook")).json()["status"].clone();
        if status["availableReplicas"] == 2 { Ok(()) } else { Err(status) }
    });
}

fn bundle() -> String {
    let read = api::get(CONFIGURATION).json();
    read["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned()
}

/// Time from now to a `caBundle`.
fn trusted() -> Duration {
    let begun = Instant::now();
    while bundle().is_empty() {
        assert!(begun.elapsed() < seconds(30), "no caBundle after 30 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

#[test]
fn an_api_server_that_starts_again_makes_no_pod_fail_or_slip_through() {
    let _alone = alone();
    let program = setting().restart_api.as_ref().expect("not run: E2E_RESTART_API names no program");
    let sandbox = Sandbox::new("restart");
    let tally = stream::during(&sandbox, 300, PATIENCE, || {
        for _ in 0..2 {
            command::run(program, &["apiserver"], "").expect("starting the API server again");
            std::thread::sleep(seconds(5));
        }
    });
    tally.print("two starts of the API server");
    assert!(tally.attempts >= 300, "fewer attempts than planned");
    assert!(tally.failed.is_empty() && tally.bare.is_empty(), "{:?} {:?}", tally.failed, tally.bare);
}

#[test]
fn objects_that_are_replaced_in_place_make_no_pod_fail_or_slip_through() {
    let _alone = alone();
    let objects = manifests();
    let sandbox = Sandbox::new("replace");
    let mut worst = Duration::ZERO;
    let tally = stream::during(&sandbox, 300, PATIENCE, || {
        for round in 0..5 {
            for object in &objects {
                kubectl(&["replace"], object);
                if object["kind"] == "MutatingWebhookConfiguration" {
                    worst = worst.max(trusted());
                }
            }
            println!("round {round}: {} objects replaced", objects.len());
        }
        available();
    });
    tally.print("replaced in place");
    println!("caBundle was there again after {worst:.1?} at most");
    assert!(tally.attempts >= 300, "fewer attempts than planned");
    assert!(tally.failed.is_empty() && tally.bare.is_empty(), "{:?} {:?}", tally.failed, tally.bare);
    assert!(tally.longest < seconds(3), "a pod waited for {:?}", tally.longest);
}

/// `--force`: each object is deleted and created. The CA's Secret too, which is in no manifest.
#[test]
fn objects_that_are_deleted_and_made_anew_lose_no_pod_and_those_that_slipped_through_are_found() {
    let _alone = alone();
    let objects = manifests();
    let sandbox = Sandbox::new("force");
    let tally = stream::during(&sandbox, 300, PATIENCE, || {
        for object in &objects {
            let begun = Instant::now();
            kubectl(&["replace", "--force", "--cascade=background"], object);
            let text = object["kind"].as_str().unwrap_or_default();
            println!("{text} {}: made anew in {:.1?}", object["metadata"]["name"], begun.elapsed());
            if text == "MutatingWebhookConfiguration" {
                println!("caBundle was there {:.1?} later", trusted());
            }
        }
        api::delete(&in_namespace("/api/v1", "secrets/sidekey-webhook-ca")).expect("deleting the CA's Secret");
        available();
        trusted();
    });
    tally.print("deleted and made anew");
    assert!(tally.attempts >= 300, "fewer attempts than planned");
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    let begun = Instant::now();
    for name in &tally.bare {
        let pod = Pod::of(&sandbox, name);
        until(seconds(180), &format!("told about: {name}, which slipped through"), || {
            let events = pod.events();
            if events.iter().any(|it| it.starts_with("NotInjected: ")) { Ok(()) } else { Err(events.join("\n")) }
        });
    }
    println!("{} pods slipped through, told about within {:.1?} of the end", tally.bare.len(), begun.elapsed());
}

/// The right to evict and the setting, as `deploy/components/evict` gives them; taken back at the end.
struct Evicting {
    role: Value,
    settings: Value,
}

const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/sidekey-webhook-missed";

impl Evicting {
    fn begin() -> Self {
        let settings = in_namespace("/api/v1", "configmaps/sidekey-settings");
        let before = Self { role: api::get(ROLE).expect("role"), settings: api::get(&settings).expect("settings") };
        let mut rules = before.role["rules"].as_array().unwrap().clone();
        rules.push(json!({"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}));
        api::patch(ROLE, &json!({"rules": rules})).expect("the right to evict");
        let text = before.settings["data"]["settings.yaml"].as_str().unwrap();
        let text = format!("{text}\nmissedPods: evict\n");
        api::patch(&settings, &json!({"data": {"settings.yaml": text}})).expect("the setting");
        before
    }
}

impl Drop for Evicting {
    fn drop(&mut self) {
        api::patch(ROLE, &json!({"rules": self.role["rules"]}));
        let settings = in_namespace("/api/v1", "configmaps/sidekey-settings");
        api::patch(&settings, &json!({"data": self.settings["data"]}));
    }
}

#[test]
fn a_controllers_pods_that_slipped_through_are_evicted_and_come_back_injected() {
    let _alone = alone();
    let sandbox = Sandbox::new("evict").with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    let _evicting = Evicting::begin();
    let found = api::get(CONFIGURATION).expect("configuration");
    let template = Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
    ]);
    let mut template = template.manifest;
    template["metadata"]["labels"] = json!({"app": "web"});
    let replicas = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": template["metadata"], "spec": template["spec"]}},
    });
    let pods = || api::get(&format!("{}?labelSelector=app%3Dweb", sandbox.path("pods"))).json()["items"].clone();
    let agents = |all: &Value| all.as_array().into_iter().flatten().filter(|pod| injected(pod)).count();

    api::delete(CONFIGURATION).expect("deleting the configuration");
    std::thread::sleep(seconds(1));
    let collection = format!("/apis/apps/v1/namespaces/{}/replicasets", sandbox.namespace);
    let created = api::create(&collection, &replicas);
    let bare = until(seconds(30), "three pods", || {
        let all = pods();
        if all.as_array().map(Vec::len) == Some(3) { Ok(agents(&all)) } else { Err(all.to_string()) }
    });
    let anew = json!({"apiVersion": found["apiVersion"], "kind": found["kind"], "webhooks": found["webhooks"],
        "metadata": {"name": found["metadata"]["name"], "labels": found["metadata"]["labels"],
            "annotations": found["metadata"]["annotations"]}});
    api::create(CONFIGURATION.rsplit_once('/').unwrap().0, &anew).expect("making the configuration anew");
    created.expect("ReplicaSet");
    assert_eq!(bare, 0, "nobody asked the webhook");

    let begun = Instant::now();
    until(seconds(240), "evicted and come back: three pods with agents", || {
        let all = pods();
        let living = all.as_array().into_iter().flatten().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let living = Value::Array(living.cloned().collect());
        if (agents(&living), living.as_array().map(Vec::len)) == (3, Some(3)) { Ok(()) } else { Err("not yet") }
    });
    println!(
        "3 pods slipped through; all were evicted and injected {:.1?} after the webhook was asked again",
        begun.elapsed()
    );
}
