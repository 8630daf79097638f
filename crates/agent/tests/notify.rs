//! What is done after a change: when, how often, again after a failure and after a kill, and never with a request to Vault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use sidekey_core::Code;
use support::{Bench, exists};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One file of one secret, and this after it.
async fn bench(notify: Value) -> Bench {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    bench.set(json!({ "notify": notify }))
}

fn command(script: &str, first: bool) -> Value {
    let argv = ["/bin/sh", "-c", script];
    json!({ "group": "web.json", "action": { "kind": "command", "argv": argv }, "first": first })
}

async fn change(bench: &Bench, password: &str) {
    bench.fake.put("secret/web", json!({ "password": password }));
    bench.pass(seconds(62)).await;
    bench.until("the change", |bench| bench.read("web.json").unwrap().contains(password)).await;
}

fn lines(bench: &Bench, name: &str) -> usize {
    std::fs::read_to_string(bench.path(name)).map_or(0, |text| text.lines().count())
}

fn failures(bench: &Bench) -> u64 {
    bench.status().unwrap().counters.failures.get(&Code::ActionFailed).copied().unwrap_or(0)
}

/// A server of the app's that answers with each status in turn, then with the last.
async fn app(statuses: &'static [u16]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/-/reload", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"POST /-/reload HTTP/1.1\r\n"));
            let call = count.fetch_add(1, Ordering::SeqCst);
            let status = statuses[call.min(statuses.len() - 1)];
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, calls)
}

#[tokio::test]
async fn a_command_of_the_first_set_is_waited_for_and_later_ones_follow_each_change() {
    let bench = bench(json!([])).await;
    let script = format!(
        "cat {0}/web.json >/dev/null && echo x >> {1}",
        bench.path("secrets").display(),
        bench.path("ran").display()
    );
    let bench = bench.set(json!({ "notify": [command(&script, true)] }));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(lines(&bench, "ran"), 1, "ready before its command");
    bench.idle(seconds(200)).await;
    assert_eq!(lines(&bench, "ran"), 1, "nothing changed");
    change(&bench, "two").await;
    bench.pass(seconds(2)).await;
    bench.until("the second run", |bench| lines(bench, "ran") == 2).await;
    assert_eq!(bench.status().unwrap().counters.actions, 2);
    agent.stop().await;
}

#[tokio::test]
async fn a_failing_first_command_keeps_the_pod_from_ready_and_says_why() {
    let bench = bench(json!([])).await;
    let flag = bench.path("flag");
    let bench = bench.set(json!({
        "notify": [command(&format!("test -e {}", flag.display()), true)],
        "refresh": { "staticIntervalMs": 1_000_000_000 },
    }));
    let agent = bench.start();
    bench.until("the failure", |bench| bench.line().starts_with("SK5020 doing `command /bin/sh`")).await;
    assert!(bench.line().contains("exit status: 1"), "{}", bench.line());
    let fetched = bench.fake.count("GET", "secret/data/web");
    bench.pass(seconds(20)).await;
    assert!((2..=7).contains(&failures(&bench)), "{} tries in 20 s", failures(&bench));
    assert_eq!(bench.fake.count("GET", "secret/data/web"), fetched, "an action never fetches");
    std::fs::write(flag, "").unwrap();
    bench.pass(seconds(30)).await;
    bench.ready().await;
    assert_eq!(bench.line(), "ready: 1 file written");
    agent.stop().await;
}

#[tokio::test]
async fn a_call_follows_changes_only_and_is_tried_again_until_it_is_taken() {
    let (url, calls) = app(&[500, 200]).await;
    let action = json!({ "kind": "http", "method": "POST", "url": url });
    let bench = bench(json!([{ "group": "web.json", "action": action }])).await;
    let agent = bench.start();
    bench.ready().await;
    bench.idle(seconds(30)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the first publication is no change");
    change(&bench, "two").await;
    bench.pass(seconds(5)).await;
    bench.until("the second call", |_| calls.load(Ordering::SeqCst) == 2).await;
    bench.until("word of it", |bench| bench.status().unwrap().counters.actions == 1).await;
    assert_eq!(failures(&bench), 1);
    bench.idle(seconds(40)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(bench.line(), "ready: 1 file written");
    agent.stop().await;
}

#[tokio::test]
async fn a_failing_action_leaves_the_pod_ready_and_is_told() {
    let signal = json!({ "kind": "signal", "signal": "HUP", "process": { "name": "no-such-process" } });
    let bench = bench(json!([{ "group": "web.json", "action": signal }])).await;
    let agent = bench.start();
    bench.ready().await;
    change(&bench, "two").await;
    bench.pass(seconds(3)).await;
    bench.until("the failure", |bench| bench.line().contains("SK5020")).await;
    let line = bench.line();
    assert!(line.starts_with("ready: 1 file written: SK5020 doing `signal HUP no-such-process`"), "{line}");
    bench.pass(seconds(120)).await;
    assert!((4..=12).contains(&failures(&bench)), "{} tries in two minutes", failures(&bench));
    agent.stop().await;
}

#[tokio::test]
async fn what_a_killed_agent_owed_is_done_by_the_next() {
    let (url, calls) = app(&[503]).await;
    let action = json!({ "kind": "http", "method": "POST", "url": url });
    let bench = bench(json!([{ "group": "web.json", "action": action }])).await;
    let agent = bench.start();
    bench.ready().await;
    change(&bench, "two").await;
    bench.pass(seconds(2)).await;
    bench.until("a call", |_| calls.load(Ordering::SeqCst) > 0).await;
    agent.kill().await;
    let before = calls.load(Ordering::SeqCst);
    let agent = bench.start();
    bench.until("the next agent's call", |_| calls.load(Ordering::SeqCst) > before).await;
    assert_eq!(bench.logins(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn a_program_sees_the_pods_variables_where_vault_is_and_no_more() {
    let bench = bench(json!([])).await;
    let script = format!("env > {}", bench.path("env").display());
    let bench = bench.set(json!({ "notify": [command(&script, true)] }));
    let agent = bench.start();
    bench.ready().await;
    let text = std::fs::read_to_string(bench.path("env")).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.retain(|name| !["_", "PWD", "SHLVL", "OLDPWD"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["POD", "VAULT_ADDR"], "{text}");
    assert!(text.contains(&bench.fake.address()));
    agent.stop().await;
}

#[tokio::test]
async fn a_one_shot_agent_runs_the_command_and_nothing_else() {
    let bench = bench(json!([])).await;
    let touch = json!({ "kind": "touch", "dir": bench.path("secrets"), "file": "changed" });
    let notify = json!([
        command(&format!("echo x >> {}", bench.path("ran").display()), true),
        { "group": "web.json", "action": touch },
    ]);
    let bench = bench.set(json!({ "notify": notify, "lifecycle": { "shape": "initOnly", "revoke": false } }));
    let agent = bench.start();
    assert_eq!(agent.exit().await, Exit::Done);
    assert_eq!(lines(&bench, "ran"), 1);
    assert!(!exists(&bench.path("secrets/changed")));
}
