//! Leases, rotated credentials and certificates of a Vault Secrets Operator, taken over as they stand. Beside the cluster's own
//! tests of it; see the table in docs/testing.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_fakevault::{DatabaseRole, StaticRole};
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::run::Options;
use support::{World, options, path, secret};
use tokio::time::sleep;

const VDS: &str = "vaultdynamicsecrets";
const VPS: &str = "vaultpkisecrets";
const ALL: [(&str, &str); 3] = [(VDS, "db"), (VDS, "fixed"), (VPS, "tls")];

fn keeping() -> Options {
    Options { persistence: Persistence::Unencrypted, ..options() }
}

/// One of each, synced, whose operator has ended; each restarts one workload. The lease is of `ttl` seconds.
async fn synced(ttl: u64) -> World {
    let mut world = World::new().await;
    let (ttl, hour) = (Duration::from_secs(ttl), Duration::from_secs(3600));
    world.vault.database("database", "app", DatabaseRole { ttl, max_ttl: hour, renewable: true });
    world.vault.static_database("database", "fixed", StaticRole { username: "u".into(), rotation_period: hour });
    world.vault.pki("pki");
    let rules: &[(&str, &[&str])] = &[
        ("database/creds/app", &["read"]),
        ("database/static-creds/fixed", &["read"]),
        ("pki/issue/web", &["update"]),
    ];
    world.vault.policy("web", rules);
    world.deployment("web");
    let spec = |name: &str, more: Value| {
        let mut spec = json!({ "vaultAuthRef": "vault", "destination": { "name": name, "create": true },
            "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }] });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let leased = spec("db", json!({ "mount": "database", "path": "creds/app" }));
    world.apply(VDS, "VaultDynamicSecret", "app", "db", leased);
    let rotated = json!({ "mount": "database", "path": "static-creds/fixed", "allowStaticCreds": true });
    world.apply(VDS, "VaultDynamicSecret", "app", "fixed", spec("fixed", rotated));
    let issued = json!({ "mount": "pki", "role": "web", "commonName": "web.example", "ttl": "1h" });
    world.apply(VPS, "VaultPKISecret", "app", "tls", spec("tls", issued));
    world.start_with(keeping());
    for (plural, name) in ALL {
        world.condition(plural, name, "Ready", "True").await;
    }
    world.stop().await;
    world
}

/// Statuses as that operator writes them: nothing of ours is in them, and some of its own that we do not write.
async fn rewrite(world: &World) {
    for (plural, name) in ALL {
        let mut status = world.cluster.get(&path(plural, name))["status"].clone();
        for ours in ["requestDigest", "restartsOwed", "conditions"] {
            status.as_object_mut().unwrap().remove(ours);
        }
        if plural == VDS {
            status["lastRuntimePodUID"] = json!("9d3c1c3e-4a55-4a7e-a5d5-1f6b3c1f2a10");
        }
        if name == "db" {
            status["staticCredsMetaData"] = json!({ "lastVaultRotation": 0, "rotationPeriod": 0, "ttl": 0 });
        }
        world.set_status(&path(plural, name), status).await;
    }
    world.cluster.forget_calls();
    world.vault.clear_requests();
}

/// Secrets written, workloads restarted, logins, and what was asked for anew.
fn done(world: &World) -> [usize; 6] {
    let asked = |method, path| world.vault.count(method, path);
    let written = ALL.map(|(_, name)| world.cluster.count("PUT", &secret(name))).into_iter().sum();
    let restarted = world.cluster.count("PATCH", "deployments/web");
    let (logins, leases) = (asked("PUT", "auth/kubernetes/login"), asked("GET", "database/creds/app"));
    [written, restarted, logins, leases, asked("GET", "database/static-creds/fixed"), asked("PUT", "pki/issue/web")]
}

#[tokio::test]
async fn a_lease_static_credentials_and_a_certificate_are_taken_over_untouched() {
    let mut world = synced(3600).await;
    rewrite(&world).await;
    let before = ALL.map(|(plural, name)| world.cluster.get(&path(plural, name))["status"].clone());
    world.start_with(keeping());
    for (plural, name) in ALL {
        world.condition(plural, name, "Ready", "True").await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(done(&world), [0; 6]);
    for ((plural, name), before) in ALL.into_iter().zip(before) {
        let after = world.cluster.get(&path(plural, name))["status"].clone();
        for field in
            ["secretLease", "staticCredsMetaData", "lastRenewalTime", "serialNumber", "expiration", "secretMAC"]
        {
            assert_eq!(after[field], before[field], "{field} of {name}");
        }
    }
    world.stop().await;
}

/// In its time, by the login that it belongs to.
#[tokio::test]
async fn a_lease_that_was_taken_over_is_renewed() {
    let mut world = synced(6).await;
    rewrite(&world).await;
    world.start_with(keeping());
    world.condition(VDS, "db", "LeaseRenewal", "True").await;
    assert_eq!(done(&world)[..4], [0; 4]);
    assert!(world.vault.count("PUT", "sys/leases/renew") >= 1 && world.vault.leases().len() == 1);
    world.stop().await;
}

/// It stays until it is due, and is then replaced as one of ours is.
#[tokio::test]
async fn a_certificate_that_was_taken_over_is_replaced_when_it_is_due() {
    let mut world = synced(3600).await;
    rewrite(&world).await;
    let mut status = world.cluster.get(&path(VPS, "tls"))["status"].clone();
    let (serial, now) = (status["serialNumber"].clone(), jiff::Timestamp::now().as_second());
    status["expiration"] = json!(now + 10);
    status["lastRotation"] = json!(now - 20);
    world.set_status(&path(VPS, "tls"), status).await;
    world.start_with(keeping());
    world.condition(VPS, "tls", "Ready", "True").await;
    assert_eq!(world.cluster.get(&path(VPS, "tls"))["status"]["serialNumber"], serial, "there is time");
    let object = world.cluster.until(&path(VPS, "tls"), move |object| object["status"]["serialNumber"] != serial).await;
    assert!(jiff::Timestamp::now().as_second() < now + 10, "before its end");
    assert!(object["status"]["expiration"].as_i64().unwrap() > now + 3000);
    world.condition(VPS, "tls", "RolloutRestart", "True").await;
    assert_eq!(done(&world), [1, 1, 0, 0, 0, 1]);
    world.stop().await;
}

/// The login did not outlive its operator, so the lease is none that could be kept: one new one, and one restart.
#[tokio::test]
async fn a_lease_whose_login_is_lost_costs_one_new_one() {
    let mut world = synced(3600).await;
    rewrite(&world).await;
    let id = world.cluster.get(&path(VDS, "db"))["status"]["secretLease"]["id"].clone();
    world.start();
    world.cluster.until(&path(VDS, "db"), move |object| object["status"]["secretLease"]["id"] != id).await;
    world.condition(VDS, "db", "RolloutRestart", "True").await;
    sleep(Duration::from_secs(1)).await;
    let [written, restarted, logins, leases, ..] = done(&world);
    assert_eq!((written, restarted, logins, leases), (1, 1, 1, 1));
    world.stop().await;
}

/// Each row of the page names tests that are there.
#[test]
fn the_page_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read =
        |path: PathBuf| std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page = read(root.join("docs/testing.md"));
    let part = page.split("## Objects of a running").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut named = 0;
    for group in
        part.lines().filter_map(|row| row.strip_suffix(" |")?.rsplit_once("| ")).flat_map(|(_, cell)| cell.split("; `"))
    {
        let Some((file, tests)) = group.trim_start_matches('`').split_once("`: ") else { continue };
        let crates = if file.starts_with("tests/") || file.starts_with("src/") { "crates/operator" } else { "" };
        let text = read(root.join(crates).join(format!("{file}.rs")));
        for test in tests.split(", ") {
            assert!(text.contains(&format!("fn {test}(")), "{file} has no {test}");
            named += 1;
        }
    }
    assert!(named > 30, "{named} found on the page");
}
