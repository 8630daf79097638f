//! Credentials with a lease: renewed, replaced before their end, revoked; and those that Vault rotates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_fakevault::{DatabaseRole, RoleSpec, StaticRole};
use support::{World, condition, decoded, path, role, secret};
use tokio::time::{Instant, sleep};

const VDS: &str = "vaultdynamicsecrets";
const RESTARTED: &str = "/spec/template/metadata/annotations/vso.secrets.hashicorp.com~1restartedAt";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn world(ttl: u64, max_ttl: u64) -> World {
    let world = World::new().await;
    world.vault.database("database", "app", DatabaseRole { ttl: s(ttl), max_ttl: s(max_ttl), renewable: true });
    world.vault.static_database("database", "fixed", StaticRole { username: "u".into(), rotation_period: s(3) });
    let rules: &[(&str, &[&str])] = &[
        ("database/creds/app", &["read"]),
        ("database/static-creds/fixed", &["read"]),
        ("sys/leases/revoke", &["update"]),
    ];
    world.vault.policy("web", rules);
    world.deployment("web");
    world
}

fn dynamic(world: &World, more: &Value) {
    let mut spec = json!({
        "vaultAuthRef": "vault", "mount": "database", "path": "creds/app",
        "destination": { "name": "db", "create": true, "transformation": { "excludeRaw": true } },
        "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.apply("vaultdynamicsecrets", "VaultDynamicSecret", "app", "db", spec);
}

fn honoured(world: &World) -> bool {
    let made = world.cluster.get(&secret("db"));
    world.vault.honours(&decoded(&made, "username"), &decoded(&made, "password"))
}

#[tokio::test]
async fn a_lease_is_kept_in_the_status_renewed_and_revoked_with_its_object() {
    let mut world = world(4, 3600).await;
    dynamic(&world, &json!({}));
    world.start();
    let object = world.condition(VDS, "db", "Ready", "True").await;
    let status = &object["status"];
    assert_eq!((&status["secretLease"]["duration"], &status["secretLease"]["renewable"]), (&json!(4), &json!(true)));
    assert_eq!(status["lastGeneration"], 1);
    assert!(honoured(&world));
    let before = world.cluster.get(&secret("db"))["data"].clone();
    world.condition(VDS, "db", "LeaseRenewal", "True").await;
    sleep(s(6)).await;
    assert!(honoured(&world), "twice its first length later it lives");
    assert_eq!(world.cluster.get(&secret("db"))["data"], before);
    assert_eq!((world.vault.count("GET", "database/creds/app"), world.vault.leases().len()), (1, 1));
    let deployment = world.cluster.get("/apis/apps/v1/namespaces/app/deployments/web");
    assert_eq!(deployment.pointer(RESTARTED), None, "a renewal restarts nobody");
    world.cluster.delete(&path(VDS, "db"));
    world.cluster.until(&path(VDS, "db"), Value::is_null).await;
    assert_eq!(world.vault.leases().len(), 0);
    world.cluster.until(&secret("db"), Value::is_null).await;
    world.stop().await;
}

/// As in the published set-up: the lease cannot be extended, and the token is periodic.
#[tokio::test]
async fn a_lease_that_cannot_be_extended_is_replaced_before_its_end_without_a_gap() {
    let mut world = world(3, 3).await;
    world.vault.role("auth/kubernetes", "web", RoleSpec { ttl: Duration::ZERO, period: s(6), ..role() });
    dynamic(&world, &json!({}));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    let (begun, mut attempts, mut failures, mut seen) = (Instant::now(), 0, 0, std::collections::BTreeSet::new());
    // A machine under load takes longer for as many.
    while (begun.elapsed() < s(15) || attempts < 250) && begun.elapsed() < s(60) {
        attempts += 1;
        failures += u32::from(!honoured(&world));
        seen.insert(decoded(&world.cluster.get(&secret("db")), "username"));
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(failures, 0, "of {attempts} attempts in {:?}", begun.elapsed());
    assert!(attempts >= 250 && seen.len() >= 4, "{attempts} attempts, {} credentials", seen.len());
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 1, "the periodic token lives on");
    world.condition(VDS, "db", "RolloutRestart", "True").await;
    world.stop().await;
}

#[tokio::test]
async fn a_lease_or_login_that_vault_ends_is_replaced() {
    let mut world = world(4, 3600).await;
    dynamic(&world, &json!({}));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    let lease = world.vault.leases()[0].id.clone();
    world.vault.revoke_lease(&lease);
    let old = world.cluster.get(&secret("db"))["data"]["username"].clone();
    let renewed = world.cluster.until(&secret("db"), move |object| object["data"]["username"] != old).await;
    assert!(honoured(&world));
    world.vault.revoke_all_tokens();
    let old = renewed["data"]["username"].clone();
    world.cluster.until(&secret("db"), move |object| object["data"]["username"] != old).await;
    assert!(honoured(&world));
    world.stop().await;
}

#[tokio::test]
async fn vault_away_is_told_and_costs_no_second_lease() {
    let mut world = world(6, 3600).await;
    dynamic(&world, &json!({ "renewalPercent": 10 }));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    world.vault.seal(true);
    let object = world.condition(VDS, "db", "Ready", "False").await;
    assert!(condition(&object, "Ready")["message"].as_str().unwrap().contains("SK3006"), "{object:#}");
    world.vault.seal(false);
    world.condition(VDS, "db", "Ready", "True").await;
    assert_eq!(world.vault.count("GET", "database/creds/app"), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_destination_that_cannot_be_had_costs_no_lease_and_a_deleted_one_is_filled_anew() {
    let mut world = world(60, 3600).await;
    world.cluster.apply("secrets", json!({ "metadata": { "name": "db", "namespace": "app" }, "type": "Opaque" }));
    dynamic(&world, &json!({}));
    world.start();
    let object = world.condition(VDS, "db", "Ready", "False").await;
    assert!(condition(&object, "Ready")["message"].as_str().unwrap().contains("SK7007"));
    sleep(s(2)).await;
    assert_eq!(world.vault.leases().len(), 0);
    world.cluster.delete(&secret("db"));
    world.condition(VDS, "db", "Ready", "True").await;
    assert!(honoured(&world));
    world.cluster.delete(&secret("db"));
    world.cluster.until(&secret("db"), |object| !object.is_null()).await;
    sleep(Duration::from_millis(300)).await;
    assert!(honoured(&world));
    world.stop().await;
}

/// As engines want it that take parameters; of an answer without a lease.
#[tokio::test]
async fn parameters_are_sent_as_a_body_whatever_the_method() {
    let mut world = world(3600, 7200).await;
    world.vault.pki("pki");
    world.vault.policy("web", &[("pki/issue/web", &["update"]), ("database/creds/app", &["read"])]);
    let asked = |world: &World, method| world.vault.count(method, "pki/issue/web");
    let params = json!({ "common_name": "web.example", "format": "der" });
    dynamic(&world, &json!({ "mount": "pki", "path": "issue/web", "params": params, "requestHTTPMethod": "GET" }));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    let made = world.cluster.get(&secret("db"));
    assert!(decoded(&made, "serial_number").contains(':'), "{made}");
    assert!(!decoded(&made, "certificate").contains("BEGIN"), "the second parameter arrived too");
    assert_eq!((asked(&world, "PUT"), asked(&world, "GET")), (1, 0));
    dynamic(&world, &json!({ "mount": "pki", "path": "issue/web", "requestHTTPMethod": "PUT" }));
    let object = world.condition(VDS, "db", "Ready", "False").await;
    let message = condition(&object, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("common_name"), "without the parameter: {message}");
    assert_eq!(asked(&world, "GET"), 0);
    dynamic(&world, &json!({ "requestHTTPMethod": "GET" }));
    world.condition(VDS, "db", "Ready", "True").await;
    assert_eq!(world.vault.count("GET", "database/creds/app"), 1);
    assert!(honoured(&world));
    world.stop().await;
}

#[tokio::test]
async fn a_static_role_is_followed_and_restarts_only_on_a_rotation() {
    let status = followed(world(60, 3600).await).await;
    assert_eq!(status["staticCredsMetaData"]["rotationPeriod"], 3);
}

/// With the time that is left in the place of a period.
#[tokio::test]
async fn a_static_role_with_a_schedule_is_followed_too() {
    let world = world(60, 3600).await;
    world.vault.schedule("database", "fixed", "*/1 * * * *");
    let creds = followed(world).await["staticCredsMetaData"].clone();
    assert_eq!((&creds["rotationPeriod"], &creds["rotationSchedule"]), (&json!(0), &json!("*/1 * * * *")));
}

/// Follows a static role for a while; the first status.
async fn followed(mut world: World) -> Value {
    dynamic(&world, &json!({ "path": "static-creds/fixed", "allowStaticCreds": true }));
    world.start();
    let object = world.condition(VDS, "db", "Ready", "True").await;
    assert_eq!(object["status"]["secretLease"]["id"], "");
    let begun = Instant::now();
    let (mut passwords, mut gap) = (std::collections::BTreeSet::new(), Duration::ZERO);
    let mut since = None;
    while begun.elapsed() < s(8) {
        passwords.insert(decoded(&world.cluster.get(&secret("db")), "password"));
        match honoured(&world) {
            true => since = None,
            false => gap = gap.max(since.get_or_insert_with(Instant::now).elapsed()),
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(passwords.len() >= 3, "{} passwords in 8 s", passwords.len());
    assert!(gap < s(2), "the longest gap was {gap:?}");
    let restarts = world.cluster.count("PATCH", "deployments/web");
    assert!(restarts > 0 && restarts < passwords.len() + 1, "{restarts} restarts");
    world.stop().await;
    object["status"].clone()
}

/// A namespace that goes takes its objects away in no order.
#[tokio::test]
async fn a_lease_is_revoked_although_its_auth_is_gone_before_its_object() {
    let mut world = world(3600, 7200).await;
    dynamic(&world, &json!({}));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    assert_eq!(world.vault.leases().len(), 1);
    for plural in ["vaultauths", "vaultconnections"] {
        world.cluster.delete(&path(plural, "vault"));
        world.cluster.until(&path(plural, "vault"), Value::is_null).await;
    }
    sleep(Duration::from_millis(500)).await;
    world.cluster.delete(&path(VDS, "db"));
    world.cluster.until(&path(VDS, "db"), Value::is_null).await;
    assert_eq!(world.vault.leases().len(), 0);
    world.stop().await;
}

fn restarts(world: &World) -> usize {
    world.cluster.count("PATCH", "deployments/web")
}

/// A lease that is in no status would be renewed by nobody.
#[tokio::test]
async fn the_secret_holds_the_lease_of_the_status_although_a_status_was_lost() {
    let mut world = world(3600, 7200).await;
    dynamic(&world, &json!({}));
    world.start();
    let first = world.condition(VDS, "db", "Ready", "True").await["status"]["secretLease"]["id"].clone();
    world.cluster.refuse("PATCH", "vaultdynamicsecrets/db/status", 500, 1);
    world.cluster.delete(&secret("db"));
    let object = world.cluster.until(&path(VDS, "db"), move |object| object["status"]["secretLease"]["id"] != first);
    let said = object.await["status"]["secretLease"]["id"].as_str().unwrap().to_owned();
    for lease in world.vault.leases().iter().filter(|lease| lease.id != said) {
        world.vault.revoke_lease(&lease.id);
    }
    assert!(honoured(&world), "what the Secret holds is of another lease than the status's");
    world.condition(VDS, "db", "RolloutRestart", "True").await;
    assert_eq!(restarts(&world), 1);
    world.stop().await;
}

/// The generation of the spec is taken up; only what is asked for, or goes elsewhere, costs a lease.
#[tokio::test]
async fn an_edit_that_asks_for_the_same_keeps_the_lease_and_another_one_does_not() {
    let mut world = world(3600, 7200).await;
    world.vault.database("database", "other", DatabaseRole { ttl: s(3600), max_ttl: s(7200), renewable: true });
    world.vault.policy("web", &[("database/creds/+", &["read"])]);
    dynamic(&world, &json!({}));
    world.start();
    let before = world.condition(VDS, "db", "Ready", "True").await;
    let targets = json!([{ "kind": "Deployment", "name": "web" }, { "kind": "Deployment", "name": "second" }]);
    let times = json!({ "renewalPercent": 50, "refreshAfter": "1h", "revoke": true, "rolloutRestartTargets": targets });
    dynamic(&world, &times);
    let kept = world.cluster.until(&path(VDS, "db"), |object| object["status"]["lastGeneration"] == 2).await;
    assert_eq!(kept["status"]["secretLease"], before["status"]["secretLease"]);
    assert_eq!((world.vault.count("GET", "database/creds/app"), restarts(&world)), (1, 0));
    dynamic(&world, &json!({ "path": "creds/other" }));
    world.cluster.until(&path(VDS, "db"), |object| object["status"]["lastGeneration"] == 3).await;
    world.condition(VDS, "db", "RolloutRestart", "True").await;
    assert_eq!((world.vault.count("GET", "database/creds/other"), restarts(&world)), (1, 1));
    assert!(world.events().await.contains(&"RolloutRestartTriggered".to_owned()));
    world.stop().await;
}

/// Connections may use what was replaced: it is ended where the spec says so, and after the workloads' restart.
#[tokio::test]
async fn a_lease_that_was_replaced_is_revoked_where_that_is_wanted() {
    for (revoke, left) in [(json!(true), 1), (Value::Null, 3)] {
        let mut world = world(3600, 7200).await;
        dynamic(&world, &json!({ "revoke": revoke }));
        world.start();
        world.condition(VDS, "db", "Ready", "True").await;
        world.cluster.delete(&secret("db"));
        world.condition(VDS, "db", "RolloutRestart", "True").await;
        world.cluster.edit(&path(VDS, "db"), |object| {
            object["metadata"]["annotations"] = json!({ "sidekey.dev/refresh": "1" });
        });
        let asked = Instant::now();
        while (restarts(&world) < 2 || world.vault.leases().len() != left) && asked.elapsed() < s(10) {
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!((world.vault.leases().len(), restarts(&world)), (left, 2), "revoke: {revoke}");
        assert!(honoured(&world));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_restart_that_failed_leaves_the_lease_to_those_who_have_it() {
    let mut world = world(3600, 7200).await;
    let targets = json!([{ "kind": "StatefulSet", "name": "none" }]);
    dynamic(&world, &json!({ "revoke": true, "rolloutRestartTargets": targets }));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    world.cluster.delete(&secret("db"));
    world.condition(VDS, "db", "RolloutRestart", "False").await;
    sleep(s(1)).await;
    assert_eq!(world.vault.leases().len(), 2);
    assert_eq!(world.cluster.count("PATCH", "statefulsets/none"), 1, "what is not there is not asked for again");
    world.stop().await;
}

/// Whoever took them into its environment has nothing else.
#[tokio::test]
async fn a_lease_whose_credentials_nobody_is_told_to_leave_is_not_revoked() {
    let mut world = world(3600, 7200).await;
    dynamic(&world, &json!({ "revoke": true, "rolloutRestartTargets": [] }));
    world.start();
    world.condition(VDS, "db", "Ready", "True").await;
    world.cluster.delete(&secret("db"));
    let asked = Instant::now();
    while world.vault.leases().len() < 2 && asked.elapsed() < s(10) {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(world.vault.leases().len(), 2);
    world.stop().await;
}

/// Accepted, and without effect: the credentials are kept, and the object says what it does not get.
#[tokio::test]
async fn events_that_are_asked_for_in_vain_are_said_beside_credentials_that_are_synced() {
    let mut world = world(3600, 7200).await;
    dynamic(&world, &json!({ "syncConfig": { "instantUpdates": true } }));
    world.start();
    let object = world.condition(VDS, "db", "Ready", "True").await;
    for kind in ["Ready", "Healthy"] {
        let message = condition(&object, kind)["message"].as_str().unwrap().to_owned();
        let (well, told) = ("The Secret holds what Vault holds. ", "syncConfig.instantUpdates is not served");
        assert!(message.starts_with(well) && message.contains(told), "{message}");
    }
    dynamic(&world, &json!({ "syncConfig": {} }));
    let object = world.cluster.until(&path(VDS, "db"), |object| object["status"]["lastGeneration"] == 2).await;
    assert_eq!(condition(&object, "Ready")["message"], "The Secret holds what Vault holds.");
    assert!(honoured(&world));
    world.stop().await;
}

#[tokio::test]
async fn a_renewal_that_vault_refuses_is_said() {
    let mut world = world(4, 3600).await;
    dynamic(&world, &json!({}));
    world.start();
    world.condition(VDS, "db", "LeaseRenewal", "True").await;
    let lease = world.vault.leases()[0].id.clone();
    world.vault.revoke_lease(&lease);
    let object = world.condition(VDS, "db", "LeaseRenewal", "False").await;
    let said = condition(&object, "LeaseRenewal");
    let message = said["message"].as_str().unwrap();
    assert!(said["reason"] == "SecretLeaseRenewalError" && message.contains("sys/leases/renew"), "{said:#}");
    assert_eq!(condition(&object, "Ready")["status"], "True", "others took its place");
    world.condition(VDS, "db", "LeaseRenewal", "True").await;
    world.vault.seal(true);
    world.condition(VDS, "db", "LeaseRenewal", "False").await;
    world.stop().await;
}
