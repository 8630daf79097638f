//! One group's files, put on disk so that a reader sees all of the old set or all of the new one.

use std::collections::BTreeMap;
use std::io;

use sidekey_core::contract::{Layout, Output};
use sidekey_core::output::{Digest, Disk, FilePlan, Found, GroupPlan, Written, full_path};
use sidekey_core::{Cause, Code};

use crate::clock::unix_seconds;
use crate::dir::Dir;
use crate::extra::Owner;

/// Begins the names of unfinished files and links.
pub(crate) const UNFINISHED: &str = "..sidekey-";

/// Who shall own a file, by its full path; others are the agent's.
pub(crate) type Owners = BTreeMap<String, Owner>;

/// A file larger than this is none of ours.
const LONGEST: u64 = 32 << 20;

/// What is on disk of these outputs, all of one directory; `link` names the current set of a linked layout.
pub(crate) fn look(dir: &str, layout: Layout, link: &str, outputs: &[Output]) -> Disk {
    let Ok(root) = Dir::root(dir) else { return Disk::new() };
    let base = match layout {
        Layout::Plain | Layout::Served => Some(root),
        Layout::Linked => root.link(link).filter(|name| is_set(name)).and_then(|name| root.open(&name).ok()),
    };
    let Some(base) = base else { return Disk::new() };
    let find = |output: &Output| {
        let (dir, name) = base.find_parent_of(output.file.as_str()).ok()?;
        let there = dir.read(name, LONGEST)?;
        let written = Written { digest: Digest::of(there.bytes.expose()), mode: there.mode };
        Some((full_path(output), Found { written, ours: there.ours }))
    };
    outputs.iter().filter_map(find).collect()
}

/// Puts the group's set in place; when the disk holds it already, nothing is written.
///
/// `Linked` changes by one rename of `link` (the kubelet's own is `..data`) and leaves the set before, for readers in the
/// middle of a path, to be removed later. `Plain` has every new file beside its old one before it renames the first.
///
/// # Errors
/// A [`Cause`] that names the file; the old set is untouched then, but for `Plain` files already renamed.
pub(crate) fn publish(plan: &GroupPlan<'_>, link: &str, owners: &Owners) -> Result<(), Cause> {
    let root = Dir::root(plan.dir).map_err(|error| failed(plan.dir, &error))?;
    match plan.layout {
        Layout::Plain | Layout::Served => plain(&root, plan, owners),
        Layout::Linked => linked(&root, plan, link, owners),
    }
}

/// The set that `link` names in a directory, if it names one.
pub(crate) fn current(dir: &str, link: &str) -> Option<String> {
    Dir::root(dir).ok()?.link(link).filter(|name| is_set(name))
}

fn plain(root: &Dir, plan: &GroupPlan<'_>, owners: &Owners) -> Result<(), Cause> {
    let mut ready = Vec::new();
    let written = plan.files.iter().filter(|file| file.changed).try_for_each(|file| {
        let at = |error: io::Error| failed(&full_path(file.output), &error);
        let (dir, name) = root.parent_of(file.output.file.as_str()).map_err(at)?;
        let temporary = unfinished().map_err(at)?;
        dir.write_new(&temporary, file.bytes.expose(), file.written.mode).map_err(at)?;
        own(&dir, &temporary, file, owners).inspect_err(|_| dir.remove(&temporary))?;
        ready.push((dir, temporary, name, file));
        Ok(())
    });
    // One failure, and what is not renamed yet is removed: the fewer new files beside old ones, the better.
    ready.iter().fold(written, |so_far, (dir, temporary, name, file)| {
        let renamed = so_far
            .and_then(|()| dir.rename(temporary, dir, name).map_err(|error| failed(&full_path(file.output), &error)));
        renamed.inspect_err(|_| dir.remove(temporary))
    })
}

fn linked(root: &Dir, plan: &GroupPlan<'_>, link: &str, owners: &Owners) -> Result<(), Cause> {
    if plan.changed() {
        let at = |error: io::Error| failed(plan.dir, &error);
        let name = set_name().map_err(at)?;
        let made = fill(root, &name, &plan.files, owners)
            .and_then(|()| root.relink(&name, link, &unfinished().map_err(at)?).map_err(at));
        if let Err(cause) = made {
            root.remove_tree(&name);
            return Err(cause);
        }
    }
    plan.files.iter().try_for_each(|file| show(root, link, file))
}

