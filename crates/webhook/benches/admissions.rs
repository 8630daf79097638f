//! Admissions per CPU-second, latency at 500/s and memory over a million admissions, over TLS with keep-alive.
//! `-- --million` measures the memory alone.
//!
//! The server is a process of its own (this program again), so that its CPU time is its own: `/proc/<pid>/stat`. All load
//! goes to the loopback address and ends by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use sidekey_runtime::drain::channel;
use sidekey_runtime::tls::server_config;
use sidekey_webhook::app::{Limits, router};
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Timing, serve};
use support::{Client, admission, metrics, pod, review};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until};

const SERVE: &str = "SIDEKEY_BENCH_SERVE";
const CONNECTIONS: usize = 4;
const FLOOD: Duration = Duration::from_secs(5);
const PACED: Duration = Duration::from_secs(10);
const RATE: u32 = 500;
/// Admissions of the long run, looked at ten times.
const MILLION: u32 = 1_000_000;
/// What the allocator may keep more of at the end than after the first tenth.
const FLAT_MIB: f64 = 1.0;

fn main() {
    if std::env::var_os(SERVE).is_some() { server() } else { client() }
}

/// Prints its address and its CA, and serves until its standard input ends.
fn server() {
    // One worker, as the shipped Deployment's limit of one CPU gives it.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let made = self_signed(&["localhost".to_owned()]).unwrap();
        let hello = json!({"address": listener.local_addr().unwrap(), "ca": made.ca_pem});
        io::stdout().lock().write_all(format!("{hello}\n").as_bytes()).unwrap();
        let tls = server_config(made.served).unwrap();
        let app = router(admission(""), metrics(), Limits::default());
        let (_trigger, drain) = channel();
        tokio::spawn(serve(listener, Some(tls), app, drain, Timing::default(), Gauge::default()));
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    });
    std::process::exit(0);
}

struct Server {
    child: Child,
    address: SocketAddr,
    ca: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.env(SERVE, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["address"].as_str().unwrap().parse().unwrap();
        Self { child, address, ca: said["ca"].as_str().unwrap().to_owned() }
    }

    fn cpu(&self) -> f64 {
        cpu(self.child.id())
    }

    fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    async fn clients(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect(self.address, &self.ca).await.unwrap());
        }
        clients
    }
}

