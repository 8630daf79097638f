//! A root directory for one container, and the way into it. The crate's head says why.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::failure::{Doing as _, Failure};
use crate::kubelet;

/// How a program is started in the root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `unshare --user --root`: with the patch's uid and gid.
    UserNamespace,
    /// `chroot`, as root.
    Chroot,
    /// Not at all: paths in the environment get the directory as a prefix.
    Prefix,
}

impl Way {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::UserNamespace => "own root directory in a user namespace, no privileges",
            Self::Chroot => "own root directory by chroot, as root: this machine allows no user namespaces",
            Self::Prefix => "paths in its environment prefixed: this machine allows neither user namespaces nor chroot",
        }
    }
}

/// A container's files; gone when it is dropped.
pub(crate) struct RootFs {
    dir: TempDir,
    agent: PathBuf,
    pub way: Way,
    ids: (u64, u64),
    mounts: Vec<PathBuf>,
}

impl RootFs {
    /// Lays out the directories of `container`, finds a way in that works, and puts in the tokens that `jwt` makes.
    ///
    /// # Errors
    /// Files that cannot be made.
    pub(crate) fn build(
        agent: &Path,
        pod: &Value,
        container: &Value,
        jwt: impl Fn(&str) -> String,
    ) -> Result<Self, Failure> {
        let ids = kubelet::identity(pod, container);
        let mounts: Vec<_> = kubelet::mounts(pod, container).into_iter().map(|(path, _)| path).collect();
        let lay_out = |base: &Path, way: Way| Self::lay_out(base, agent, way, ids, &mounts);
        let usual = std::env::temp_dir();
        let mut built = None;
        // Memory first, as the volumes of a pod are; some machines let nothing be run from there.
        'search: for base in [Path::new("/dev/shm"), usual.as_path()] {
            for way in [Way::UserNamespace, Way::Chroot] {
                if let Ok(root) = lay_out(base, way)
                    && root.works()
                {
                    built = Some(root);
                    break 'search;
                }
            }
        }
        let root = match built {
            Some(root) => root,
            None => lay_out(&usual, Way::Prefix)?,
        };
        for token in kubelet::tokens(pod, container) {
            fs::write(root.path(&token.path), jwt(&token.audience)).doing("writing the pod's token")?;
        }
        Ok(root)
    }

    fn lay_out(base: &Path, agent: &Path, way: Way, ids: (u64, u64), mounts: &[PathBuf]) -> Result<Self, Failure> {
        let doing = "making a root directory";
        let dir = tempfile::Builder::new().prefix("sidekey-demo-").tempdir_in(base).doing(doing)?;
        let root = Self { dir, agent: agent.to_owned(), way, ids, mounts: mounts.to_vec() };
        for mount in &root.mounts {
            let place = root.path(mount);
            fs::create_dir_all(&place).doing(doing)?;
            // As a kubelet makes an emptyDir: any uid of the pod may write; nobody else gets past the directory above.
            fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).doing(doing)?;
        }
        fs::create_dir_all(root.path("/dev")).doing(doing)?;
        fs::write(root.path("/dev/termination-log"), "").doing(doing)?;
        if way != Way::Prefix {
            let mut files = libraries(agent);
            files.push((agent.to_owned(), PathBuf::from("/sidekey-agent")));
            for (from, to) in files {
                let place = root.path(&to);
                fs::create_dir_all(place.parent().unwrap_or(&place)).doing(doing)?;
                fs::copy(&from, &place).doing(doing)?;
            }
        }
        Ok(root)
    }

    /// Whether the program can be run in it.
    fn works(&self) -> bool {
        let Ok(mut command) = self.command(&["version".to_owned()], &[]) else { return false };
        let output = command.stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"sidekey-agent "))
    }

    /// Where a path of the container lies on this machine.
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        self.dir.path().join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// The agent's command with these arguments and exactly this environment.
    ///
    /// # Errors
    /// The helper program of the way is not installed.
    pub(crate) fn command(&self, args: &[String], env: &[(String, String)]) -> Result<Command, Failure> {
        let root = self.dir.path();
        let mut command = match self.way {
            Way::UserNamespace => {
                let mut command = Command::new(program("unshare")?);
                let (uid, gid) = self.ids;
                command.arg("--user").arg(format!("--map-user={uid}")).arg(format!("--map-group={gid}"));
                command.arg(format!("--root={}", root.display())).args(["--wd=/", "/sidekey-agent"]);
                command
            }
            Way::Chroot => {
                let mut command = Command::new(program("chroot")?);
                command.arg(root).arg("/sidekey-agent");
                command
            }
            Way::Prefix => Command::new(&self.agent),
        };
        command.args(args).env_clear();
        match self.way {
            Way::Prefix => command.envs(env.iter().map(|(name, value)| (name, self.prefixed(value)))),
            _ => command.envs(env.iter().map(|(name, value)| (name, value))),
        };
        Ok(command)
    }

    /// A JSON value whose texts that name a mounted path name it below the root directory.
    fn prefixed(&self, value: &str) -> String {
        let Ok(mut json) = serde_json::from_str::<Value>(value) else { return value.to_owned() };
        let below = |text: &str| self.mounts.iter().any(|mount| Path::new(text).starts_with(mount));
        let mut left = vec![&mut json];
        while let Some(value) = left.pop() {
            match value {
                Value::String(text) if below(text) => *text = self.path(&*text).display().to_string(),
                Value::Array(list) => left.extend(list),
                Value::Object(fields) => left.extend(fields.values_mut()),
                _ => {}
            }
        }
        json.to_string()
    }
}

/// A program of the system, by the usual places: the child's own environment has no `PATH`.
fn program(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    places.map(|place| place.join(name)).find(|place| place.is_file()).doing(format!("finding the program {name}"))
}

/// The shared libraries of a program, as its own loader finds them; none for a static one.
fn libraries(program: &Path) -> Vec<(PathBuf, PathBuf)> {
    // What ldd(1) does: the loader prints in place of running.
    let output = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let path = |line: &str| {
        let (before, _) = line.split_once(" (0x")?;
        let path = before.rsplit("=> ").next()?.trim();
        path.starts_with('/').then(|| (PathBuf::from(path), PathBuf::from(path)))
    };
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_only_texts_that_are_mounted_paths() {
        let base = tempfile::tempdir().unwrap();
        let mounts = [PathBuf::from("/secrets"), PathBuf::from("/sidekey/state")];
        let root = RootFs::lay_out(base.path(), Path::new("/bin/true"), Way::Prefix, (1, 1), &mounts).unwrap();
        let at = root.dir.path().display().to_string();
        let value = r#"{"a":["/secrets","/secretsx"],"b":{"c":"/sidekey/state/x"},"d":"see /secrets"}"#;
        let want =
            format!(r#"{{"a":["{at}/secrets","/secretsx"],"b":{{"c":"{at}/sidekey/state/x"}},"d":"see /secrets"}}"#);
        assert_eq!(root.prefixed(value), want);
        assert!(root.path("/secrets").is_dir() && root.path("/dev/termination-log").is_file());
    }

    #[test]
    fn finds_the_libraries_of_a_program() {
        let exe = std::env::current_exe().unwrap();
        for (from, to) in libraries(&exe) {
            assert!(from.is_file() && from == to, "{}", from.display());
        }
    }
}
