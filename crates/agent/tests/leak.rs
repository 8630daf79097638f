//! A marker as secret, through everything, at trace level: it appears in the files and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{Fault, Matcher, Times};
use support::Bench;

const MARKER: &str = "marker-7f3a9c";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that any crate says, without the filter that production has.
fn record() -> Log {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    log
}

#[tokio::test]
async fn no_secret_token_or_credential_is_told_to_anybody() {
    let log = record();
    let failing = format!(
        r#"{{{{ with secret "secret/data/web" }}}}{{{{ if eq .Data.data.password "{MARKER}-2" }}}}{{{{ index .Data.data.password "x" }}}}{{{{ end }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"#
    );
    let bench = Bench::new()
        .await
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("db.json", "json", "database/creds/app", json!({}))
        .go("failing", &failing, json!({}));
    bench.fake.put("secret/web", json!({"password": MARKER, "more": format!("{MARKER}\nline")}));
    let agent = bench.start();
    bench.ready().await;
    let db: serde_json::Value = serde_json::from_str(&bench.read("db.json").unwrap()).unwrap();
    assert!(bench.read("failing").unwrap().contains(MARKER));

    bench.fake.put("secret/web", json!({"password": format!("{MARKER}-2")}));
    bench.idle(Duration::from_secs(62)).await;
    bench.until("the render error", |bench| bench.line().contains("SK2003")).await;
    let faults = [
        Fault::Status(403, vec!["permission denied".to_owned()]),
        Fault::Status(400, vec!["bad".to_owned()]),
        Fault::CutBody,
        Fault::Garbage,
        Fault::Reset,
        Fault::Slow(Duration::from_millis(50)),
    ];
    for fault in faults {
        bench.fake.fault(Matcher::path("secret/"), fault, Times::Always);
        bench.idle(Duration::from_secs(90)).await;
        bench.fake.clear_faults();
    }
    agent.kill().await;
    std::fs::write(bench.path("state/state"), std::fs::read_to_string(bench.path("state/state")).unwrap() + "torn")
        .unwrap();
    let agent = bench.start();
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    let status = serde_json::to_string(&bench.status().unwrap()).unwrap() + &bench.line();
    let state = std::fs::read_to_string(bench.path("state/state")).unwrap();
    let tokens: Vec<&str> = state.split('"').filter(|word| word.starts_with("hvs.") && word.len() > 20).collect();
    assert!(!tokens.is_empty(), "the test looks for tokens and knows none");
    agent.stop().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let levels: Vec<usize> = ["TRACE", "DEBUG", "INFO", "WARN"].map(|level| log.matches(level).count()).into();
    assert!(
        log.contains("logged in") && levels[0] > 0 && levels.iter().sum::<usize>() > 30,
        "too little was recorded: {levels:?}"
    );
    let told = log + &status + &std::fs::read_to_string(bench.path("termination")).unwrap();
    let jwt = std::fs::read_to_string(bench.path("jwt")).unwrap();
    let secrets = [MARKER, db["password"].as_str().unwrap(), jwt.trim()];
    for secret in secrets.iter().chain(&tokens) {
        assert!(!told.contains(secret), "told: {}", told.lines().find(|line| line.contains(secret)).unwrap());
    }
}
