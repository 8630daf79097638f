//! What is of no use in a volume: sets that no link names, and what a killed agent left.

use std::collections::BTreeSet;
use std::time::Duration;

use sidekey_core::contract::Output;
use sidekey_core::time::Time;

use crate::dir::{Dir, Kind};
use crate::write::{UNFINISHED, current, is_set};

/// For how long a set that was replaced stays for readers in the middle of a path.
const LINGER: Duration = Duration::from_secs(5);

/// The sets that one group has replaced and not removed yet. Each group removes its own: in a directory of several groups
/// another's may have been replaced a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Lingering(Vec<Replaced>);

#[derive(Debug)]
struct Replaced {
    dir: String,
    set: String,
    until: Time,
}

impl Lingering {
    /// Takes note of the set that the link named `before`, if it names another one now, or none.
    pub(crate) fn replaced(&mut self, dir: &str, link: &str, before: Option<String>, now: Time) {
        if let Some(set) = before.filter(|before| current(dir, link).as_ref() != Some(before)) {
            self.0.push(Replaced { dir: dir.to_owned(), set, until: now + LINGER });
        }
    }

    /// When the next one goes.
    pub(crate) fn due(&self) -> Option<Time> {
        self.0.iter().map(|replaced| replaced.until).min()
    }

    /// Removes those whose time is over; one that stays nevertheless is tried again.
    pub(crate) fn tidy(&mut self, now: Time) {
        self.0.retain_mut(|replaced| {
            if replaced.until > now {
                return true;
            }
            replaced.until = now + LINGER;
            !remove_set(&replaced.dir, &replaced.set)
        });
    }

    /// Removes all of them, readers or not.
    pub(crate) fn end(&mut self, now: Time) {
        self.0.iter_mut().for_each(|replaced| replaced.until = now);
        self.tidy(now);
    }
}

/// Whether it is gone.
fn remove_set(dir: &str, set: &str) -> bool {
    Dir::root(dir).is_ok_and(|root| {
        root.remove_tree(set);
        root.open(set).is_err()
    })
}

/// Removes all of no use around these outputs of a directory. Only before the first write: nobody knows then when a set was
/// replaced, and later it might be a moment ago, by another group.
pub(crate) fn sweep<'a>(dir: &str, outputs: impl IntoIterator<Item = &'a Output>) {
    let Ok(root) = Dir::root(dir) else { return };
    let mut seen = BTreeSet::new();
    for output in outputs {
        let file = output.file.as_str();
        if seen.insert(file.rsplit_once('/').map(|(parent, _)| parent))
            && let Ok((dir, _)) = root.find_parent_of(file)
        {
            sweep_dir(&dir);
        }
    }
    sweep_dir(&root);
}

fn sweep_dir(dir: &Dir) {
    let entries = dir.entries();
    let used: BTreeSet<String> =
        entries.iter().filter(|(_, kind)| *kind == Kind::Link).filter_map(|(name, _)| dir.link(name)).collect();
    for (name, _) in entries.iter().filter(|(name, kind)| *kind == Kind::Directory && is_set(name)) {
        if !used.contains(name) {
            dir.remove_tree(name);
        }
    }
    remove_unfinished(dir, &entries);
}

/// Removes unfinished files beside one that was not known at the start.
pub(crate) fn sweep_beside(output: &Output) {
    if let Ok(root) = Dir::root(&output.dir)
        && let Ok((dir, _)) = root.find_parent_of(output.file.as_str())
    {
        remove_unfinished(&dir, &dir.entries());
    }
}

fn remove_unfinished(dir: &Dir, entries: &[(String, Kind)]) {
    let files = entries.iter().filter(|(_, kind)| *kind != Kind::Directory);
    files.filter(|(name, _)| name.starts_with(UNFINISHED)).for_each(|(name, _)| dir.remove(name));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn output(root: &Path, file: &str) -> Output {
        let source = json!({"kind": "format", "format": "raw", "path": "p"});
        let output =
            json!({"name": file, "dir": root, "file": file, "source": source, "group": "g", "layout": "plain"});
        serde_json::from_value(output).unwrap()
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn sweeps_what_a_killed_agent_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        for name in ["..sidekey-0123456789abcdef", "mine", "..other"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        for name in ["..1700000000.0123abcd", "..1700000001.0123abcd", "..2024_01_01", "sub"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("..1700000000.0123abcd/x"), "x").unwrap();
        fs::write(root.path().join("sub/..sidekey-1"), "x").unwrap();
        symlink("..1700000001.0123abcd", root.path().join("..data")).unwrap();
        sweep(root.path().to_str().unwrap(), &[output(root.path(), "sub/file")]);
        let left = ["..1700000001.0123abcd", "..2024_01_01", "..data", "..other", "mine", "sub"];
        assert_eq!(names(root.path()), left);
        assert!(names(&root.path().join("sub")).is_empty());
    }

    #[test]
    fn sweeps_unfinished_files_beside_an_output_and_no_set() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sub/..1700000000.0123abcd")).unwrap();
        for name in ["sub/..sidekey-1", "sub/mine", "..sidekey-2"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        sweep_beside(&output(root.path(), "sub/file"));
        assert_eq!(names(&root.path().join("sub")), ["..1700000000.0123abcd", "mine"]);
        assert_eq!(names(root.path()), ["..sidekey-2", "sub"]);
    }

    #[test]
    fn removes_each_replaced_set_in_its_own_time_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().to_str().unwrap();
        let sets = ["..1700000000.00000001", "..1700000000.00000002", "..1700000000.00000003"];
        sets.iter().for_each(|set| fs::create_dir_all(root.path().join(set).join("sub")).unwrap());
        let at = |seconds: u64| Time::from_millis(1_000 * seconds);
        let mut lingering = Lingering::default();
        symlink(sets[2], root.path().join("..data")).unwrap();
        lingering.replaced(dir, "..data", Some(sets[2].to_owned()), at(9));
        lingering.replaced(dir, "..data", None, at(9));
        assert_eq!(lingering.due(), None, "nothing was replaced");
        fs::remove_file(root.path().join("..data")).unwrap();
        lingering.replaced(dir, "..data", Some(sets[0].to_owned()), at(10));
        lingering.replaced(dir, "..data", Some(sets[1].to_owned()), at(13));
        assert_eq!(lingering.due(), Some(at(15)));
        lingering.tidy(Time::from_millis(14_999));
        assert_eq!(names(root.path()), sets);
        lingering.tidy(at(15));
        assert_eq!(names(root.path()), sets[1..]);
        assert_eq!(lingering.due(), Some(at(18)));
        lingering.end(at(16));
        assert_eq!(names(root.path()), sets[2..], "a set that it was not told of");
        assert_eq!(lingering.due(), None);
    }

    #[test]
    fn tries_again_to_remove_a_set_that_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("volume");
        fs::write(&dir, "no directory for now").unwrap();
        let mut lingering = Lingering::default();
        let at = Time::from_millis;
        lingering.replaced(dir.to_str().unwrap(), "..data", Some("..1700000000.00000001".to_owned()), at(0));
        lingering.tidy(at(5_000));
        assert_eq!(lingering.due(), Some(at(10_000)));
        fs::remove_file(&dir).unwrap();
        lingering.tidy(at(10_000));
        assert_eq!(lingering.due(), None);
    }
}
