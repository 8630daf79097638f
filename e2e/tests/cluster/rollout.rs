//! The webhook replaced, its CA rotated and corrupted, its leader killed, while pods are created all the time: none fails, none
//! slips through.

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Sandbox, api, setting, stream};

const DEPLOYMENT: &str = "sidekey-webhook";
const CA: &str = "sidekey-webhook-ca";
const LEAST: u32 = 300;

#[test]
fn rollout_rotation_corruption_and_a_killed_leader_under_load_lose_no_pod() {
    let sandbox = Sandbox::new("rollout");
    let tally = stream::during(&sandbox, LEAST, Duration::ZERO, || {
        roll_out();
        rotate();
        corrupt();
        kill_leader();
    });
    tally.print("rollout, rotation, corruption, killed leader");
    assert!(tally.attempts >= LEAST, "fewer attempts than planned: {}", tally.attempts);
    assert!(tally.failed.is_empty() && tally.bare.is_empty(), "{:?} {:?}", tally.failed, tally.bare);
}

fn roll_out() {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/{DEPLOYMENT}", setting().system);
    let marked = json!({"spec": {"template": {"metadata": {"annotations": {"e2e.sidekey.dev/rolled-out": "once"}}}}});
    let wanted = api::patch(&path, &marked).expect("rollout")["metadata"]["generation"].clone();
    until(seconds(120), "replaced: the webhook's pods", || {
        let status = api::get(&path).json()["status"].clone();
        let done = status["observedGeneration"] == wanted
            && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|field| status[field] == 2);
        if done { Ok(()) } else { Err(status) }
    });
}

/// Asks for a new CA and waits until every replica shows a leaf of it.
fn rotate() {
    let before = bundle();
    let leaves = leaf_ends();
    assert!(!before.is_empty() && leaves.len() == 2, "a CA and two replicas before: {leaves:?}");
    let secret = format!("/api/v1/namespaces/{}/secrets/{CA}", setting().system);
    api::patch(&secret, &json!({"metadata": {"annotations": {"sidekey.dev/rotate": "now"}}})).expect("CA Secret");
    until(seconds(60), "both trusted: the old CA and the new one", || {
        let now = bundle();
        if now.len() > before.len() && now != before { Ok(()) } else { Err(now.len()) }
    });
    until(seconds(90), "replaced: the leaf of every replica", || {
        let now = leaf_ends();
        if now.len() == 2 && now.iter().all(|it| !leaves.contains(it)) { Ok(()) } else { Err(format!("{now:?}")) }
    });
}

/// Spoils the CA's Secret; whoever holds the CA in memory writes it back.
fn corrupt() {
    let secret = format!("/api/v1/namespaces/{}/secrets/{CA}", setting().system);
    let before = api::get(&secret).expect("CA Secret")["data"].clone();
    let spoilt = json!({"data": {"ca.crt": "c3BvaWx0", "ca.key": "c3BvaWx0"}});
    api::patch(&secret, &spoilt).expect("spoiling the CA Secret");
    until(seconds(60), "written back: the CA that was in service", || {
        let now = api::get(&secret).json()["data"].clone();
        if now["ca.crt"] == before["ca.crt"] { Ok(()) } else { Err("another CA, or none") }
    });
}

/// Deletes the replica that looks for missed pods, with no time to say goodbye; another takes its place.
fn kill_leader() {
    let system = &setting().system;
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{system}/leases/sidekey-webhook-leader");
    let holder = || api::get(&lease).json()["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
    let leader = until(seconds(60), "held: the leader's Lease", || {
        let holder = holder();
        let alive = api::get(&format!("/api/v1/namespaces/{system}/pods/{holder}")).ok();
        if alive && !holder.is_empty() { Ok(holder) } else { Err(holder) }
    });
    api::request(
        "DELETE",
        &format!("/api/v1/namespaces/{system}/pods/{leader}"),
        Some(&json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})),
    )
    .expect("deleting the leader");
    until(seconds(90), "taken over: the leader's Lease", || {
        let now = holder();
        if now != leader && !now.is_empty() { Ok(()) } else { Err(now) }
    });
    until(seconds(60), "two replicas again", || {
        let path = format!("/apis/apps/v1/namespaces/{system}/deployments/{DEPLOYMENT}");
        let status = api::get(&path).json()["status"].clone();
        if status["availableReplicas"] == 2 { Ok(()) } else { Err(status) }
    });
}

fn bundle() -> String {
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidekey-webhook";
    api::get(path).json()["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned()
}

/// Each replica's own word on when its leaf ends, from its metrics.
fn leaf_ends() -> Vec<String> {
    let pods = format!("/api/v1/namespaces/{}/pods", setting().system);
    let list = api::get(&format!("{pods}?labelSelector=app.kubernetes.io/name%3D{DEPLOYMENT}")).json();
    let running = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(running)
        .filter_map(|pod| pod["metadata"]["name"].as_str())
        .filter_map(|name| {
            let metrics = api::get(&format!("{pods}/{name}:9090/proxy/metrics")).body;
            metrics
                .lines()
                .find(|line| line.contains("certificate_expiry_timestamp") && line.contains("leaf"))
                .map(str::to_owned)
        })
        .collect()
}
