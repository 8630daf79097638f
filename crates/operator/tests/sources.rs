//! What a Secret is made of, whose it is, and what is left of it: fields that the Vault Secrets Operator does not have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_fakevault::DatabaseRole;
use support::{World, condition, decoded, path, secret};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";
const VDS: &str = "vaultdynamicsecrets";

async fn message(world: &World, plural: &str, name: &str) -> String {
    let object = world.condition(plural, name, "Ready", "False").await;
    condition(&object, "Ready")["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn several_sources_fill_one_secret_and_a_key_of_two_is_refused() {
    let mut world = World::new().await;
    world.vault.put("secret/two", json!({ "user": "two", "port": 5432 }));
    let more = |prefix: &str| json!([{ "mount": "secret", "path": "two", "type": "kv-v2", "prefix": prefix }, { "mount": "kv1", "path": "web", "type": "kv-v1", "prefix": "one_" }]);
    world.static_secret("app", "web", json!({ "sources": more("two_") }));
    world.static_secret("app", "clash", json!({ "sources": more("") }));
    world.start();
    let made = world.secret("web", "two_user", "two").await;
    let keys: Vec<_> = made["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["n", "one_user", "two_port", "two_user", "user"], "and no _raw");
    let told = message(&world, VSS, "clash").await;
    assert!(told.contains("SK2005") && told.contains("the key user of secret/data/two is also one"), "{told}");
    assert_eq!(world.cluster.get(&secret("clash")), Value::Null);
    world.vault.put("secret/two", json!({ "user": "changed" }));
    let changed = world.secret("web", "two_user", "changed").await;
    assert_eq!(changed["data"]["two_port"], Value::Null);
    world.stop().await;
}

#[tokio::test]
async fn merged_keys_leave_others_alone() {
    let mut world = World::new().await;
    world.vault.put("secret/two", json!({ "port": "5432" }));
    let given =
        json!({ "metadata": { "name": "shared", "namespace": "app" }, "type": "Opaque", "data": { "theirs": "eA==" } });
    world.cluster.apply("secrets", given);
    let into = |path: &str| {
        let transformation = json!({ "excludeRaw": true });
        json!({ "path": path, "destination": { "name": "shared", "merge": true, "transformation": transformation } })
    };
    world.static_secret("app", "web", into("web"));
    world.static_secret("app", "two", into("two"));
    world.start();
    world.secret("shared", "port", "5432").await;
    let made = world.secret("shared", "user", "app").await;
    assert_eq!(made["data"]["theirs"], "eA==");
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition(VSS, "two", "Ready", "True").await;
    // A key that is gone in Vault goes, others' stay; and what others write is no drift.
    world.vault.put("secret/web", json!({ "n": 1 }));
    world.cluster.until(&secret("shared"), |object| object["data"]["user"].is_null()).await;
    world.cluster.edit(&secret("shared"), |object| object["data"]["theirs"] = json!("eQ=="));
    sleep(Duration::from_secs(2)).await;
    world.cluster.forget_calls();
    sleep(Duration::from_secs(3)).await;
    let object = world.cluster.get(&secret("shared"));
    let keys: Vec<_> = object["data"].as_object().unwrap().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!((keys, &object["data"]["theirs"]), (vec!["n".into(), "port".into(), "theirs".into()], &json!("eQ==")));
    assert_eq!(world.cluster.count("PUT", "secrets/shared"), 0, "no duel");
    // An own key that somebody edits is mended.
    world.cluster.edit(&secret("shared"), |object| object["data"]["port"] = json!("eQ=="));
    world.secret("shared", "port", "5432").await;
    world.stop().await;
}

#[tokio::test]
async fn a_retained_secret_outlives_its_resource_and_is_taken_up_again() {
    let mut world = World::new().await;
    let retained = |retain: bool| json!({ "destination": { "name": "kept", "create": true, "retain": retain } });
    world.static_secret("app", "web", retained(true));
    world.start();
    let made = world.secret("kept", "user", "app").await;
    assert_eq!(made["metadata"]["ownerReferences"], json!([]));
    world.cluster.delete(&path(VSS, "web"));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(decoded(&world.cluster.get(&secret("kept")), "user"), "app");
    world.vault.put("secret/web", json!({ "user": "later" }));
    world.static_secret("app", "again", retained(false));
    let taken = world.secret("kept", "user", "later").await;
    let uid = world.cluster.get(&path(VSS, "again"))["metadata"]["uid"].clone();
    assert_eq!(taken["metadata"]["labels"]["secrets.hashicorp.com/vso-ownerRefUID"], uid);
    assert_eq!(taken["metadata"]["annotations"]["sidekey.dev/retained"], Value::Null);
    // It is no longer retained: it goes with its owner.
    world.condition(VSS, "again", "Ready", "True").await;
    world.cluster.delete(&path(VSS, "again"));
    world.cluster.until(&secret("kept"), Value::is_null).await;
    world.stop().await;
}

#[tokio::test]
async fn a_deleted_version_wipes_nothing() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.vault.delete("secret/web");
    let told = message(&world, VSS, "web").await;
    assert!(told.contains("version 1 was deleted"), "{told}");
    assert_eq!(decoded(&world.cluster.get(&secret("web")), "user"), "app");
    world.vault.put("secret/web", json!({ "user": "back" }));
    world.secret("web", "user", "back").await;
    world.condition(VSS, "web", "Ready", "True").await;
    world.stop().await;
}

#[tokio::test]
async fn an_annotation_asks_for_new_credentials_once() {
    let mut world = World::new().await;
    let hour = Duration::from_secs(3600);
    world.vault.database("database", "app", DatabaseRole { ttl: hour, max_ttl: hour, renewable: true });
    world.vault.pki("pki");
    world.vault.policy(
        "web",
        &[("database/creds/app", &["read"]), ("pki/issue/web", &["update"]), ("secret/data/web", &["read"])],
    );
    let destination = |name: &str| json!({ "name": name, "create": true });
    let db =
        json!({ "vaultAuthRef": "vault", "mount": "database", "path": "creds/app", "destination": destination("db") });
    world.apply(VDS, "VaultDynamicSecret", "app", "db", db);
    let tls = json!({ "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example", "destination": destination("tls") });
    world.apply("vaultpkisecrets", "VaultPKISecret", "app", "tls", tls);
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    let all = [(VDS, "db"), ("vaultpkisecrets", "tls"), (VSS, "web")];
    let ask = |world: &World, value: &str| {
        for (plural, name) in all {
            world.cluster.edit(&path(plural, name), |object| {
                object["metadata"]["annotations"]["sidekey.dev/refresh"] = json!(value);
            });
        }
    };
    ask(&world, "before the start");
    world.start();
    for (plural, name) in all {
        world.condition(plural, name, "Ready", "True").await;
    }
    let made =
        |world: &World| (world.vault.count("GET", "database/creds/app"), world.vault.count("PUT", "pki/issue/web"));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(made(&world), (1, 1), "what was asked for before it was made was met by its making");
    world.vault.put("secret/web", json!({ "user": "fresh" }));
    let before = decoded(&world.cluster.get(&secret("db")), "password");
    ask(&world, "now");
    world.secret("web", "user", "fresh").await;
    world.cluster.until(&secret("db"), move |object| decoded(object, "password") != before).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(made(&world), (2, 2));
    // A start of the operator is no wish.
    world.stop().await;
    world.start();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.vault.count("PUT", "pki/issue/web"), 2);
    world.stop().await;
}

