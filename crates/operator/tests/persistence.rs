//! Logins and leases over a restart of the operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use sidekey_fakevault::DatabaseRole;
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::run::Options;
use support::{HOUSE, World, condition, options, path, secret};
use tokio::time::sleep;

const VDS: &str = "vaultdynamicsecrets";
const RESTARTED: &str = "/spec/template/metadata/annotations/vso.secrets.hashicorp.com~1restartedAt";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/app/deployments/web";

fn keeping() -> Options {
    Options { persistence: Persistence::Unencrypted, ..options() }
}

/// A static and a dynamic secret of one login, which restart one workload.
async fn world() -> World {
    let world = World::new().await;
    let hour = Duration::from_secs(3600);
    world.vault.database("database", "app", DatabaseRole { ttl: hour, max_ttl: hour * 2, renewable: true });
    world.deployment("web");
    world.static_secret("app", "web", json!({}));
    let targets = json!([{ "kind": "Deployment", "name": "web" }]);
    let spec = json!({ "vaultAuthRef": "vault", "mount": "database", "path": "creds/app", "rolloutRestartTargets": targets,
        "destination": { "name": "db", "create": true } });
    world.apply(VDS, "VaultDynamicSecret", "app", "db", spec);
    world
}

async fn settled(world: &World) {
    world.condition("vaultstaticsecrets", "web", "Ready", "True").await;
    world.condition(VDS, "db", "Ready", "True").await;
}

fn logins(world: &World) -> usize {
    world.vault.count("PUT", "auth/kubernetes/login")
}

/// The one Secret that keeps the login of `app/vault`.
fn kept(world: &World) -> (String, Value) {
    let status = &world.cluster.get(&path(VDS, "db"))["status"];
    let name = format!("vso-cc-{}", status["vaultClientMeta"]["cacheKey"].as_str().unwrap());
    let path = format!("/api/v1/namespaces/{HOUSE}/secrets/{name}");
    let object = world.cluster.get(&path);
    (path, object)
}

#[tokio::test]
async fn a_restart_makes_no_login_and_no_lease_and_restarts_no_workload() {
    let mut world = world().await;
    world.start_with(keeping());
    settled(&world).await;
    let before = world.cluster.get(&secret("db"));
    for _ in 0..2 {
        world.stop().await;
        world.cluster.forget_calls();
        world.start_with(keeping());
        settled(&world).await;
        world.vault.put("secret/web", json!({ "user": "again" }));
        world.secret("web", "user", "again").await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!((logins(&world), world.vault.leases().len(), world.vault.tokens().len()), (1, 1, 1));
        assert_eq!(world.vault.count("GET", "database/creds/app"), 1);
        assert_eq!(world.cluster.get(&secret("db")), before);
        assert_eq!(world.cluster.get(DEPLOYMENT).pointer(RESTARTED), None);
        world.vault.put("secret/web", json!({ "user": "other" }));
        world.secret("web", "user", "other").await;
    }
    let (_, object) = kept(&world);
    let auth = world.cluster.get(&path("vaultauths", "vault"));
    let labels = &object["metadata"]["labels"];
    assert_eq!((&object["immutable"], &labels["auth/UID"]), (&json!(true), &auth["metadata"]["uid"]));
    assert_eq!((&labels["provider/namespace"], labels.get("encrypted")), (&json!("app"), None));
    world.stop().await;
}

