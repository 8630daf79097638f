//! The operator that works is killed: no change, no login and no lease is lost. For fifteen seconds nobody works then, which others
//! would take for lateness, so it runs after everything that runs side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_e2e::kept::{OPERATOR, decoded, kill_leader, restarted};
use sidekey_e2e::manuals::transit;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit};

#[test]
fn changes_reach_the_secret_while_the_operator_that_works_is_killed_again_and_again() {
    let kept = Kept::new("op-killed");
    let workload = kept.workload("deployments", "web");
    kept.sandbox.put("web", &json!({"n": "0"}));
    let targets = json!([{"kind": "Deployment", "name": "web"}]);
    kept.static_secret("web", &json!({"rolloutRestartTargets": targets}));
    kept.holds("web", "n", "0");
    let mut worst = Duration::ZERO;
    for n in 1..=9_u64 {
        kept.sandbox.put("web", &json!({"n": n.to_string()}));
        // Other moments of a look each time: before it, in it, after it.
        sleep(Duration::from_millis(n * 370));
        if n % 3 == 0 {
            let (killed, after) = (Instant::now(), kill_leader());
            println!("{after} took over after {:?}", killed.elapsed());
        }
        let begun = Instant::now();
        kept.holds("web", "n", &n.to_string());
        until(seconds(30), "restarted", || restarted(&workload).ok_or("no annotation"));
        worst = worst.max(begun.elapsed());
    }
    println!("9 changes, 3 kills: the slowest change took {worst:?} once an operator worked");
    until(seconds(120), "two replicas again", || {
        let status =
            api::get(&format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/sidekey-operator")).json()["status"]
                .clone();
        if status["availableReplicas"] == 2 { Ok(()) } else { Err(status) }
    });
}

/// Its logins are kept, encrypted by Vault's transit engine, and taken up by whoever works next.
#[test]
fn the_end_of_the_operator_that_works_makes_no_login_and_no_lease_and_restarts_no_workload() {
    transit();
    let kept = Kept::with_database("op-cache");
    let namespace = kept.sandbox.namespace.clone();
    let workload = kept.workload("deployments", "app");
    let targets = json!({"rolloutRestartTargets": [{"kind": "Deployment", "name": "app"}]});
    kept.sandbox.put("web", &json!({"n": "0"}));
    kept.static_secret("web", &json!({}));
    kept.dynamic_secret("db", &targets);
    kept.ready("vaultstaticsecrets", "web", "True");
    kept.ready("vaultdynamicsecrets", "db", "True");
    let user = || decoded(&api::get(&kept.secret_path("db")).json(), "username");
    let first = user();
    encrypted(&kept);
    for n in 1..=2 {
        kill_leader();
        kept.sandbox.put("web", &json!({"n": n.to_string()}));
        kept.holds("web", "n", &n.to_string());
        sleep(seconds(5));
        assert_eq!(user(), first, "the credentials stay");
    }
    let seen = audit::of(&namespace, "");
    let count = |prefix: &str| audit::count(&seen, prefix);
    println!(
        "{namespace}: {} logins, {} leases over three lives",
        count("auth/kubernetes/login"),
        count("database/creds/")
    );
    assert_eq!((count("auth/kubernetes/login"), count("database/creds/")), (1, 1));
    assert_eq!(restarted(&workload), None);
}

/// What is kept is nothing that one can use without Vault.
fn encrypted(kept: &Kept) {
    let status = kept.get("vaultdynamicsecrets", "db")["status"].clone();
    let name = format!("vso-cc-{}", status["vaultClientMeta"]["cacheKey"].as_str().expect("a cache key"));
    let secret = until(seconds(30), "kept: the login", || {
        let answer = api::get(&format!("/api/v1/namespaces/{OPERATOR}/secrets/{name}"));
        if answer.ok() { Ok(answer.json()) } else { Err(answer.message()) }
    });
    let labels = &secret["metadata"]["labels"];
    assert_eq!((&labels["encrypted"], &secret["immutable"]), (&json!("true"), &json!(true)));
    assert_eq!(labels["vaultTransitRef"], "vault-secrets-operator-default-transit-auth");
    let text = decoded(&secret, "secret");
    assert!(text.contains("vault:v1:") && !text.contains("client_token"), "it is a ciphertext");
}
