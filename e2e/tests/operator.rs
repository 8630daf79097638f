//! The operator gone, for good or to take another one's place; a namespace gone while it works. It touches every secret of the cluster, so it runs after
//! everything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_e2e::kept::{OPERATOR, restarted};
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Kept, Shape, api, command, sandbox, setting};

/// One of these tests at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn scale(replicas: u64) {
    let path = format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/sidekey-operator");
    api::patch(&path, &json!({"spec": {"replicas": replicas}})).expect("scale");
    until(seconds(120), &format!("at {replicas} replicas: the operator"), || {
        let status = api::get(&path).json()["status"].clone();
        let pods = api::get(&format!(
            "/api/v1/namespaces/{OPERATOR}/pods?labelSelector=app.kubernetes.io/name%3Dsidekey-operator"
        ));
        let there = pods.json()["items"].as_array().map_or(0, Vec::len) as u64;
        let available = status["availableReplicas"].as_u64().unwrap_or_default();
        if (there, available) == (replicas, replicas) { Ok(()) } else { Err(status) }
    });
}

/// Brings the operator back, whatever the test comes to.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        scale(2);
    }
}

#[test]
fn a_deleted_namespace_goes_with_everything_in_it_and_its_lease_is_revoked() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = Kept::new("op-gone");
    let namespace = kept.sandbox.namespace.clone();
    kept.sandbox.grant(&format!(
        "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\n\
         path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}\n\
         path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
    ));
    kept.sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({}));
    kept.dynamic_secret("db", &json!({}));
    kept.ready("vaultstaticsecrets", "web", "True");
    kept.ready("vaultdynamicsecrets", "db", "True");
    let object = kept.get("vaultdynamicsecrets", "db");
    let lease = object["status"]["secretLease"]["id"].as_str().expect("a lease").to_owned();
    let lives = || sandbox::vault().request("PUT", "sys/leases/lookup", Some(&json!({"lease_id": lease}))).ok();
    assert!(lives());
    let (begun, path) = (Instant::now(), format!("/api/v1/namespaces/{namespace}"));
    api::delete(&path).expect("delete");
    until(seconds(90), "gone: the namespace", || match api::get(&path) {
        answer if answer.status == 404 => Ok(()),
        answer => Err(answer.json()["status"].to_string()),
    });
    println!("{namespace}: gone in {:?}", begun.elapsed());
    until(seconds(10), "revoked: the lease", || if lives() { Err("it lives") } else { Ok(()) });
}

