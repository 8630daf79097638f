//! A marker as secret, through every flow, at trace level: it appears in the Secrets and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_cluster::api::{Api, JSON};
use sidekey_fakevault::{DatabaseRole, Fault, Matcher, StaticRole, Times};
use support::{World, decoded, path, role, scrape, secret};
use tokio::time::sleep;

const MARKER: &str = "marker-7f3a9c";
const VSS: &str = "vaultstaticsecrets";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that any crate says, without the filter that production has.
fn record() -> Log {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    log
}

/// Every kind of secret and of login, some of which fail on the marker itself.
async fn world() -> World {
    let world = World::new().await;
    let vault = &world.vault;
    vault.pki("pki");
    let hour = Duration::from_secs(3600);
    vault.database("database", "app", DatabaseRole { ttl: Duration::from_secs(3), max_ttl: hour, renewable: true });
    let rotation_period = Duration::from_secs(3);
    vault.static_database("database", "fixed", StaticRole { username: "u".into(), rotation_period });
    let rules: &[(&str, &[&str])] = &[
        ("secret/data/web", &["read"]),
        ("kv1/web", &["read"]),
        ("database/creds/app", &["read"]),
        ("database/static-creds/fixed", &["read"]),
        ("pki/issue/web", &["update"]),
        ("pki/revoke", &["update"]),
    ];
    vault.policy("web", rules);
    vault.enable_jwt("auth/jwt");
    vault.role("auth/jwt", "web", role());
    vault.enable_approle("auth/approle");
    vault.role("auth/approle", "web", role());
    let value = json!({ "password": MARKER, "more": format!("{MARKER}\nline"), "list": [MARKER] });
    vault.put("secret/web", value.clone());
    vault.put("kv1/web", value);
    let credential = |key: &str, value: &str| json!({ "data": { key: STANDARD.encode(value) } });
    let given = [
        ("role-jwt", credential("jwt", &vault.jwt("app", "web", "vault"))),
        ("role-id", credential("id", &vault.secret_id("auth/approle", "web"))),
        ("wrong-id", credential("id", &format!("{MARKER}-secret-id"))),
    ];
    for (name, mut object) in given {
        object["metadata"] = json!({ "name": name, "namespace": "app" });
        world.cluster.apply("secrets", object);
    }
    let jwt = json!({ "role": "web", "secretRef": "role-jwt" });
    world.auth("app", "jwt", json!({ "method": "jwt", "mount": "jwt", "vaultConnectionRef": "vault", "jwt": jwt }));
    for (name, secret) in [("ids", "role-id"), ("wrong", "wrong-id")] {
        let ids = json!({ "roleId": vault.role_id("auth/approle", "web"), "secretRef": secret });
        let spec = json!({ "method": "appRole", "mount": "approle", "vaultConnectionRef": "vault", "appRole": ids });
        world.auth("app", name, spec);
    }
    world
}

fn resources(world: &World) {
    let into = |name: &str, text: &str| {
        let transformation = json!({ "templates": { "made": { "text": text } } });
        json!({ "name": name, "create": true, "transformation": transformation })
    };
    world.deployment("web");
    let targets = json!([{ "kind": "Deployment", "name": "web" }, { "kind": "StatefulSet", "name": "none" }]);
    world.static_secret("app", "web", json!({ "rolloutRestartTargets": targets }));
    world.static_secret("app", "plain", json!({ "type": "kv-v1", "mount": "kv1", "vaultAuthRef": "jwt" }));
    world.static_secret("app", "ids", json!({ "vaultAuthRef": "ids" }));
    world.static_secret("app", "wrong", json!({ "vaultAuthRef": "wrong" }));
    world.static_secret("app", "made", json!({ "destination": into("made", "p={{ .Secrets.password }}") }));
    let fails = r#"{{ if eq .Secrets.password "nothing" }}{{ else }}{{ index .Secrets.password "x" }}{{ end }}"#;
    world.static_secret("app", "fails", json!({ "destination": into("fails", fails) }));
    let tall = r"{{ fail .Secrets.password }}";
    world.static_secret("app", "told", json!({ "destination": into("told", tall) }));
    let of = |mount: &str, path: &str, name: &str| {
        let destination = json!({ "name": name, "create": true });
        json!({ "vaultAuthRef": "vault", "mount": mount, "path": path, "allowStaticCreds": true, "destination": destination })
    };
    world.apply("vaultdynamicsecrets", "VaultDynamicSecret", "app", "db", of("database", "creds/app", "db"));
    world.apply(
        "vaultdynamicsecrets",
        "VaultDynamicSecret",
        "app",
        "fixed",
        of("database", "static-creds/fixed", "fixed"),
    );
    let pki = json!({ "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example", "ttl": "1h",
        "revoke": true, "destination": { "name": "tls", "create": true } });
    world.apply("vaultpkisecrets", "VaultPKISecret", "app", "tls", pki);
}

