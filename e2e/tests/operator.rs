//! The operator gone for good; a namespace gone while it works. It touches every secret of the cluster, so it runs after everything
//! that runs side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_e2e::kept::{OPERATOR, leader};
use sidekey_e2e::operator::{self, Away};
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Kept, Shape, api, command, sandbox, setting};

#[test]
fn a_deleted_namespace_goes_with_everything_in_it_and_its_lease_is_revoked() {
    let _alone = operator::alone();
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

/// Told to end, the replica that works gives its Lease back: nobody waits until it has run out.
#[test]
fn a_rollout_hands_the_work_over_before_the_lease_runs_out() {
    const LEASE: Duration = seconds(15);
    let _alone = operator::alone();
    let kept = Kept::new("op-rollout");
    kept.sandbox.put("web", &json!({"n": "0"}));
    kept.static_secret("web", &json!({}));
    kept.holds("web", "n", "0");
    let pods = || {
        let list = api::get(&format!("/api/v1/namespaces/{OPERATOR}/pods")).json();
        let names = list["items"].as_array().into_iter().flatten().filter_map(|pod| pod["metadata"]["name"].as_str());
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let old = pods();
    assert!(old.contains(&leader()), "{} works", leader());
    let kubectl =
        |args: &[&str]| command::run("kubectl", &[&["-n", OPERATOR][..], args].concat(), "").expect("kubectl");
    kubectl(&["rollout", "restart", "deployment/sidekey-operator"]);
    let (mut n, mut worst) = (0_u64, Duration::ZERO);
    while old.contains(&leader()) || leader().is_empty() || n < 3 {
        assert!(n < 100, "{} still works", leader());
        n += 1;
        kept.sandbox.put("web", &json!({"n": n.to_string()}));
        let begun = Instant::now();
        kept.holds("web", "n", &n.to_string());
        worst = worst.max(begun.elapsed());
    }
    kubectl(&["rollout", "status", "deployment/sidekey-operator", "--timeout=120s"]);
    println!("{}: {n} changes over a rollout of both replicas, the slowest took {worst:?}", kept.sandbox.namespace);
    assert!(worst < LEASE, "{worst:?}");
}

/// Objects, and how a Vault Secrets Operator calls its finalizers of their kinds.
const OLD: [(&str, &str, &str); 5] = [
    ("vaultconnections", "vault", "vaultconnection"),
    ("vaultauths", "vault", "vaultauth"),
    ("vaultstaticsecrets", "web", "vaultstaticsecret"),
    ("vaultpkisecrets", "tls", "vaultpkisecrets"),
    ("hcpvaultsecretsapps", "shop", "hcpvaultsecretsapp"),
];

#[test]
fn uninstalling_leaves_no_finalizer_behind() {
    let kept = Kept::new("op-uninstall");
    let namespace = kept.sandbox.namespace.clone();
    kept.sandbox.grant(&format!("path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}"));
    kept.sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
    kept.dynamic_secret("db", &json!({}));
    kept.ready("vaultdynamicsecrets", "db", "True");
    let finalizers = |plural: &str, name: &str| kept.get(plural, name)["metadata"]["finalizers"].clone();
    assert_eq!(finalizers("vaultdynamicsecrets", "db"), json!(["vaultdynamicsecret.secrets.hashicorp.com/finalizer"]));
    let _away = Away::new();
    // What a Vault Secrets Operator has left, and what is somebody else's.
    kept.static_secret("web", &json!({}));
    let pki = json!({"mount": "pki", "role": "web", "commonName": "web.example.com"});
    kept.secret("vaultpkisecrets", "VaultPKISecret", "tls", &pki, &json!({}));
    let app = json!({"appName": "shop", "destination": {"name": "shop"}});
    kept.create("hcpvaultsecretsapps", "HCPVaultSecretsApp", "shop", &app);
    for (plural, name, old) in OLD {
        let left = format!("{old}.secrets.hashicorp.com/finalizer");
        let left = json!({"metadata": {"finalizers": [left, "example.com/mine"]}});
        api::patch(&kept.one(plural, name), &left).expect("finalizers");
    }
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
    assert!(api::get(&kept.secret_path("db")).ok(), "the Secret stays");
    for (plural, name, _) in OLD {
        assert_eq!(finalizers(plural, name), json!(["example.com/mine"]), "{plural}/{name}");
        api::patch(&kept.one(plural, name), &json!({"metadata": {"finalizers": null}})).expect("mine");
    }
    let path = format!("/api/v1/namespaces/{namespace}");
    api::delete(&path).expect("delete");
    until(seconds(90), "gone without an operator: the namespace", || match api::get(&path).status {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}
