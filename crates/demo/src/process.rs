//! The agent as a process: started as a container runtime would, asked as a kubelet would, ended by SIGTERM.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::sleep;

use crate::failure::{Doing as _, Failure};
use crate::kubelet;
use crate::rootfs::RootFs;
use crate::screen::Step;

/// Steps of waiting.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// A running agent, killed when dropped.
pub(crate) struct Agent {
    pub root: RootFs,
    pub env: Vec<(String, String)>,
    pub started: Instant,
    probe: Vec<String>,
    child: Child,
    log: PathBuf,
    _logs: tempfile::TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Agent {
    /// Starts the container's program with its arguments and environment.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(root: RootFs, container: &Value) -> Result<Self, Failure> {
        let env = kubelet::environment(container)?;
        let logs = tempfile::tempdir().doing("making a place for the log")?;
        let log = logs.path().join("log");
        let output = File::create(&log).doing("making the log")?;
        let errors = output.try_clone().doing("making the log")?;
        let mut command = root.command(&words(&container["args"]), &env)?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().doing("starting the agent")?;
        let probe = words(&container["startupProbe"]["exec"]["command"]);
        Ok(Self { root, env, started: Instant::now(), probe, child, log, _logs: logs })
    }

    /// Runs the container's startup probe once: whether it succeeded, and the line it printed.
    ///
    /// # Errors
    /// There is no probe, or it cannot be run.
    pub(crate) async fn probe(&self) -> Result<(bool, String), Failure> {
        let (_, args) = self.probe.split_first().doing("finding the startup probe")?;
        let mut command = self.root.command(args, &self.env)?;
        let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output());
        let output = output.await.doing("running the startup probe")?.doing("running the startup probe")?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    /// The text of one of the container's files.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.path(path)).ok()
    }

    /// Sends SIGTERM and waits for the end, at most ten seconds.
    ///
    /// # Errors
    /// It goes on, or cannot be signalled.
    pub(crate) async fn terminate(&mut self) -> Result<(ExitStatus, Duration), Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).doing("ending the agent")?;
        let sent = Instant::now();
        kill_process(pid, Signal::TERM).doing("ending the agent")?;
        while sent.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().doing("ending the agent")? {
                return Ok((status, sent.elapsed()));
            }
            sleep(TICK).await;
        }
        Err(Failure::of("ending the agent", &"it goes on 10 s after SIGTERM"))
    }

    /// What `ready` says in place of ready, as soon as it is a coded cause; the last line after so long.
    ///
    /// # Errors
    /// The command cannot be run.
    pub(crate) async fn explanation(&self, longest: Duration) -> Result<String, Failure> {
        let (begun, doing) = (Instant::now(), "asking the agent whether it is ready");
        loop {
            let mut command = self.root.command(&["ready".to_owned()], &self.env)?;
            let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output());
            let output = output.await.doing(doing)?.doing(doing)?;
            let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if line.starts_with("SK3") || begun.elapsed() > longest {
                return Ok(line);
            }
            sleep(TICK * 5).await;
        }
    }

    /// The step with the agent's last lines, for a failure.
    pub(crate) fn with_log(&self, step: Step) -> Step {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(8)).fold(step, |step, line| step.field("log", *line))
    }
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// Waits until `done` gives something, at most so long.
pub(crate) async fn until<T>(longest: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        if start.elapsed() >= longest {
            return None;
        }
        sleep(TICK).await;
    }
}