#[tokio::test]
async fn what_was_made_of_a_deleted_source_goes_where_that_is_wanted() {
    let mut world = World::new().await;
    world.deployment("web");
    let targets = json!([{ "kind": "Deployment", "name": "web" }]);
    let to = |name: &str, more: Value| {
        let mut destination = json!({ "name": name, "onSourceDeleted": "delete" });
        destination.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "destination": destination })
    };
    let mut own = to("own", json!({ "create": true }));
    own["rolloutRestartTargets"] = targets;
    world.static_secret("app", "own", own);
    world.static_secret("app", "kept", json!({}));
    world.static_secret("app", "beside", to("shared", json!({ "merge": true })));
    world.static_secret("app", "never", {
        let mut never = to("never", json!({ "create": true }));
        never["path"] = json!("two");
        never
    });
    let others = json!({ "metadata": { "name": "shared", "namespace": "app" }, "data": { "theirs": "eA==" } });
    world.cluster.apply("secrets", others);
    world.start();
    world.secret("own", "user", "app").await;
    world.secret("shared", "user", "app").await;
    world.secret("kept", "user", "app").await;
    let mac = |world: &World| world.cluster.get(&path(VSS, "own"))["status"]["secretMAC"].clone();
    world.condition(VSS, "own", "Ready", "True").await;
    let before = mac(&world);
    world.vault.delete("secret/web");
    world.cluster.until(&secret("own"), Value::is_null).await;
    let shared = world.cluster.until(&secret("shared"), |object| object["data"]["user"].is_null()).await;
    assert_eq!(shared["data"], json!({ "theirs": "eA==" }));
    let object =
        world.cluster.until(&path(VSS, "own"), |object| condition(object, "SecretSynced")["reason"] == "SourceDeleted");
    let object = object.await;
    assert_eq!(condition(&object, "Ready")["status"], "True");
    assert!(message(&world, VSS, "kept").await.contains("version 1 was deleted"));
    assert_eq!(decoded(&world.cluster.get(&secret("kept")), "user"), "app", "only who was told to lets go");
    let never = message(&world, VSS, "never").await;
    assert!(never.contains("SK4003"), "what never was is missed: {never}");
    world.cluster.forget_calls();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.cluster.count("GET", "secrets/own") + world.cluster.count("DELETE", "secrets"), 0, "once");
    world.vault.put("secret/web", json!({ "user": "app", "n": 7 }));
    world.secret("shared", "user", "app").await;
    world.secret("own", "user", "app").await;
    world.cluster.until(&path(VSS, "own"), |object| condition(object, "SecretSynced")["reason"] == "Synced").await;
    assert!(mac(&world) != before, "the metadata of another version is another");
    world.stop().await;
}

