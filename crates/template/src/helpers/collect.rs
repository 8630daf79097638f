//! consul-template's own for lists and maps.

use std::collections::BTreeMap;

use super::compare::same;
use super::{MAX_ITEMS, Out, int, list, map};
use crate::failure::Failure;
use crate::list::{Elem, List};
use crate::map::Map;
use crate::value::Val;

/// `in COLLECTION VALUE`: an element of the list, or a part of the string. Kinds are not converted; a map holds nothing.
pub(crate) fn is_in(args: &[Val]) -> Out {
    let value = &args[1];
    let texts = |items: &List| items.iter().any(|item| item.bytes().is_some());
    if value.is_nothing() && (args[0].bytes().is_some() || matches!(&args[0], Val::List(items) if texts(items))) {
        return Err(super::wanted(args, 1, "a value"));
    }
    Ok(Val::Bool(match &args[0] {
        Val::List(items) => is_scalar(value) && items.iter().any(|item| is_scalar(item) && same(item, value)),
        whole => match (whole, value) {
            (Val::Str(whole), Val::Str(part)) | (Val::Number(whole), Val::Number(part)) => {
                part.is_empty() || whole.windows(part.len()).any(|window| window == part.as_slice())
            }
            _ => false,
        },
    }))
}

/// What consul-template compares: numbers and strings, nothing else.
const fn is_scalar(value: &Val) -> bool {
    matches!(value, Val::Int(_) | Val::Long(_) | Val::Float(_) | Val::Str(_) | Val::Number(_))
}

/// `contains VALUE COLLECTION`.
pub(crate) fn contains(args: &[Val]) -> Out {
    is_in(&[args[1].clone(), args[0].clone()])
}

/// Goes through the list until one of it is in the collection, or is not; what follows is not looked at, as in
/// consul-template.
fn meets(args: &[Val], inside: bool) -> Result<bool, Failure> {
    for value in list(args, 0)?.iter() {
        if is_in(&[args[1].clone(), value.clone()])?.truth() == inside {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `containsAll LIST COLLECTION`.
pub(crate) fn contains_all(args: &[Val]) -> Out {
    meets(args, false).map(|missed| Val::Bool(!missed))
}

pub(crate) fn contains_any(args: &[Val]) -> Out {
    meets(args, true).map(Val::Bool)
}

pub(crate) fn contains_none(args: &[Val]) -> Out {
    meets(args, true).map(|found| Val::Bool(!found))
}

pub(crate) fn contains_not_all(args: &[Val]) -> Out {
    meets(args, false).map(Val::Bool)
}

/// `loop N` or `loop FROM TO`.
pub(crate) fn counting(args: &[Val]) -> Out {
    if let Some(place) = args.iter().position(|arg| matches!(arg, Val::Float(_))) {
        return Err(super::wanted(args, place, "an integer"));
    }
    let (from, to) = if args.len() == 1 { (0, int(args, 0)?) } else { (int(args, 0)?, int(args, 1)?) };
    if usize::try_from(to.saturating_sub(from)).is_ok_and(|turns| turns > MAX_ITEMS) {
        return Err(Failure::new(format!("more than {MAX_ITEMS} turns")));
    }
    Ok(Val::List(List::new(Elem::Turns, (from..to).map(Val::Long).collect())))
}

/// `explodeMap MAP`: a key `a/b` becomes a key `b` of the map `a`.
pub(crate) fn explode_map(args: &[Val]) -> Out {
    let root = Map::new(BTreeMap::new());
    for (key, value) in map(args, 0)?.entries() {
        explode(&root, &key, &value, 32)?;
    }
    Ok(Val::Map(root))
}

/// The empty name after a last slash is no key.
fn explode(into: &Map, key: &str, value: &Val, levels: usize) -> Result<(), Failure> {
    let Some((top, rest)) = key.split_once('/') else {
        return if key.is_empty() { Ok(()) } else { into.insert(key, value.clone()) };
    };
    if levels == 0 {
        return Err(Failure::new("a key has more than 32 levels"));
    }
    let inner = match into.get(top) {
        None => {
            let inner = Map::new(BTreeMap::new());
            into.insert(top, Val::Map(inner.clone()))?;
            inner
        }
        Some(Val::Map(inner)) => inner,
        Some(_) => return Err(Failure::new(format!("key `{top}` is both a value and a map"))),
    };
    explode(&inner, rest, value, levels - 1)
}
