//! What objects cost that fail for ever: their own back-off, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::World;
use tokio::time::{Instant, sleep};

const FAILING: usize = 100;

#[tokio::test]
async fn a_hundred_that_fail_cost_no_more_than_their_back_off() {
    let mut world = World::new().await;
    for number in 0..FAILING {
        let more = json!({ "path": format!("hidden/{number}"), "refreshAfter": "1s" });
        world.static_secret("app", &format!("fails-{number}"), more);
    }
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    world.start();
    for number in 0..FAILING {
        world.condition("vaultstaticsecrets", &format!("fails-{number}"), "Ready", "False").await;
    }
    let requests = world.vault.requests();
    let of = |end: &str| requests.iter().filter(|request| request.path.ends_with(end)).count();
    assert_eq!(of("sys/capabilities-self"), FAILING, "what each may do is its own question");
    assert_eq!(of("sys/internal/ui/mounts"), 1, "what a login sees is asked once for all that fail under it");
    // Until each waits for its longest: 0.3 s, half as much more each time, 2 s at the most.
    sleep(Duration::from_secs(6)).await;
    world.vault.clear_requests();
    world.cluster.forget_calls();
    let begun = Instant::now();
    sleep(Duration::from_secs(8)).await;
    let requests = world.vault.requests();
    let took = begun.elapsed().as_secs_f64();
    let reads = requests.iter().filter(|request| request.path.starts_with("secret/data/hidden/")).count();
    // A wait is 2 s, or half as long or half as long again.
    let most = FAILING as f64 * (took / 2.0 * 1.25 + 1.0);
    assert!(reads >= FAILING && reads as f64 <= most, "{reads} reads of {FAILING} in {took} s");
    // A refusal is doubted by one login every 15 s, whoever is refused.
    let logins = requests.iter().filter(|request| request.path.ends_with("/login")).count();
    assert!(logins <= 2, "{logins} logins");
    // Finding out why is not done at every look, and a Vault that refuses answers: its health is not asked about.
    let beside: Vec<_> = requests.iter().filter(|request| !request.path.starts_with("secret/data/hidden/")).collect();
    assert!(!beside.iter().any(|request| request.path == "sys/health"), "{beside:?}");
    assert!(beside.len() <= 4, "{beside:?}");
    let calls = world.cluster.calls();
    let written: Vec<_> = calls.iter().filter(|call| call.method != "GET" && call.method != "WATCH").collect();
    let logins = written.iter().filter(|call| call.path.contains("/leases/") || call.path.ends_with("/token")).count();
    assert_eq!(written.len(), logins, "a failure that stays the same is told once: {written:?}");
    world.condition("vaultstaticsecrets", "web", "Ready", "True").await;
    world.stop().await;
}
