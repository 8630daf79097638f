//! What a VaultAuth says once what was wrong with it is edited away: of a login that is not made any more nothing stays behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{World, condition, path};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";
const AUTHS: &str = "vaultauths";

fn of_role(role: &str) -> Value {
    json!({ "vaultConnectionRef": "vault", "kubernetes": { "role": role, "serviceAccount": "web", "audiences": ["vault"] } })
}

async fn says(world: &World, plural: &str, words: &'static str) {
    let told = move |object: &Value| {
        let ready = condition(object, "Ready");
        ready["status"] == "False" && ready["message"].as_str().is_some_and(|message| message.contains(words))
    };
    world.cluster.until(&path(plural, "vault"), told).await;
}

#[tokio::test]
async fn an_edit_that_mends_a_login_is_told_of_the_secret_and_of_the_login() {
    let mut world = World::new().await;
    world.auth("app", "vault", of_role("nobody"));
    world.static_secret("app", "vault", json!({ "refreshAfter": "1h" }));
    world.start();
    says(&world, VSS, "role nobody").await;
    says(&world, AUTHS, "role nobody").await;
    // Of one failure the next takes the place.
    world.auth("app", "vault", of_role("nothing"));
    says(&world, VSS, "role nothing").await;
    says(&world, AUTHS, "role nothing").await;
    world.auth("app", "vault", of_role("web"));
    world.condition(VSS, "vault", "Ready", "True").await;
    world.condition(AUTHS, "vault", "Ready", "True").await;
    world.stop().await;
}

/// At once, and after the failing login has been forgotten.
#[tokio::test]
async fn a_login_that_is_made_anew_says_nothing_of_the_one_before() {
    for pause in [0, 4] {
        let mut world = World::new().await;
        world.auth("app", "vault", of_role("nobody"));
        world.static_secret("app", "vault", json!({ "refreshAfter": "1h" }));
        world.start();
        says(&world, AUTHS, "role nobody").await;
        world.cluster.delete(&path(AUTHS, "vault"));
        says(&world, VSS, "there is no VaultAuth app/vault").await;
        sleep(Duration::from_secs(pause)).await;
        world.auth("app", "vault", of_role("web"));
        world.condition(VSS, "vault", "Ready", "True").await;
        world.condition(AUTHS, "vault", "Ready", "True").await;
        world.stop().await;
    }
}
