//! `exec` over a program that misbehaves: under the pod's agent, and under an agent of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::running::Running;
use support::{Bench, LONG};

const AGENT: &str = env!("CARGO_BIN_EXE_sidekey-agent");

/// Who hands the environment over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Socket,
    Files,
}

const WAYS: [By; 2] = [By::Socket, By::Files];

/// A place to run programs in, with the variable `PASSWORD`.
struct Place {
    bench: Bench,
    by: By,
    /// The pod's agent.
    agent: Option<Running>,
}

impl Place {
    async fn new(by: By) -> Self {
        let mut bench = Bench::new().await;
        if by == By::Files {
            bench.vault_file(
                r#"env_template "PASSWORD" {
                     contents = "{{ with secret \"secret/data/web\" }}{{ .Data.data.password }}{{ end }}"
                   }"#,
            );
            return Self { bench, by, agent: None };
        }
        std::fs::create_dir(bench.path("exec")).unwrap();
        let source = json!({"kind": "environment", "syntax": "nul", "variables": [
            {"name": "PASSWORD", "source": {"kind": "format", "format": "raw", "path": "secret/data/web", "field": "password"}},
        ]});
        let output = json!({"name": "env", "group": "env", "dir": bench.path("exec"), "file": "env.sock", "layout": "served", "source": source});
        bench = bench.set(json!({"outputs": [output], "refresh": {"staticIntervalMs": 1_000}}));
        let agent = Running::of(Command::new(AGENT).arg("run").env_clear().envs(bench.config().to_env().unwrap()));
        bench.ready().await;
        Self { bench, by, agent: Some(agent) }
    }

    fn run(&self, options: &[&str], program: &[&str]) -> Running {
        let mut command = Command::new(AGENT);
        let of = match self.by {
            By::Socket => ["--socket".into(), self.bench.path("exec/env.sock").into_os_string()],
            By::Files => ["--config".into(), self.bench.path("agent.hcl").into_os_string()],
        };
        command.arg("exec").args(of).args(options).arg("--").args(program);
        Running::of(command.env("SIDEKEY_STATE_DIR", self.bench.path("state")))
    }

    /// A shell that writes what happens to it into `seen`.
    fn shell(&self, options: &[&str], script: &str) -> Running {
        let seen = self.bench.path("seen");
        let script = script.replace("SAY", &format!(">> {} echo", seen.display()));
        self.run(options, &["sh", "-c", &script])
    }

    fn change(&self, password: &str) {
        self.bench.fake.put("secret/web", json!({"password": password}));
    }

    async fn seen(&self, lines: &[&str]) {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.bench.path("seen")).unwrap_or_default();
            if text.lines().eq(lines.iter().copied()) {
                return;
            }
            assert!(begun.elapsed() < LONG, "{:?}: wanted {lines:?}, there is {text:?}", self.by);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close(self) {
        if let Some(agent) = self.agent {
            agent.end().await;
        }
    }
}

fn program(path: &Path, text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_owned()
}

#[tokio::test]
async fn the_exit_code_says_that_a_program_is_not_there_or_cannot_be_run() {
    for by in WAYS {
        let place = Place::new(by).await;
        let plain = program(&place.bench.path("plain"), "#!/bin/sh\n", 0o644);
        let directory = place.bench.path("secrets");
        for options in [&["--on-change=keep"][..], &["--on-change=restart"]] {
            for (path, wanted) in [(Path::new("/no/such"), 127), (&plain, 126), (&directory, 126)] {
                let path = path.to_str().unwrap();
                let (code, log) = place.run(options, &[path]).ended().await;
                assert_eq!(code, wanted, "{by:?} {options:?} {path}: {log}");
                assert!(log.contains("SK5030") && log.contains(&format!("running {path}")), "{log}");
            }
        }
        place.close().await;
    }
}

#[tokio::test]
async fn a_program_that_does_not_end_for_a_change_is_killed_and_started_anew() {
    for by in WAYS {
        let place = Place::new(by).await;
        let running = place.shell(
            &["--on-change=restart", "--kill-after=1"],
            "SAY $PASSWORD; case $PASSWORD in one) trap 'SAY stays' TERM;; *) trap 'exit 9' TERM;; esac; while :; do sleep 0.05; done",
        );
        place.seen(&["one"]).await;
        place.change("two");
        place.seen(&["one", "stays", "two"]).await;
        assert_eq!(running.count("the program did not end when asked: killing it"), 1, "{by:?}");
        let (code, log) = running.end().await;
        assert_eq!(code, 9, "{by:?} {log}");
        place.close().await;
    }
}

#[tokio::test]
async fn whoever_asks_from_outside_waits_for_the_program_as_long_as_it_takes() {
    let place = Place::new(By::Socket).await;
    let script = "trap 'SAY asked; sleep 3; exit 5' TERM; SAY $PASSWORD; while :; do sleep 0.05; done";
    let running = place.shell(&["--on-change=restart", "--kill-after=1"], script);
    place.seen(&["one"]).await;
    let (code, log) = running.end().await;
    assert!(code == 5 && !log.contains("killing it"), "{code} {log}");
    place.seen(&["one", "asked"]).await;
    place.close().await;
}

#[tokio::test]
async fn a_program_that_ends_by_itself_is_started_by_nobody_again() {
    for by in WAYS {
        let place = Place::new(by).await;
        let script = "SAY $PASSWORD; test $PASSWORD = one || exit 3; trap 'exit 0' TERM; while :; do sleep 0.05; done";
        let running = place.shell(&["--on-change=restart"], script);
        place.seen(&["one"]).await;
        place.change("two");
        let (code, log) = running.ended().await;
        assert!(code == 3 && log.matches("starting the program anew").count() == 1, "{by:?} {code} {log}");
        place.seen(&["one", "two"]).await;
        place.close().await;
    }
}

#[tokio::test]
async fn a_program_that_is_gone_at_its_new_start_ends_all_with_its_code() {
    let place = Place::new(By::Files).await;
    let (path, seen) = (place.bench.path("program"), place.bench.path("seen"));
    let text =
        format!("#!/bin/sh\ntrap 'exit 0' TERM\necho begun > {}\nwhile :; do sleep 0.05; done\n", seen.display());
    program(&path, &text, 0o755);
    let running = place.run(&["--on-change=restart"], &[path.to_str().unwrap()]);
    place.seen(&["begun"]).await;
    std::fs::remove_file(path).unwrap();
    place.change("two");
    let (code, log) = running.ended().await;
    assert!(code == 127 && log.contains("SK5030"), "{code} {log}");
    assert!(place.bench.fake.tokens().len() <= 1, "one login");
}

#[tokio::test]
async fn every_signal_that_people_send_goes_to_the_program() {
    const SIGNALS: [&str; 8] = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "CONT", "WINCH"];
    for by in WAYS {
        let place = Place::new(by).await;
        let traps = SIGNALS.map(|name| format!("trap 'SAY {name}' {name}; ")).concat();
        let script = format!("{traps} trap 'SAY TERM; exit 4' TERM; SAY begun; while :; do sleep 0.02; done");
        let running = place.shell(&["--on-change=restart"], &script);
        let mut lines = vec!["begun"];
        place.seen(&lines).await;
        for name in SIGNALS {
            running.signal(name);
            lines.push(name);
            place.seen(&lines).await;
        }
        let (code, log) = running.end().await;
        lines.push("TERM");
        place.seen(&lines).await;
        assert_eq!(code, 4, "{by:?} {log}");
        place.close().await;
    }
}
