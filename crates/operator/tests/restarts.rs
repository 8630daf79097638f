//! Restarts that have failed: tried again, by the next process too, and nothing is asked of Vault for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_fakevault::DatabaseRole;
use sidekey_operator::backoff::Backoff;
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::run::Options;
use support::{World, condition, options, path, secret};
use tokio::time::sleep;

/// One of each kind, by the name that its Secret and its workload have too.
const ALL: [(&str, &str); 3] =
    [("vaultstaticsecrets", "web"), ("vaultdynamicsecrets", "db"), ("vaultpkisecrets", "tls")];

fn keeping() -> Options {
    Options { persistence: Persistence::Unencrypted, ..options() }
}

/// Each restarts its own workload and `both`.
async fn world() -> World {
    let mut world = World::new().await;
    let hour = Duration::from_secs(3600);
    world.vault.database("database", "app", DatabaseRole { ttl: hour, max_ttl: hour * 2, renewable: true });
    world.vault.pki("pki");
    let rules: &[(&str, &[&str])] =
        &[("secret/data/web", &["read"]), ("database/creds/app", &["read"]), ("pki/issue/web", &["update"])];
    world.vault.policy("web", rules);
    world.deployment("both");
    let targets = |own: &str| json!([{ "kind": "Deployment", "name": own }, { "kind": "Deployment", "name": "both" }]);
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": targets("web") }));
    let spec = json!({ "vaultAuthRef": "vault", "mount": "database", "path": "creds/app",
        "rolloutRestartTargets": targets("db"), "destination": { "name": "db", "create": true } });
    world.apply("vaultdynamicsecrets", "VaultDynamicSecret", "app", "db", spec);
    let spec = json!({ "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example", "ttl": "1h",
        "rolloutRestartTargets": targets("tls"),
        "destination": { "name": "tls", "create": true, "type": "kubernetes.io/tls" } });
    world.apply("vaultpkisecrets", "VaultPKISecret", "app", "tls", spec);
    world.start_with(keeping());
    for (plural, name) in ALL {
        world.deployment(name);
        world.condition(plural, name, "Ready", "True").await;
    }
    world
}

/// Something new for all of them.
fn change(world: &World) {
    world.vault.put("secret/web", json!({ "user": "new" }));
    world.cluster.delete(&secret("db"));
    world.cluster.delete(&secret("tls"));
}

/// Waits until each of them owes its own workload a restart.
async fn owing(world: &World) -> [Value; 3] {
    let wait = |(plural, name): (&str, &'static str)| {
        world.cluster.until(&path(plural, name), move |object| object["status"]["restartsOwed"][0]["name"] == name)
    };
    let [first, second, third] = ALL.map(wait);
    tokio::join!(first, second, third).into()
}

/// How often each workload was asked for.
fn asked(world: &World) -> [usize; 3] {
    ALL.map(|(_, name)| world.cluster.count("PATCH", &format!("deployments/{name}")))
}

fn issued(world: &World) -> [usize; 3] {
    let count = |method, path| world.vault.count(method, path);
    [count("GET", "database/creds/app"), count("PUT", "pki/issue/web"), world.vault.leases().len()]
}

#[tokio::test]
async fn one_that_failed_is_asked_for_until_it_succeeds_and_nothing_else_is() {
    let mut world = world().await;
    for (_, name) in ALL {
        world.cluster.refuse("PATCH", &format!("deployments/{name}"), 503, 2);
    }
    change(&world);
    for object in owing(&world).await {
        let said = condition(&object, "RolloutRestart");
        assert!(said["message"].as_str().unwrap().contains("SK7011"), "{said}");
        assert_eq!((&said["status"], condition(&object, "Ready")["status"].as_str()), (&json!("False"), Some("True")));
    }
    for (plural, name) in ALL {
        let object = world.condition(plural, name, "RolloutRestart", "True").await;
        assert_eq!(object["status"]["restartsOwed"], Value::Null);
    }
    sleep(Duration::from_secs(1)).await;
    let both = world.cluster.count("PATCH", "deployments/both");
    assert!((1..=3).contains(&both), "{both}: those that were due together are one");
    assert_eq!((asked(&world), issued(&world)), ([3; 3], [2, 2, 2]));
    world.cluster.forget_calls();
    sleep(Duration::from_secs(2)).await;
    assert_eq!((asked(&world), world.cluster.count("PATCH", "/status")), ([0; 3], 0), "a quiet time writes nothing");
    world.stop().await;
}

#[tokio::test]
async fn one_that_is_owed_is_made_by_the_next_process() {
    let mut world = world().await;
    world.stop().await;
    let seldom =
        Backoff { initial: Duration::from_secs(3600), longest: Duration::from_secs(3600), ..options().backoff };
    world.start_with(Options { backoff: seldom, ..keeping() });
    for (_, name) in ALL {
        world.cluster.refuse("PATCH", &format!("deployments/{name}"), 503, 1);
    }
    change(&world);
    for (plural, name) in ALL {
        world
            .cluster
            .until(&path(plural, name), move |object| object["status"]["restartsOwed"][0]["name"] == name)
            .await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!((asked(&world), issued(&world)), ([1; 3], [2, 2, 2]));
    world.stop().await;
    world.cluster.forget_calls();
    world.start_with(keeping());
    for (plural, name) in ALL {
        let object = world.condition(plural, name, "RolloutRestart", "True").await;
        assert_eq!(object["status"]["restartsOwed"], Value::Null);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!((asked(&world), issued(&world)), ([1; 3], [2, 2, 2]));
    assert_eq!(world.cluster.count("PATCH", "deployments/both"), 0, "it was restarted in its time");
    world.stop().await;
}

/// Whoever takes a workload off the list does not want it restarted any more.
#[tokio::test]
async fn one_that_the_spec_names_no_more_is_not_owed() {
    let mut world = world().await;
    for (_, name) in ALL {
        world.cluster.refuse("PATCH", &format!("deployments/{name}"), 503, 1000);
    }
    change(&world);
    for (plural, name) in ALL {
        world.condition(plural, name, "RolloutRestart", "False").await;
        world.cluster.edit(&path(plural, name), |object| object["spec"]["rolloutRestartTargets"] = json!([]));
    }
    for (plural, name) in ALL {
        let object = world.condition(plural, name, "RolloutRestart", "True").await;
        assert_eq!(object["status"]["restartsOwed"], Value::Null);
    }
    assert_eq!(issued(&world), [2, 2, 2]);
    world.stop().await;
}
