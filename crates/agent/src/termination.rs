//! The message that `kubectl describe pod` shows for an ended container.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// `terminationMessagePath`'s default (Kubernetes API, `Container`).
pub const PATH: &str = "/dev/termination-log";

/// The kubelet keeps 4096 bytes.
const LONGEST: usize = 4_000;

/// Writes the message if the kubelet has put a file there; no other place is made for it.
pub fn write(path: &Path, message: &str) {
    let cut = &message[..message.floor_char_boundary(LONGEST)];
    let opened = OpenOptions::new().write(true).truncate(true).open(path);
    if let Err(error) = opened.and_then(|mut file| writeln!(file, "{cut}")) {
        tracing::debug!(path = %path.display(), %error, "no termination message written");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn writes_where_a_file_is_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        write(&path, "x");
        assert!(!path.exists());
        fs::write(&path, "before, and longer").unwrap();
        write(&path, "SK3104 …");
        assert_eq!(fs::read_to_string(&path).unwrap(), "SK3104 …\n");
        write(&path, &"ä".repeat(4_000));
        assert!(fs::metadata(&path).unwrap().len() <= 4_096);
    }
}
