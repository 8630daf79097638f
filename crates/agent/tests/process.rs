//! The binary itself: environment in, lines and exit codes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use support::Bench;
use support::running::Running;
use tokio::task::spawn_blocking;

fn command(bench: Option<&Bench>, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey-agent"));
    command.args(words).env_clear();
    if let Some(bench) = bench {
        command.envs(bench.config().to_env().unwrap());
    }
    command
}

async fn output(bench: Option<&Bench>, words: &[&str]) -> (i32, String) {
    let mut command = command(bench, words);
    let Output { status, stdout, .. } = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

#[tokio::test]
async fn runs_tells_and_ends_as_a_person_expects() {
    let bench = Bench::new().await.format("web.env", "env", "secret/data/web", json!({})).format(
        "db.json",
        "json",
        "database/creds/app",
        json!({}),
    );
    let (code, line) = output(Some(&bench), &["ready"]).await;
    assert_eq!(code, 4);
    assert!(line.starts_with("SK5006 "), "{line}");

    let agent = Running::of(&mut command(Some(&bench), &["run"]));
    let (code, line) = output(Some(&bench), &["ready", "--wait"]).await;
    assert_eq!((code, line.as_str()), (0, "ready: 2 files written\n"));
    let (code, text) = output(Some(&bench), &["status"]).await;
    assert!(code == 0 && text.contains("/secrets/web.env: good"), "{text}");
    let (code, json) = output(Some(&bench), &["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["phase"]), (0, &json!("ready")));

    assert!(bench.get("/live").await.starts_with("HTTP/1.1 200"));
    assert!(bench.get("/ready").await.ends_with("ready: 2 files written\n"));
    assert!(bench.get("/status").await.contains("\"phase\":\"ready\""));
    assert!(bench.get("/metrics").await.contains("sidekey_agent_logins_total 1\n"));
    assert!(bench.get("/other").await.starts_with("HTTP/1.1 404"));

    let (code, log) = agent.end().await;
    assert_eq!(code, 0, "{log}");
    assert!(bench.fake.tokens().is_empty());
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not a JSON line: {line}");
    }
    assert!(log.contains("logged in") && log.contains("the token is revoked"), "{log}");
}

#[tokio::test]
async fn runs_once_and_leaves() {
    let bench = Bench::new().await.format("web.env", "env", "secret/data/web", json!({}));
    assert_eq!(output(Some(&bench), &["run", "--once"]).await.0, 0);
    assert!(bench.read("web.env").unwrap().contains("password"));
}

#[tokio::test]
async fn checks_every_step_and_writes_nothing() {
    let nested = r#"{{ with secret "secret/data/web" }}{{ with secret (printf "database/creds/%s" .Data.data.user) }}{{ .Data.username }}{{ end }}{{ end }}"#;
    let bench =
        Bench::new().await.format("web.env", "env", "secret/data/web", json!({})).go("nested", nested, json!({}));
    let (code, text) = output(Some(&bench), &["check"]).await;
    assert_eq!(code, 0, "{text}");
    let steps = [
        "configuration",
        "template nested",
        "login",
        "secret secret/data/web",
        "secret database/creds/app",
        "token revoked",
    ];
    for step in steps {
        assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains(step)), "{step} in\n{text}");
    }
    assert!(bench.read("web.env").is_none() && bench.fake.tokens().is_empty() && bench.fake.leases().is_empty());
    assert!(!text.contains("one"), "the secret is told: {text}");

    let bench = bench.set(json!({"auth": {"role": "nobody"}}));
    let (code, text) = output(Some(&bench), &["check"]).await;
    assert!(code == 4 && text.contains("FAIL  login\n      SK3104 "), "{code} {text}");
}

#[tokio::test]
async fn checks_every_login_though_one_of_them_fails() {
    let bench = Bench::new().await.format("web.env", "env", "secret/data/web", json!({"login": 1})).format(
        "db.env",
        "env",
        "database/creds/app",
        json!({}),
    );
    let auth = bench.config["auth"].clone();
    let bench = bench.set(json!({"logins": [{"auth": auth}], "auth": {"role": "nobody"}}));
    let (code, text) = output(Some(&bench), &["check"]).await;
    assert!(code == 4 && text.contains("FAIL  login\n      SK3104 "), "{code} {text}");
    for step in ["login at auth/kubernetes as web", "secret secret/data/web", "file ", "token revoked"] {
        assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains(step)), "{step} in\n{text}");
    }
    assert!(!text.contains("database/creds/app") && bench.fake.tokens().is_empty(), "{text}");
}

