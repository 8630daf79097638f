//! An outage of any length, and files that must not outlive one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::json;
use sidekey_core::Code;
use sidekey_fakevault::DatabaseRole;
use support::{Bench, exists};

const LIST: &str = ".sidekey-stale";

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// A KV secret with a limit of ten minutes in a linked pair, another without a limit, and a credential of two hours.
async fn bench() -> Bench {
    let pair = json!({"group": "pair", "layout": "linked", "maxStaleSeconds": 600});
    let bench = Bench::new()
        .await
        .go("user", r#"{{ with secret "secret/data/web" }}{{ .Data.data.user }}{{ end }}"#, pair.clone())
        .go("pass", r#"{{ with secret "secret/data/web" }}{{ .Data.data.password }}{{ end }}"#, pair)
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("db.json", "json", "database/creds/app", json!({"maxStaleSeconds": 60}));
    let hours = Duration::from_secs(7_200);
    bench.fake.database("database", "app", DatabaseRole { ttl: hours, max_ttl: hours, ..DatabaseRole::default() });
    bench
}

fn stale(bench: &Bench, name: &str) -> Option<i64> {
    bench.status().unwrap().files.into_iter().find(|file| file.name == name).unwrap().stale_since
}

fn present(bench: &Bench) -> [bool; 4] {
    ["user", "pass", "web.json", "db.json"].map(|file| bench.read(file).is_some())
}

#[tokio::test]
async fn the_last_good_file_survives_any_outage_and_tells_its_age() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let agent = bench.start();
    bench.ready().await;
    bench.idle(minutes(10)).await;
    assert!(!exists(&bench.path("secrets").join(LIST)), "a list while Vault answers");
    assert_eq!(stale(&bench, "web.json"), None);
    bench.fake.seal(true);
    bench.idle(minutes(5)).await;
    let since = stale(&bench, "web.json").unwrap();
    bench.jump(minutes(60 * 24 * 30));
    bench.idle(minutes(10)).await;
    assert!(bench.read("web.json").unwrap().contains("one"));
    assert_eq!(bench.read(LIST).unwrap().split_once(' ').unwrap().1, "web.json\n");
    let days = (since - stale(&bench, "web.json").unwrap()).unsigned_abs();
    assert!(days < 2, "the date of the last answer moved by {days} s");
    assert!(bench.line().contains("last good kept: SK3006"), "{}", bench.line());
    bench.fake.seal(false);
    bench.new_jwt();
    bench.idle(minutes(6)).await;
    bench.until("an answer", |bench| stale(bench, "web.json").is_none()).await;
    assert!(!exists(&bench.path("secrets").join(LIST)));
    agent.stop().await;
}

#[tokio::test]
async fn a_file_goes_at_its_limit_with_its_group_and_comes_back_with_the_server() {
    let bench = bench().await;
    let agent = bench.start();
    bench.ready().await;
    bench.idle(minutes(15)).await;
    assert_eq!(present(&bench), [true; 4], "a limit removes nothing while Vault answers");
    bench.fake.seal(true);
    bench.idle(minutes(8)).await;
    assert_eq!(present(&bench), [true; 4], "gone too early: {}", bench.line());
    bench.idle(minutes(4)).await;
    bench.until("the removal", |bench| present(bench) == [false, false, true, true]).await;
    let left = std::fs::read_dir(bench.path("secrets")).unwrap().map(|entry| entry.unwrap().path());
    let sets = left.filter(|path| path.is_dir() && !path.is_symlink());
    assert!(sets.flat_map(|set| std::fs::read_dir(set).unwrap()).next().is_none(), "the old bytes are still there");
    assert!(bench.line().starts_with("ready: 2 files written, others removed: SK5010 "), "{}", bench.line());
    assert_eq!(bench.status().unwrap().counters.failures[&Code::SecretTooOld], 1);
    let list = bench.read(LIST).unwrap();
    assert_eq!(
        list.lines().map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>(),
        ["user", "pass", "web.json"]
    );

    // The state still holds the bytes: a restart must not bring them back.
    agent.kill().await;
    let agent = bench.start();
    bench.idle(minutes(2)).await;
    assert_eq!(present(&bench), [false, false, true, true]);
    bench.fake.seal(false);
    bench.idle(minutes(2)).await;
    bench.until("the files", |bench| present(bench) == [true; 4]).await;
    assert_eq!(bench.read("pass").unwrap(), "one");
    bench.until("no complaint", |bench| bench.line() == "ready: 4 files written").await;
    assert!(!exists(&bench.path("secrets").join(LIST)));
    agent.stop().await;
}

#[tokio::test]
async fn a_credential_is_vouched_for_until_its_end_and_then_goes() {
    let bench = bench().await;
    let agent = bench.start();
    bench.ready().await;
    bench.fake.seal(true);
    bench.idle(minutes(55)).await;
    assert_eq!((bench.read("db.json").is_some(), stale(&bench, "db.json")), (true, None), "its token and lease hold");
    // The token of one hour takes the lease along.
    bench.idle(minutes(15)).await;
    bench.until("the removal", |bench| bench.read("db.json").is_none()).await;
    bench.fake.seal(false);
    bench.new_jwt();
    bench.idle(minutes(6)).await;
    bench.until("a new credential", |bench| bench.read("db.json").is_some()).await;
    agent.stop().await;
}

#[tokio::test]
async fn the_list_lies_only_where_files_are() {
    let mut bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let exec = bench.path("exec");
    std::fs::create_dir(&exec).unwrap();
    let password = json!({"kind": "format", "format": "raw", "path": "secret/data/web", "field": "password"});
    let source =
        json!({"kind": "environment", "syntax": "nul", "variables": [{"name": "PASSWORD", "source": password}]});
    bench.config["outputs"].as_array_mut().unwrap().push(json!({
        "name": "env", "group": "env", "dir": exec, "file": "env.sock", "layout": "served", "source": source,
    }));
    let agent = bench.start();
    bench.ready().await;
    bench.fake.seal(true);
    bench.idle(minutes(5)).await;
    bench.until("the list", |bench| bench.read(LIST).is_some()).await;
    assert!(stale(&bench, "env").is_some(), "what is handed to programs is as old");
    assert!(!exists(&exec.join(LIST)), "a list in the socket's directory");
    agent.stop().await;
}
