//! A guide's own commands, run as it has them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks of a language in a file of `docs/`, in order.
///
/// # Panics
/// When it cannot be read.
pub fn blocks(file: &str, language: &str) -> Vec<String> {
    let path = root().join("docs").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

/// The one of them that has these words.
///
/// # Panics
/// When there is none, or more than one.
pub fn block<'b>(blocks: &'b [String], words: &str) -> &'b str {
    let found: Vec<_> = blocks.iter().filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "blocks with {words:?}");
    found[0]
}

/// Runs commands in a directory, each of which must succeed; what they print.
///
/// # Panics
/// When one fails, with what all of them printed.
pub fn run(directory: &Path, commands: &str) -> String {
    let done = Command::new("bash").args(["-eo", "pipefail", "-c", commands]).current_dir(directory).output();
    let done = done.unwrap_or_else(|error| panic!("bash: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, words) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{commands}\n{out}{words}");
    out
}