#[tokio::test]
async fn says_what_it_cannot_read() {
    let (code, text) = output(None, &["run"]).await;
    assert!(code == 2 && text.starts_with("SK5001 "), "{code} {text}");
    let (code, text) = output(None, &["serve"]).await;
    assert!(code == 2 && text.contains("--help"), "{code} {text}");
    assert_eq!(output(None, &["--help"]).await.0, 0);
    assert!(output(None, &["version"]).await.1.starts_with("sidekey-agent "));
}

/// What is in `/proc/<pid>` of a process that is not dumpable belongs to root, whoever runs it (`proc(5)`; the directory
/// itself does not change hands). So the agent must run as somebody else for the test to see a difference.
#[tokio::test]
async fn closes_itself_to_others_of_its_uid() {
    const NOBODY: u32 = 65_534;
    let bench = Bench::new().await.format("web.env", "env", "secret/data/web", json!({}));
    let me = std::fs::metadata(bench.dir.path()).unwrap().uid();
    let mut run = command(Some(&bench), &["run"]);
    run.stderr(Stdio::null()).stdout(Stdio::null());
    if me == 0 {
        for path in ["", "secrets", "state", "jwt", "termination"] {
            chown(bench.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        run.uid(NOBODY).gid(NOBODY);
    }
    let mut child = run.spawn().unwrap();
    bench.ready().await;
    let process = format!("/proc/{}", child.id());
    let owner = std::fs::metadata(format!("{process}/mem")).unwrap().uid();
    let limits = std::fs::read_to_string(format!("{process}/limits"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(owner, 0, "the process is dumpable");
    let core = limits.unwrap().lines().find(|line| line.starts_with("Max core file size")).map(str::to_owned).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[tokio::test]
async fn runs_by_vault_agents_own_files_alone_and_names_what_it_cannot_serve() {
    let bench = Bench::new().await;
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    std::fs::write(bench.path("ca.crt"), bench.fake.ca_pem()).unwrap();
    let text = format!(
        r#"
        vault {{
          address = "{}"
          ca_cert = "{}"
        }}
        auto_auth {{
          method "kubernetes" {{
            mount_path = "auth/kubernetes"
            config = {{ role = "web", token_path = "{}" }}
          }}
          sink "file" {{
            config = {{ path = "{}", mode = 0600 }}
          }}
        }}
        template {{
          destination = "{}"
          contents = "{{{{ with secret \"secret/data/web\" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"
        }}
        exit_after_auth = true
        pid_file = "/run/pid"
        "#,
        bench.fake.address(),
        path("ca.crt"),
        path("jwt"),
        path("token"),
        path("secrets/web"),
    );
    std::fs::write(bench.path("agent.hcl"), &text).unwrap();
    let file = path("agent.hcl");
    let run = |word: &str| {
        let mut command = command(None, &[word, "--config", &file]);
        command.env("SIDEKEY_STATE_DIR", path("state"));
        spawn_blocking(move || command.output().unwrap())
    };
    let checked = run("check").await.unwrap();
    let lines = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(0), "{lines}");
    assert!(
        lines.contains("pid_file has no effect") && lines.contains("ok    login at auth/kubernetes as web"),
        "{lines}"
    );
    assert!(bench.read("web").is_none(), "check writes nothing");

    let ran = run("run").await.unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(bench.read("web").unwrap(), "one");
    assert_eq!(bench.path("token").metadata().unwrap().mode() & 0o777, 0o600);

    std::fs::write(bench.path("agent.hcl"), text.replace("exit_after_auth", "exit_after_atuh")).unwrap();
    let refused = run("run").await.unwrap();
    let line = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        line.contains("SK5001") && line.contains("agent.hcl line 19: the configuration has no `exit_after_atuh`"),
        "{line}"
    );
}
