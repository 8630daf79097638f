#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]
mod support;
use serde_json::json;
use support::Bench;
#[tokio::test]
async fn mem() {
    let bench = Bench::new().await.format("web.env", "env", "secret/data/web", json!({})).format("db.json", "json", "database/creds/app", json!({}))
        .go("t", r#"{{ with secret "secret/data/web" }}{{ .Data.data.user | toUpper }}{{ end }}"#, json!({}));
    for i in 0..2 {
        let b = std::time::Instant::now();
        let mut child = std::process::Command::new("/tmp/agent-z/x86_64-unknown-linux-musl/agent/sidekey-agent").arg("run").env_clear().envs(bench.config().to_env().unwrap()).stderr(if i==0 {std::process::Stdio::inherit()} else {std::process::Stdio::null()}).spawn().unwrap();
        while bench.read("t").is_none() { tokio::time::sleep(std::time::Duration::from_millis(1)).await; }
        eprintln!("files after {:?}", b.elapsed());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let s = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        for l in s.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("Rss") || l.starts_with("Threads")) { eprintln!("{l}"); }
        child.kill().unwrap(); child.wait().unwrap();
        std::fs::remove_file(bench.path("secrets/t")).unwrap();
        std::fs::remove_file(bench.path("state/state")).unwrap();
    }
}
