//! Admissions per CPU-second, latency at a fixed rate and memory for pods of several sizes, over TLS with keep-alive; then memory
//! over a million admissions. `-- --million` measures that alone.
//!
//! The server is a process of its own (this program again), so that its CPU time is its own: `/proc/<pid>/stat`. All load
//! goes to the loopback address and ends by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench")]

mod pods;
#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use pods::{CASES, Case};
use serde_json::{Value, json};
use sidekey_runtime::drain::channel;
use sidekey_runtime::tls::server_config;
use sidekey_webhook::app::{Limits, router};
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Connections, Timing, serve};
use support::{Client, admission, metrics, pod, review};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until};

/// As in the program that is shipped (`crates/cli/src/main.rs`).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const SERVE: &str = "SIDEKEY_BENCH_SERVE";
const CONNECTIONS: usize = 4;
const FLOOD: Duration = Duration::from_secs(5);
const PACED: Duration = Duration::from_secs(10);
/// What a server may hold at any moment.
const RESIDENT_MIB: f64 = 12.0;
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
        tokio::spawn(serve(listener, Some(tls), app, drain, Timing::default(), Connections::default()));
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
        self.memory("VmRSS:")
    }

    /// MiB; `VmHWM` is the most that was resident at any moment.
    fn memory(&self, what: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
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
    for case in &CASES {
        let body = Bytes::from(review(&(case.pod)()).to_string());
        let measured = measure(case, &body);
        let text = if machine { measured.json(case, body.len()) } else { measured.text(case, body.len()) };
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
    let grown = last - first;
    let verdict = if grown <= FLAT_MIB { "flat" } else { "GROWS" };
    let most = resident.iter().copied().fold(0.0, f64::max);
    format!(
        "webhook, {MILLION} admissions in {:.0} s, one in a hundred denied\n\
         \x20 resident after 100000       {first:>8.1} MiB\n\
         \x20 resident after {MILLION}      {last:>8.1} MiB  at most {most:.1}, budget {RESIDENT_MIB:.1}\n\
         \x20 grown by                    {grown:>8.1} MiB  budget {FLAT_MIB:.1}   {verdict}",
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
    fn json(&self, case: &Case, bytes: usize) -> String {
        json!({
            "pod": case.name, "rate": case.rate, "reviewBytes": bytes, "perCpuSecond": self.per_cpu_second.round(), "p50Ms": self.p50,
            "p99Ms": self.p99, "paced": self.paced, "decidingMicros": self.deciding, "residentMiB": self.resident,
        })
        .to_string()
    }

    fn text(&self, case: &Case, bytes: usize) -> String {
        let Self { per_cpu_second, p50, p99, paced, deciding, resident } = self;
        let Case { name, rate, budget, floor, wait, .. } = case;
        let said = match *per_cpu_second {
            it if it >= *budget => "within budget",
            it if it >= *floor => "below budget, above the floor",
            _ => "BELOW THE FLOOR",
        };
        let within = |holds| if holds { "within budget" } else { "BEYOND BUDGET" };
        let (waits, holds) = (within(p99 <= wait), within(*resident <= RESIDENT_MIB));
        format!(
            "webhook, {name}, review of {bytes} bytes, {CONNECTIONS} connections, 1 worker\n\
             \x20 admissions per CPU-second  {per_cpu_second:>8.0}     budget {budget}, floor {floor}   {said}\n\
             \x20 latency at {rate}/s, p50      {p50:>8.2} ms\n\
             \x20 latency at {rate}/s, p99      {p99:>8.2} ms  budget {wait:.2}, of {paced} reviews   {waits}\n\
             \x20 CPU to decide one review   {deciding:>8.1} us\n\
             \x20 resident under load        {resident:>8.1} MiB budget {RESIDENT_MIB:.1}, the most at any moment   {holds}"
        )
    }
}

fn measure(case: &Case, body: &Bytes) -> Measured {
    let server = Server::start();
    let awake = Builder::new_current_thread().enable_all().build().unwrap();
    awake.block_on(warm_up(&server, case, body));
    let before = server.cpu();
    let done = awake.block_on(flood(&server, body));
    let per_cpu_second = f64::from(done) / (server.cpu() - before);
    drop(awake);
    // One thread that never sleeps in the last moment: a timer's millisecond would count as the server's.
    let one = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut latencies = one.block_on(paced(&server, case.rate, body));
    latencies.sort_by(f64::total_cmp);
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    let (p50, p99, paced) = (at(50), at(99), latencies.len());
    Measured { per_cpu_second, p50, p99, paced, deciding: deciding(body), resident: server.memory("VmHWM:") }
}

async fn warm_up(server: &Server, case: &Case, body: &Bytes) {
    let mut client = Client::connect(server.address, &server.ca).await.unwrap();
    for _ in 0..500 {
        let answer = client.post(body.clone()).await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(answer["response"]["patch"].is_string(), case.patched, "{answer}");
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
    }
}

/// As fast as the connections go; how many were answered. On loopback a sleeping client is woken by the server's own system call,
/// which no API server on another machine is: this client never sleeps.
async fn flood(server: &Server, body: &Bytes) -> u32 {
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
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
    awake.abort();
    done
}

/// At a fixed rate, whether or not the last one is answered; milliseconds from when each was due, so that a stall counts for
/// all that wait behind it.
async fn paced(server: &Server, rate: u32, body: &Bytes) -> Vec<f64> {
    let begun = Instant::now() + Duration::from_millis(50);
    let count = rate * u32::try_from(PACED.as_secs()).unwrap();
    let tasks: Vec<_> = (0_u32..)
        .zip(server.clients().await)
        .map(|(lane, mut client)| {
            let body = body.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                for turn in (lane..count).step_by(CONNECTIONS) {
                    let due = begun + Duration::from_secs(1) * turn / rate;
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
