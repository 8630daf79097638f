//! What templates may see: Vault's answers, and files of this container but the agent's own.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sidekey_core::{Lookup, Response, Sensitive};

use crate::session::Answers;

/// Longest file that is read for a template, in bytes.
const LONGEST: u64 = 1 << 20;

/// The kernel's view of processes: memory, environment, and other ways to each file.
const PROCESSES: &str = "/proc";

/// The answers of one login, and the files.
pub(crate) struct Local<'a> {
    pub(crate) answers: &'a Answers,
    /// The agent's own directory, with its token: no template reads there.
    pub(crate) private: &'a str,
}

impl sidekey_template::Answers for Local<'_> {
    fn get(&self, lookup: &Lookup) -> Option<Arc<Response>> {
        self.answers.get(lookup).cloned()
    }

    fn file(&self, path: &str, sandbox: Option<&str>) -> Option<Result<Sensitive<Vec<u8>>, String>> {
        Some(self.read(path, sandbox).map_err(|answer| format!("{path}: {answer}")))
    }
}

impl Local<'_> {
    /// Where links lead counts, not how the path is written.
    fn read(&self, path: &str, sandbox: Option<&str>) -> Result<Sensitive<Vec<u8>>, String> {
        let there = |path: &str| fs::canonicalize(path).map_err(|error| error.to_string());
        if !Path::new(path).is_absolute() {
            return Err("write the whole path, from / on".to_owned());
        }
        let real = there(path)?;
        if real.starts_with(PROCESSES) || there(self.private).is_ok_and(|private| real.starts_with(private)) {
            return Err("it is of the agent's own, which templates do not read".to_owned());
        }
        if let Some(sandbox) = sandbox
            && !there(sandbox).is_ok_and(|sandbox| real.starts_with(sandbox))
        {
            return Err(format!("it is outside of the sandbox {sandbox}"));
        }
        regular(&real)
    }
}

/// What a regular file of bounded length holds.
///
/// # Errors
/// The system's, in its words; it is no regular file, or too long.
pub(crate) fn regular(path: &Path) -> Result<Sensitive<Vec<u8>>, String> {
    // A pipe or a device would be waited for.
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is no regular file".to_owned());
    }
    let mut bytes = Sensitive::new(Vec::new());
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.take(LONGEST + 1).read_to_end(bytes.expose_mut()).map_err(|error| error.to_string())?;
    if length as u64 > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST >> 10));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_what_is_meant_for_templates_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for (name, text) in [("box/a", "in"), ("out", "out"), ("state/state", "token")] {
            fs::create_dir_all(Path::new(&at(name)).parent().unwrap()).unwrap();
            fs::write(at(name), text).unwrap();
        }
        fs::write(at("long"), vec![b'x'; (1 << 20) + 1]).unwrap();
        symlink(at("out"), at("box/escape")).unwrap();
        symlink(at("state"), at("box/own")).unwrap();
        let (answers, private, sandbox) = (Answers::new(), at("state"), at("box"));
        let local = Local { answers: &answers, private: &private };
        let read = |path: &str, sandbox: Option<&str>| match local.read(path, sandbox) {
            Ok(bytes) => String::from_utf8(bytes.expose().clone()).unwrap(),
            Err(answer) => answer,
        };
        let outside = format!("it is outside of the sandbox {sandbox}");
        let own = "it is of the agent's own, which templates do not read";
        let cases = [
            (at("box/a"), None, "in"),
            (at("box/a"), Some(sandbox.as_str()), "in"),
            (at("out"), None, "out"),
            (at("out"), Some(sandbox.as_str()), &outside),
            (at("box/escape"), Some(sandbox.as_str()), &outside),
            (at("box/../out"), Some(sandbox.as_str()), &outside),
            (at("box/own/state"), None, own),
            (at("state/state"), None, own),
            ("/proc/self/environ".to_owned(), None, own),
            (format!("/proc/self/root{private}/state"), None, own),
            ("box/a".to_owned(), None, "write the whole path, from / on"),
            (at("box"), None, "it is no regular file"),
            ("/dev/zero".to_owned(), None, "it is no regular file"),
            (at("long"), None, "it is longer than 1024 KiB"),
        ];
        for (path, sandbox, want) in cases {
            assert_eq!(read(&path, sandbox), want, "{path}");
        }
        assert!(read(&at("gone"), None).contains("No such file"));
    }
}
