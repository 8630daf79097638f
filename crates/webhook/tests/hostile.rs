//! Bodies made to cost time or memory, and more of them than are answered: each is bounded, and those within bounds go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

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

/// Each takes milliseconds; what grows with the square of its length would take minutes.
const BOUNDED: Duration = Duration::from_secs(20);

/// What nobody waits for: those that wait come after it.
const LATE: Duration = Duration::from_secs(600);

/// Bytes of the longest annotation an API server would ever send, and more.
const LONG: usize = 10 * 1024 * 1024;

fn annotated(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    let mut pod = pod();
    for (key, value) in pairs {
        pod["metadata"]["annotations"][key] = value.into();
    }
    review(&pod).to_string().into_bytes()
}

fn one(key: &str, value: String) -> Vec<u8> {
    annotated([(key.to_owned(), value)])
}

/// A template of the other language.
fn go(template: String) -> Vec<u8> {
    annotated([
        ("sidekey.dev/template-engine".to_owned(), "go".to_owned()),
        ("sidekey.dev/template-app.env".to_owned(), template),
    ])
}

fn with(field: &str, value: Value) -> Vec<u8> {
    let mut pod = pod();
    pod["spec"][field] = value;
    review(&pod).to_string().into_bytes()
}

/// In the text of a review: the object's first bytes.
fn spliced(bytes: &[u8]) -> Vec<u8> {
    let text = review(&pod()).to_string();
    let (before, after) = text.split_once(r#""object":{"#).unwrap();
    [before.as_bytes(), br#""object":{"x":"#, bytes, b",", after.as_bytes()].concat()
}

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let many = |count: usize, item: fn(usize) -> Value| Value::Array((0..count).map(item).collect());
    let key = |name: &str| format!("sidekey.dev/{name}");
    vec![
        ("nested lists", spliced(&[vec![b'['; LONG / 2], vec![b']'; LONG / 2]].concat())),
        (
            "nested objects",
            spliced(&[r#"{"a":"#.repeat(LONG / 6).into_bytes(), b"1".to_vec(), vec![b'}'; LONG / 6]].concat()),
        ),
        ("open lists", spliced(&vec![b'['; LONG])),
        ("invalid UTF-8", spliced(&[&b"\""[..], &[0xff; 1000], &b"\""[..]].concat())),
        ("half a surrogate", spliced(br#""\ud800""#)),
        ("a number of many digits", spliced(&vec![b'9'; LONG])),
        ("keys twice", spliced(format!("1,{}\"x\":1", r#""x":1,"#.repeat(LONG / 6)).as_bytes())),
        (
            "the object twice",
            review(&pod()).to_string().replacen(r#""object":"#, r#""object":{},"object":"#, 1).into_bytes(),
        ),
        ("escapes", one("example.com/a", "\u{1}".repeat(LONG / 6))),
        ("10 MiB that nobody reads", one("example.com/a", "a".repeat(LONG))),
        ("10 MiB of a boolean", one(&key("inject"), "t".repeat(LONG))),
        ("10 MiB of a role", one(&key("role"), "r".repeat(LONG))),
        ("10 MiB of a path", one(&key("secret-app.env"), "a/".repeat(LONG / 2))),
        ("10 MiB of template", one(&key("template-app.env"), "{{#if a}}".repeat(LONG / 9))),
        ("512 KiB of open blocks", one(&key("template-app.env"), "{{#if a}}".repeat(512 * 1024 / 9))),
        ("512 KiB of braces", one(&key("template-app.env"), "{".repeat(512 * 1024))),
        (
            "10 MiB of patch",
            one(&key("json-patch"), format!("[{}", r#"{"op":"add","path":"/a","value":1},"#.repeat(LONG / 36))),
        ),
        ("a deep patch", one(&key("json-patch"), "[".repeat(LONG))),
        ("a patch of many copies", one(&key("json-patch"), copies(40))),
        (
            "a patch that fills a list from its front",
            one(
                &key("json-patch"),
                format!("[{}]", vec![r#"{"op":"add","path":"/args/0","value":1}"#; 6000].join(",")),
            ),
        ),
        (
            "a patch of many moves",
            one(
                &key("json-patch"),
                format!("[{}]", vec![r#"{"op":"move","from":"/args/0","path":"/args/-"}"#; 5000].join(",")),
            ),
        ),
        ("5 000 secrets", annotated((0..5000).map(|n| (key(&format!("secret-s{n}")), "secret/data/a".to_owned())))),
        ("5 000 misspelt ones", annotated((0..5000).map(|n| (key(&format!("sekret-and-more-{n}")), String::new())))),
        ("a misspelt one of 200 KiB", one(&key(&"sekret".repeat(200 * 1024 / 6)), String::new())),
        (
            "5 000 of the other dialect",
            annotated((0..5000).map(|n| (format!("vault.hashicorp.com/agent-inject-secret-{n}"), "a/b".to_owned()))),
        ),
        ("200 KiB of blocks", one(&key("template-app.env"), "{{#if a}}".repeat(200 * 1024 / 9))),
        ("200 KiB of lookups", one(&key("template-app.env"), "{{secret 'a/b'}}".repeat(200 * 1024 / 17))),
        ("200 KiB of Go blocks", go("{{if .a}}".repeat(200 * 1024 / 9))),
        ("200 KiB of Go parentheses", go(format!("{{{{{}", "(".repeat(200 * 1024)))),
        ("200 KiB of Go pipes", go(format!("{{{{ 1{} }}}}", " | print".repeat(200 * 1024 / 8)))),
        ("200 KiB of commands", one(&key("on-change-app.env"), "touch a\n".repeat(200 * 1024 / 8))),
        ("200 KiB of a path", one(&key("secret-app.env"), "a/".repeat(100 * 1024))),
        ("10 MiB of commands", one(&key("on-change-app.env"), "touch a\n".repeat(LONG / 8))),
        (
            "100 000 annotations of ours",
            annotated((0..100_000).map(|n| (key(&format!("secret-s{n}")), "secret/data/a".to_owned()))),
        ),
        ("100 000 misspelt ones", annotated((0..100_000).map(|n| (key(&format!("sekret-{n}")), String::new())))),
        ("100 000 containers", with("containers", many(100_000, |n| json!({"name": format!("c{n}"), "image": "a:1"})))),
        ("100 000 volumes", with("volumes", many(100_000, |n| json!({"name": format!("v{n}"), "emptyDir": {}})))),
        (
            "100 000 init containers",
            with("initContainers", many(100_000, |n| json!({"name": format!("i{n}"), "image": "a:1"}))),
        ),
        ("containers that are numbers", with("containers", many(100_000, |n| json!(n)))),
    ]
}

/// Doubles what the last one copied.
fn copies(count: usize) -> String {
    let double = |n: usize| format!(r#"{{"op":"copy","from":"/env","path":"/env/{n}"}}"#);
    let all: Vec<_> = (0..count).map(double).collect();
    format!(r#"[{{"op":"add","path":"/env","value":[]}},{}]"#, all.join(","))
}

/// Longest message of a refusal or a denial, and of all warnings together.
const WORDS: usize = 4096;

#[test]
fn hostile_bodies_cost_bounded_time_and_memory() {
    let admission = admission("");
    let bodies = bodies();
    for (name, body) in &bodies {
        let begun = Instant::now();
        let answer = admission.answer(body);
        let spent = begun.elapsed();
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
