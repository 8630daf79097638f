//! Leases that have to be made anew although the old ones live on for a while: one after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_fakevault::{DatabaseRole, RoleSpec};
use support::{World, decoded, path, role, secret};
use tokio::time::{Instant, sleep};

const VDS: &str = "vaultdynamicsecrets";
const MANY: usize = 20;

fn name(n: usize) -> String {
    format!("db-{n}")
}

/// Many leases of one login, in their Secrets. Each waits a tenth of its time at the most.
async fn world(ttl: u64) -> World {
    let mut world = World::new().await;
    let (ttl, max_ttl) = (Duration::from_secs(ttl), Duration::from_secs(3600));
    world.vault.database("database", "app", DatabaseRole { ttl, max_ttl, renewable: true });
    for n in 0..MANY {
        let destination = json!({ "name": name(n), "create": true, "transformation": { "excludeRaw": true } });
        let spec =
            json!({ "vaultAuthRef": "vault", "mount": "database", "path": "creds/app", "destination": destination });
        world.apply(VDS, "VaultDynamicSecret", "app", &name(n), spec);
    }
    world.start();
    for n in 0..MANY {
        world.condition(VDS, &name(n), "Ready", "True").await;
    }
    world
}

fn made(world: &World) -> usize {
    world.vault.count("GET", "database/creds/app")
}

fn honoured(world: &World, n: usize) -> bool {
    let made = world.cluster.get(&secret(&name(n)));
    world.vault.honours(&decoded(&made, "username"), &decoded(&made, "password"))
}

/// An edit that makes another login.
fn edit(world: &World, seconds: u64) {
    world.cluster.edit(&path("vaultauths", "vault"), |object| {
        object["spec"]["kubernetes"]["tokenExpirationSeconds"] = json!(seconds);
    });
}

/// After a second no more than their share have been made anew, and so many more; a slow machine has made more.
async fn no_rush(world: &World, begun: Instant, more: f64) {
    sleep(Duration::from_secs(1)).await;
    let (early, share) = (made(world), begun.elapsed().as_secs_f64() / 4.0);
    assert!(early as f64 <= MANY as f64 * share + more, "{early} of {MANY} in {:?}", begun.elapsed());
}

/// From now on all are made anew, over four seconds, and each is good all the time.
async fn one_after_the_other(world: &World) {
    no_rush(world, Instant::now(), 6.0).await;
    let begun = Instant::now();
    while made(world) < MANY && begun.elapsed() < Duration::from_secs(15) {
        assert_eq!((0..MANY).find(|n| !honoured(world, *n)), None);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(made(world), MANY);
    assert_eq!((0..MANY).find(|n| !honoured(world, *n)), None);
}

/// Without a kept login every lease is made anew.
#[tokio::test]
async fn a_start_makes_new_leases_one_after_the_other() {
    let mut world = world(40).await;
    world.stop().await;
    world.vault.clear_requests();
    world.start();
    one_after_the_other(&world).await;
    world.stop().await;
}

/// The login of before lives to its end, and so do its leases.
#[tokio::test]
async fn an_edit_of_the_auth_makes_new_leases_one_after_the_other_each_time() {
    let mut world = world(40).await;
    for seconds in [700, 800] {
        world.vault.clear_requests();
        edit(&world, seconds);
        one_after_the_other(&world).await;
        assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 1);
    }
    let used = |n| world.cluster.get(&path(VDS, &name(n)))["status"]["vaultClientMeta"]["id"].clone();
    let ids: Vec<Value> = (0..MANY).map(used).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    world.stop().await;
}

/// A lease that has not had its turn after the first edit keeps it.
#[tokio::test]
async fn two_edits_within_moments_are_no_rush_either() {
    let mut world = world(40).await;
    world.vault.clear_requests();
    let begun = Instant::now();
    edit(&world, 700);
    sleep(Duration::from_millis(300)).await;
    edit(&world, 800);
    no_rush(&world, begun, 9.0).await;
    while made(&world) < MANY && begun.elapsed() < Duration::from_secs(15) {
        assert_eq!((0..MANY).find(|n| !honoured(&world, *n)), None);
        sleep(Duration::from_millis(50)).await;
    }
    assert!(made(&world) >= MANY);
    world.stop().await;
}

/// What has ended with its login waits for nothing.
#[tokio::test]
async fn a_login_that_ends_has_its_leases_made_anew_at_once() {
    // One that waited would do so for up to a minute.
    let mut world = world(900).await;
    world.vault.role("auth/kubernetes", "web", RoleSpec { ttl: Duration::from_secs(1800), ..role() });
    world.vault.clear_requests();
    world.vault.revoke_all_tokens();
    world.cluster.delete(&secret(&name(0)));
    let begun = Instant::now();
    while made(&world) < MANY && begun.elapsed() < Duration::from_secs(15) {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(made(&world) >= MANY, "{} of {MANY} in {:?}", made(&world), begun.elapsed());
    world.stop().await;
}
