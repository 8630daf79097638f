//! SIGHUP, and files that a variable names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::process::Command;

use serde_json::json;
use support::Bench;
use support::running::Running;
use tokio::task::spawn_blocking;

const AGENT: &str = env!("CARGO_BIN_EXE_sidekey-agent");

fn template(bench: &Bench, more: &str, word: &str) -> String {
    let path = bench.path("secrets/web");
    format!(
        r#"
        {more}
        template {{
          destination = "{}"
          contents    = "{word} {{{{ with secret \"secret/data/web\" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"
        }}
        "#,
        path.display()
    )
}

fn run(bench: &Bench) -> Command {
    let mut command = Command::new(AGENT);
    command.arg("run").env_clear().env("SIDEKEY_STATE_DIR", bench.path("state"));
    command
}

#[tokio::test]
async fn a_hangup_takes_the_level_names_what_takes_a_restart_and_leaves_all_else() {
    const TRACE: &str = "vault answered";
    let bench = Bench::new().await;
    let file = bench.vault_file(&template(&bench, "", "first"));
    let agent = Running::of(run(&bench).arg("--config").arg(&file));
    bench.ready().await;

    agent.signal("HUP");
    agent.said("the files are read again, nothing has changed", 1).await;

    bench.vault_file(&template(&bench, "log_level = \"trace\"", "second"));
    agent.signal("HUP");
    agent.said("SIGHUP: template changed, which takes a restart; until then it is as before", 1).await;
    agent.said("SIGHUP: the log level is trace now, and was info", 1).await;
    agent.said(TRACE, 1).await;

    bench.vault_file(&template(&bench, "log_level = \"error\"\nlog_lvl = 1", "third"));
    agent.signal("HUP");
    agent.said("SIGHUP: nothing is reloaded, all is as before: SK5001", 1).await;
    assert_eq!(agent.count("the configuration has no `log_lvl`"), 1);
    agent.said(TRACE, agent.count(TRACE) + 1).await;

    bench.vault_file(&template(&bench, "log_level = \"info\"", "first"));
    agent.signal("HUP");
    agent.said("SIGHUP: the log level is info now, and was trace", 1).await;
    let (traced, logins) = (agent.count(TRACE), bench.logins());
    bench.fake.clear_requests();
    bench.fake.put("secret/web", json!({"password": "two"}));
    bench.until("the change", |bench| bench.read("web").as_deref() == Some("first two")).await;
    bench.until("another look", |bench| bench.fake.count("GET", "secret/data/web") > 1).await;
    assert_eq!(agent.count(TRACE), traced, "it still says as much");
    assert_eq!((logins, agent.end().await.0), (1, 0));
}

#[tokio::test]
async fn without_files_a_hangup_says_that_there_is_nothing_to_reload_and_ends_nothing() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let agent = Running::of(run(&bench).envs(bench.config().to_env().unwrap()));
    bench.ready().await;
    for times in 1..=3 {
        agent.signal("HUP");
        agent.said("SIGHUP: nothing can be reloaded", times).await;
    }
    assert_eq!(agent.end().await.0, 0);
}

#[tokio::test]
async fn a_variable_names_the_files_where_neither_the_command_line_nor_the_webhook_says_anything() {
    let bench = Bench::new().await;
    let file = bench.vault_file(&template(&bench, "exit_after_auth = true", "by file:"));
    let mut by_variable = run(&bench);
    by_variable.env("BAO_AGENT_CONFIG_PATH", &file);
    let ended = spawn_blocking(move || by_variable.output().unwrap()).await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(bench.read("web").as_deref(), Some("by file: one"));

    let mut gone = run(&bench);
    gone.env("VAULT_AGENT_CONFIG_PATH", "/gone.hcl");
    let ended = spawn_blocking(move || gone.output().unwrap()).await.unwrap();
    let line = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.code() == Some(2) && line.contains("/gone.hcl"), "{line}");

    // What the webhook says counts, whatever the container's environment names.
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let mut contract = run(&bench);
    contract.arg("--once").envs(bench.config().to_env().unwrap()).env("BAO_AGENT_CONFIG_PATH", "/gone.hcl");
    let ended = spawn_blocking(move || contract.output().unwrap()).await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}
