//! Merging maps into the first one, which changes.

use super::{Out, map};
use crate::failure::Failure;
use crate::map::Map;
use crate::value::Val;

/// `mergeMap INTO FROM`, `merge INTO FROM …`: keys of `INTO` stay, unless they are empty.
pub(crate) fn fill(args: &[Val]) -> Out {
    merge_all(args, false)
}

/// `mergeMapWithOverride INTO FROM`, `mergeOverwrite INTO FROM …`: keys of `FROM` win.
pub(crate) fn overwrite(args: &[Val]) -> Out {
    merge_all(args, true)
}

fn merge_all(args: &[Val], overwrite: bool) -> Out {
    let into = map(args, 0)?;
    for index in 1..args.len() {
        merge(into, map(args, index)?, overwrite)?;
    }
    Ok(args[0].clone())
}

/// Maps in both are merged in their turn; an empty value counts as none.
fn merge(into: &Map, from: &Map, overwrite: bool) -> Result<(), Failure> {
    if into.is_same(from) {
        return Ok(());
    }
    for (key, value) in from.entries() {
        let present = into.get(&key);
        if value.is_nothing() {
            if overwrite {
                into.insert(&key, value)?;
            }
            continue;
        }
        if let (Some(Val::Map(below)), Val::Map(above)) = (&present, &value) {
            merge(below, above, overwrite)?;
            if below.len() > 0 {
                continue;
            }
        }
        if overwrite || !present.is_some_and(|value| value.truth()) {
            into.insert(&key, value)?;
        }
    }
    Ok(())
}
