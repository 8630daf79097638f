//! Bodies made to cost time, and more of them than are answered: each is bounded, and those within bounds go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "support/bodies.rs"]
mod bodies;
mod support;

use std::fs;
use std::time::{Duration, Instant};

use bodies::bodies;
use http::StatusCode;
use serde_json::{Value, json};
use sidekey_runtime::drain::channel;
use sidekey_runtime::tls::server_config;
use sidekey_webhook::app::{LEAST_WEIGHT, Limits, router};
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Connections, Timing, serve};
use support::{Client, admission, metrics, pod, review, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// CPU time for one body, without optimization. The dearest was measured at 1.2 s, most take less than 0.3 s; what grows with the square
/// of its length would take minutes.
const BOUNDED: Duration = Duration::from_secs(2);

/// Bytes of the longest annotation an API server would ever send, and more.
const LONG: usize = 10 * 1024 * 1024;

/// What nobody waits for: those that wait come after it.
const LATE: Duration = Duration::from_secs(600);

/// Longest message of a refusal or a denial, and of all warnings together.
const WORDS: usize = 4096;

/// CPU time of this thread so far, in the kernel's ticks of 10 ms: what else the machine does takes none of it.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name before it may hold spaces. Fields 14 and 15: user and system time.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

#[test]
fn hostile_bodies_cost_bounded_time() {
    let admission = admission("");
    let bodies = bodies(LONG);
    for (name, body) in &bodies {
        let begun = cpu();
        let answer = admission.answer(body);
        let spent = cpu() - begun;
        println!("{name}: {} bytes, {spent:.1?}", body.len());
        assert!(spent < BOUNDED, "{name}: {spent:?}");
        let words = match answer {
            Ok(answer) => {
                assert!(answer.0.len() < 2 * LONG, "{name}: answered {} bytes", answer.0.len());
                let answer: Value = serde_json::from_slice(&answer.0).unwrap();
                let warnings = answer["response"]["warnings"].to_string();
                assert!(warnings.len() < WORDS, "{name}: warnings of {} bytes", warnings.len());
                answer["response"]["status"]["message"].as_str().unwrap_or_default().to_owned()
            }
            Err(refusal) => {
                assert_eq!(refusal.status, 400, "{name}: {}", refusal.cause);
                refusal.cause.to_string()
            }
        };
        assert!(words.len() < WORDS, "{name}: a message of {} bytes", words.len());
    }
    assert!(bodies.len() > 30);
}

#[tokio::test]
async fn beyond_its_bound_it_answers_at_once_and_goes_on_after_it() {
    let limits = Limits { body: LEAST_WEIGHT, bodies: 8 * LEAST_WEIGHT, deadline: Duration::from_secs(30) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let made = self_signed(&["localhost".to_owned()]).unwrap();
    let (_trigger, drain) = channel();
    let config = server_config(made.served.clone()).unwrap();
    let app = router(admission(""), metrics(), limits);
    tokio::spawn(serve(listener, Some(config), app, drain, Timing::default(), Connections::default()));

    // Eight that announce a body and do not send it.
    let ca: Vec<_> =
        rustls_pki_types::pem::PemObject::pem_slice_iter(made.ca_pem.as_bytes()).map(Result::unwrap).collect();
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = tls(address, &ca, "localhost").await.unwrap();
        stream
            .write_all(
                b"POST /mutate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2000\r\n\r\n{",
            )
            .await
            .unwrap();
        stream.flush().await.unwrap();
        held.push(stream);
    }
    let mut client = Client::connect(address, &made.ca_pem).await.unwrap();
    let body = review(&pod()).to_string();
    let mut refused = 0;
    let begun = Instant::now();
    for _ in 0..200 {
        let answer = client.post(body.clone()).await.unwrap();
        if answer.status() == StatusCode::OK {
            // Not all of the eight have been seen yet.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        refused += 1;
        let said: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((answer.status(), &said["kind"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("Status")));
        assert!(said["message"].as_str().unwrap().starts_with("SK1011 "), "{said}");
    }
    let spent = begun.elapsed();
    assert!(refused > 100, "{refused} of 200 were refused");
    assert!(spent < Duration::from_secs(10), "200 answers in {spent:?}, while the bodies were waited for 30 s");

    drop(held.pop());
    let answered = async {
        while client.post(body.clone()).await.unwrap().status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), answered).await.unwrap();
    let mut nothing = [0];
    let silent = timeout(Duration::from_millis(50), held[0].read(&mut nothing)).await;
    assert!(silent.is_err(), "those that were let in are waited for");
}

#[tokio::test]
async fn connections_beyond_the_bound_are_answered_or_closed_at_once() {
    let timing = Timing { connections: 8, turned_away: 4, handshake: LATE, first_request: LATE, ..Timing::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let made = self_signed(&["localhost".to_owned()]).unwrap();
    let (_trigger, drain) = channel();
    let config = server_config(made.served.clone()).unwrap();
    let (app, connections) = (router(admission(""), metrics(), Limits::default()), Connections::default());
    tokio::spawn(serve(listener, Some(config), app, drain, timing, connections.clone()));
    let Connections { open, closed: unanswered } = connections;

    // Eight that never say a word take all places for ten minutes.
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let body = review(&pod()).to_string();
    let begun = Instant::now();
    let (mut told, mut closed) = (0, 0);
    for _ in 0..10 {
        let crowd = (0..10).map(|_| async {
            let mut client = Client::connect(address, &made.ca_pem).await.ok()?;
            Some(client.post(body.clone()).await.ok()?.status())
        });
        for came in futures::future::join_all(crowd).await {
            match came {
                Some(status) => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                    told += 1;
                }
                None => closed += 1,
            }
        }
    }
    let spent = begun.elapsed();
    println!("{told} told, {closed} closed in {spent:?}");
    assert_eq!(told + closed, 100);
    assert!(told >= 10, "{told} of 100 were told why");
    assert!((1..=closed).contains(&unanswered.get()), "{} were counted", unanswered.get());
    assert!(spent < LATE / 10, "{spent:?}");
    // Those who are turned away and say nothing are closed on soon, and so is whoever comes meanwhile.
    let mut beyond = Vec::new();
    for _ in 0..20 {
        beyond.push(TcpStream::connect(address).await.unwrap());
        assert!(open.get() <= 8 + 4, "{} are open", open.get());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(open.get() <= 8 + 4, "{} are open", open.get());
    for mut stream in beyond {
        let ended = timeout(LATE / 10, stream.read(&mut [0; 1])).await.expect("it waits");
        assert_eq!(ended.unwrap_or(0), 0);
    }
    let emptied = async {
        while open.get() > 8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LATE / 10, emptied).await.unwrap();
    assert_eq!(open.get(), 8, "those within are waited for");
}