#[test]
fn uninstalling_leaves_no_finalizer_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = Kept::new("op-uninstall");
    let namespace = kept.sandbox.namespace.clone();
    kept.sandbox.grant(&format!("path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}"));
    kept.sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
    kept.dynamic_secret("db", &json!({}));
    kept.ready("vaultdynamicsecrets", "db", "True");
    let finalizers = |plural: &str, name: &str| kept.get(plural, name)["metadata"]["finalizers"].clone();
    assert_eq!(finalizers("vaultdynamicsecrets", "db"), json!(["vaultdynamicsecret.secrets.hashicorp.com/finalizer"]));
    // What a Vault Secrets Operator has left, and what is somebody else's.
    let old = json!({"metadata": {"finalizers": ["vaultauth.secrets.hashicorp.com/finalizer", "example.com/mine"]}});
    api::patch(&kept.one("vaultauths", "vault"), &old).expect("finalizers");
    scale(0);
    let _back = Back;
    let mut hook =
        Shape::new("sidekey-uninstall", &["operator", "--uninstall", "--pre-delete-hook-timeout-seconds=60"])
            .spec("restartPolicy", json!("Never"))
            .spec("serviceAccountName", json!("sidekey-operator"));
    hook.manifest["spec"]["containers"][0]["image"] = json!(setting().control);
    let pods = format!("/api/v1/namespaces/{OPERATOR}/pods");
    api::create(&pods, &hook.manifest).expect("hook");
    until(START, "done: the hook", || {
        let phase = api::get(&format!("{pods}/sidekey-uninstall")).json()["status"]["phase"].clone();
        if phase == "Succeeded" { Ok(()) } else { Err(phase) }
    });
    api::delete(&format!("{pods}/sidekey-uninstall"));
    assert_eq!(finalizers("vaultdynamicsecrets", "db"), Value::Null);
    assert_eq!(finalizers("vaultauths", "vault"), json!(["example.com/mine"]));
    assert!(api::get(&kept.secret_path("db")).ok(), "the Secret stays");
    api::patch(&kept.one("vaultauths", "vault"), &json!({"metadata": {"finalizers": null}})).expect("mine");
    let path = format!("/api/v1/namespaces/{namespace}");
    api::delete(&path).expect("delete");
    until(seconds(90), "gone without an operator: the namespace", || match api::get(&path).status {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}

/// A static secret as a Vault Secrets Operator leaves it: Secret with its labels and owner, digest in the status, finalizer.
#[test]
fn objects_of_a_vault_secrets_operator_are_taken_over_without_a_write_and_without_a_restart() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = Kept::new("op-adopt");
    let workload = kept.workload("deployments", "web");
    scale(0);
    let back = Back;
    kept.sandbox.put("web", &json!({"user": "app"}));
    let targets = json!([{"kind": "Deployment", "name": "web"}]);
    let destination = json!({"name": "web", "create": true, "transformation": {"excludeRaw": true}});
    kept.static_secret("web", &json!({"rolloutRestartTargets": targets, "destination": destination}));
    let uid = kept.get("vaultstaticsecrets", "web")["metadata"]["uid"].as_str().expect("uid").to_owned();
    let labels = json!({"app.kubernetes.io/managed-by": "hashicorp-vso", "app.kubernetes.io/name": "vault-secrets-operator",
        "app.kubernetes.io/component": "secret-sync", "secrets.hashicorp.com/vso-ownerRefUID": uid});
    let owner = json!([{"apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultStaticSecret", "name": "web", "uid": uid}]);
    let metadata = json!({"name": "web", "labels": labels, "ownerReferences": owner});
    kept.sandbox.create("secrets", &json!({"metadata": metadata, "type": "Opaque", "data": {"user": "YXBw"}}));
    let status = json!({"lastGeneration": 1, "secretMAC": mac(r#"{"user":"YXBw"}"#)});
    let path = kept.one("vaultstaticsecrets", "web");
    api::patch(&format!("{path}/status"), &json!({"status": status})).expect("status");
    let finalizer = json!({"metadata": {"finalizers": ["vaultstaticsecret.secrets.hashicorp.com/finalizer"]}});
    api::patch(&path, &finalizer).expect("finalizer");
    let version = || api::get(&kept.secret_path("web")).json()["metadata"]["resourceVersion"].clone();
    let before = version();
    drop(back);
    kept.ready("vaultstaticsecrets", "web", "True");
    sleep(seconds(5));
    assert_eq!((version(), restarted(&workload)), (before, None));
    kept.sandbox.put("web", &json!({"user": "other"}));
    kept.holds("web", "user", "other");
    until(seconds(20), "restarted", || restarted(&workload).ok_or("no annotation"));
    api::delete(&path).expect("delete");
    until(seconds(60), "gone, in spite of the finalizer", || match api::get(&path).status {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}

/// HMAC-SHA256 under the operator's key, as statuses have it. openssl makes it: another hand than ours.
fn mac(text: &str) -> String {
    let secret = api::get(&format!("/api/v1/namespaces/{OPERATOR}/secrets/vso-cc-storage-hmac-key")).json();
    let key = STANDARD.decode(secret["data"]["key"].as_str().expect("key")).expect("base64");
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let option = format!("hexkey:{}", hex(&key));
    let done = command::run("openssl", &["dgst", "-sha256", "-mac", "HMAC", "-macopt", &option, "-hex"], text);
    let digest = done.expect("openssl");
    let digest = digest.trim().rsplit(' ').next().expect("a digest").to_owned();
    let byte = |at: usize| u8::from_str_radix(&digest[at..at + 2], 16).expect("hex");
    STANDARD.encode((0..digest.len()).step_by(2).map(byte).collect::<Vec<_>>())
}
