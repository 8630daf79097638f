//! `ready`: from the running agent's status to one line and an exit code.

use std::io;
use std::time::{Duration, Instant};

use sidekey_core::{Cause, Code};

use crate::exit::Exit;
use crate::status::{Phase, Status};

/// Short beside a start of some 30 ms, long beside a read of some 10 µs.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until the agent is ready or `wait` is over. Blocks; a probe is a process of its own.
pub fn wait(state_dir: &str, wait: Duration) -> (Exit, String) {
    let until = Instant::now() + wait;
    loop {
        let (exit, line) = look(state_dir);
        if exit == Exit::Done || Instant::now() >= until {
            return (exit, line);
        }
        std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
    }
}

fn look(state_dir: &str) -> (Exit, String) {
    match Status::load(state_dir) {
        Ok(status) if status.phase == Phase::Starting => (Exit::NotReady, status.line()),
        Ok(status) => (Exit::Done, status.line()),
        Err(error) => (Exit::NotReady, unread(&error).to_string()),
    }
}

/// Why there is no status to show.
pub fn unread(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::NotFound => Cause::new(Code::NotReady, "asking the agent", "it has written no status yet"),
        _ => Cause::new(Code::NotReady, "reading the agent's status", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::starting;

    #[test]
    fn waits_for_the_first_set_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap().to_owned();
        let (exit, line) = wait(&path, Duration::ZERO);
        assert_eq!(exit, Exit::NotReady);
        assert!(line.starts_with("SK5006 asking the agent: it has written no status yet."), "{line}");

        starting().save(&path).unwrap();
        let begun = Instant::now();
        assert_eq!(wait(&path, Duration::from_millis(60)).0, Exit::NotReady);
        assert!(begun.elapsed() >= Duration::from_millis(60));

        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                std::thread::sleep(Duration::from_millis(50));
                Status { phase: Phase::Ready, ..starting() }.save(&path).unwrap();
            }
        });
        assert_eq!(wait(&path, Duration::from_secs(10)).0, Exit::Done);
        assert!(begun.elapsed() < Duration::from_secs(5));
        writer.join().unwrap();
    }
}
