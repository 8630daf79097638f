//! Certificates: issued, replaced strictly before their end, revoked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{World, condition, decoded, path, secret};
use tokio::time::{Instant, sleep};

const VPS: &str = "vaultpkisecrets";

async fn world() -> World {
    let world = World::new().await;
    world.vault.pki("pki");
    world.vault.policy("web", &[("pki/issue/web", &["update"]), ("pki/revoke", &["update"])]);
    world.deployment("web");
    world
}

fn certificate(world: &World, more: &Value) {
    let mut spec = json!({
        "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example", "ttl": "1h",
        "destination": { "name": "tls", "create": true, "type": "kubernetes.io/tls" },
        "rolloutRestartTargets": [{ "kind": "Deployment", "name": "web" }],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.apply(VPS, "VaultPKISecret", "app", "tls", spec);
}

#[tokio::test]
async fn a_tls_secret_is_filled_kept_over_a_restart_and_mended() {
    let mut world = world().await;
    certificate(&world, &json!({}));
    world.start();
    let object = world.condition(VPS, "tls", "Ready", "True").await;
    let made = world.cluster.get(&secret("tls"));
    let keys: Vec<_> = made["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        (keys.join(" ").as_str(), &made["type"]),
        (
            "_raw ca.crt ca_chain certificate expiration issuing_ca private_key private_key_type serial_number tls.crt tls.key",
            &json!("kubernetes.io/tls")
        )
    );
    assert_eq!(decoded(&made, "tls.crt").matches("BEGIN CERTIFICATE").count(), 2);
    assert!(decoded(&made, "tls.key").contains("PRIVATE KEY"));
    let status = &object["status"];
    assert_eq!((&status["valid"], &status["error"], &status["lastGeneration"]), (&json!(true), &json!(""), &json!(1)));
    assert!(status["serialNumber"].is_string() && status["expiration"].is_u64() && status["secretMAC"].is_string());
    world.stop().await;
    world.start();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.vault.count("PUT", "pki/issue/web"), 1, "a start issues nothing");
    world.cluster.edit(&secret("tls"), |object| object["data"]["tls.key"] = json!("eA=="));
    world.cluster.until(&secret("tls"), |object| object["data"]["tls.key"] != "eA==").await;
    assert!(decoded(&world.cluster.get(&secret("tls")), "tls.key").contains("PRIVATE KEY"));
    world.cluster.delete(&secret("tls"));
    world.cluster.until(&secret("tls"), |object| !object.is_null()).await;
    world.stop().await;
}

/// Filters are for Vault's own fields; a Secret of this type without its pair would be refused.
#[tokio::test]
async fn filters_leave_the_pair_of_a_tls_secret() {
    let mut world = world().await;
    let transformation = json!({ "excludes": [".*"], "excludeRaw": true });
    let destination =
        json!({ "name": "tls", "create": true, "type": "kubernetes.io/tls", "transformation": transformation });
    certificate(&world, &json!({ "destination": destination }));
    world.start();
    world.condition(VPS, "tls", "Ready", "True").await;
    let made = world.cluster.get(&secret("tls"));
    let keys: Vec<_> = made["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"]);
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_is_never_past_its_end_and_the_old_one_is_revoked() {
    let mut world = world().await;
    certificate(&world, &json!({ "ttl": "4s", "expiryOffset": "1s", "revoke": true }));
    world.start();
    world.condition(VPS, "tls", "Ready", "True").await;
    let (begun, mut attempts, mut late, mut serials) = (Instant::now(), 0, 0, std::collections::BTreeSet::new());
    // A machine under load takes longer for as many.
    let least = Duration::from_secs(12);
    while (begun.elapsed() < least || attempts < 200) && begun.elapsed() < 5 * least {
        let status = world.cluster.get(&path(VPS, "tls"))["status"].clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        attempts += 1;
        late += u32::from(status["expiration"].as_u64().unwrap() < now);
        serials.insert(status["serialNumber"].as_str().unwrap().to_owned());
        sleep(Duration::from_millis(50)).await;
    }
    assert!(late == 0 && attempts >= 200, "{late} of {attempts} looks found a certificate past its end");
    let most = 1 + usize::try_from(begun.elapsed().as_secs() / 2).unwrap();
    assert!((3..=most).contains(&serials.len()), "{} certificates, at most {most}", serials.len());
    assert!(world.vault.count("PUT", "pki/revoke") >= serials.len() - 1);
    assert!(world.cluster.count("PATCH", "deployments/web") >= 2);
    world.cluster.delete(&path(VPS, "tls"));
    world.cluster.until(&path(VPS, "tls"), Value::is_null).await;
    assert!(world.vault.count("PUT", "pki/revoke") >= serials.len(), "the last one too");
    world.stop().await;
}

#[tokio::test]
async fn an_opaque_secret_has_vaults_names_and_is_cleared_when_it_is_not_owned() {
    let mut world = world().await;
    world.cluster.apply("secrets", json!({ "metadata": { "name": "given", "namespace": "app" }, "type": "Opaque" }));
    certificate(&world, &json!({ "destination": { "name": "given" }, "clear": true }));
    world.start();
    world.condition(VPS, "tls", "Ready", "True").await;
    let made = world.cluster.get(&secret("given"));
    for key in ["certificate", "private_key", "issuing_ca", "ca_chain", "serial_number", "expiration", "_raw"] {
        assert!(made["data"][key].is_string(), "{key} in {:?}", made["data"].as_object().unwrap().keys());
    }
    world.cluster.delete(&path(VPS, "tls"));
    world.cluster.until(&path(VPS, "tls"), Value::is_null).await;
    assert_eq!(world.cluster.get(&secret("given"))["data"], Value::Null);
    world.stop().await;
}

#[tokio::test]
async fn what_vault_refuses_is_told() {
    let mut world = world().await;
    certificate(&world, &json!({ "role": "other" }));
    world.start();
    let object = world.condition(VPS, "tls", "Ready", "False").await;
    let message = condition(&object, "SecretSynced")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("SK4001") && message.contains("pki/issue/other"), "{message}");
    assert_eq!((&object["status"]["valid"], &object["status"]["error"]), (&json!(false), &json!("VaultClientError")));
    world.stop().await;
}

