//! A program that gives process 1 of its container its duties: orphans to take in, signals to hand on, an exit code to pass on.

use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, io};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Orphans that are left behind.
const ORPHANS: usize = 3;

/// What SIGTERM ends this program with.
const CODE: u8 = 7;

/// Leaves orphans behind, says how many of all processes are zombies once they have ended, then says each SIGUSR1 until SIGTERM.
pub(crate) async fn work() -> io::Result<ExitCode> {
    let (mut told, mut ended) = (signal(SignalKind::user_defined1())?, signal(SignalKind::terminate())?);
    for _ in 0..ORPHANS {
        Command::new(env::current_exe()?).arg("orphan").status()?;
    }
    sleep(Duration::from_secs(2)).await;
    crate::say(&format!("{} zombies after {ORPHANS} orphans", zombies()?))?;
    loop {
        tokio::select! {
            _ = told.recv() => crate::say("SIGUSR1")?,
            _ = ended.recv() => return Ok(ExitCode::from(CODE)),
        }
    }
}

/// Ends at once, and leaves a child behind that ends a little later.
pub(crate) fn orphan() -> io::Result<()> {
    Command::new(env::current_exe()?).arg("nap").spawn().map(drop)
}

/// Ends a little later.
pub(crate) async fn nap() {
    sleep(Duration::from_millis(500)).await;
}

fn zombies() -> io::Result<usize> {
    let stats = fs::read_dir("/proc")?.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    // `pid (name) state …`: a name may hold anything, also a parenthesis.
    Ok(stats.filter(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))).count())
}
