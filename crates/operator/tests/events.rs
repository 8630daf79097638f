//! Events: of which type, about which object, for which reason; and that the page has each of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_cluster::api::{Api, JSON};
use sidekey_fakevault::{DatabaseRole, RoleSpec};
use support::{World, path, role, secret};
use tokio::time::{Instant, sleep};

const VSS: &str = "vaultstaticsecrets";
const STATIC: &str = "VaultStaticSecret";
const DYNAMIC: &str = "VaultDynamicSecret";
const CERTIFICATE: &str = "VaultPKISecret";

/// Type, kind and name of the object, reason.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Those of the setting alone.
const FIRST: [Row; 15] = [
    ("Normal", STATIC, "web", "SecretSynced"),
    ("Normal", DYNAMIC, "db", "SecretSynced"),
    ("Normal", "VaultAuth", "vault", "Accepted"),
    ("Normal", "VaultConnection", "vault", "Accepted"),
    ("Warning", STATIC, "lost", "VaultClientConfigError"),
    ("Warning", STATIC, "odd", "VaultStaticSecretError"),
    ("Warning", STATIC, "denied", "VaultClientError"),
    ("Warning", STATIC, "barred", "VaultClientConfigError"),
    ("Warning", STATIC, "nobody", "Unrecoverable"),
    ("Warning", STATIC, "absent", "SecretSyncError"),
    ("Warning", STATIC, "unshared", "TransformationError"),
    ("Warning", STATIC, "broken", "SecretDataBuilderError"),
    ("Warning", "SecretTransformation", "broken", "InvalidConfiguration"),
    ("Warning", "VaultAuth", "lost", "InvalidResourceRef"),
    ("Warning", STATIC, "raw", "SecretDataBuilderError"),
];

async fn world() -> World {
    let world = World::new().await;
    let vault = &world.vault;
    let s = Duration::from_secs;
    vault.database("database", "app", DatabaseRole { ttl: s(3600), max_ttl: s(3600), renewable: true });
    vault.database("database", "short", DatabaseRole { ttl: s(3), max_ttl: s(3600), renewable: true });
    vault.pki("pki");
    vault.put("secret/gone", json!({ "user": "app" }));
    vault.put("kv1/web", json!({ "_raw": "mine" }));
    let rules: &[(&str, &[&str])] = &[
        ("secret/data/web", &["read"]),
        ("secret/data/gone", &["read"]),
        ("kv1/web", &["read"]),
        ("database/creds/app", &["read"]),
        ("database/creds/short", &["read"]),
        ("sys/leases/revoke", &["update"]),
        ("pki/issue/web", &["update"]),
    ];
    vault.policy("web", rules);
    vault.role("auth/kubernetes", "barred", RoleSpec { namespaces: vec!["x".into()], ..role() });
    for (name, role, account) in [("barred", "barred", "web"), ("nobody", "web", "nobody")] {
        let kubernetes = json!({ "role": role, "serviceAccount": account, "audiences": ["vault"] });
        world.auth("app", name, json!({ "vaultConnectionRef": "vault", "kubernetes": kubernetes }));
    }
    world.auth(
        "app",
        "lost",
        json!({ "vaultConnectionRef": "none", "kubernetes": { "role": "web", "serviceAccount": "web" } }),
    );
    let broken = json!({ "templates": { "url": { "text": "{{ nothing }}" } } });
    world.apply("secrettransformations", "SecretTransformation", "app", "broken", broken);
    world
}

/// An object for each reason.
fn objects(world: &World) {
    world.deployment("web");
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }] }));
    world.static_secret("app", "idle", json!({ "rolloutRestartTargets": [{ "kind": "DaemonSet", "name": "none" }] }));
    let goes = json!({ "name": "gone", "create": true, "onSourceDeleted": "delete" });
    world.static_secret("app", "gone", json!({ "path": "gone", "destination": goes }));
    let template = json!({ "templates": { "url": { "text": "{{ nothing }}" } } });
    let broken = json!({ "destination": { "name": "broken", "create": true, "transformation": template } });
    let template = json!({ "transformationRefs": [{ "name": "none" }] });
    let unshared = json!({ "destination": { "name": "unshared", "create": true, "transformation": template } });
    for (name, more) in [
        ("lost", json!({ "vaultAuthRef": "none" })),
        ("odd", json!({ "type": "kv" })),
        ("denied", json!({ "path": "hidden" })),
        ("barred", json!({ "vaultAuthRef": "barred" })),
        ("nobody", json!({ "vaultAuthRef": "nobody" })),
        ("absent", json!({ "destination": { "name": "absent" } })),
        ("broken", broken),
        ("unshared", unshared),
        ("raw", json!({ "type": "kv-v1", "mount": "kv1" })),
    ] {
        world.static_secret("app", name, more);
    }
    for (name, role) in [("db", "app"), ("short", "short")] {
        let into = json!({ "name": name, "create": true });
        let spec = json!({ "vaultAuthRef": "vault", "mount": "database", "path": format!("creds/{role}"), "destination": into });
        world.apply("vaultdynamicsecrets", DYNAMIC, "app", name, spec);
    }
    let into = json!({ "name": "tls", "create": true });
    let spec = json!({ "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example", "ttl": "1h",
        "revoke": true, "destination": into });
    world.apply("vaultpkisecrets", CERTIFICATE, "app", "tls", spec);
}

