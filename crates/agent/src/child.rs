//! A program with its environment: started, signalled, started anew after a change, waited for; and whatever it leaves behind,
//! where this process is the first of its container.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, umask, wait};
use sidekey_core::contract::ENV;
use sidekey_core::{Cause, Code};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::environment::Handed;

/// What is sent on to the program. Those that a terminal sends to all go to the program by themselves, as well.
const SENT_ON: [Signal; 9] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::CONT,
    Signal::WINCH,
];

/// A change is followed after this, as several secrets may change at once.
const SETTLE: Duration = Duration::from_secs(2);

/// A program that does not end when asked, for a change, is killed after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The budget of restarts: as many in as long.
const RESTARTS: (usize, Duration) = (5, Duration::from_secs(600));

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program and its arguments; never empty.
    pub(crate) words: Vec<String>,
    /// Start it anew when its environment changes.
    pub(crate) restart: bool,
    /// What asks it to end then.
    pub(crate) stop: sidekey_core::contract::Signal,
}

/// The program and what it needs of this process.
pub(crate) struct Runner {
    pub(crate) program: Program,
    /// For its files, where this process has another one for its own.
    pub(crate) umask: Option<Mode>,
    signals: mpsc::Receiver<i32>,
    budget: Budget,
}

/// How a program ended.
enum Ended {
    /// By itself, or as somebody else asked.
    With(u8),
    /// For a new start.
    ForChange,
}

impl Runner {
    /// From now on signals are for the program. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new(program: Program) -> io::Result<Self> {
        Ok(Self { program, umask: None, signals: signals()?, budget: Budget::default() })
    }

    /// Waits for an environment; the exit code where a signal comes before it.
    pub(crate) async fn first(&mut self, desk: &mut watch::Receiver<Handed>) -> Result<(), u8> {
        loop {
            if desk.borrow_and_update().is_some() {
                return Ok(());
            }
            tokio::select! {
                Ok(()) = desk.changed() => {}
                Some(number) = self.signals.recv() => {
                    if let Some(Signal::HUP | Signal::INT | Signal::QUIT | Signal::TERM) = Signal::from_named_raw(number) {
                        return Err(code(128 + number));
                    }
                }
            }
        }
    }

    /// Becomes the program: nothing of this process is left. Only comes back when that cannot be.
    pub(crate) fn become_program(&self, desk: &watch::Receiver<Handed>) -> u8 {
        unstarted(&self.program.words[0], &self.command(desk).exec())
    }

    /// Runs the program until it ends, and starts it anew after changes; its exit code.
    pub(crate) async fn run(&mut self, desk: &mut watch::Receiver<Handed>) -> u8 {
        loop {
            let pid = match self.spawn(desk) {
                Ok(pid) => pid,
                Err(error) => return unstarted(&self.program.words[0], &error),
            };
            match self.watch_over(pid, desk).await {
                Ended::With(code) => return code,
                Ended::ForChange => tracing::info!("starting the program anew: its environment has changed"),
            }
        }
    }

    fn spawn(&self, desk: &mut watch::Receiver<Handed>) -> io::Result<Pid> {
        desk.mark_unchanged();
        let ours = self.umask.map(umask);
        let child = self.command(desk).spawn();
        if let Some(ours) = ours {
            umask(ours);
        }
        let id = child?.id();
        i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn command(&self, desk: &watch::Receiver<Handed>) -> Command {
        let mut command = Command::new(&self.program.words[0]);
        command.args(&self.program.words[1..]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(ENV.as_bytes())) {
            command.env_remove(name);
        }
        let environment = desk.borrow().clone();
        let variables = environment.iter().flat_map(|bytes| bytes.expose().split(|byte| *byte == 0));
        for variable in variables {
            if let Some(at) = variable.iter().position(|byte| *byte == b'=') {
                command.env(OsStr::from_bytes(&variable[..at]), OsStr::from_bytes(&variable[at + 1..]));
            }
        }
        command
    }

    async fn watch_over(&mut self, pid: Pid, desk: &mut watch::Receiver<Handed>) -> Ended {
        let running = desk.borrow().clone();
        // `stopping` for a new start; once somebody has asked for the end there is none.
        let (mut stopping, mut follows) = (false, self.program.restart);
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                Some(number) = self.signals.recv() => match Signal::from_named_raw(number) {
                    Some(Signal::CHILD) => match reap(pid) {
                        Some(_) if stopping => return Ended::ForChange,
                        Some(status) => return Ended::With(status),
                        None => {}
                    },
                    Some(signal) => {
                        if signal == Signal::TERM {
                            (stopping, follows, due) = (false, false, None);
                        }
                        send(pid, signal);
                    }
                    None => {}
                },
                Ok(()) = desk.changed(), if follows && !stopping => {
                    let may = self.budget.next(Instant::now()) + SETTLE;
                    if due.replace(due.map_or(may, |due| due.min(may))).is_none() && self.budget.is_spent() {
                        tracing::warn!(most = RESTARTS.0, seconds = RESTARTS.1.as_secs(), "too many restarts: the next one waits");
                    }
                }
                () = until(due) => match (stopping, *desk.borrow() == running) {
                    (true, _) => {
                        tracing::warn!(seconds = PATIENCE.as_secs(), "the program did not end when asked: killing it");
                        due = None;
                        send(pid, Signal::KILL);
                    }
                    (false, true) => due = None,
                    (false, false) => {
                        self.budget.take(Instant::now());
                        (stopping, due) = (true, Some(Instant::now() + PATIENCE));
                        send(pid, crate::action::number(self.program.stop));
                    }
                },
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The program may have ended by itself.
fn send(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::debug!(%error, "the signal did not arrive");
    }
}

/// Takes in all that have ended: orphans come to the first process of a container. The program's exit code, if it is one of them.
fn reap(program: Pid) -> Option<u8> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            ended = Some(exit_code(status));
        }
    }
    ended
}

