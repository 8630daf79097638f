//! `exec`: real programs with their environment, by the pod's agent and by an agent of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Bench, LONG, is_root};
use tokio::task::spawn_blocking;

const AGENT: &str = env!("CARGO_BIN_EXE_sidekey-agent");

/// An agent that serves `PASSWORD` and `USER_NAME` over a socket.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    let field = |name: &str, field: &str| json!({"name": name, "source": {"kind": "format", "format": "raw", "path": "secret/data/web", "field": field}});
    let source = json!({"kind": "environment", "syntax": "nul", "variables": [field("PASSWORD", "password"), field("USER_NAME", "user")]});
    let dir = bench.path("exec");
    std::fs::create_dir(&dir).unwrap();
    let output = json!({
        "name": "env", "group": "env", "dir": dir, "file": "env.sock", "layout": "served", "source": source,
    });
    bench.set(json!({"outputs": [output], "refresh": {"staticIntervalMs": 1_000}}))
}

fn agent(bench: &Bench) -> Child {
    let mut command = Command::new(AGENT);
    command.arg("run").env_clear().envs(bench.config().to_env().unwrap());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The program that the agent put beside its socket.
fn client(bench: &Bench, options: &[&str], script: &str) -> Command {
    let dir = bench.path("exec");
    let mut command = Command::new(dir.join("sidekey-agent"));
    command.args(["exec", "--socket", dir.join("env.sock").to_str().unwrap()]).args(options);
    command.args(["--", "sh", "-c", script]).env("OWN", "kept").env("SIDEKEY_CONFIG_0", "gone");
    command.stderr(Stdio::piped()).stdout(Stdio::piped());
    command
}

async fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn signal(child: &Child, name: &str) {
    Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
}

/// The exit code, or -1 where a signal ended it.
async fn ended(mut child: Child) -> i32 {
    let wait = spawn_blocking(move || {
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < LONG, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    wait.await.unwrap()
}

async fn text_of(path: &Path, wanted: &str) {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text == wanted {
            return;
        }
        assert!(begun.elapsed() < LONG, "wanted {wanted:?}, there is {text:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn becomes_the_program_with_the_agents_values_and_no_login() {
    let bench = bench().await;
    let mut agent = agent(&bench);
    bench.ready().await;
    let child =
        client(&bench, &[], "echo $$ $OWN $PASSWORD $USER_NAME $SIDEKEY_CONFIG_0; umask; exit 7").spawn().unwrap();
    let id = child.id();
    let Output { status, stdout, .. } = spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(String::from_utf8(stdout).unwrap(), format!("{id} kept one app\n0022\n"));
    assert_eq!(status.code(), Some(7));
    assert_eq!(bench.logins(), 1);

    let (code, _, log) = output({
        let mut command = Command::new(bench.path("exec/sidekey-agent"));
        command.args(["exec", "--socket", bench.path("exec/env.sock").to_str().unwrap(), "--", "/no/such"]);
        command
    })
    .await;
    assert!(code == 127 && log.contains("SK5030") && log.contains("running /no/such"), "{code} {log}");
    assert_eq!(bench.path("exec/env.sock").symlink_metadata().unwrap().mode() & 0o777, 0o666);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

/// The files that hold `marker`, but for the agent's private state.
fn holders(dir: &Path, marker: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && path.file_name().unwrap() != "state" {
            found.extend(holders(&path, marker));
        } else if kind.is_file()
            && std::fs::read(&path).unwrap().windows(marker.len()).any(|it| it == marker.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn starts_the_program_anew_after_a_change_and_not_when_the_agent_restarts() {
    let bench = bench().await;
    bench.fake.put("secret/web", json!({"user": "app", "password": "m4rker-one"}));
    let mut first = agent(&bench);
    bench.ready().await;
    let seen = bench.path("seen");
    let script = format!("echo ${{#PASSWORD}} >> {}; trap 'exit 9' TERM; while :; do sleep 0.05; done", seen.display());
    let child = client(&bench, &["--on-change=restart"], &script).spawn().unwrap();
    text_of(&seen, "10\n").await;

    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = agent(&bench);
    tokio::time::sleep(Duration::from_secs(3)).await;
    text_of(&seen, "10\n").await;

    bench.fake.put("secret/web", json!({"user": "app", "password": "m4rker-second"}));
    text_of(&seen, "10\n13\n").await;
    assert!(holders(bench.dir.path(), "m4rker").is_empty(), "the environment is in a file");

    signal(&child, "TERM");
    assert_eq!(ended(child).await, 9, "asked to end, it ends as the program does");
    second.kill().unwrap();
    second.wait().unwrap();
}

#[tokio::test]
async fn waits_for_the_agent_and_ends_when_asked_in_the_meantime() {
    let bench = bench().await;
    // The same program, before any agent has put one there.
    std::fs::copy(AGENT, bench.path("exec/sidekey-agent")).unwrap();
    let waiting = client(&bench, &[], "exit 0").spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    signal(&waiting, "TERM");
    assert_eq!(ended(waiting).await, 143);

    let waiting = client(&bench, &[], "test \"$PASSWORD\" = one").spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut agent = agent(&bench);
    assert_eq!(ended(waiting).await, 0);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

fn files(bench: &Bench, more: &str) -> PathBuf {
    let variable = r#"
        env_template "PASSWORD" {
          contents = "{{ with secret \"secret/data/web\" }}{{ .Data.data.password }}{{ end }}"
        }
    "#;
    bench.vault_file(&format!("{variable}{more}"))
}

fn own(bench: &Bench, file: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(AGENT);
    command.args(["exec", "--config", file.to_str().unwrap()]).args(words);
    command.env("SIDEKEY_STATE_DIR", bench.path("state")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn logs_in_fetches_and_runs_by_files_alone() {
    let bench = Bench::new().await;
    bench.fake.put("secret/web", json!({"password": "m4rker"}));
    let command = "exec { command = [\"sh\", \"-c\", \"echo $PASSWORD; umask; exit 3\"] }";
    let file = files(&bench, &format!("log_level = \"trace\"\n{command}"));
    let (code, out, log) = output(own(&bench, &file, &[])).await;
    assert_eq!((code, out.as_str()), (3, "m4rker\n0022\n"), "{log}");
    assert!(log.contains("logged in") && !log.contains("m4rker"), "{log}");
    assert!(holders(bench.dir.path(), "m4rker").is_empty(), "the environment is in a file");
    let (code, out, log) = output(own(&bench, &file, &["--", "sh", "-c", "kill -KILL $$"])).await;
    assert_eq!((code, out.as_str()), (137, ""), "{log}");

    // Where its state lies on a disk, it says so.
    for dir in [bench.path("state").parent().unwrap(), Path::new("/dev/shm")] {
        let kind = Command::new("stat").args(["-f", "-c", "%T"]).arg(dir).output().unwrap().stdout;
        let state = dir.join(format!("sidekey-test-{}", std::process::id()));
        let mut command = own(&bench, &file, &[]);
        command.env("SIDEKEY_STATE_DIR", &state);
        let (_, _, log) = output(command).await;
        assert_eq!(log.contains("make it a tmpfs"), kind != b"tmpfs\n", "{dir:?}: {log}");
        std::fs::remove_dir_all(state).unwrap();
    }

    let mut run = Command::new(AGENT);
    run.args(["run", "--config", file.to_str().unwrap()]).env("SIDEKEY_STATE_DIR", bench.path("state"));
    let (code, text, _) = output(run).await;
    assert!(code == 2 && text.contains("SK5001") && text.contains("sidekey-agent exec --config"), "{code} {text}");
    let file = files(&bench, "template {\n destination = \"/x/y\"\n contents = \"x\"\n command = \"/bin/true\"\n }");
    let (code, text, _) = output(own(&bench, &file, &["--", "true"])).await;
    assert!(code == 2 && text.contains("no command runs after a change"), "{code} {text}");
}

#[tokio::test]
async fn an_agent_of_its_own_follows_changes_and_sends_signals_on() {
    let bench = Bench::new().await;
    let file = files(&bench, "exec {\n command = [\"x\"]\n restart_stop_signal = \"SIGUSR2\"\n }");
    let seen = bench.path("seen");
    let note = |word: &str| format!("echo {word} >> {}", seen.display());
    let script = format!(
        "{}; trap '{}; exit 0' USR2; trap '{}' HUP; trap '{}; exit 4' TERM; while :; do sleep 0.05; done",
        note("$PASSWORD"),
        note("stopped"),
        note("hup"),
        note("ended"),
    );
    let child = own(&bench, &file, &["--", "sh", "-c", &script]).spawn().unwrap();
    text_of(&seen, "one\n").await;
    signal(&child, "HUP");
    text_of(&seen, "one\nhup\n").await;
    bench.fake.put("secret/web", json!({"user": "app", "password": "two"}));
    text_of(&seen, "one\nhup\nstopped\ntwo\n").await;
    signal(&child, "TERM");
    assert_eq!(ended(child).await, 4);
    text_of(&seen, "one\nhup\nstopped\ntwo\nended\n").await;
}

/// As the first process of a container: in a PID namespace with a `/proc` of its own. The orphan's parent is gone before it
/// ends, so it comes to the first process; one that is not taken in stays as `Z`.
#[tokio::test]
async fn takes_in_orphans_as_the_first_process() {
    let bench = Bench::new().await;
    let file = files(&bench, "");
    let count = "set -- /proc/[0-9]*; echo $#";
    let script = format!(
        "echo $PPID; sh -c 'sleep 1 & sleep 1 &'; {count}; sleep 2; {count}; grep -h ^State /proc/[0-9]*/status"
    );
    let own = own(&bench, &file, &["--", "sh", "-c", &script]);
    let mut command = Command::new("unshare");
    let mapped = ["--user", "--map-root-user"].into_iter().filter(|_| !is_root());
    command.args(mapped).args(["--pid", "--fork", "--mount-proc", "--"]).arg(own.get_program()).args(own.get_args());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (code, out, log) = output(command).await;
    assert_eq!(code, 0, "{log}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["1", "4", "2"], "the first process, its program, for a while two orphans: {out}");
    assert!(!out.contains("zombie"), "{out}");
}
