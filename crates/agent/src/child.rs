//! A program with its environment: started, signalled, started anew after a change, waited for; and whatever it leaves behind,
//! where this process is the first of its container.

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

use crate::course::{Act, Course};
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
    course: Course,
}

/// How a program ended.
enum Ended {
    /// By itself, or as somebody else asked.
    With(u8),
    /// For a new start.
    ForChange,
}

impl Runner {
    /// From now on signals are for the program. `patience` is what it has to end in for a new start. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new(program: Program, patience: Option<Duration>) -> io::Result<Self> {
        let course = Course::new(program.restart, patience);
        Ok(Self { program, umask: None, signals: signals()?, course })
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
        self.course.started();
        loop {
            tokio::select! {
                Some(number) = self.signals.recv() => match Signal::from_named_raw(number) {
                    Some(Signal::CHILD) => match reap(pid) {
                        Some(_) if self.course.is_stopping() => return Ended::ForChange,
                        Some(status) => return Ended::With(status),
                        None => {}
                    },
                    Some(signal) => {
                        if signal == Signal::TERM {
                            self.course.asked_to_end();
                        }
                        send(pid, signal);
                    }
                    None => {}
                },
                Ok(()) = desk.changed(), if self.course.follows() => self.course.changed(Instant::now()),
                () = until(self.course.due()) => {
                    let is_another = *desk.borrow() != running;
                    match self.course.act(is_another, Instant::now()) {
                        Act::Nothing => {}
                        Act::Ask => send(pid, crate::action::number(self.program.stop)),
                        Act::Kill => send(pid, Signal::KILL),
                    }
                }
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