/// The Secret comes first, then the status, then the restart: whatever a kill cuts off is done by the next process.
#[tokio::test]
async fn what_a_kill_cut_off_is_found_after_it() {
    let mut world = world().await;
    let creds = |world: &World| world.vault.count("GET", "database/creds/app");
    let restarts = |world: &World| world.cluster.count("PATCH", "deployments/web");
    world.start_with(keeping());
    settled(&world).await;
    let old = world.cluster.get(&path(VDS, "db"))["status"].clone();
    world.cluster.delete(&secret("db"));
    world.condition(VDS, "db", "RolloutRestart", "True").await;
    world.stop().await;
    assert_eq!((creds(&world), restarts(&world)), (2, 1));
    let lost = [("the status", old, 3), ("the first status", json!({}), 4)];
    for (what, status, want) in lost {
        world.set_status(&path(VDS, "db"), status).await;
        world.start_with(keeping());
        world.condition(VDS, "db", "RolloutRestart", "True").await;
        world.stop().await;
        assert_eq!((creds(&world), restarts(&world)), (want, want - 1), "{what} was lost");
    }
    let mut pending = world.cluster.get(&path(VDS, "db"))["status"].clone();
    let all = pending["conditions"].as_array_mut().unwrap().iter_mut();
    for condition in all.filter(|condition| condition["type"] == "RolloutRestart") {
        (condition["status"], condition["reason"]) = (json!("Unknown"), json!("RolloutRestartPending"));
    }
    world.set_status(&path(VDS, "db"), pending).await;
    world.start_with(keeping());
    world.condition(VDS, "db", "RolloutRestart", "True").await;
    world.stop().await;
    assert_eq!((creds(&world), restarts(&world)), (4, 4), "the restart was lost");
}

#[tokio::test]
async fn a_token_that_died_meanwhile_and_a_kept_login_that_somebody_changed_cost_a_login() {
    let mut world = world().await;
    world.start_with(keeping());
    settled(&world).await;
    world.stop().await;
    world.vault.revoke_all_tokens();
    world.vault.put("secret/web", json!({ "user": "after" }));
    world.start_with(keeping());
    world.secret("web", "user", "after").await;
    let made = world.cluster.until(&path(VDS, "db"), |object| {
        object["status"]["conditions"].is_array() && condition(object, "Ready")["status"] == "True"
    });
    made.await;
    assert_eq!(logins(&world), 2);
    world.cluster.until(&secret("db"), |object| !object.is_null()).await;
    world.stop().await;

    let (path, object) = kept(&world);
    let answer: Value =
        serde_json::from_slice(&STANDARD.decode(object["data"]["secret"].as_str().unwrap()).unwrap()).unwrap();
    assert!(answer["auth"]["client_token"].is_string() && answer["auth"]["renewable"] == true);
    world.cluster.edit(&path, |object| object["data"]["messageMAC"] = json!(STANDARD.encode([0; 32])));
    world.vault.put("secret/web", json!({ "user": "third" }));
    world.start_with(keeping());
    world.secret("web", "user", "third").await;
    assert_eq!(logins(&world), 3);
    world.stop().await;
}

/// The name of what is kept knows the VaultAuth and the connection, and not the VaultAuthGlobal.
#[tokio::test]
async fn a_global_that_changed_meanwhile_costs_a_login() {
    let mut world = World::new().await;
    let global = |world: &World, policy: &str| {
        world.vault.role("auth/kubernetes", policy, support::role());
        let kubernetes = json!({ "role": policy, "mount": "kubernetes", "audiences": ["vault"] });
        let spec = json!({ "defaultAuthMethod": "kubernetes", "kubernetes": kubernetes });
        world.apply("vaultauthglobals", "VaultAuthGlobal", "app", "all", spec);
    };
    global(&world, "web");
    let own = json!({ "vaultConnectionRef": "vault", "vaultAuthGlobalRef": { "name": "all" }, "kubernetes": { "serviceAccount": "web" } });
    world.apply("vaultauths", "VaultAuth", "app", "sparse", own);
    world.static_secret("app", "web", json!({ "vaultAuthRef": "sparse" }));
    world.start_with(keeping());
    world.condition("vaultstaticsecrets", "web", "Ready", "True").await;
    world.stop().await;
    global(&world, "other");
    world.vault.put("secret/web", json!({ "user": "after" }));
    world.start_with(keeping());
    world.secret("web", "user", "after").await;
    assert_eq!(logins(&world), 2, "the new role's");
    world.stop().await;
}

