//! sprig's maps. `set`, `unset` and merging change the map itself, which every name of it sees.

use std::collections::BTreeMap;

use super::{Out, map, text, wanted};
use crate::failure::Failure;
use crate::go::print;
use crate::list::List;
use crate::map::Map;
use crate::value::Val;

/// `dict KEY VALUE …`; a last key without a value has an empty string.
pub(crate) fn make(args: &[Val]) -> Out {
    let mut entries = BTreeMap::new();
    for pair in args.chunks(2) {
        let key = String::from_utf8(print::text(&pair[0])).map_err(|_| Failure::new("a key is not UTF-8 text"))?;
        entries.insert(key, pair.get(1).cloned().unwrap_or_else(|| Val::str("")));
    }
    Ok(Val::map(entries))
}

/// `get MAP KEY`: nothing there is an empty string.
pub(crate) fn get(args: &[Val]) -> Out {
    Ok(map(args, 0)?.get(text(args, 1)?).unwrap_or_else(|| Val::str("")))
}

/// `set MAP KEY VALUE`.
pub(crate) fn set(args: &[Val]) -> Out {
    map(args, 0)?.insert(text(args, 1)?, args[2].clone())?;
    Ok(args[0].clone())
}

/// `unset MAP KEY`.
pub(crate) fn unset(args: &[Val]) -> Out {
    map(args, 0)?.remove(text(args, 1)?);
    Ok(args[0].clone())
}

/// `hasKey MAP KEY`.
pub(crate) fn has_key(args: &[Val]) -> Out {
    Ok(Val::Bool(map(args, 0)?.get(text(args, 1)?).is_some()))
}

/// `pluck KEY MAP …`: what each map has there.
pub(crate) fn pluck(args: &[Val]) -> Out {
    let key = text(args, 0)?;
    let found = (1..args.len()).map(|index| Ok(map(args, index)?.get(key)));
    Ok(Val::list(found.collect::<Result<Vec<_>, Failure>>()?.into_iter().flatten().collect()))
}

/// `keys MAP …`, sorted within each map: Go's own order changes from run to run.
pub(crate) fn keys(args: &[Val]) -> Out {
    let mut out = Vec::new();
    for index in 0..args.len() {
        out.extend(map(args, index)?.borrow().keys().cloned());
    }
    Ok(Val::texts(out))
}

/// `values MAP`, in the order of their keys.
pub(crate) fn values(args: &[Val]) -> Out {
    Ok(Val::list(map(args, 0)?.borrow().values().cloned().collect()))
}

/// `pick MAP KEY …`: a new map with these keys only.
pub(crate) fn pick(args: &[Val]) -> Out {
    chosen(args, true)
}

/// `omit MAP KEY …`: a new map without these keys.
pub(crate) fn omit(args: &[Val]) -> Out {
    chosen(args, false)
}

fn chosen(args: &[Val], named: bool) -> Out {
    let names = (1..args.len()).map(|index| text(args, index)).collect::<Result<Vec<_>, _>>()?;
    let mut entries = map(args, 0)?.entries();
    entries.retain(|key, _| names.contains(&key.as_str()) == named);
    Ok(Val::map(entries))
}

/// `dig KEY … DEFAULT MAP`: the value down that way, or the default.
pub(crate) fn dig(args: &[Val]) -> Out {
    let last = args.len() - 1;
    let (default, mut here) = (&args[last - 1], args[last].clone());
    if let Some(index) = (0..last - 1).find(|index| !matches!(args[*index], Val::Str(_))) {
        return Err(wanted(args, index, "a string"));
    }
    for index in 0..last - 1 {
        let map = if let Val::Map(step) = &here { Some(step).filter(|step| step.is_of_anything()) } else { None };
        let step = map.ok_or_else(|| wanted(args, last, "a map of strings to anything at every step"))?;
        let Some(next) = step.get(text(args, index)?) else { return Ok(default.clone()) };
        here = next;
    }
    Ok(here)
}

/// A copy that shares nothing that can change.
pub(crate) fn deep_copy(args: &[Val]) -> Out {
    if args[0].is_nothing() {
        return Err(Failure::new("nothing cannot be copied"));
    }
    Ok(copied(&args[0]))
}

fn copied(value: &Val) -> Val {
    match value {
        Val::Map(entries) => Val::Map(Map::like(entries, copied)),
        Val::List(items) if !items.is_nil() => Val::List(List::new(items.elem(), items.iter().map(copied).collect())),
        other => other.clone(),
    }
}
