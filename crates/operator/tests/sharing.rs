//! Objects that read the same secret ask once, and get nothing older for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::json;
use sidekey_operator::controllers::REFRESH;
use support::{World, path};
use tokio::time::{Instant, sleep};

const VSS: &str = "vaultstaticsecrets";
const MANY: usize = 60;

#[tokio::test]
async fn many_that_read_the_same_ask_once_a_period() {
    let mut world = World::new().await;
    for number in 0..MANY {
        world.static_secret("app", &format!("web-{number}"), json!({ "refreshAfter": "3s" }));
    }
    world.start();
    let all = async |user: &str| {
        for number in 0..MANY {
            world.secret(&format!("web-{number}"), "user", user).await;
        }
    };
    all("app").await;
    let first = world.vault.count("GET", "secret/data/web");
    assert!((1..=3).contains(&first), "{first} reads for the first sync of {MANY}");
    world.vault.clear_requests();
    let begun = Instant::now();
    sleep(Duration::from_secs(9)).await;
    // Looked at every 2.55 s, and each look by all of them.
    let (most, reads) = (begun.elapsed().as_secs_f64() / 2.55 + 1.0, world.vault.count("GET", "secret/data/web"));
    assert!(reads >= 2 && reads as f64 <= most, "{reads} reads in {:?}", begun.elapsed());
    world.vault.put("secret/web", json!({ "user": "second" }));
    let begun = Instant::now();
    all("second").await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn who_comes_or_asks_later_gets_what_is_there_then() {
    let mut world = World::new().await;
    for name in ["one", "two"] {
        world.static_secret("app", name, json!({ "refreshAfter": "1h" }));
    }
    world.start();
    for name in ["one", "two"] {
        world.secret(name, "user", "app").await;
        world.condition(VSS, name, "Ready", "True").await;
    }
    world.vault.put("secret/web", json!({ "user": "second" }));
    world.static_secret("app", "three", json!({ "refreshAfter": "1h" }));
    world.secret("three", "user", "second").await;
    world.vault.put("secret/web", json!({ "user": "third" }));
    world.cluster.edit(&path(VSS, "one"), |object| object["metadata"]["annotations"] = json!({ REFRESH: "1" }));
    world.secret("one", "user", "third").await;
    let read = world.vault.count("GET", "secret/data/web");
    assert!(read <= 4, "{read} reads");
    world.stop().await;
}

/// What one object names first, another may name as a further source.
#[tokio::test]
async fn a_source_of_many_is_asked_for_once_a_period() {
    const SOME: usize = 20;
    let mut world = World::new().await;
    world.vault.policy("web", &[("secret/data/+", &["read"])]);
    let source = |path: &str| json!({ "mount": "secret", "path": path, "type": "kv-v2", "prefix": "s_" });
    for number in 0..SOME {
        let own = format!("own-{number}");
        world.vault.put(&format!("secret/{own}"), json!({ "own": "1" }));
        world.static_secret("app", &own, json!({ "path": own, "refreshAfter": "3s", "sources": [source("web")] }));
    }
    world.static_secret("app", "web", json!({ "refreshAfter": "3s" }));
    world.start();
    let all = async |user: &str| {
        world.secret("web", "user", user).await;
        for number in 0..SOME {
            world.secret(&format!("own-{number}"), "s_user", user).await;
        }
    };
    all("app").await;
    let first = world.vault.count("GET", "secret/data/web");
    assert!((1..=3).contains(&first), "{first} reads for the first sync");
    world.vault.clear_requests();
    let begun = Instant::now();
    sleep(Duration::from_secs(6)).await;
    let most = begun.elapsed().as_secs_f64() / 2.55 + 1.0;
    let reads = |path: &str| world.vault.count("GET", &format!("secret/data/{path}"));
    assert!(reads("web") >= 1 && reads("web") as f64 <= most, "{} reads in {:?}", reads("web"), begun.elapsed());
    assert!((0..SOME).all(|number| reads(&format!("own-{number}")) >= 1), "each has its own too");
    world.vault.put("secret/web", json!({ "user": "second" }));
    all("second").await;
    world.stop().await;
}
