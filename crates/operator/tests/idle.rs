//! Logins that wait, logins that nobody uses, and what a VaultAuth says of itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_fakevault::DatabaseRole;
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::run::Options;
use support::{GROUP, HOUSE, World, condition, options, path};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";
const AUTH: &str = "vaultauths";

#[tokio::test]
async fn a_vault_that_answers_again_wakes_the_logins_that_wait() {
    let mut world = World::new().await;
    world.vault.seal(true);
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    world.start();
    world.condition(AUTH, "vault", "Ready", "False").await;
    // Long enough for the waits between two tries to be longer than what is asserted below.
    sleep(Duration::from_secs(14)).await;
    world.vault.seal(false);
    world.condition("vaultconnections", "vault", "Ready", "True").await;
    let begun = Instant::now();
    world.condition(VSS, "web", "Ready", "True").await;
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    world.condition(AUTH, "vault", "Ready", "True").await;
    world.stop().await;
}

#[tokio::test]
async fn a_login_that_no_object_uses_is_given_back_and_one_with_a_lease_is_not() {
    let mut world = World::new().await;
    let hour = Duration::from_secs(3600);
    world.vault.database("database", "app", DatabaseRole { ttl: hour, max_ttl: hour, renewable: true });
    world.auth("app", "leases", json!({ "vaultConnectionRef": "vault" }));
    world.auth(
        "app",
        "failing",
        json!({ "vaultConnectionRef": "vault", "kubernetes": { "role": "none", "serviceAccount": "web" } }),
    );
    let destination = json!({ "name": "db", "create": true });
    let spec =
        json!({ "vaultAuthRef": "leases", "mount": "database", "path": "creds/app", "destination": destination });
    world.apply("vaultdynamicsecrets", "VaultDynamicSecret", "app", "db", spec);
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    world.static_secret("app", "bad", json!({ "vaultAuthRef": "failing" }));
    world.start_with(Options {
        idle_login: Duration::from_secs(1),
        persistence: Persistence::Unencrypted,
        ..options()
    });
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition("vaultdynamicsecrets", "db", "Ready", "True").await;
    world.condition(AUTH, "failing", "Ready", "False").await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(world.vault.tokens().len(), 2, "used seldom is used");
    let stored = |world: &World| {
        let key = world.cluster.get(&path(VSS, "web"))["status"]["vaultClientMeta"]["cacheKey"].clone();
        format!("/api/v1/namespaces/{HOUSE}/secrets/vso-cc-{}", key.as_str().unwrap())
    };
    let kept = stored(&world);
    world.cluster.until(&kept, |object| !object.is_null()).await;
    world.cluster.delete(&path(VSS, "web"));
    world.cluster.delete(&path(VSS, "bad"));
    let begun = Instant::now();
    while world.vault.tokens().len() > 1 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the token lives on");
        sleep(Duration::from_millis(100)).await;
    }
    world.cluster.until(&kept, Value::is_null).await;
    world.condition(AUTH, "failing", "Ready", "True").await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!((world.vault.tokens().len(), world.vault.leases().len()), (1, 1), "the lease hangs on the other");
    let logins = world.vault.count("PUT", "auth/kubernetes/login");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), logins, "what nobody uses is not tried either");
    world.static_secret("app", "again", json!({}));
    world.condition(VSS, "again", "Ready", "True").await;
    world.stop().await;
}

/// Its login is another one then, and who uses it may be gone before anybody has noticed: it is given back all the same.
#[tokio::test]
async fn the_login_of_a_vault_auth_made_anew_is_given_back_too() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    world.start_with(Options { idle_login: Duration::from_secs(8), ..options() });
    world.condition(VSS, "web", "Ready", "True").await;
    world.cluster.delete(&path(VSS, "web"));
    // Until it is known that nothing uses the login; that is asked every 1.6 s.
    sleep(Duration::from_millis(2500)).await;
    world.cluster.delete(&path(AUTH, "vault"));
    world.auth("app", "vault", json!({ "vaultConnectionRef": "vault" }));
    world.static_secret("app", "brief", json!({ "refreshAfter": "1h" }));
    world.secret("brief", "user", "app").await;
    world.cluster.delete(&path(VSS, "brief"));
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 2);
    let begun = Instant::now();
    while !world.vault.requests().iter().any(|request| request.path.ends_with("revoke-self")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the token lives on");
        sleep(Duration::from_millis(100)).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_vault_auth_says_what_it_was_merged_with() {
    let mut world = World::new().await;
    let kubernetes = json!({ "role": "web", "serviceAccount": "web", "audiences": ["vault"] });
    let global =
        |mount: &str| json!({ "defaultAuthMethod": "kubernetes", "defaultMount": mount, "kubernetes": kubernetes });
    world.apply("vaultauthglobals", "VaultAuthGlobal", "app", "common", global("kubernetes"));
    let refers = |name: &str| json!({ "vaultConnectionRef": "vault", "vaultAuthGlobalRef": { "name": name } });
    world.apply(AUTH, "VaultAuth", "app", "merged", refers("common"));
    world.apply(AUTH, "VaultAuth", "app", "missing", refers("none"));
    world.start();
    let object =
        world.cluster.until(&path(AUTH, "merged"), |object| condition(object, "Available")["status"] == "True").await;
    let (status, available) = (object["status"].clone(), condition(&object, "Available"));
    assert_eq!((&status["valid"], &available["reason"]), (&json!(true), &json!("VaultAuthGlobalRef")));
    assert_eq!(status["specHash"].as_str().map(str::len), Some(64));
    assert!(available["message"].as_str().unwrap().contains("app/common"), "{available}");
    let missing =
        world.cluster.until(&path(AUTH, "missing"), |object| condition(object, "Available")["status"] == "False").await;
    assert_eq!(missing["status"]["valid"], json!(false));
    let plain = world.condition(AUTH, "vault", "Ready", "True").await;
    assert_eq!(
        (condition(&plain, "Available"), plain["status"]["specHash"].as_str().map(str::len)),
        (Value::Null, Some(64))
    );
    world.apply("vaultauthglobals", "VaultAuthGlobal", "app", "common", global("elsewhere"));
    let before = status["specHash"].clone();
    world.cluster.until(&path(AUTH, "merged"), move |object| object["status"]["specHash"] != before).await;
    let events =
        world.cluster.calls().iter().filter(|call| call.method == "POST" && call.path.ends_with("/events")).count();
    assert!(events > 0, "{GROUP}");
    world.stop().await;
}
