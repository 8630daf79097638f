//! Runs a program and kills it before its n-th system call that changes something: a file, a directory, a socket's stream.
//!
//! `ptrace(2)` from the parent: the program is none the wiser, and the kernel ends it between two calls, as it does with any
//! process that is killed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Longest run.
const LONGEST: Duration = Duration::from_secs(30);

/// Calls that change something outside the process.
const CHANGES: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_fchmod,
    libc::SYS_ftruncate,
    libc::SYS_mkdirat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
];

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Killed before the call.
    Killed,
    /// `done` came before it made as many calls.
    Done,
}

/// Runs until the call or until `done` says that all is done; `log` takes what it says.
///
/// # Errors
/// The machine does not let its processes be traced, or the program ended by itself.
pub(crate) fn run(
    command: &[&str],
    env: &[(String, String)],
    log: &Path,
    nth: usize,
    done: impl Fn() -> bool,
) -> Result<Fate, String> {
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    // It waits in a shell until it is traced.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "read -r go; exec \"$0\" \"$@\""]).args(command).env_clear().envs(env.iter().cloned());
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
    let seized = ptrace::seize(pid, options).and_then(|()| ptrace::interrupt(pid));
    if let Err(error) = seized {
        let _ = (child.kill(), child.wait());
        return Err(format!("no process can be traced here: {error}"));
    }
    follow(&mut child, pid, nth, done)
}

fn follow(child: &mut Child, pid: Pid, nth: usize, done: impl Fn() -> bool) -> Result<Fate, String> {
    let (begun, mut looked) = (Instant::now(), Instant::now());
    // Stops at a call's entry and at its exit take turns; the first one after `execve` is its exit.
    let (mut counts, mut calls, mut enters) = (false, 0, false);
    let mut fate = None;
    loop {
        let went_on = match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::StillAlive) => {
                if looked.elapsed() > Duration::from_millis(10) {
                    looked = Instant::now();
                    if fate.is_none() && (begun.elapsed() > LONGEST || done()) {
                        fate = Some(Fate::Done);
                        let _ = kill(pid, Signal::SIGKILL);
                    }
                }
                sleep(Duration::from_micros(20));
                continue;
            }
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => break,
            Ok(WaitStatus::PtraceSyscall(_)) => {
                let entered = enters;
                enters = !entered;
                if counts && entered && fate.is_none() && number(pid).is_some_and(|number| CHANGES.contains(&number)) {
                    calls += 1;
                    if calls == nth {
                        fate = Some(Fate::Killed);
                        let _ = kill(pid, Signal::SIGKILL);
                        continue;
                    }
                }
                ptrace::syscall(pid, None)
            }
            Ok(WaitStatus::PtraceEvent(_, _, event)) => {
                if event == libc::PTRACE_EVENT_EXEC {
                    (counts, enters) = (true, false);
                }
                let went_on = ptrace::syscall(pid, None);
                if let Some(mut gate) = child.stdin.take() {
                    let _ = gate.write_all(b"go\n");
                }
                went_on
            }
            Ok(WaitStatus::Stopped(_, signal)) => ptrace::syscall(pid, signal),
            other => return Err(format!("tracing: {other:?}")),
        };
        // It was killed meanwhile, which the next round sees.
        let _ = went_on;
    }
    if begun.elapsed() > LONGEST {
        return Err(format!("it is not done after {LONGEST:?}"));
    }
    fate.ok_or_else(|| format!("it ended by itself after {calls} calls"))
}

#[cfg(target_arch = "x86_64")]
fn number(pid: Pid) -> Option<libc::c_long> {
    ptrace::getregs(pid).ok().and_then(|registers| libc::c_long::try_from(registers.orig_rax).ok())
}

#[cfg(target_arch = "aarch64")]
fn number(pid: Pid) -> Option<libc::c_long> {
    ptrace::getregs(pid).ok().and_then(|registers| libc::c_long::try_from(registers.regs[8]).ok())
}