/// CPU seconds so far; a tick is 10 ms on every Linux (`USER_HZ`).
fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Microseconds of CPU from a review's bytes to the answer's, without the network.
fn deciding(body: &[u8]) -> f64 {
    const TIMES: u32 = 50_000;
    let admission = admission("");
    let before = cpu(std::process::id());
    for _ in 0..TIMES {
        admission.answer(std::hint::black_box(body)).unwrap();
    }
    (cpu(std::process::id()) - before) / f64::from(TIMES) * 1_000_000.0
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn client() {
    let machine = std::env::args().any(|argument| argument == "--json");
    let mut out = io::stdout().lock();
    if std::env::args().any(|argument| argument == "--million") {
        return writeln!(out, "{}", million()).unwrap();
    }
    for (name, pod) in [("sidekey.dev, one format", pod()), ("vault.hashicorp.com, one Go template", vault_pod())] {
        let body = Bytes::from(review(&pod).to_string());
        let measured = measure(&body);
        let text = if machine { measured.json(name, body.len()) } else { measured.text(name, body.len()) };
        writeln!(out, "{text}").unwrap();
    }
    if !machine {
        writeln!(out, "{}", million()).unwrap();
    }
}

/// Resident memory over a million admissions: pods that are injected, and every hundredth one refused.
fn million() -> String {
    let server = Server::start();
    let (good, mut bad) = (Bytes::from(review(&pod()).to_string()), pod());
    bad["metadata"]["annotations"]["sidekey.dev/template-app.env"] = json!("{{#if}}");
    let bad = Bytes::from(review(&bad).to_string());
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let resident: Vec<f64> = (0..10)
        .map(|_| {
            runtime.block_on(tenth(&server, &good, &bad));
            server.resident()
        })
        .collect();
    let (first, last) = (resident[0], resident[9]);
    let verdict = if last - first <= FLAT_MIB { "flat" } else { "GROWS" };
    let most = resident.iter().copied().fold(0.0, f64::max);
    format!(
        "webhook, {MILLION} admissions in {:.0} s, one in a hundred denied\n\
         \x20 resident after 100000       {first:>8.1} MiB\n\
         \x20 resident after {MILLION}      {last:>8.1} MiB  at most {most:.1}, budget 12.0   {verdict}",
        begun.elapsed().as_secs_f64()
    )
}

async fn tenth(server: &Server, good: &Bytes, bad: &Bytes) {
    let each = MILLION / 10 / u32::try_from(CONNECTIONS).unwrap();
    let run = |mut client: Client| {
        let (good, bad) = (good.clone(), bad.clone());
        tokio::spawn(async move {
            for turn in 0..each {
                let body = if turn % 100 == 0 { bad.clone() } else { good.clone() };
                assert_eq!(client.post(body).await.unwrap().status(), 200);
            }
        })
    };
    let tasks: Vec<_> = server.clients().await.into_iter().map(run).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

struct Measured {
    per_cpu_second: f64,
    p50: f64,
    p99: f64,
    paced: usize,
    deciding: f64,
    resident: f64,
}

impl Measured {
    fn json(&self, name: &str, bytes: usize) -> String {
        json!({
            "pod": name, "reviewBytes": bytes, "perCpuSecond": self.per_cpu_second.round(), "p50Ms": self.p50,
            "p99Ms": self.p99, "paced": self.paced, "decidingMicros": self.deciding, "residentMiB": self.resident,
        })
        .to_string()
    }

    fn text(&self, name: &str, bytes: usize) -> String {
        let Self { per_cpu_second, p50, p99, paced, deciding, resident } = self;
        let rate = match *per_cpu_second {
            rate if rate >= 15_000.0 => "within budget",
            rate if rate >= 9_000.0 => "below budget, above the floor",
            _ => "BELOW THE FLOOR",
        };
        let wait = if *p99 <= 2.0 { "within budget" } else { "BEYOND BUDGET" };
        format!(
            "webhook, {name}, review of {bytes} bytes, {CONNECTIONS} connections, 1 worker\n\
             \x20 admissions per CPU-second  {per_cpu_second:>8.0}     budget 15000, floor 9000, vault-k8s 3050   {rate}\n\
             \x20 latency at {RATE}/s, p50      {p50:>8.2} ms\n\
             \x20 latency at {RATE}/s, p99      {p99:>8.2} ms  budget 2.00, of {paced} reviews   {wait}\n\
             \x20 CPU to decide one review   {deciding:>8.1} us\n\
             \x20 resident after it          {resident:>8.1} MiB"
        )
    }
}

fn measure(body: &Bytes) -> Measured {
    let server = Server::start();
    let many = Builder::new_multi_thread().enable_all().build().unwrap();
    many.block_on(warm_up(&server, body));
    let before = server.cpu();
    let done = many.block_on(flood(&server, body));
    let per_cpu_second = f64::from(done) / (server.cpu() - before);
    drop(many);
    // One thread that never sleeps in the last moment: a timer's millisecond would count as the server's.
    let one = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut latencies = one.block_on(paced(&server, body));
    latencies.sort_by(f64::total_cmp);
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    let (p50, p99, paced) = (at(50), at(99), latencies.len());
    Measured { per_cpu_second, p50, p99, paced, deciding: deciding(body), resident: server.resident() }
}

async fn warm_up(server: &Server, body: &Bytes) {
    let mut client = Client::connect(server.address, &server.ca).await.unwrap();
    for _ in 0..500 {
        let answer = client.post(body.clone()).await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(answer["response"]["patch"].is_string(), "{answer}");
    }
}

/// As fast as the connections go; how many were answered.
async fn flood(server: &Server, body: &Bytes) -> u32 {
    let until = Instant::now() + FLOOD;
    let flood = |mut client: Client| {
        let body = body.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while Instant::now() < until {
                assert_eq!(client.post(body.clone()).await.unwrap().status(), 200);
                done += 1;
            }
            done
        })
    };
    let tasks: Vec<_> = server.clients().await.into_iter().map(flood).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done
}

/// At a fixed rate, whether or not the last one is answered; milliseconds from when each was due, so that a stall counts for
/// all that wait behind it.
async fn paced(server: &Server, body: &Bytes) -> Vec<f64> {
    let begun = Instant::now() + Duration::from_millis(50);
    let count = RATE * u32::try_from(PACED.as_secs()).unwrap();
    let tasks: Vec<_> = (0_u32..)
        .zip(server.clients().await)
        .map(|(lane, mut client)| {
            let body = body.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                for turn in (lane..count).step_by(CONNECTIONS) {
                    let due = begun + Duration::from_secs(1) * turn / RATE;
                    sleep_until(due - Duration::from_millis(2)).await;
                    while Instant::now() < due {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!(client.post(body.clone()).await.unwrap().status(), 200);
                    latencies.push(due.elapsed().as_secs_f64() * 1000.0);
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies
}

fn vault_pod() -> Value {
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({
        "vault.hashicorp.com/agent-inject": "true",
        "vault.hashicorp.com/role": "web",
        "vault.hashicorp.com/agent-inject-secret-db": "database/creds/app",
        "vault.hashicorp.com/agent-inject-template-db":
            "{{ with secret \"database/creds/app\" }}postgres://{{ .Data.username }}:{{ .Data.password }}@db{{ end }}",
    });
    pod
}
