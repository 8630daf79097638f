//! Token files for others: plain, wrapped, encrypted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use sidekey_fakevault::{Fault, Matcher, Times};
use support::{Bench, exists};

fn path(bench: &Bench, name: &str) -> String {
    bench.path(name).to_str().unwrap().to_owned()
}

async fn bench(sinks: impl Fn(&Bench) -> Value) -> Bench {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let sinks = sinks(&bench);
    bench.set(json!({"tokenSinks": sinks}))
}

#[tokio::test]
async fn writes_each_sink_in_its_mode_and_wraps_the_token_anew_for_each_login() {
    let bench = bench(|bench| {
        json!([
            {"path": path(bench, "plain"), "mode": 0o400},
            {"path": path(bench, "wrapped"), "mode": 0o640, "wrapTtlSeconds": 60},
        ])
    })
    .await;
    let agent = bench.start();
    bench.ready().await;
    bench.until("both sinks", |bench| exists(&bench.path("plain")) && exists(&bench.path("wrapped"))).await;
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    let mode = |name: &str| bench.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("plain"), mode("wrapped")), (0o400, 0o640));
    let (plain, wrapped) = (read("plain"), read("wrapped"));
    let info: Value = serde_json::from_str(&wrapped).unwrap();
    assert_eq!(info["creation_path"], "sys/wrapping/wrap");
    assert!(!wrapped.contains(&plain), "the wrapping is there for the token");
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    bench.until("the second token", |_| read("plain") != plain && read("wrapped") != wrapped).await;
    assert_eq!(bench.fake.count("POST", "sys/wrapping/wrap"), 2);
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(!exists(&bench.path("plain")) && !exists(&bench.path("wrapped")), "neither outlives its token");
}

#[tokio::test]
async fn a_sink_that_fails_keeps_no_file_from_the_app_and_is_tried_again() {
    let bench = bench(|bench| {
        json!([
            {"path": path(bench, "wrapped"), "mode": 0o640, "wrapTtlSeconds": 60},
            {"path": path(bench, "sealed"), "mode": 0o640, "seal": {"keyFile": path(bench, "key.json"), "aad": "pod"}},
        ])
    })
    .await;
    bench.fake.fault(Matcher::path("sys/wrapping/wrap"), Fault::Status(403, vec!["no".to_owned()]), Times::N(2));
    let agent = bench.start();
    bench.ready().await;
    let told = || serde_json::to_string(&bench.status().unwrap()).unwrap();
    bench.until("the cause", |_| told().contains("wrapping the token for")).await;
    bench.idle(Duration::from_secs(30)).await;
    bench.until("the wrapping", |bench| exists(&bench.path("wrapped"))).await;
    bench.until("the other cause", |_| told().contains("encrypting the token for")).await;
    let key = json!({"curve25519_public_key": "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="});
    std::fs::write(bench.path("key.json"), key.to_string()).unwrap();
    bench.idle(Duration::from_secs(180)).await;
    bench.until("the envelope", |bench| exists(&bench.path("sealed"))).await;
    let envelope: Value = serde_json::from_str(&std::fs::read_to_string(bench.path("sealed")).unwrap()).unwrap();
    assert!(envelope["encrypted_payload"].as_str().unwrap().len() > 20);
    bench.until("no cause", |bench| bench.status().unwrap().cause.is_none()).await;
    agent.stop().await;
}

#[tokio::test]
async fn an_agent_for_the_token_alone_is_done_or_ready_when_it_is_written_and_not_before() {
    for shape in ["initOnly", "init", "sidecar"] {
        let bench = Bench::new().await;
        let sinks = json!([
            {"path": path(&bench, "plain"), "mode": 0o400},
            {"path": path(&bench, "wrapped"), "mode": 0o640, "wrapTtlSeconds": 60},
        ]);
        let bench = bench.set(json!({"tokenSinks": sinks, "lifecycle": {"shape": shape, "revoke": false}}));
        bench.fake.fault(Matcher::path("sys/wrapping/wrap"), Fault::Status(503, vec!["later".to_owned()]), Times::N(1));
        let agent = bench.start();
        bench.until("the first token", |bench| exists(&bench.path("plain"))).await;
        assert!(!exists(&bench.path("wrapped")) && !bench.line().starts_with("ready"), "{shape}: {}", bench.line());
        bench.idle(Duration::from_secs(5)).await;
        match shape {
            "sidecar" => bench.ready().await,
            _ => assert_eq!(agent.exit().await, Exit::Done, "{shape}"),
        }
        assert!(exists(&bench.path("plain")) && exists(&bench.path("wrapped")), "{shape}");
    }
}

#[tokio::test]
async fn a_one_shot_agent_tries_each_sink_and_waits_for_none_that_cannot_be_written() {
    let bench = bench(|bench| {
        json!([
            {"path": path(bench, "file/token"), "mode": 0o400},
            {"path": path(bench, "plain"), "mode": 0o400},
        ])
    })
    .await;
    std::fs::write(bench.path("file"), "no directory").unwrap();
    let bench = bench.set(json!({"lifecycle": {"shape": "initOnly", "revoke": false}}));
    assert_eq!(bench.start().exit().await, Exit::Done);
    assert!(exists(&bench.path("plain")) && bench.read("web.json").is_some());
}
