//! One cause in one wording, wherever a person looks: log, probe, `/status`, `status`, termination message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use sidekey_agent::serve;
use sidekey_agent::status::Status;
use sidekey_agent::supervisor::Supervisor;
use sidekey_core::Code;
use sidekey_fakevault::{FakeVault, Options, RoleSpec};
use sidekey_runtime::drain;
use support::{Agent, Bench, Log, MOUNT, role};
use tokio::task::spawn_blocking;

/// With its socket, as the binary has it.
fn start(bench: &Bench) -> Agent {
    let (trigger, drain) = drain::channel();
    let supervisor = Supervisor::new(bench.config(), false, bench.platform());
    serve::start(bench.path("state").to_str().unwrap(), supervisor.status());
    Agent { trigger, task: tokio::spawn(supervisor.run(drain)) }
}

async fn command(bench: &Bench, words: &'static [&str]) -> String {
    let env = bench.config().to_env().unwrap();
    let run = move || Command::new(env!("CARGO_BIN_EXE_sidekey-agent")).args(words).envs(env).output().unwrap();
    String::from_utf8(spawn_blocking(run).await.unwrap().stdout).unwrap()
}

/// Level, code and message of each line.
fn lines(log: &Log) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (text(&line["level"]), text(&line["fields"]["code"]), text(&line["fields"]["message"]))
    };
    log.take().lines().map(line).collect()
}

/// Lets the agent fail; its cause in full.
async fn everywhere(bench: &Bench, code: Code, answer: &str) -> String {
    let (log, _recording) = Log::record();
    let agent = start(bench);
    let first = |bench: &Bench| bench.status().and_then(|status| status.causes().first().map(|cause| (*cause).clone()));
    bench.until(&code.to_string(), |bench| first(bench).is_some_and(|cause| cause.code == code)).await;
    let (cause, message) = (first(bench).unwrap(), || std::fs::read_to_string(bench.path("termination")).unwrap());
    let text = cause.to_string();
    assert!(cause.answer.contains(answer) && !cause.attempted.is_empty() && !cause.fix.is_empty(), "{cause:?}");

    let (_, body) =
        bench.get("/status").await.split_once("\r\n\r\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let served: Status = serde_json::from_str(&body).unwrap();
    assert_eq!(served.causes().first(), Some(&&cause), "/status");
    assert!(bench.get("/ready").await.ends_with(&format!("{text}\n")), "/ready");
    let shown: Status = serde_json::from_str(&command(bench, &["status", "--json"]).await).unwrap();
    assert_eq!(shown.causes().first(), Some(&&cause), "status --json");
    let shown = command(bench, &["status"]).await;
    assert!(shown.lines().any(|line| line == format!("problem  {text}")), "{text}\nin\n{shown}");
    assert_eq!(command(bench, &["ready"]).await, format!("{text}\n"), "the probe's line");
    assert_eq!(message(), format!("{text}\n"), "the termination message");
    let said = lines(&log);
    let line = ("WARN".to_owned(), code.to_string(), text.clone());
    assert!(said.contains(&line), "{line:#?}\nin\n{said:#?}");

    assert_eq!(agent.stop().await, Exit::Done);
    text
}

#[tokio::test]
async fn a_cause_reads_the_same_in_log_status_probe_and_termination_message() {
    let wanted = || async { Bench::new().await.format("web.json", "json", "secret/data/web", json!({})) };

    let bench = wanted().await.set(json!({"auth": {"role": "nobody"}}));
    everywhere(&bench, Code::AuthRoleMissing, "nobody").await;

    let bench = wanted().await;
    let elsewhere = RoleSpec { namespaces: vec!["other".to_owned()], ..role() };
    bench.fake.role(MOUNT, "web", elsewhere);
    everywhere(&bench, Code::AuthNamespace, "403").await;

    let bench = wanted().await;
    bench.fake.policy("web", &[("secret/data/other", &["read"])]);
    let text = everywhere(&bench, Code::PolicyDenied, "403").await;
    assert!(text.contains("secret/data/web") && text.contains("read"), "{text}");

    let bench = Bench::new().await.format("web.json", "json", "secret/data/wbe", json!({}));
    let text = everywhere(&bench, Code::SecretNotFound, "404").await;
    assert!(text.contains("secret/data/wbe"), "{text}");

    let (bench, other) = (wanted().await, FakeVault::start(Options::default()).await.unwrap());
    let bench = bench.set(json!({"server": {"caPem": other.ca_pem()}}));
    everywhere(&bench, Code::VaultTls, "certificate signed by unknown authority").await;

    let bench = wanted().await;
    bench.fake.seal(true);
    everywhere(&bench, Code::VaultSealed, "").await;
}

#[tokio::test]
async fn a_passed_deadline_says_with_its_own_code_what_stood_in_the_way() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let bench = bench.set(json!({"lifecycle": {"startDeadlineSeconds": 30}}));
    bench.fake.policy("web", &[]);
    let (log, _recording) = Log::record();
    let agent = start(&bench);
    bench.until("the policy's cause", |bench| bench.line().starts_with("SK4001")).await;
    let before = bench.line();
    bench.jump(Duration::from_secs(31));
    assert_eq!(agent.exit().await, Exit::Deadline);

    let message = std::fs::read_to_string(bench.path("termination")).unwrap();
    let text = message.trim_end();
    assert!(text.starts_with("SK5004 writing the first set of files: ") && text.contains(&before), "{message}");
    let line = ("ERROR".to_owned(), "SK5004".to_owned(), text.to_owned());
    let said = lines(&log);
    assert_eq!(said.last(), Some(&line), "{said:#?}");
    assert_eq!(command(&bench, &["ready"]).await, format!("{before}\n"));
    assert!(command(&bench, &["status"]).await.contains(&format!("problem  {before}\n")));
}
