//! What the webhook holds at most while it answers bodies made to cost memory: a process of its own, which is this test again.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "support/bodies.rs"]
mod bodies;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bodies::bodies;
use bytes::Bytes;
use serde_json::{Value, json};
use sidekey_runtime::drain::channel;
use sidekey_runtime::tls::server_config;
use sidekey_webhook::app::{Limits, router};
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Connections, Timing, serve};
use support::{Client, admission, metrics};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

const SERVE: &str = "SIDEKEY_TEST_SERVE";

/// Longest annotation of a body, so that the body is within [`Limits::body`].
const LONG: usize = 3 * 1024 * 1024;

/// The most that may be resident at any moment, from the process's start on, in MiB: one body after the other (measured without
/// optimization: 39), and [`CROWD`] of them at once (41), of which [`Limits::bodies`] lets in as many as fit. The shipped
/// Deployment's limit is 128 MiB.
const ONE_BY_ONE: u64 = 64;
const AT_ONCE: u64 = 96;

/// In the names of bodies of very many small objects.
const MANY: [&str; 3] = ["containers", "volumes", "variables"];

const CROWD: usize = 16;

struct Server {
    child: Child,
    address: SocketAddr,
    ca: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile_bodies_cost_bounded_memory", "--nocapture"])
            .env(SERVE, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let hello = lines.map(Result::unwrap).find(|line| line.starts_with('{')).unwrap();
        let hello: Value = serde_json::from_str(&hello).unwrap();
        let address = hello["address"].as_str().unwrap().parse().unwrap();
        Self { child, address, ca: hello["ca"].as_str().unwrap().to_owned() }
    }

    /// The most that was resident at any moment, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap().div_ceil(1024)
    }

    async fn post(&self, body: Bytes) -> u16 {
        let mut client = Client::connect(self.address, &self.ca).await.unwrap();
        client.post(body).await.unwrap().status().as_u16()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says where it is, and serves until its standard input ends.
fn be_served() {
    // One worker, as the shipped Deployment's limit of one CPU gives it.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let made = self_signed(&["localhost".to_owned()]).unwrap();
        let hello = json!({"address": listener.local_addr().unwrap(), "ca": made.ca_pem});
        std::io::stdout().lock().write_all(format!("\n{hello}\n").as_bytes()).unwrap();
        let config = server_config(made.served).unwrap();
        // Nobody is too slow here: all that is let in is held.
        let limits = Limits { deadline: Duration::from_secs(300), ..Limits::default() };
        let (_trigger, drain) = channel();
        let app = router(admission(""), metrics(), limits);
        tokio::spawn(serve(listener, Some(config), app, drain, Timing::default(), Connections::default()));
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    });
}

#[test]
fn hostile_bodies_cost_bounded_memory() {
    if std::env::var_os(SERVE).is_some() {
        return be_served();
    }
    let server = Server::start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let holds = |what: &str, most: u64| {
        let peak = server.peak();
        println!("{what}: {peak} MiB");
        assert!(peak < most, "{what}: {peak} MiB were resident, {most} are the bound");
    };
    holds("at first", ONE_BY_ONE);
    // Longer ones are refused unread.
    let read = bodies(LONG).into_iter().filter(|(_, body)| body.len() <= Limits::default().body);
    let bodies = read.map(|(name, body)| (name, Bytes::from(body)));
    let (many, others): (Vec<_>, Vec<_>) = bodies.partition(|(name, _)| MANY.iter().any(|what| name.contains(what)));
    assert!(many.len() > 4 && others.len() > 30);
    for (name, body) in others.iter().chain(&many) {
        let status = runtime.block_on(server.post(body.clone()));
        assert!([200, 400].contains(&status), "{name}: {status}");
        holds(name, ONE_BY_ONE);
    }
    let crowd = (0..CROWD).map(|_| server.post(many[0].1.clone()));
    let answers = runtime.block_on(futures::future::join_all(crowd));
    assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    assert!(answers.iter().filter(|status| **status == 200).count() > 1, "{answers:?}");
    holds("all at once", AT_ONCE);
}
