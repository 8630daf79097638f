//! The binary as a process, and what it has said so far.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use super::LONG;

/// Its log is read as it comes.
pub(crate) struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, lines) = (BufReader::new(child.stderr.take().unwrap()), Arc::<Mutex<Vec<String>>>::default());
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Through the system's own `kill`.
    pub(crate) fn signal(&self, name: &str) {
        Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
    }

    /// In how many lines it has said the words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until it has said the words this often.
    pub(crate) async fn said(&self, words: &str, times: usize) {
        let begun = Instant::now();
        while self.count(words) < times {
            assert!(begun.elapsed() < LONG, "{words}: {:#?}", self.lines.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// By SIGTERM; the exit code, or -1 where a signal ended it, and all that it has said.
    pub(crate) async fn end(self) -> (i32, String) {
        self.signal("TERM");
        self.ended().await
    }

    /// The same without a signal.
    pub(crate) async fn ended(mut self) -> (i32, String) {
        let ended = spawn_blocking(move || {
            let begun = Instant::now();
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return (status.code().unwrap_or(-1), self.lines);
                }
                assert!(begun.elapsed() < LONG, "it does not end: {:#?}", self.lines.lock().unwrap());
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let (code, lines) = ended.await.unwrap();
        // The reader has them all once it has let go of its half.
        let begun = Instant::now();
        while Arc::strong_count(&lines) > 1 && begun.elapsed() < LONG {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let text = lines.lock().unwrap().join("\n");
        (code, text)
    }
}