/// Values that are secret: what the Secrets hold, as it is and as the API has it.
fn hidden(world: &World, into: &mut Vec<String>) {
    for name in ["web", "plain", "ids", "made", "db", "fixed", "tls", "role-jwt", "role-id", "wrong-id"] {
        let object = world.cluster.get(&secret(name));
        assert!(object.is_object(), "{name} is not there");
        for (key, value) in object["data"].as_object().unwrap() {
            let (encoded, text) = (value.as_str().unwrap().to_owned(), decoded(&object, key));
            // Names of users and numbers are no secrets, and shorter than those.
            let secret = !["username", "serial_number", "expiration", "private_key_type", "last_vault_rotation"]
                .contains(&key.as_str());
            if secret && text.len() >= 12 {
                let escaped = json!(text).to_string().trim_matches('"').to_owned();
                into.extend([text, encoded, escaped]);
            }
        }
    }
}

#[tokio::test]
async fn no_secret_token_or_credential_is_told_to_anybody() {
    let log = record();
    let mut world = world().await;
    resources(&world);
    let port = world.start_with_numbers();
    for name in ["web", "plain", "ids", "made"] {
        world.condition(VSS, name, "Ready", "True").await;
    }
    for name in ["wrong", "fails", "told"] {
        world.condition(VSS, name, "Ready", "False").await;
    }
    for (plural, name) in [("vaultdynamicsecrets", "db"), ("vaultdynamicsecrets", "fixed"), ("vaultpkisecrets", "tls")]
    {
        world.condition(plural, name, "Ready", "True").await;
    }
    let mut shown = Vec::new();
    hidden(&world, &mut shown);

    world.vault.put("secret/web", json!({ "password": format!("{MARKER}-2") }));
    world.secret("web", "password", &format!("{MARKER}-2")).await;
    world.condition(VSS, "web", "RolloutRestart", "False").await;
    let faults = [
        Fault::Status(403, vec!["permission denied".to_owned()]),
        Fault::Status(400, vec!["bad".to_owned()]),
        Fault::CutBody,
        Fault::Garbage,
        Fault::Reset,
    ];
    for fault in faults {
        world.vault.fault(Matcher::any(), fault, Times::Always);
        world.cluster.edit(&secret("web"), |object| object["data"]["password"] = json!("eA=="));
        sleep(Duration::from_millis(1500)).await;
        world.vault.clear_faults();
    }
    world.vault.revoke_all_tokens();
    world.secret("web", "password", &format!("{MARKER}-2")).await;
    // An API server that refuses a Secret with the Secret's own words in its answer.
    world.cluster.refuse("PUT", "secrets/web", 422, 1);
    world.cluster.edit(&secret("web"), |object| object["data"]["password"] = json!("eA=="));
    world.secret("web", "password", &format!("{MARKER}-2")).await;
    world.condition(VSS, "web", "Ready", "True").await;
    hidden(&world, &mut shown);

    let api = Api::new(world.cluster.client());
    let mut told = scrape(port).await;
    for plural in [VSS, "vaultdynamicsecrets", "vaultpkisecrets", "vaultauths", "vaultconnections"] {
        let list: Value = api.get(&format!("{}/{plural}", support::GROUP), JSON).await.unwrap();
        assert!(!list["items"].as_array().unwrap().is_empty(), "{plural}");
        told.push_str(&list.to_string());
    }
    let events: Value = api.get("/api/v1/events", JSON).await.unwrap();
    assert!(events["items"].as_array().unwrap().len() > 10, "{events:#}");
    told.push_str(&events.to_string());
    told.push_str(&world.cluster.get("/apis/apps/v1/namespaces/app/deployments/web").to_string());
    world.cluster.delete(&path("vaultdynamicsecrets", "db"));
    world.cluster.delete(&path("vaultpkisecrets", "tls"));
    world.cluster.until(&path("vaultpkisecrets", "tls"), Value::is_null).await;
    world.stop().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let levels = ["TRACE", "DEBUG", "INFO", "WARN"].map(|level| log.matches(level).count());
    assert!(log.contains("logged in") && levels[0] > 0 && levels.iter().sum::<usize>() > 100, "{levels:?}");
    told.push_str(&log);
    assert!(shown.iter().any(|value| value.contains("PRIVATE KEY")) && shown.len() > 20, "{}", shown.len());
    // Tokens of Vault and of service accounts are known by how they begin.
    shown.extend([MARKER, "hvs.", "eyJ"].map(str::to_owned));
    for secret in &shown {
        let line = told.lines().find(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "{secret} is told: {}", line.unwrap().chars().take(2000).collect::<String>());
    }
}
