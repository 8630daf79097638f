//! The server over TLS: rotation under open connections, drain, and bounds on time and number.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use http::StatusCode;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::Value;
use sidekey_runtime::drain::{Trigger, channel};
use sidekey_runtime::tls::server_config;
use sidekey_webhook::app::{Limits, router};
use sidekey_webhook::certs::{SelfSigned, self_signed};
use sidekey_webhook::server::{Connections, Timing, serve};
use support::{Client, admission, metrics, pod, review};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_secs(5);

struct Server {
    address: SocketAddr,
    made: SelfSigned,
    trigger: Trigger,
    open: Gauge,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(app: Router, timing: Timing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let made = self_signed(&["localhost".to_owned()]).unwrap();
        let (trigger, drain) = channel();
        let connections = Connections::default();
        let open = connections.open.clone();
        let tls = server_config(made.served.clone()).unwrap();
        let task = tokio::spawn(serve(listener, Some(tls), app, drain, timing, connections));
        Self { address, made, trigger, open, task }
    }

    async fn webhook(timing: Timing) -> Self {
        Self::start(router(admission(""), metrics(), Limits::default()), timing).await
    }

    async fn client(&self) -> Client {
        Client::connect(self.address, &self.made.ca_pem).await.unwrap()
    }
}

fn quick() -> Timing {
    Timing {
        handshake: Duration::from_millis(300),
        first_request: Duration::from_millis(300),
        idle: Duration::from_secs(2),
        lame_duck: Duration::from_millis(300),
        drain: Duration::from_secs(2),
        ..Timing::default()
    }
}

fn slow_app(wait: Duration) -> Router {
    let answer = move || async move {
        sleep(wait).await;
        "done"
    };
    Router::new().route("/mutate", post(answer))
}

#[tokio::test]
async fn a_rotation_touches_no_open_connection_and_reaches_every_new_one() {
    let server = Server::webhook(Timing::default()).await;
    let mut open = server.client().await;
    let body = review(&pod()).to_string();
    assert_eq!(open.post(body.clone()).await.unwrap().status(), StatusCode::OK);
    for _ in 0..3 {
        let other = self_signed(&["localhost".to_owned()]).unwrap();
        server.made.served.set(other.served.get().unwrap());
        assert_eq!(open.post(body.clone()).await.unwrap().status(), StatusCode::OK);
        let mut new = Client::connect(server.address, &other.ca_pem).await.unwrap();
        assert_eq!(new.leaf, other.served.get().unwrap().cert[0].to_vec());
        assert_eq!(new.post(body.clone()).await.unwrap().status(), StatusCode::OK);
        assert!(
            Client::connect(server.address, &server.made.ca_pem).await.is_err(),
            "the old CA did not make this leaf"
        );
    }
}

#[tokio::test]
async fn a_drain_loses_no_request() {
    let server = Server::start(slow_app(Duration::from_millis(500)), quick()).await;
    let mut busy = server.client().await;
    let in_flight = tokio::spawn(async move { (busy.post("x").await.unwrap(), busy) });
    let mut idle = server.client().await;
    sleep(Duration::from_millis(100)).await;
    server.trigger.start();

    let mut late = server.client().await;
    let answer = late.post("x").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["connection"].as_bytes()),
        (200, &b"close"[..]),
        "the port is still open"
    );
    timeout(SOON, late.closed()).await.unwrap();

    let (answer, _) = in_flight.await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"done"[..]));
    timeout(SOON, server.task).await.unwrap().unwrap();
    timeout(SOON, idle.closed()).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "the port is closed");
    assert_eq!(server.open.get(), 0);
}

#[tokio::test]
async fn a_drain_ends_in_time_with_a_request_that_does_not() {
    let server = Server::start(slow_app(Duration::from_secs(3600)), quick()).await;
    let mut stuck = server.client().await;
    tokio::spawn(async move { stuck.post("x").await.map(drop) });
    sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    server.trigger.start();
    timeout(SOON, server.task).await.unwrap().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn peers_that_say_nothing_are_let_go() {
    let server = Server::webhook(quick()).await;
    let mut no_handshake = TcpStream::connect(server.address).await.unwrap();
    let ca = &server.made.ca_pem;
    let mut no_request = Client::connect(server.address, ca).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(timeout(SOON, no_handshake.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
    assert_eq!(timeout(SOON, half.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
    timeout(SOON, no_request.closed()).await.unwrap();
    let mut spoke = server.client().await;
    spoke.post("{}").await.unwrap();
    sleep(Duration::from_millis(800)).await;
    assert_eq!(spoke.post("{}").await.unwrap().status(), StatusCode::BAD_REQUEST, "silence between requests is longer");
    timeout(SOON, spoke.closed()).await.unwrap();
}

#[tokio::test]
async fn an_old_connection_ends_with_an_answer() {
    let timing = Timing { lifetime: Duration::from_millis(200), ..quick() };
    let server = Server::webhook(timing).await;
    let mut client = server.client().await;
    assert!(client.post("{}").await.unwrap().headers().get("connection").is_none());
    sleep(Duration::from_millis(300)).await;
    assert_eq!(client.post("{}").await.unwrap().headers()["connection"], "close");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_goes() {
    let timing = Timing { connections: 2, handshake: SOON, first_request: SOON, refusal: SOON, ..quick() };
    let server = Server::webhook(timing).await;
    let (mut a, b) = (server.client().await, server.client().await);
    let mut third = server.client().await;
    // Longer than a socket takes at once, so that not all of it is on its way when the answer is made.
    let answer = third.post(review(&pod()).to_string() + &" ".repeat(300 << 10)).await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["connection"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"close"[..])
    );
    let said: Value = serde_json::from_slice(answer.body()).unwrap();
    assert!(said["message"].as_str().unwrap().starts_with("SK1011 "), "{said}");
    timeout(SOON, third.closed()).await.unwrap();
    assert_eq!(a.post("{}").await.unwrap().status(), StatusCode::BAD_REQUEST, "those within are served");
    drop(b);
    let served = async {
        while server.client().await.post("{}").await.unwrap().status() != StatusCode::BAD_REQUEST {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, served).await.unwrap();
}

#[tokio::test]
async fn speaks_no_plain_http_on_the_tls_port() {
    let server = Server::webhook(quick()).await;
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"POST /mutate HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = timeout(SOON, plain.read_to_end(&mut said)).await.unwrap();
    assert!(!said.starts_with(b"HTTP/"), "{said:?}");
}
