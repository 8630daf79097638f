//! What the pod's other containers find on loopback: Vault's API, and the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use support::{Bench, exists, role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A port that is free for now.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn bench(listener: Value) -> (Bench, u16) {
    let port = port();
    let mut listener = listener;
    listener["port"] = json!(port);
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    (bench.set(json!({"listener": listener})), port)
}

/// Status and body.
async fn ask(port: u16, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let text = format!("{head}\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A refusal may come before the whole body is read, and the connection then ends in a reset.
    let _ = stream.read_to_string(&mut answer).await;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}

const READ: &str = "GET /v1/secret/data/web HTTP/1.1";

#[tokio::test]
async fn sends_requests_on_with_the_agents_token_where_none_is_shown() {
    let (bench, port) = bench(json!({"forward": "agent"})).await;
    let agent = bench.start();
    bench.ready().await;
    let (status, body) = ask(port, READ, "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["data"]["data"]["user"], "app");
    let (status, body) = ask(port, "GET /v1/sys/policy HTTP/1.1", "").await;
    assert_eq!(status, 403, "Vault's own answer: {body}");
    let (status, _) = ask(port, &format!("{READ}\r\nX-Vault-Token: nobody"), "").await;
    assert_eq!(status, 403, "the caller's token counts where it shows one");
    let own = bench.fake.token(&role());
    assert_eq!(ask(port, &format!("{READ}\r\nAuthorization: Bearer {own}"), "").await.0, 200);
    bench.fake.clear_requests();
    for (head, want) in [
        ("GET /v1/../sys/seal HTTP/1.1", 400),
        ("GET /v1/secret/%2e%2e/sys HTTP/1.1", 400),
        ("GET /metrics HTTP/1.1", 404),
        ("POST /agent/v1/quit HTTP/1.1", 404),
    ] {
        assert_eq!(ask(port, head, "").await.0, want, "{head}");
    }
    let long = "x".repeat(5 * 1024 * 1024);
    assert!(matches!(ask(port, "POST /v1/secret/data/web HTTP/1.1", &long).await.0, 413 | 0));
    assert!(bench.fake.requests().is_empty(), "none of these went on to Vault");

    bench.fake.seal(true);
    assert_eq!(ask(port, READ, "").await.0, 503, "as Vault says it");
    agent.stop().await;
}

#[tokio::test]
async fn whose_token_it_is_follows_the_configuration() {
    let (bench, port) = bench(json!({"forward": "force"})).await;
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(
        ask(port, &format!("{READ}\r\nX-Vault-Token: nobody"), "").await.0,
        200,
        "the agent's, whatever is shown"
    );
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    bench.until("the next token", |bench| bench.logins() == 2).await;
    assert_eq!(ask(port, READ, "").await.0, 200, "the listener follows the agent's token");
    agent.stop().await;

    let (bench, port) = bench_of_callers().await;
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(ask(port, READ, "").await.0, 403, "the agent lends its token to nobody");
    agent.stop().await;
}

async fn bench_of_callers() -> (Bench, u16) {
    bench(json!({"forward": "caller"})).await
}

#[tokio::test]
async fn a_native_sidecar_that_was_asked_to_quit_idles_and_never_logs_in_again() {
    let (bench, port) = bench(json!({"quit": true})).await;
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(ask(port, READ, "").await.0, 404, "nothing is sent on unless asked for");
    assert_eq!(ask(port, "GET /agent/v1/quit HTTP/1.1", "").await.0, 405);
    assert_eq!(ask(port, "POST /agent/v1/quit HTTP/1.1", "").await.0, 200);
    bench.until("the revocation", |bench| bench.fake.tokens().is_empty()).await;
    bench.idle(Duration::from_secs(600)).await;
    assert_eq!(bench.logins(), 1);
    assert!(exists(&bench.path("secrets/web.json")), "the app keeps its files");
    assert!(!exists(&bench.path("state/state")), "the state is forgotten");
    agent.kill().await;

    let agent = bench.start();
    bench.idle(Duration::from_secs(120)).await;
    assert_eq!(bench.logins(), 1, "not after a restart either");
    assert_eq!(agent.stop().await, Exit::Done);
}

#[tokio::test]
async fn a_classic_sidecar_leaves_so_that_a_job_can_end() {
    let (bench, port) = bench(json!({"quit": true})).await;
    let bench = bench.set(json!({"lifecycle": {"shape": "sidecar", "revoke": false}}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(ask(port, "POST /agent/v1/quit HTTP/1.1", "").await.0, 200);
    assert_eq!(agent.exit().await, Exit::Done);
    assert!(bench.fake.tokens().is_empty(), "revoked, though the configuration does not ask for it");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_stops_nothing_else() {
    let (bench, port) = bench(json!({"quit": true})).await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let agent = bench.start();
    bench.ready().await;
    let cause = bench.status().unwrap().cause.unwrap().to_string();
    assert!(cause.starts_with(&format!("SK6003 listening on 127.0.0.1:{port}")), "{cause}");
    drop(taken);
    assert_eq!(agent.stop().await, Exit::Done);
}
