//! Who may use what, and where the operator looks at all.
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
use sidekey_operator::addresses::Addresses;
use sidekey_operator::run::Options;
use support::{HOUSE, World, condition, options, path};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";

async fn ready_message(world: &World, plural: &str, name: &str) -> String {
    let object = world.condition(plural, name, "Ready", "False").await;
    condition(&object, "Ready")["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn in_namespaced_mode_nothing_else_is_looked_at_and_no_right_beyond_is_used() {
    let mut world = World::new().await;
    world.connection(HOUSE, "default");
    world.auth(HOUSE, "default", json!({ "vaultConnectionRef": "default" }));
    world.static_secret("app", "web", json!({ "vaultAuthRef": "" }));
    world.static_secret("other", "web", json!({ "vaultAuthRef": "" }));
    world.start_with(Options { watch_namespaces: vec!["app".into()], ..options() });
    world.condition(VSS, "web", "Ready", "True").await;
    sleep(Duration::from_millis(500)).await;
    let other = world.cluster.get(&format!("{}/namespaces/other/{VSS}/web", support::GROUP));
    assert_eq!(other["status"], Value::Null);
    let beyond: Vec<_> = world
        .cluster
        .calls()
        .into_iter()
        .filter(|call| {
            !["/namespaces/app/", &format!("/namespaces/{HOUSE}/")].iter().any(|own| call.path.contains(own))
        })
        .collect();
    assert_eq!(beyond, [], "a Role of either namespace allows no such call");
    // A list of one namespace says nothing about another's objects.
    world.cluster.end_watches();
    sleep(Duration::from_millis(500)).await;
    world.vault.put("secret/web", json!({ "user": "later" }));
    world.secret("web", "user", "later").await;
    world.stop().await;
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_refused_by_name() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.start_with(Options { auth_methods: vec!["jwt".into(), "appRole".into()], ..options() });
    for (plural, name) in [(VSS, "web"), ("vaultauths", "vault")] {
        let message = ready_message(&world, plural, name).await;
        assert!(message.contains("SK3112") && message.contains("allows jwt, appRole only"), "{message}");
    }
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 0);
    world.stop().await;
}

