//! Files that are too old go, and a list says what is stale: both as one rename, so that no reader sees half of it.

use std::io;

use sidekey_core::contract::{Layout, Output};
use sidekey_core::output::{STALE_LIST, full_path};
use sidekey_core::{Cause, Code};

use crate::dir::Dir;
use crate::write::{failed, is_set, set_name, unfinished};

/// Anybody who can read the files may know that they are old.
const MODE: u32 = 0o444;

/// Removes a group's files of one directory. A linked set goes by one rename of `link` to an empty one; the set that was there is
/// left to the caller.
///
/// # Errors
/// `FileWrite`; some plain files may be gone then.
pub(crate) fn withdraw(dir: &str, layout: Layout, link: &str, outputs: &[Output]) -> Result<(), Cause> {
    let at = |error: io::Error| failed(dir, &error);
    let root = Dir::root(dir).map_err(at)?;
    if layout == Layout::Linked && root.link(link).is_some_and(|name| is_set(&name)) {
        let empty = set_name().map_err(at)?;
        root.make(&empty).map_err(at)?;
        root.relink(&empty, link, &unfinished().map_err(at)?).map_err(at)?;
    }
    for output in outputs {
        if let Ok((parent, name)) = root.find_parent_of(output.file.as_str()) {
            parent.unlink(name).map_err(|error| failed(&full_path(output), &error))?;
        }
    }
    Ok(())
}

/// Puts the list of stale files in place, or removes it where there is none to name.
///
/// # Errors
/// `FileWrite`.
pub(crate) fn list(dir: &str, text: &str) -> Result<(), Cause> {
    let put = || {
        let root = Dir::root(dir)?;
        if text.is_empty() {
            return root.unlink(STALE_LIST);
        }
        let spare = unfinished()?;
        root.write_new(&spare, text.as_bytes(), MODE)?;
        root.rename(&spare, &root, STALE_LIST).inspect_err(|_| root.remove(&spare))
    };
    put().map_err(|error| failed(&format!("{dir}/{STALE_LIST}"), &error))
}

/// What is said of files that went.
pub(crate) fn too_old(group: &str, limit: std::time::Duration) -> Cause {
    let answer = format!("Vault has not vouched for them for {} s, which is their max-stale", limit.as_secs());
    Cause::new(Code::SecretTooOld, format!("keeping the files of {group}"), answer)
}