#[tokio::test]
async fn kept_logins_go_with_their_auth_and_with_the_wish_to_keep_them() {
    let mut world = world().await;
    world.start_with(keeping());
    settled(&world).await;
    let (first, object) = kept(&world);
    assert!(!object.is_null());
    world.cluster.delete(&path("vaultauths", "vault"));
    world.cluster.until(&first, Value::is_null).await;
    world.auth("app", "vault", json!({ "vaultConnectionRef": "vault" }));
    settled(&world).await;
    world.cluster.until(&path(VDS, "db"), |_| !kept(&world).1.is_null()).await;
    world.stop().await;
    let (second, _) = kept(&world);
    assert_ne!(first, second);
    world.start();
    world.cluster.until(&second, Value::is_null).await;
    settled(&world).await;
    world.stop().await;
}

/// The form of what is kept is the one of the Vault Secrets Operator, so that each can take over from the other.
#[tokio::test]
async fn what_is_kept_is_named_and_signed_as_a_vault_secrets_operator_does() {
    let mut world = world().await;
    world.start_with(keeping());
    settled(&world).await;
    let (_, object) = kept(&world);
    let name = object["metadata"]["name"].as_str().unwrap();
    let uid = |plural: &str| world.cluster.get(&path(plural, "vault"))["metadata"]["uid"].as_str().unwrap().to_owned();
    let provider = object["metadata"]["labels"]["provider/UID"].as_str().unwrap();
    let led = format!("{}-1.{}-1.{provider}", uid("vaultauths"), uid("vaultconnections"));
    let digest = ring::digest::digest(&ring::digest::SHA256, led.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(name, format!("vso-cc-kubernetes-{}{}", &hex[..14], &hex[56..]));
    let bytes = STANDARD.decode(object["data"]["secret"].as_str().unwrap()).unwrap();
    let key = world.cluster.get(&format!("/api/v1/namespaces/{HOUSE}/secrets/vso-cc-storage-hmac-key"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key["data"]["key"].as_str().unwrap()).unwrap());
    let message = [name.as_bytes(), &name.as_bytes()["vso-cc-".len()..], &bytes].concat();
    assert_eq!(object["data"]["messageMAC"], STANDARD.encode(hmac::sign(&key, &message)));
    world.stop().await;
}

#[tokio::test]
async fn uninstalling_takes_our_finalizers_away_and_nobody_elses() {
    let mut world = world().await;
    world.start();
    settled(&world).await;
    world.stop().await;
    let auth = path("vaultauths", "vault");
    let old = json!(["vaultauth.secrets.hashicorp.com/finalizer", "example.com/mine"]);
    world.cluster.edit(&auth, |object| object["metadata"]["finalizers"] = old);
    let held = |path: &str| world.cluster.get(path)["metadata"]["finalizers"].clone();
    assert_eq!(held(&path(VDS, "db")), json!(["vaultdynamicsecret.secrets.hashicorp.com/finalizer"]));
    let api = sidekey_cluster::api::Api::new(world.cluster.client());
    let uninstall = async |namespaces: &[&str]| {
        let namespaces: Vec<_> = namespaces.iter().map(ToString::to_string).collect();
        sidekey_operator::uninstall::uninstall(&api, &namespaces).await.unwrap()
    };
    assert_eq!(uninstall(&["shop", HOUSE]).await, 0, "nothing of theirs");
    assert_eq!(uninstall(&["shop", "app"]).await, 2);
    let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    assert!(empty(&held(&path(VDS, "db"))), "{}", held(&path(VDS, "db")));
    assert_eq!(held(&auth), json!(["example.com/mine"]));
    assert!(!world.cluster.get(&secret("db")).is_null() && world.vault.leases().len() == 1, "what is in use stays");
    assert_eq!(uninstall(&[]).await, 0);
}
