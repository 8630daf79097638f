//! Directories of a volume, walked without following any link below its root.
//!
//! The app may write to the volume as well (`vault.hashicorp.com` dialect): a link it plants must not lead the agent, which
//! sees other volumes, to another place.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use sidekey_core::Sensitive;

/// Mode of directories that hold files for others.
const PUBLIC: u32 = 0o755;

const SETGID: u32 = 0o2000;
const PERMISSIONS: u32 = 0o7777;

/// An open directory; paths below it are single names.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// A regular file as it lies there. No `Debug`: it holds a secret.
pub(crate) struct Existing {
    /// Permission bits.
    pub(crate) mode: u32,
    /// Whether it belongs to this process's user.
    pub(crate) ours: bool,
    /// Its bytes.
    pub(crate) bytes: Sensitive<Vec<u8>>,
}

/// What a directory's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A file, or anything else.
    Other,
}

impl Dir {
    /// Opens a volume's root, which is made when it is not there; links on the way to it are followed.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn root(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        make_public(path)?;
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a subdirectory, unless `name` is a link.
    ///
    /// # Errors
    /// The system's; `ENOTDIR` or `ELOOP` for a link.
    pub(crate) fn open(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Makes a subdirectory with mode 0755, whatever the umask. A set-group-ID bit that the volume hands down (fsGroup) stays.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn make(&self, name: &str) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(PUBLIC))?;
        let made = self.open(name)?;
        let inherited = rustix::fs::fstat(&made.fd)?.st_mode & SETGID;
        rustix::fs::fchmod(&made.fd, Mode::from_raw_mode(PUBLIC | inherited))?;
        Ok(made)
    }

    /// Opens the directory of `relative` (`a/b/file`), making what is missing; returns it with the last name.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn parent_of<'a>(&self, relative: &'a str) -> io::Result<(Self, &'a str)> {
        let (parents, name) = split(relative);
        let open = |dir: Self, part: &&str| match dir.open(part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => dir.make(part),
            opened => opened,
        };
        parents.iter().try_fold(self.again()?, open).map(|dir| (dir, name))
    }

    /// Opens the directory of `relative` if it is there.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn find_parent_of<'a>(&self, relative: &'a str) -> io::Result<(Self, &'a str)> {
        let (parents, name) = split(relative);
        parents.iter().try_fold(self.again()?, |dir, part| dir.open(part)).map(|dir| (dir, name))
    }

    fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, path: self.path.clone() })
    }

    /// The regular file `name`, if it has no more than `longest` bytes; anything else is as good as absent.
    pub(crate) fn read(&self, name: &str, longest: u64) -> Option<Existing> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).ok()?;
        let stat = rustix::fs::fstat(&fd).ok()?;
        let length = u64::try_from(stat.st_size).ok()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || length > longest {
            return None;
        }
        let mut bytes = Sensitive::new(Vec::with_capacity(usize::try_from(length).ok()?));
        File::from(fd).take(longest).read_to_end(bytes.expose_mut()).ok()?;
        let ours = stat.st_uid == rustix::process::geteuid().as_raw();
        Some(Existing { mode: stat.st_mode & PERMISSIONS, ours, bytes })
    }

    /// Writes a new file whole, mode last; nothing is left of it when that fails.
    ///
    /// # Errors
    /// The system's; `EEXIST` when the name is taken.
    pub(crate) fn write_new(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?;
        let written = write_all(File::from(fd), bytes, mode);
        if written.is_err() {
            self.remove(name);
        }
        written
    }

    /// Gives a file to another user or group; `None` leaves it.
    ///
    /// # Errors
    /// The system's; `EPERM` for what only root may do.
    pub(crate) fn give(&self, name: &str, (user, group): (Option<u32>, Option<u32>)) -> io::Result<()> {
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        Ok(rustix::fs::chownat(&self.fd, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes an empty file with this mode, or sets the date of the one that is there.
    ///
    /// # Errors
    /// The system's; `ELOOP` for a link.
    pub(crate) fn touch(&self, name: &str, mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => {
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                Ok(rustix::fs::futimens(&fd, &Timestamps { last_access: now, last_modification: now })?)
            }
            Err(Errno::NOENT) => self.write_new(name, &[], mode),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames over whatever `to` is, also into another directory of the same volume.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn rename(&self, from: &str, to_dir: &Self, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &to_dir.fd, to)?)
    }

    /// Puts a link in place by one rename; `spare` is a free name beside it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn relink(&self, target: &str, name: &str, spare: &str) -> io::Result<()> {
        rustix::fs::symlinkat(target, &self.fd, spare)?;
        self.rename(spare, self, name).inspect_err(|_| self.remove(spare))
    }

    /// Where the link `name` points, if it is one.
    pub(crate) fn link(&self, name: &str) -> Option<String> {
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new()).ok()?;
        target.into_string().ok()
    }

    /// Removes a file or link; what cannot be removed is left for the next sweep.
    pub(crate) fn remove(&self, name: &str) {
        let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
    }

    /// Removes a file or link; absent is as good.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a directory and all below it, following nothing.
    pub(crate) fn remove_tree(&self, name: &str) {
        if let Ok(dir) = self.open(name) {
            for (entry, kind) in dir.entries() {
                if kind == Kind::Directory { dir.remove_tree(&entry) } else { dir.remove(&entry) }
            }
        }
        let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR);
    }

    /// Names that are UTF-8, with their kinds, without `.` and `..`.
    pub(crate) fn entries(&self) -> Vec<(String, Kind)> {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.fd) else { return Vec::new() };
        entries
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.file_name().to_str().ok()?.to_owned(), entry.file_type())))
            .filter(|(name, _)| name != "." && name != "..")
            .map(|(name, kind)| match kind {
                FileType::Directory => (name, Kind::Directory),
                FileType::Symlink => (name, Kind::Link),
                _ => (name, Kind::Other),
            })
            .collect()
    }
}

/// Makes the directories that are missing, mode 0755 whatever the umask.
fn make_public(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_public)?;
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(PUBLIC))
}

fn split(relative: &str) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = relative.split('/').collect();
    let name = parts.pop().unwrap_or(relative);
    (parts, name)
}

fn write_all(mut file: File, bytes: &[u8], mode: u32) -> io::Result<()> {
    file.write_all(bytes)?;
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
}
