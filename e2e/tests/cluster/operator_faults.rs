//! What befalls clusters: Vault sealed, objects and CRDs replaced. Nothing is lost, nothing hangs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_e2e::kept::decoded;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, command, sandbox, setting};

#[test]
fn a_vault_that_is_sealed_leaves_secrets_as_they_are_and_is_taken_up_when_it_is_back() {
    let kept = Kept::new("op-sealed");
    let spare = setting().spare();
    let _alone = spare.alone();
    let namespace = &kept.sandbox.namespace;
    spare.server.policy(namespace, &format!("path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}"));
    spare.server.write(&format!("auth/kubernetes/role/{namespace}"), &sandbox::role(namespace));
    let put = |value: &str| spare.server.put(&format!("{namespace}/far"), &json!({"value": value}));
    put("first");
    kept.connection("spare", &spare.server, &spare.server.address);
    kept.create("vaultauths", "VaultAuth", "spare", &kept.auth("spare"));
    kept.sandbox.put("near", &json!({"value": "first"}));
    kept.static_secret("far", &json!({"vaultAuthRef": "spare"}));
    kept.static_secret("near", &json!({}));
    kept.holds("far", "value", "first");
    put("second");
    spare.server.write("sys/seal", &json!({}));
    let message = kept.ready("vaultstaticsecrets", "far", "False");
    assert!(message.contains("SK3006"), "{message}");
    let message = kept.ready("vaultconnections", "spare", "False");
    assert!(message.contains("sealed"), "{message}");
    let kept_data = decoded(&api::get(&kept.secret_path("far")).json(), "value");
    assert!(["first", "second"].contains(&kept_data.as_str()), "the last good data stays");
    // The other Vault's secrets go on.
    kept.sandbox.put("near", &json!({"value": "second"}));
    let begun = Instant::now();
    kept.holds("near", "value", "second");
    assert!(begun.elapsed() < seconds(10), "{:?}", begun.elapsed());
    sleep(seconds(20));
    spare.server.write("sys/unseal", &json!({"key": spare.unseal_key}));
    let begun = Instant::now();
    kept.holds("far", "value", "second");
    kept.ready("vaultstaticsecrets", "far", "True");
    kept.ready("vaultconnections", "spare", "True");
    println!("{namespace}: well {:?} after the unsealing", begun.elapsed());
    assert!(begun.elapsed() < seconds(45), "{:?}", begun.elapsed());
}

/// The token was made while the role lacked the policy; only a new login has it.
#[test]
fn a_role_that_is_given_a_policy_after_a_refusal_is_taken_up_within_seconds() {
    let kept = Kept::new("op-policy");
    let mut role = sandbox::role(&kept.sandbox.namespace);
    role["token_policies"] = json!(["default"]);
    kept.sandbox.role(&role);
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({"refreshAfter": "1h"}));
    let message = kept.ready("vaultstaticsecrets", "web", "False");
    assert!(message.contains("SK4001"), "{message}");
    kept.sandbox.role(&sandbox::role(&kept.sandbox.namespace));
    let begun = Instant::now();
    kept.holds("web", "user", "app");
    kept.ready("vaultstaticsecrets", "web", "True");
    println!("{}: mended in {:?}", kept.sandbox.namespace, begun.elapsed());
    assert!(begun.elapsed() < seconds(60), "{:?}", begun.elapsed());
}

/// With no grace, and made anew under its name at once, as `kubectl replace --force` does.
#[test]
fn objects_replaced_by_force_are_taken_up_each_time() {
    let kept = Kept::new("op-force");
    kept.sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
    kept.sandbox.grant(&format!(
        "path \"secret/data/{0}/*\" {{ capabilities = [\"read\"] }}\npath \"database/creds/{0}\" {{ capabilities = [\"read\"] }}",
        kept.sandbox.namespace
    ));
    kept.sandbox.put("web", &json!({"user": "app"}));
    let force = |plural: &str, name: &str| {
        let now = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
        api::request("DELETE", &kept.one(plural, name), Some(&now)).expect("delete");
        // A finalizer makes this wait for the operator.
        until(seconds(30), "gone", || if kept.get(plural, name).is_null() { Ok(()) } else { Err("it is there") });
    };
    let uid = |plural: &str, name: &str| kept.get(plural, name)["metadata"]["uid"].clone();
    let owned = |secret: &str, uid: &Value| {
        until(seconds(60), "owned by the new object", || {
            let found = api::get(&kept.secret_path(secret)).json();
            if found["metadata"]["ownerReferences"][0]["uid"] == *uid {
                Ok(())
            } else {
                Err(found["metadata"].to_string())
            }
        });
    };
    for _ in 0..5 {
        kept.static_secret("web", &json!({}));
        kept.dynamic_secret("db", &json!({}));
        owned("web", &uid("vaultstaticsecrets", "web"));
        owned("db", &uid("vaultdynamicsecrets", "db"));
        kept.ready("vaultstaticsecrets", "web", "True");
        kept.ready("vaultdynamicsecrets", "db", "True");
        force("vaultstaticsecrets", "web");
        force("vaultdynamicsecrets", "db");
    }
}

/// As an upgrade does that replaces CRDs, again and again, while each of three secrets changes four times a second.
#[test]
fn crds_replaced_under_load_lose_no_object_and_no_change() {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let kept = Kept::new("op-crds");
    let put = |n: u32| NAMES.map(|name| kept.sandbox.put(name, &json!({"n": n.to_string()})));
    put(0);
    for name in NAMES {
        kept.static_secret(name, &json!({}));
        kept.holds(name, "n", "0");
    }
    let uids = || {
        NAMES.map(|name| {
            let secret = api::get(&kept.secret_path(name)).json();
            let object = kept.get("vaultstaticsecrets", name);
            (secret["metadata"]["uid"].clone(), object["metadata"]["uid"].clone())
        })
    };
    let held = |name: &str| decoded(&api::get(&kept.secret_path(name)).json(), "n").parse::<u32>().expect("a number");
    let before = uids();
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/operator/crds.yaml");
    let (changes, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                put(changes.fetch_add(1, Ordering::Relaxed) + 1);
                sleep(Duration::from_millis(250));
            }
        });
        let replaced = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..8 {
                command::run("kubectl", &["replace", "-f", &crds.to_string_lossy()], "").expect("replacing the CRDs");
                let now = changes.load(Ordering::Relaxed);
                for name in NAMES {
                    until(seconds(30), "written under load", || match held(name) {
                        n if n >= now => Ok(()),
                        n => Err(format!("{name} is at {n} of {now}")),
                    });
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        replaced.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let last = changes.load(Ordering::Relaxed);
    println!("{}: all CRDs replaced 8 times during {last} changes of 3 secrets", kept.sandbox.namespace);
    assert!(last >= 8, "no load: {last} changes");
    for name in NAMES {
        kept.holds(name, "n", &last.to_string());
        kept.ready("vaultstaticsecrets", name, "True");
    }
    assert_eq!(uids(), before, "the objects and their Secrets are the same");
}