#[tokio::test]
async fn the_owner_of_a_destination_keeps_it_else_the_older_and_the_other_never_writes() {
    let mut world = World::new().await;
    world.vault.put("secret/two", json!({ "user": "two" }));
    let into = |path: &str| json!({ "path": path, "destination": { "name": "shared", "create": true } });
    world.static_secret("app", "second", into("two"));
    world.start();
    world.secret("shared", "user", "two").await;
    world.condition(VSS, "second", "Ready", "True").await;
    world.static_secret("app", "first", into("web"));
    world.cluster.edit(&path(VSS, "first"), |object| {
        object["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    });
    let message = ready_message(&world, VSS, "first").await;
    assert!(message.contains("SK7007") && message.contains("VaultStaticSecret app/second"), "{message}");
    sleep(Duration::from_secs(2)).await;
    world.secret("shared", "user", "two").await;
    assert_eq!(world.vault.count("GET", "secret/data/web"), 0, "what may not be written is not read");
    assert_eq!(world.cluster.count("POST", "namespaces/app/secrets"), 1);
    // The owner goes, and with it its Secret: the other has it at once.
    world.cluster.delete(&path(VSS, "second"));
    world.secret("shared", "user", "app").await;
    world.condition(VSS, "first", "Ready", "True").await;
    world.stop().await;
}

#[tokio::test]
async fn of_two_that_own_nothing_the_older_writes() {
    let mut world = World::new().await;
    world.vault.put("secret/two", json!({ "user": "two" }));
    let given = json!({ "metadata": { "name": "given", "namespace": "app" }, "type": "Opaque", "data": {} });
    world.cluster.apply("secrets", given);
    for (name, source, made) in [("a", "web", "2026-01-02T00:00:00Z"), ("b", "two", "2026-01-01T00:00:00Z")] {
        world.static_secret("app", name, json!({ "path": source, "destination": { "name": "given" } }));
        world.cluster.edit(&path(VSS, name), |object| object["metadata"]["creationTimestamp"] = json!(made));
    }
    world.start();
    world.secret("given", "user", "two").await;
    let message = ready_message(&world, VSS, "a").await;
    assert!(message.contains("VaultStaticSecret app/b"), "{message}");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.cluster.count("PUT", "secrets/given"), 1, "no duel");
    // It moves away: the way is free.
    world.static_secret("app", "b", json!({ "path": "two", "destination": { "name": "own", "create": true } }));
    world.secret("given", "user", "app").await;
    world.stop().await;
}

const OWN: &str = "/apis/sidekey.dev/v1alpha1";

fn cluster_wide(world: &World, plural: &str, kind: &str, spec: Value) {
    let metadata = json!({ "name": "shared" });
    let object = json!({ "apiVersion": "sidekey.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec });
    world.cluster.apply(plural, object);
}

/// A connection and a login `shared` for namespaces of team a, with the given fields more.
fn shared(world: &World, more: &Value) {
    let selector = json!({ "matchLabels": { "team": "a" } });
    let connection = json!({ "address": world.vault.address(), "namespaceSelector": selector });
    cluster_wide(world, "clustervaultconnections", "ClusterVaultConnection", connection);
    let kubernetes = json!({ "role": "web", "serviceAccount": "web", "audiences": ["vault"] });
    let mut auth = json!({
        "vaultConnectionRef": "shared", "method": "kubernetes", "mount": "kubernetes", "kubernetes": kubernetes,
        "namespaceSelector": selector,
    });
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    cluster_wide(world, "clustervaultauths", "ClusterVaultAuth", auth);
}

fn namespace(world: &World, name: &str, labels: Value) {
    world.cluster.apply("namespaces", json!({ "apiVersion": "v1", "metadata": { "name": name, "labels": labels } }));
}

fn in_other(plural: &str, name: &str) -> String {
    format!("{}/namespaces/other/{plural}/{name}", support::GROUP)
}

async fn other_is(world: &World, name: &str, status: &'static str) -> String {
    let ready = move |object: &Value| condition(object, "Ready")["status"] == status;
    let object = world.cluster.until(&in_other(VSS, name), ready).await;
    condition(&object, "Ready")["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_cluster_wide_login_serves_the_namespaces_that_it_selects() {
    let mut world = World::new().await;
    world.vault.role(
        "auth/kubernetes",
        "web",
        sidekey_fakevault::RoleSpec { namespaces: vec!["app".into(), "other".into()], ..support::role() },
    );
    namespace(&world, "app", json!({ "team": "a" }));
    namespace(&world, "other", json!({ "team": "b" }));
    shared(&world, &json!({}));
    world.static_secret("app", "web", json!({ "vaultAuthRef": "shared" }));
    world.static_secret("other", "web", json!({ "vaultAuthRef": "shared", "refreshAfter": "1h" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    for kind in ["clustervaultauths", "clustervaultconnections"] {
        let ready = |object: &Value| condition(object, "Ready")["status"] == "True";
        world.cluster.until(&format!("{OWN}/{kind}/shared"), ready).await;
    }
    let message = other_is(&world, "web", "False").await;
    let told = "SK7003 using ClusterVaultAuth shared for VaultStaticSecret other/web: neither its allowedNamespaces nor its namespaceSelector admit other";
    assert!(message.starts_with(told), "{message}");
    let begun = std::time::Instant::now();
    namespace(&world, "other", json!({ "team": "a" }));
    other_is(&world, "web", "True").await;
    assert!(begun.elapsed() < Duration::from_secs(2), "a label is taken up at once: {:?}", begun.elapsed());
    namespace(&world, "other", json!({}));
    other_is(&world, "web", "False").await;
    world.stop().await;
}

#[tokio::test]
async fn a_namespaced_object_of_the_same_name_wins_and_a_path_names_no_cluster_wide_one() {
    let mut world = World::new().await;
    namespace(&world, "app", json!({ "team": "a" }));
    shared(&world, &json!({ "kubernetes": { "role": "none", "serviceAccount": "web", "audiences": ["vault"] } }));
    world.auth("app", "shared", json!({ "vaultConnectionRef": "vault" }));
    world.static_secret("app", "web", json!({ "vaultAuthRef": "shared" }));
    world.static_secret("app", "path", json!({ "vaultAuthRef": "other/shared" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    let message = ready_message(&world, VSS, "path").await;
    assert!(message.contains("SK7002") && message.contains("there is no VaultAuth other/shared"), "{message}");
    // It goes: the cluster-wide one is next, with its own role.
    world.cluster.delete(&path("vaultauths", "shared"));
    let message = ready_message(&world, VSS, "web").await;
    assert!(message.contains("role none"), "{message}");
    world.stop().await;
}

#[tokio::test]
async fn one_login_with_lent_credentials_serves_all_namespaces() {
    let mut world = World::new().await;
    namespace(&world, "app", json!({ "team": "a" }));
    namespace(&world, "other", json!({ "team": "a" }));
    shared(&world, &json!({ "credentialsNamespace": "app" }));
    world.static_secret("app", "web", json!({ "vaultAuthRef": "shared" }));
    world.static_secret("other", "web", json!({ "vaultAuthRef": "shared" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    other_is(&world, "web", "True").await;
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 1, "other has no service account of its own");
    world.stop().await;
}

#[tokio::test]
async fn a_cluster_wide_connection_is_held_to_the_allowed_addresses() {
    for (allowed, status) in [("127.0.0.1", "True"), ("vault.example", "False")] {
        let mut world = World::new().await;
        namespace(&world, "app", json!({ "team": "a" }));
        shared(&world, &json!({}));
        world.static_secret("app", "web", json!({ "vaultAuthRef": "shared" }));
        let addresses = Addresses { allowed: vec![allowed.to_owned()], only: true };
        world.start_with(Options { addresses, ..options() });
        world.condition(VSS, "web", "Ready", status).await;
        for kind in ["clustervaultconnections", "clustervaultauths"] {
            let ready = move |object: &Value| condition(object, "Ready")["status"] == status;
            let object = world.cluster.until(&format!("{OWN}/{kind}/shared"), ready).await;
            let message = condition(&object, "Ready")["message"].as_str().unwrap().to_owned();
            let refused = message.contains("127.0.0.1 is not an address that tokens may be sent to");
            assert_eq!(refused, status == "False", "{kind}: {message}");
        }
        assert_eq!(world.vault.requests().is_empty(), status == "False", "nothing is sent there");
        world.stop().await;
    }
}

#[tokio::test]
async fn connections_and_transformations_of_others_need_their_leave_or_the_switch() {
    for open in [false, true] {
        let mut world = World::new().await;
        let address = world.vault.address();
        let connection = |name: &str, allowed: Value| {
            let spec = json!({ "address": address, "skipTLSVerify": false, "allowedNamespaces": allowed });
            world.apply("vaultconnections", "VaultConnection", "other", name, spec);
            world.auth("app", name, json!({ "vaultConnectionRef": format!("other/{name}") }));
            world.static_secret("app", name, json!({ "vaultAuthRef": name }));
        };
        connection("closed", json!([]));
        connection("listed", json!(["app"]));
        world.connection(HOUSE, "house");
        world.auth("app", "house", json!({ "vaultConnectionRef": format!("{HOUSE}/house") }));
        world.static_secret("app", "house", json!({ "vaultAuthRef": "house" }));
        for (name, allowed) in [("shut", json!([])), ("given", json!(["*"]))] {
            let spec =
                json!({ "allowedNamespaces": allowed, "templates": { "url": { "text": "{{ .Secrets.user }}" } } });
            world.apply("secrettransformations", "SecretTransformation", "other", name, spec);
            let transformation = json!({ "transformationRefs": [{ "namespace": "other", "name": name }] });
            let destination = json!({ "name": name, "create": true, "transformation": transformation });
            world.static_secret("app", name, json!({ "destination": destination }));
        }
        world.start_with(Options { open_references: open, ..options() });
        for name in ["listed", "house", "given"] {
            world.condition(VSS, name, "Ready", "True").await;
        }
        for name in ["closed", "shut"] {
            match open {
                true => drop(world.condition(VSS, name, "Ready", "True").await),
                false => {
                    let message = ready_message(&world, VSS, name).await;
                    assert!(message.contains("SK7003") && message.contains("do not have app"), "{message}");
                }
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_is_down_slows_nothing_of_another() {
    let mut world = World::new().await;
    let other = World::new().await;
    // Slow enough to hold every look that waits for it.
    other.vault.fault(
        sidekey_fakevault::Matcher::any(),
        sidekey_fakevault::Fault::Slow(Duration::from_secs(20)),
        sidekey_fakevault::Times::Always,
    );
    let spec = json!({ "address": other.vault.address(), "skipTLSVerify": false });
    world.apply("vaultconnections", "VaultConnection", "app", "down", spec);
    world.auth("app", "down", json!({ "vaultConnectionRef": "down" }));
    for index in 0..40 {
        world.static_secret("app", &format!("down-{index}"), json!({ "vaultAuthRef": "down" }));
        world.static_secret("app", &format!("up-{index}"), json!({}));
    }
    world.start_with(Options { looks: 10, ..options() });
    for index in 0..40 {
        world.condition(VSS, &format!("up-{index}"), "Ready", "True").await;
    }
    world.vault.put("secret/web", json!({ "user": "changed" }));
    let begun = std::time::Instant::now();
    for index in 0..40 {
        world.secret(&format!("up-{index}"), "user", "changed").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "looked at every second: {:?}", begun.elapsed());
    world.stop().await;
}