fn exit_code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    code(status.exit_status().or(signal).unwrap_or(1))
}

fn code(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(1)
}

/// As shells have it.
fn unstarted(program: &str, error: &io::Error) -> u8 {
    let cause = Cause::new(Code::ProgramNotRun, format!("running {program}"), error.to_string());
    tracing::error!(code = %cause.code, "{cause}");
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}

fn signals() -> io::Result<mpsc::Receiver<i32>> {
    let (sender, receiver) = mpsc::channel(16);
    for number in SENT_ON.into_iter().chain([Signal::CHILD]).map(Signal::as_raw) {
        let (mut stream, sender) = (signal(SignalKind::from_raw(number))?, sender.clone());
        tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(number).await.is_ok() {} });
    }
    Ok(receiver)
}

/// When a restart may be. What is above it waits, and is never left out.
#[derive(Default)]
struct Budget(VecDeque<Instant>);

impl Budget {
    fn next(&mut self, now: Instant) -> Instant {
        let (most, period) = RESTARTS;
        self.0.retain(|at| *at + period > now);
        if self.0.len() < most { now } else { self.0[0] + period }
    }

    fn is_spent(&self) -> bool {
        self.0.len() >= RESTARTS.0
    }

    fn take(&mut self, now: Instant) {
        self.0.push_back(now);
        if self.0.len() > RESTARTS.0 {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_bounded_and_none_is_left_out() {
        let (begun, mut budget) = (Instant::now(), Budget::default());
        let second = Duration::from_secs(1);
        for count in 0..5_u32 {
            let now = begun + second * count;
            assert_eq!(budget.next(now), now);
            budget.take(now);
        }
        assert!(budget.is_spent());
        let late = begun + Duration::from_secs(600);
        assert_eq!(budget.next(begun + second * 5), late, "when the first of five is ten minutes old");
        budget.take(late);
        assert_eq!(budget.next(late), late + second, "the window slides");
        assert_eq!(budget.next(late + Duration::from_secs(3_600)), late + Duration::from_secs(3_600));
    }
}
