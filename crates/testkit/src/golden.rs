//! Golden files: the expected output stands in the repository and is reviewed like code.
//!
//! ```no_run
//! # let patched = String::new();
//! sidekey_testkit::golden::check("tests/golden/native.json", &patched);
//! ```
//!
//! `cargo test` runs in the package's folder, so paths are relative to its `Cargo.toml`. `UPDATE_GOLDEN=1 cargo test -p NAME`
//! rewrites the files (and makes their folders); look at the difference before it is committed.

use std::fs;
use std::path::Path;

/// Lines around a change.
const CONTEXT: usize = 3;

/// Changed regions with more lines than this on a side are shown whole, first the one, then the other.
const MAX_LINES: usize = 2000;

/// Asserts that `actual` is what the file says; a final newline does not matter.
///
/// # Panics
/// With the difference in lines: `-` is the file, `+` is the actual text.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion")]
pub fn check(path: impl AsRef<Path>, actual: &str) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    if let Err(text) = compare(path.as_ref(), actual, update) {
        panic!("{text}");
    }
}

/// The same for JSON: compared and written with two spaces per level, keys in their own order.
///
/// # Panics
/// As [`check`].
#[track_caller]
pub fn check_json(path: impl AsRef<Path>, actual: &serde_json::Value) {
    check(path, &format!("{actual:#}"));
}

fn compare(path: &Path, actual: &str, update: bool) -> Result<(), String> {
    let actual = format!("{}\n", actual.trim_end_matches('\n'));
    if update {
        let folder = path.parent().unwrap_or(Path::new("."));
        return fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, &actual))
            .map_err(|error| format!("cannot write {}: {error}", path.display()));
    }
    let hint = "UPDATE_GOLDEN=1 writes it";
    let expected =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error} ({hint})", path.display()))?;
    if expected.trim_end_matches('\n') == actual.trim_end_matches('\n') {
        return Ok(());
    }
    Err(format!("{} differs ({hint}):\n{}", path.display(), difference(&expected, &actual)))
}

/// What changed, line by line, with a little around it.
pub fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = old.iter().zip(&new).take_while(same).count();
    let (old_rest, new_rest) = (old.get(start..).unwrap_or_default(), new.get(start..).unwrap_or_default());
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
    let removed = old_rest.get(..old_rest.len() - end).unwrap_or_default();
    let added = new_rest.get(..new_rest.len() - end).unwrap_or_default();

    let mut text = format!("@@ line {} @@\n", start + 1);
    let mut line = |mark: char, content: &str| {
        text.push(mark);
        text.push_str(content);
        text.push('\n');
    };
    for content in old.iter().take(start).skip(start.saturating_sub(CONTEXT)) {
        line(' ', content);
    }
    for (mark, content) in edits(removed, added) {
        line(mark, content);
    }
    for content in old.iter().skip(old.len() - end).take(CONTEXT) {
        line(' ', content);
    }
    text
}

/// A shortest edit by longest common subsequence.
fn edits<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    if old.len().max(new.len()) > MAX_LINES {
        return old.iter().map(|line| ('-', *line)).chain(new.iter().map(|line| ('+', *line))).collect();
    }
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    let at = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a == b {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(cell) = longest.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (None, None) => return out,
            (Some(a), Some(b)) if a == b => {
                out.push((' ', *a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                out.push(('-', *a));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(('+', *b));
                j += 1;
            }
            (Some(_), None) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_changed_lines_with_a_little_around_them() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\nnew\ng\nh\n";
        assert_eq!(difference(old, new), "@@ line 5 @@\n b\n c\n d\n-e\n+E\n f\n+new\n g\n h\n");
        assert_eq!(difference("", "x\n"), "@@ line 1 @@\n+x\n");
        assert_eq!(difference("x\ny\n", "x\n"), "@@ line 2 @@\n x\n-y\n");
    }

    #[test]
    fn a_missing_file_is_a_failure_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er.txt");
        assert!(compare(&path, "text", false).unwrap_err().contains("UPDATE_GOLDEN=1"));
        compare(&path, "text", true).unwrap();
        compare(&path, "text\n", false).unwrap();
        let failure = compare(&path, "other", false).unwrap_err();
        assert!(failure.contains("-text\n+other\n"), "{failure}");
    }
}
