//! Files that only the agent reads: state, status, token.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::statfs;

use crate::dir::Dir;

/// Replaces a file by one rename; a directory that is missing is made for us alone.
///
/// # Errors
/// The system's.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (parent, name) = parts(path)?;
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let dir = Dir::root(parent)?;
    // One process writes here, so one name for the unfinished file is enough, and a left-over is overwritten.
    let unfinished = format!("..sidekey-{name}");
    dir.remove(&unfinished);
    dir.write_new(&unfinished, bytes, mode)?;
    dir.rename(&unfinished, &dir, name).inspect_err(|_| dir.remove(&unfinished))
}

/// What `statfs` calls file systems that are in memory alone: tmpfs and ramfs (`linux/magic.h`).
const MEMORY: [i128; 2] = [0x0102_1994, 0x8584_58f6];

/// Whether what is kept in the directory stays in memory. One that is not there yet is judged by the nearest above it.
pub(crate) fn is_in_memory(dir: &Path) -> bool {
    let system = dir.ancestors().find_map(|dir| statfs(dir).ok());
    system.is_some_and(|system| MEMORY.contains(&i128::from(system.f_type)))
}

/// Removes a file; absent is as good.
///
/// # Errors
/// The system's.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parts(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        fs::write(dir.path().join("..sidekey-state.json"), "half").unwrap();
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
