//! The agent as a process of its own: this program once more, with the library's supervisor and a clock that can be moved.
//! What it says is read as it comes, and must hold no secret.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sidekey_agent::exit::Exit;
use sidekey_agent::serve;
use sidekey_agent::supervisor::{Platform, Supervisor};
use sidekey_core::AgentConfig;
use sidekey_runtime::{drain, provider};
use tracing_subscriber::filter::LevelFilter;

use crate::clock::Shared;
use crate::server::MARKER;

/// Says to this program that it is the agent, and where its clock is.
const CLOCK: &str = "CHAOS_CLOCK";
const TERMINATION: &str = "CHAOS_TERMINATION";

const SPOILT: &str = "CHAOS_SPOILT";

/// Parts of every secret of a run: values of KV, tokens, passwords of the database, service account tokens.
pub(crate) const SECRETS: [&str; 4] = [MARKER, "hvs.", "-A1a", "eyJ"];

/// The other side.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(CLOCK).is_some()
}

pub(crate) fn run() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    // Everything that any crate says, without the filter that production has.
    tracing_subscriber::fmt().json().with_max_level(LevelFilter::TRACE).with_writer(std::io::stderr).init();
    provider::install();
    if let Some(what) = variable(SPOILT) {
        std::thread::spawn(move || spoil(&what));
    }
    let config = AgentConfig::from_env(variable).unwrap();
    let platform = Platform {
        clock: Shared::open(Path::new(&variable(CLOCK).unwrap())).clock(),
        boot: "this boot".to_owned(),
        env: std::collections::BTreeMap::new(),
        termination: variable(TERMINATION).unwrap().into(),
        longest_sleep: Duration::from_millis(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let exit: Exit = runtime.block_on(async {
        let drain = drain::on_signals().unwrap();
        let state_dir = config.state_dir.clone();
        let supervisor = Supervisor::new(config, false, platform);
        serve::start(&state_dir, supervisor.status());
        supervisor.serve_environment().unwrap();
        supervisor.run(drain).await
    });
    exit.into()
}

/// What no agent does: for [`crate::notice`].
fn spoil(what: &str) {
    match what {
        "panic" => panic!("as asked for"),
        "tell" => tracing::info!("{MARKER}-1"),
        _ => {
            let mut all = Vec::new();
            for _ in 0..512 {
                std::thread::sleep(Duration::from_millis(1));
                all.push(vec![1_u8; 32 << 10]);
            }
            std::thread::park();
            drop(all);
        }
    }
}

/// What was said so far.
#[derive(Default)]
pub(crate) struct Said {
    /// The first line that says a secret, or that the process panicked.
    pub(crate) wrong: Option<String>,
    pub(crate) lines: usize,
    /// Those of our own crates, with their number.
    ours: Vec<(usize, String)>,
}

impl Said {
    /// What was said about the time of a line.
    pub(crate) fn around(&self, line: usize) -> String {
        let near = self.ours.iter().filter(|(number, _)| number.abs_diff(line) <= 25);
        near.map(|(_, line)| format!("  {line}\n")).collect()
    }

    /// What was said about the time of each line that has these words.
    pub(crate) fn of(&self, words: &str) -> String {
        let lines = self.ours.iter().filter(|(_, line)| line.contains(words));
        lines.map(|(number, _)| self.around(*number)).collect()
    }

    /// How many lines have these words.
    pub(crate) fn mentions(&self, words: &str) -> usize {
        self.ours.iter().filter(|(_, line)| line.contains(words)).count()
    }

    fn take(&mut self, line: String) {
        self.lines += 1;
        let wrong = line.contains("panicked") || SECRETS.iter().any(|secret| line.contains(secret));
        if wrong && self.wrong.is_none() {
            self.wrong = Some(line.clone());
        }
        if line.contains("\"target\":\"sidekey") || wrong {
            self.ours.push((self.lines, line));
        }
    }
}

/// A running agent.
pub(crate) struct Agent {
    child: Child,
    reader: Option<JoinHandle<()>>,
    /// Sockets that were found out about, and those of them that are no connection.
    judged: BTreeSet<u64>,
    own: BTreeSet<u64>,
}

impl Agent {
    /// `spoilt` as in [`spoil`].
    pub(crate) fn start(
        config: &AgentConfig,
        clock: &Path,
        termination: PathBuf,
        spoilt: Option<&str>,
        said: &Arc<Mutex<Said>>,
    ) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .env_clear()
            .envs(spoilt.map(|what| (SPOILT, what)))
            .envs(config.to_env().unwrap())
            .env(CLOCK, clock)
            .env(TERMINATION, termination);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, said) = (child.stderr.take().unwrap(), said.clone());
        Self {
            child,
            reader: Some(std::thread::spawn(move || listen(stderr, &said))),
            judged: BTreeSet::new(),
            own: BTreeSet::new(),
        }
    }

    /// As the kernel's out-of-memory killer does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.reap();
    }

    /// Ends it as the kubelet does; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        nix::sys::signal::kill(self.pid(), nix::sys::signal::Signal::SIGTERM).unwrap();
        self.reap()
    }

    fn reap(&mut self) -> Option<i32> {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.code()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Connections that it holds, accepted or not: its sockets but for those of its own, which are unix sockets or listen.
    pub(crate) fn connections(&mut self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten().flatten();
        let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        let number = |link: PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok();
        let sockets: BTreeSet<u64> = links.filter_map(number).collect();
        // The tables are read for new ones only.
        if !sockets.is_subset(&self.judged) {
            let table = |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
            let word = |line: &str, at: usize| line.split_whitespace().nth(at).map(str::to_owned);
            let (unix, tcp) = (table("unix"), table("tcp"));
            let unix = unix.lines().filter_map(|line| word(line, 6)?.parse().ok());
            // Those that listen (`tcp_states.h`).
            let ports = tcp.lines().filter(|line| word(line, 3).as_deref() == Some("0A"));
            let own: BTreeSet<u64> = unix.chain(ports.filter_map(|line| word(line, 9)?.parse().ok())).collect();
            self.own = sockets.intersection(&own).copied().collect();
            self.judged.clone_from(&sockets);
        }
        sockets.difference(&self.own).count()
    }

    /// Anonymous memory, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
        line.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stderr: ChildStderr, said: &Mutex<Said>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        said.lock().unwrap().take(line);
    }
}
