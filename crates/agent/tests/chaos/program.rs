//! A program of the app's container, started by `sidekey-agent exec` with a value that does not change: whatever becomes of agent
//! and server, nobody touches it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pod::Pod;
use crate::steps::BINARY;
use crate::watch::Wrong;

/// Each start leaves a line, and the length of the value in it.
const SCRIPT: &str = r#"echo ${#PASSWORD} >> "$0"; trap 'exit 7' TERM; while :; do sleep 0.2; done"#;

/// Real time for it to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Program {
    child: Child,
    starts: PathBuf,
}

impl Program {
    /// It waits for the first agent.
    pub(crate) fn start(pod: &Pod) -> Self {
        let starts = pod.path("starts");
        let mut command = Command::new(BINARY);
        command.args(["exec", "--on-change=restart", "--socket"]).arg(pod.path("exec/env.sock"));
        command.args(["--", "sh", "-c", SCRIPT]).arg(&starts);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), starts }
    }

    /// At any time: it runs, or waits for its values.
    pub(crate) fn look(&mut self) -> Result<(), Wrong> {
        match self.child.try_wait().unwrap() {
            None => Ok(()),
            Some(status) => Err(format!("the program has ended with {status}")),
        }
    }

    /// It was started once and for all, and ends as itself.
    pub(crate) fn finish(&mut self) -> Result<(), Wrong> {
        self.look()?;
        let starts = std::fs::read_to_string(&self.starts).unwrap_or_default();
        let code = self.end();
        let once = starts.lines().count() == 1 && starts.trim() != "0";
        if once && code == Some(7) {
            return Ok(());
        }
        Err(format!("the program ended with {code:?} after {} starts: {starts:?}", starts.lines().count()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal);
    }

    fn end(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            if begun.elapsed() > PATIENCE {
                self.signal(Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.look().is_ok() {
            self.end();
        }
    }
}