fn fill(root: &Dir, name: &str, files: &[FilePlan<'_>], owners: &Owners) -> Result<(), Cause> {
    let set = root.make(name).map_err(|error| failed(&root.path().to_string_lossy(), &error))?;
    files.iter().try_for_each(|file| {
        let at = |error: io::Error| failed(&full_path(file.output), &error);
        let (dir, name) = set.parent_of(file.output.file.as_str()).map_err(at)?;
        dir.write_new(name, file.bytes.expose(), file.written.mode).map_err(at)?;
        own(&dir, name, file, owners)
    })
}

/// Gives a file that nobody sees yet to the user and group it shall have.
fn own(dir: &Dir, name: &str, file: &FilePlan<'_>, owners: &Owners) -> Result<(), Cause> {
    let path = full_path(file.output);
    let Some(owner) = owners.get(&path).filter(|owner| **owner != (None, None)) else { return Ok(()) };
    dir.give(name, *owner).map_err(|error| {
        let to = |id: Option<u32>| id.map_or_else(|| "unchanged".to_owned(), |id| id.to_string());
        let attempted = format!("giving {path} to user {}, group {}", to(owner.0), to(owner.1));
        Cause::new(Code::FileWrite, attempted, error.to_string()).with_fix(
            "Only root gives files away: leave user and group of writeToFile empty, or name the agent's own user and one of its groups.",
        )
    })
}

/// Removes a file of a volume, if it is there.
pub(crate) fn remove(dir: &str, file: &str) {
    if let Ok(root) = Dir::root(dir)
        && let Ok((parent, name)) = root.find_parent_of(file)
    {
        parent.remove(name);
    }
}

/// The link a reader opens: `db.env` -> `..data/db.env`, `a/b` -> `../..data/a/b`.
fn show(root: &Dir, link: &str, file: &FilePlan<'_>) -> Result<(), Cause> {
    let path = file.output.file.as_str();
    let target = format!("{}{link}/{path}", "../".repeat(path.matches('/').count()));
    let put = || {
        let (dir, name) = root.parent_of(path)?;
        if dir.link(name).as_deref() == Some(target.as_str()) {
            Ok(())
        } else {
            dir.relink(&target, name, &unfinished()?)
        }
    };
    put().map_err(|error| failed(&full_path(file.output), &error))
}

/// A system's error about a path, with what most likely helps.
pub(crate) fn failed(path: &str, error: &io::Error) -> Cause {
    let cause = Cause::new(Code::FileWrite, format!("writing {path}"), error.to_string());
    match error.kind() {
        io::ErrorKind::StorageFull => {
            cause.with_fix("Raise the size limit of the secrets volume: it must hold three times the set.")
        }
        io::ErrorKind::ReadOnlyFilesystem => cause.with_fix("Mount the volume read-write in the agent container."),
        io::ErrorKind::PermissionDenied => cause
            .with_fix("Let the agent's user write to the volume: check runAsUser, fsGroup and the directory's mode."),
        _ => cause,
    }
}

/// `..<unix seconds>.<8 hex>`: sorts by age, and cannot be a file's name, since `RelPath` refuses a leading `..`.
pub(crate) fn set_name() -> io::Result<String> {
    Ok(format!("..{}.{:08x}", unix_seconds(), random()? >> 32))
}

/// Whether a name is one that [`set_name`] makes.
pub(crate) fn is_set(name: &str) -> bool {
    let parts = name.strip_prefix("..").and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(time, tail)| {
        !time.is_empty()
            && time.bytes().all(|c| c.is_ascii_digit())
            && tail.len() == 8
            && tail.bytes().all(|c| c.is_ascii_hexdigit())
    })
}

/// A free name for what is renamed into place.
pub(crate) fn unfinished() -> io::Result<String> {
    Ok(format!("{UNFINISHED}{:016x}", random()?))
}

