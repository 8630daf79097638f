//! What the agent serves to the pod's network, and what a file that the app cannot see change may hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use sidekey_agent::serve;
use support::Bench;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn serves_metrics_and_health_on_a_port_and_nothing_that_changes_anything() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = bench.set(json!({"metricsPort": port}));
    let (trigger, drain) = sidekey_runtime::drain::channel();
    let supervisor = sidekey_agent::supervisor::Supervisor::new(config.config(), false, config.platform());
    serve::start_port(port, supervisor.status());
    let task = tokio::spawn(supervisor.run(drain));
    config.ready().await;
    let metrics = ask(port, "GET /metrics").await;
    for line in ["sidekey_agent_ready 1", "sidekey_agent_logged_in{login=\"auth/kubernetes as web at https://"] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    assert!(ask(port, "GET /ready").await.contains("200 OK"));
    assert!(!ask(port, "GET /status").await.contains("one"), "a secret is told");
    assert!(ask(port, "POST /metrics").await.contains("405"));
    assert!(ask(port, "GET /agent/v1/quit").await.contains("404"));
    trigger.start();
    task.await.unwrap();
}

#[tokio::test]
async fn a_file_mounted_by_itself_never_holds_what_ends() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({"pinned": true})).format(
        "db.json",
        "json",
        "database/creds/app",
        json!({"pinned": true, "optional": true}),
    );
    let agent = bench.start();
    bench.ready().await;
    bench.until("the cause", |bench| bench.line().contains("SK5008")).await;
    assert!(bench.read("web.json").is_some() && bench.read("db.json").is_none());
    agent.stop().await;
    assert!(bench.fake.leases().is_empty());
}