/// Waits for an event of namespace `app`; its reason, when all of it is right.
async fn told(world: &World, (class, kind, name, reason): Row) -> String {
    let api = Api::new(world.cluster.client());
    let object = world.cluster.get(&path(&format!("{}s", kind.to_ascii_lowercase()), name));
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let events: Value = api.get("/api/v1/namespaces/app/events", JSON).await.unwrap();
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let about = |event: &&Value| {
            let involved = &event["involvedObject"];
            involved["kind"] == kind && involved["name"] == name && event["reason"] == reason
        };
        if let Some(event) = events.iter().find(about) {
            let involved = &event["involvedObject"];
            assert_eq!((&event["type"], &involved["namespace"]), (&json!(class), &json!("app")), "{event}");
            assert_eq!(involved["apiVersion"], "secrets.hashicorp.com/v1beta1", "{event}");
            assert_eq!(event["source"]["component"], "sidekey-operator", "{event}");
            let uid = &object["metadata"]["uid"];
            assert!(uid.is_null() || *uid == involved["uid"], "{event}");
            assert!(involved["uid"].is_string() && event["message"].as_str().is_some_and(|words| !words.is_empty()));
            return reason.to_owned();
        }
        let seen: Vec<_> = events.iter().map(|event| (&event["involvedObject"]["name"], &event["reason"])).collect();
        assert!(Instant::now() < end, "no {class} {reason} of {kind} {name}: {seen:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The reasons of the page's table.
fn page() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operator.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("## Events").nth(1).unwrap().split("\n## ").next().unwrap().lines();
    rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_reason_is_of_its_type_and_about_its_object_and_on_the_page() {
    let mut world = world().await;
    objects(&world);
    world.start();
    let mut seen = BTreeSet::new();
    for row in FIRST {
        seen.insert(told(&world, row).await);
    }
    for name in ["web", "idle", "gone"] {
        world.condition(VSS, name, "Ready", "True").await;
    }
    world.vault.put("secret/web", json!({ "user": "new" }));
    seen.insert(told(&world, ("Normal", STATIC, "web", "SecretRotated")).await);
    seen.insert(told(&world, ("Normal", STATIC, "web", "RolloutRestartTriggered")).await);
    seen.insert(told(&world, ("Warning", STATIC, "idle", "RolloutRestartFailed")).await);
    sleep(Duration::from_millis(500)).await;
    world.cluster.edit(&secret("web"), |object| object["data"]["user"] = json!("eA=="));
    seen.insert(told(&world, ("Normal", STATIC, "web", "SecretDataDrift")).await);
    sleep(Duration::from_millis(500)).await;
    world.cluster.delete(&secret("web"));
    seen.insert(told(&world, ("Normal", STATIC, "web", "InexistentDestination")).await);
    let labelled = json!({ "name": "idle", "create": true, "labels": { "team": "a" } });
    world.static_secret("app", "idle", json!({ "destination": labelled }));
    seen.insert(told(&world, ("Normal", STATIC, "idle", "ResourceUpdated")).await);
    world.vault.delete("secret/gone");
    seen.insert(told(&world, ("Normal", STATIC, "gone", "SourceDeleted")).await);
    // The Kubernetes API fails while a Secret is looked for that is to be mended.
    world.cluster.refuse("GET", "secrets/web", 500, 1);
    world.cluster.delete(&secret("web"));
    seen.insert(told(&world, ("Warning", STATIC, "web", "K8sClientError")).await);

    world.cluster.delete(&path("vaultdynamicsecrets", "db"));
    seen.insert(told(&world, ("Normal", DYNAMIC, "db", "SecretLeaseRevoke")).await);
    world.condition("vaultpkisecrets", "tls", "Ready", "True").await;
    world.cluster.delete(&path("vaultpkisecrets", "tls"));
    seen.insert(told(&world, ("Warning", CERTIFICATE, "tls", "CertificateRevocationError")).await);

    world.vault.seal(true);
    seen.insert(told(&world, ("Warning", "VaultConnection", "vault", "VaultClientError")).await);
    seen.insert(told(&world, ("Warning", DYNAMIC, "short", "SecretLeaseRenewalError")).await);
    world.vault.seal(false);
    seen.insert(told(&world, ("Normal", "VaultConnection", "vault", "Accepted")).await);
    assert_eq!(seen, page());
    world.stop().await;
}
