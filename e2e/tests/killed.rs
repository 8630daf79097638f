//! The operator that works is killed: no change, no login and no lease is lost. For fifteen seconds nobody works then, which others
//! would take for lateness, so it runs after everything that runs side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_e2e::kept::{OPERATOR, decoded, kill_leader, restarted};
use sidekey_e2e::manuals::transit;
use sidekey_e2e::operator::alone;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit, sandbox};

/// What a life of the operator may cost: logins and leases so far, the credentials, and each workload's generation, which tells
/// more restarts apart than an annotation of whole seconds.
struct Costs<'k> {
    kept: &'k Kept,
    web: String,
    db: String,
}

impl Costs<'_> {
    /// Nothing but what the first sync took.
    fn assert_none(&self, round: u64, user: &str) {
        let seen = audit::of(&self.kept.sandbox.namespace, "");
        let counts = (audit::count(&seen, "auth/kubernetes/login"), audit::count(&seen, "database/creds/"));
        assert_eq!(counts, (1, 1), "logins and leases after round {round}");
        assert_eq!(user_of(self.kept), user, "round {round}: the credentials stay");
        assert_eq!(restarted(&self.db), None, "round {round}: who uses the credentials stays");
    }

    /// Digest of what the workload was given, as the status has it.
    fn mac(&self) -> Value {
        self.kept.get("vaultstaticsecrets", "web")["status"]["secretMAC"].clone()
    }

    /// Restarts asked of the workload whose secret changes.
    fn restarts(&self) -> u64 {
        api::get(&self.web).json()["metadata"]["generation"].as_u64().expect("a generation") - 1
    }
}

fn user_of(kept: &Kept) -> String {
    decoded(&api::get(&kept.secret_path("db")).json(), "username")
}

#[test]
fn changes_reach_the_secret_while_the_operator_that_works_is_killed_again_and_again() {
    let _alone = alone();
    transit();
    let kept = Kept::with_database("op-killed");
    let costs = Costs { web: kept.workload("deployments", "web"), db: kept.workload("deployments", "db"), kept: &kept };
    kept.sandbox.put("web", &json!({"n": "0"}));
    let targets = |name: &str| json!({"rolloutRestartTargets": [{"kind": "Deployment", "name": name}]});
    kept.static_secret("web", &targets("web"));
    kept.dynamic_secret("db", &targets("db"));
    kept.holds("web", "n", "0");
    kept.ready("vaultstaticsecrets", "web", "True");
    kept.ready("vaultdynamicsecrets", "db", "True");
    let (user, lease) = (user_of(&kept), kept.get("vaultdynamicsecrets", "db")["status"]["secretLease"]["id"].clone());
    encrypted(&kept);
    assert_eq!(costs.restarts(), 0, "the first sync restarts nobody");
    let (mut worst, mut before, mut twice, mut mac) = (Duration::ZERO, 0, 0, costs.mac());
    for n in 1..=9_u64 {
        let kill = n % 3 == 0;
        kept.sandbox.put("web", &json!({"n": n.to_string()}));
        // Other moments of a look each time: before it, in it, after it.
        sleep(Duration::from_millis(n * 370));
        if kill {
            let (killed, after) = (Instant::now(), kill_leader());
            println!("{after} took over after {:?}", killed.elapsed());
        }
        let begun = Instant::now();
        kept.holds("web", "n", &n.to_string());
        until(seconds(30), "restarted", || if costs.restarts() > before { Ok(()) } else { Err("not again") });
        worst = worst.max(begun.elapsed());
        // Written last: whatever restarts after it, the next round sees.
        mac = until(seconds(30), "said in the status", || match costs.mac() {
            now if now != mac => Ok(now),
            now => Err(now),
        });
        let restarts = costs.restarts() - before;
        // Killed between a Secret and its status, an operator restarts a second time rather than never.
        assert!(restarts == 1 || (kill && restarts == 2), "round {n}: {restarts} restarts for one change");
        (before, twice) = (before + restarts, twice + restarts - 1);
        costs.assert_none(n, &user);
    }
    settled(&kept);
    assert_eq!(costs.restarts(), before, "a quiet time restarts nobody");
    println!(
        "9 changes, 3 kills: the slowest change took {worst:?} once an operator worked; {twice} restarts for the second time"
    );
    assert_eq!(kept.get("vaultdynamicsecrets", "db")["status"]["secretLease"]["id"], lease);
    let lives = sandbox::vault().request("PUT", "sys/leases/lookup", Some(&json!({"lease_id": lease})));
    lives.expect("the lease");
    until(seconds(120), "two replicas again", || {
        let status =
            api::get(&format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/sidekey-operator")).json()["status"]
                .clone();
        if status["availableReplicas"] == 2 { Ok(()) } else { Err(status) }
    });
}

/// Two more reads of the secret than now: the second began after all was done that the first had brought.
fn settled(kept: &Kept) {
    let namespace = &kept.sandbox.namespace;
    let reads = || audit::count(&audit::of(namespace, ""), &format!("secret/data/{namespace}/web"));
    let now = reads();
    until(seconds(30), "looked at again", || match reads() {
        reads if reads >= now + 2 => Ok(()),
        reads => Err(format!("{reads} reads")),
    });
}

/// Its logins are kept, encrypted by Vault's transit engine, and taken up by whoever works next.
#[test]
fn the_end_of_the_operator_that_works_makes_no_login_and_no_lease_and_restarts_no_workload() {
    let _alone = alone();
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
    let first = user_of(&kept);
    encrypted(&kept);
    for n in 1..=2 {
        kill_leader();
        kept.sandbox.put("web", &json!({"n": n.to_string()}));
        kept.holds("web", "n", &n.to_string());
        sleep(seconds(5));
        assert_eq!(user_of(&kept), first, "the credentials stay");
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