#[tokio::test]
async fn an_edit_that_asks_for_the_same_certificate_issues_none() {
    let mut world = world().await;
    let issued = |world: &World| world.vault.count("PUT", "pki/issue/web");
    certificate(&world, &json!({}));
    world.start();
    world.condition(VPS, "tls", "Ready", "True").await;
    certificate(&world, &json!({ "expiryOffset": "10m", "revoke": true, "rolloutRestartTargets": [] }));
    let object = world.cluster.until(&path(VPS, "tls"), |object| object["status"]["lastGeneration"] == 2).await;
    assert_eq!((issued(&world), world.cluster.count("PATCH", "deployments/web")), (1, 0));
    assert!(object["metadata"]["finalizers"][0].is_string(), "what is to be revoked holds its object");
    certificate(&world, &json!({ "commonName": "other.example" }));
    world.cluster.until(&path(VPS, "tls"), |object| object["status"]["lastGeneration"] == 3).await;
    assert_eq!((issued(&world), world.cluster.count("PATCH", "deployments/web")), (2, 1));
    assert!(world.events().await.contains(&"RolloutRestartTriggered".to_owned()));
    world.stop().await;
}

/// A bundle has the key in the text of the certificate, where it has no place.
#[tokio::test]
async fn each_format_makes_its_secret() {
    let mut world = world().await;
    for (name, format, kind) in
        [("bundle", "pem_bundle", "kubernetes.io/tls"), ("der", "der", "Opaque"), ("raw", "pem_bundle", "Opaque")]
    {
        let destination =
            json!({ "name": name, "create": true, "type": kind, "transformation": { "excludeRaw": true } });
        let spec = json!({ "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example",
            "ttl": "1h", "format": format, "destination": destination });
        world.apply(VPS, "VaultPKISecret", "app", name, spec);
    }
    world.start();
    for name in ["bundle", "der", "raw"] {
        world.condition(VPS, name, "Ready", "True").await;
    }
    let [bundle, der, raw] = ["bundle", "der", "raw"].map(|name| world.cluster.get(&secret(name)));
    let blocks = |object: &Value, key: &str| {
        let text = decoded(object, key);
        (text.matches("BEGIN CERTIFICATE").count(), text.matches("PRIVATE KEY-----").count())
    };
    assert_eq!((blocks(&bundle, "tls.crt"), blocks(&bundle, "tls.key")), ((2, 0), (0, 2)));
    assert_eq!(blocks(&bundle, "ca.crt"), (1, 0));
    assert_eq!((blocks(&raw, "certificate"), blocks(&raw, "private_key")), ((2, 2), (0, 2)), "as Vault answered");
    for key in ["certificate", "private_key", "issuing_ca"] {
        let text = decoded(&der, key);
        assert!(text.starts_with('M') && !text.contains(['-', '\n']), "{key} is {text}");
    }
    assert_eq!(der["data"].get("tls.crt"), None);
    world.stop().await;
}