/// The reads of data and of metadata so far.
fn reads(world: &World) -> (usize, usize) {
    (world.vault.count("GET", "secret/data/web"), world.vault.count("GET", "secret/metadata/web"))
}

#[tokio::test]
async fn metadata_is_polled_and_data_read_only_when_the_version_is_another() {
    let mut world = World::new().await;
    world.vault.policy("web", &[("secret/data/web", &["read"]), ("secret/metadata/web", &["read"])]);
    world.static_secret("app", "web", json!({ "syncConfig": { "pollMetadata": true } }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    sleep(Duration::from_secs(4)).await;
    let (data, metadata) = reads(&world);
    assert!(data == 1 && (3..=6).contains(&metadata), "{data} reads of data, {metadata} of metadata in 4 s");
    world.vault.put("secret/web", json!({ "user": "second" }));
    world.secret("web", "user", "second").await;
    assert_eq!(reads(&world).0, 2);
    // What is not Vault's doing needs the data as ever.
    world.cluster.edit(&secret("web"), |object| object["data"]["user"] = json!("eA=="));
    world.secret("web", "user", "second").await;
    world.cluster.edit(&path(VSS, "web"), |object| {
        object["spec"]["destination"]["transformation"] =
            json!({ "templates": { "t": { "text": "{{ .Secrets.user }}!" } } });
        object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
    });
    world.secret("web", "t", "second!").await;
    world.vault.delete("secret/web");
    assert!(message(&world, VSS, "web").await.contains("version 2 was deleted"));
    world.stop().await;
}

#[tokio::test]
async fn a_policy_on_data_alone_costs_one_question_more_and_no_second_login() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.start_with(sidekey_operator::run::Options { poll_metadata: true, ..support::options() });
    world.condition(VSS, "web", "Ready", "True").await;
    sleep(Duration::from_secs(4)).await;
    let (data, metadata) = reads(&world);
    assert!((4..=7).contains(&data) && metadata == 1, "{data} reads of data, {metadata} of metadata");
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 1);
    world.vault.put("secret/web", json!({ "user": "second" }));
    world.secret("web", "user", "second").await;
    world.stop().await;
}
