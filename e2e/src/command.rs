//! One program run to its end.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a program left.
pub struct Done {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// Its output.
    ///
    /// # Panics
    /// When it failed, with its words.
    pub fn expect(self, what: &str) -> String {
        assert!(self.ok, "{what}: {}{}", self.out, self.err);
        self.out
    }
}

/// Runs a program with `input`.
///
/// # Panics
/// When it cannot be started.
pub fn run(program: &str, args: &[&str], input: &str) -> Done {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why by itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done { ok: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
}
