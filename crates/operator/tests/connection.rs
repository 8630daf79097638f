//! What a VaultConnection says of itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{World, condition, path};

const CONNECTIONS: &str = "vaultconnections";

/// Status and reason of the three that speak of the client, the server, and the whole.
fn verdicts(object: &Value) -> [String; 3] {
    ["VaultClient", "VaultPing", "ResourceValidation"].map(|kind| {
        let condition = condition(object, kind);
        format!("{} {}", condition["status"].as_str().unwrap_or("no"), condition["reason"].as_str().unwrap_or_default())
    })
}

#[tokio::test]
async fn its_conditions_tell_the_client_from_the_server() {
    let mut world = World::new().await;
    let address = world.vault.address();
    let without_ca = json!({ "address": address, "caCertSecretRef": "none" });
    world.apply(CONNECTIONS, "VaultConnection", "app", "client", without_ca);
    world.apply(CONNECTIONS, "VaultConnection", "app", "server", json!({ "address": "http://127.0.0.1:1" }));
    let metadata = json!({ "address": "http://169.254.169.254" });
    world.apply(CONNECTIONS, "VaultConnection", "app", "refused", metadata);
    world.start();
    let (well, ill) = ("True Accepted", "False InvalidConfiguration");
    let made = "False VaultClientConfigError";
    let cases = [
        ("vault", "True", [well, well, well]),
        ("client", "False", [made, ill, ill]),
        ("refused", "False", [made, ill, ill]),
        ("server", "False", [well, ill, ill]),
    ];
    for (name, ready, want) in cases {
        let object = world.condition(CONNECTIONS, name, "Ready", ready).await;
        assert_eq!(verdicts(&object), want, "{name}");
        assert_eq!(object["status"]["valid"], json!(ready == "True"), "{name}");
    }
    // A Vault that is sealed answers, and is of no use: its words are in the condition that speaks of it.
    world.vault.seal(true);
    world.connection("app", "sealed");
    let object = world.condition(CONNECTIONS, "sealed", "Ready", "False").await;
    assert_eq!(verdicts(&object), [well, ill, ill]);
    let words = |kind: &str| condition(&object, kind)["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(words("VaultClient"), "The client is made.");
    assert!(words("VaultPing").contains("it is sealed") && words("VaultPing") == words("ResourceValidation"));
    world.vault.seal(false);
    let mended = |object: &Value| condition(object, "VaultPing")["status"] == "True";
    let object = world.cluster.until(&path(CONNECTIONS, "sealed"), mended).await;
    assert_eq!(verdicts(&object), [well, well, well]);
    world.stop().await;
}