fn random() -> io::Result<u64> {
    getrandom::u64().map_err(|_| io::Error::other("no random numbers"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use sidekey_core::Sensitive;
    use sidekey_core::contract::{Dialect, Format, FormatSource, Source};
    use sidekey_core::output::plan;
    use sidekey_core::path::RelPath;

    use super::*;

    fn output(root: &Path, layout: Layout, path: &str) -> Output {
        let format = FormatSource { format: Format::Raw, path: "p".to_owned(), field: None };
        Output {
            name: path.to_owned(),
            dir: root.to_str().unwrap().to_owned(),
            file: RelPath::parse(path).unwrap(),
            source: Source::Format(format),
            login: 0,
            mode: Some(0o440),
            group: "g".to_owned(),
            layout,
            optional: false,
            pinned: false,
            max_stale_seconds: None,
        }
    }

    /// Publishes one group and returns the paths whose bytes or mode differed.
    fn put(root: &Path, layout: Layout, files: &[(&str, &str)]) -> Result<Vec<String>, Cause> {
        let outputs: Vec<Output> = files.iter().map(|(path, _)| output(root, layout, path)).collect();
        let bytes = |text: &str| Sensitive::new(text.as_bytes().to_vec());
        let rendered = files.iter().map(|(path, text)| ((*path).to_owned(), bytes(text))).collect();
        let disk = look(root.to_str().unwrap(), layout, "..data", &outputs);
        let plans = plan(Dialect::Native, &outputs, &rendered, &disk);
        publish(&plans[0], "..data", &Owners::new())?;
        let changed = plans[0].files.iter().filter(|file| file.changed);
        Ok(changed.map(|file| file.output.file.to_string()).collect())
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: impl AsRef<Path>) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn writes_files_with_their_mode_and_parents() {
        for layout in [Layout::Plain, Layout::Linked] {
            let root = tempfile::tempdir().unwrap();
            let changed = put(root.path(), layout, &[("a", "1"), ("deep/er/b", "2")]).unwrap();
            assert_eq!(changed.len(), 2);
            assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "1");
            assert_eq!(fs::read_to_string(root.path().join("deep/er/b")).unwrap(), "2");
            assert_eq!(mode(root.path().join("deep/er/b")), 0o440);
            assert_eq!(mode(root.path().join("deep")), 0o755);
        }
    }

    #[test]
    fn writes_nothing_when_the_bytes_are_there() {
        for layout in [Layout::Plain, Layout::Linked] {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), layout, &[("a", "1"), ("b", "2")]).unwrap();
            let before = names(root.path());
            assert_eq!(put(root.path(), layout, &[("a", "1"), ("b", "2")]), Ok(Vec::new()));
            assert_eq!(names(root.path()), before);
            let changed = put(root.path(), layout, &[("a", "1"), ("b", "3")]).unwrap();
            assert_eq!(changed, ["b"]);
        }
    }

    #[test]
    fn mends_a_mode_and_a_lost_link() {
        let root = tempfile::tempdir().unwrap();
        let files = &[("a", "1")];
        put(root.path(), Layout::Plain, files).unwrap();
        fs::set_permissions(root.path().join("a"), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(put(root.path(), Layout::Plain, files).unwrap().len(), 1);
        assert_eq!(mode(root.path().join("a")), 0o440);

        let root = tempfile::tempdir().unwrap();
        put(root.path(), Layout::Linked, files).unwrap();
        fs::remove_file(root.path().join("a")).unwrap();
        put(root.path(), Layout::Linked, files).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "1");
    }

    #[test]
    fn swaps_a_linked_set_by_one_rename_and_leaves_the_old_one() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), Layout::Linked, &[("cert", "1"), ("key", "1")]).unwrap();
        let old = fs::read_link(root.path().join("..data")).unwrap();
        put(root.path(), Layout::Linked, &[("cert", "2"), ("key", "2")]).unwrap();
        assert_ne!(fs::read_link(root.path().join("..data")).unwrap(), old);
        assert_eq!(fs::read_to_string(root.path().join(&old).join("key")).unwrap(), "1");
        assert_eq!(fs::read_to_string(root.path().join("key")).unwrap(), "2");
        assert_eq!(names(root.path()).len(), 5, "two sets, a link, two names: {:?}", names(root.path()));
    }

    #[test]
    fn follows_no_link_below_the_volume() {
        for layout in [Layout::Plain, Layout::Linked] {
            let root = tempfile::tempdir().unwrap();
            let elsewhere = tempfile::tempdir().unwrap();
            symlink(elsewhere.path(), root.path().join("sub")).unwrap();
            let cause = put(root.path(), layout, &[("sub/a", "1")]).unwrap_err();
            assert_eq!(cause.code, Code::FileWrite);
            assert!(names(elsewhere.path()).is_empty());
        }
    }

    #[test]
    fn replaces_a_planted_link_instead_of_writing_through_it() {
        for layout in [Layout::Plain, Layout::Linked] {
            let root = tempfile::tempdir().unwrap();
            let victim = root.path().join("victim");
            fs::write(&victim, "untouched").unwrap();
            symlink(&victim, root.path().join("a")).unwrap();
            put(root.path(), layout, &[("a", "1")]).unwrap();
            assert_eq!(fs::read_to_string(victim).unwrap(), "untouched");
            assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "1");
        }
    }

    #[test]
    fn leaves_nothing_behind_when_one_file_of_the_set_fails() {
        for layout in [Layout::Plain, Layout::Linked] {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), layout, &[("a", "1")]).unwrap();
            let before = names(root.path());
            fs::write(root.path().join("file"), "x").unwrap();
            let files: &[_] = match layout {
                Layout::Plain => &[("a", "2"), ("file/below", "2")],
                Layout::Linked | Layout::Served => &[("a", "2"), ("b", "2"), ("b/below", "2")],
            };
            put(root.path(), layout, files).unwrap_err();
            fs::remove_file(root.path().join("file")).unwrap();
            assert_eq!(names(root.path()), before);
            assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "1");
        }
    }

    #[test]
    fn a_reader_never_sees_a_torn_set() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), Layout::Linked, &[("cert", "0"), ("key", "0")]).unwrap();
        let path = root.path().to_owned();
        let reader = std::thread::spawn(move || {
            let mut seen = 0;
            for _ in 0..2_000 {
                // One open of the directory is one version, as for a reader that resolves `..data` once.
                let set = fs::read_link(path.join("..data")).unwrap();
                let read = |name| fs::read_to_string(path.join(&set).join(name));
                if let (Ok(cert), Ok(key)) = (read("cert"), read("key")) {
                    assert_eq!(cert, key);
                    seen += 1;
                }
            }
            seen
        });
        for round in 1..200 {
            let text = round.to_string();
            put(root.path(), Layout::Linked, &[("cert", &text), ("key", &text)]).unwrap();
        }
        assert!(reader.join().unwrap() > 1_000);
    }
}
