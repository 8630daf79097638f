//! Lists and maps.

use std::collections::BTreeMap;

use super::compare::same;
use super::{Out, bytes, int, list, map, text};
use crate::failure::Failure;
use crate::value::Val;

/// Longest list that `loop` makes.
const MAX_LOOP: i64 = 100_000;

/// `in COLLECTION VALUE`: an element of the list, a value of the map, or a part of the string.
pub(crate) fn is_in(args: &[Val]) -> Out {
    let value = &args[1];
    Ok(Val::Bool(match &args[0] {
        Val::List(items) => items.iter().any(|item| same(item, value)),
        Val::Map(entries) => entries.values().any(|item| same(item, value)),
        Val::Nil | Val::Void => false,
        _ => {
            let (whole, part) = (bytes(args, 0)?, bytes(args, 1)?);
            part.is_empty() || whole.windows(part.len()).any(|window| window == part)
        }
    }))
}

/// `contains VALUE COLLECTION`.
pub(crate) fn contains(args: &[Val]) -> Out {
    is_in(&[args[1].clone(), args[0].clone()])
}

fn count_in(args: &[Val]) -> Result<(usize, usize), Failure> {
    let wanted = list(args, 0)?;
    let mut found = 0;
    for value in wanted {
        found += usize::from(is_in(&[args[1].clone(), value.clone()])?.truth());
    }
    Ok((found, wanted.len()))
}

/// `containsAll LIST COLLECTION`.
pub(crate) fn contains_all(args: &[Val]) -> Out {
    count_in(args).map(|(found, all)| Val::Bool(found == all))
}

pub(crate) fn contains_any(args: &[Val]) -> Out {
    count_in(args).map(|(found, _)| Val::Bool(found > 0))
}

pub(crate) fn contains_none(args: &[Val]) -> Out {
    count_in(args).map(|(found, _)| Val::Bool(found == 0))
}

pub(crate) fn contains_not_all(args: &[Val]) -> Out {
    count_in(args).map(|(found, all)| Val::Bool(found < all))
}

/// `loop N` or `loop FROM TO`.
pub(crate) fn counting(args: &[Val]) -> Out {
    let (from, to) = if args.len() == 1 { (0, int(args, 0)?) } else { (int(args, 0)?, int(args, 1)?) };
    if to.saturating_sub(from) > MAX_LOOP {
        return Err(Failure::new(format!("more than {MAX_LOOP} turns")));
    }
    Ok(Val::list((from..to).map(Val::Int).collect()))
}

/// `explodeMap MAP`: a key `a/b` becomes a key `b` of the map `a`.
pub(crate) fn explode_map(args: &[Val]) -> Out {
    let mut root = Tree::default();
    for (key, value) in map(args, 0)? {
        let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.len() > 32 {
            return Err(Failure::new(format!("key `{key}` has no name, or more than 32 levels")));
        }
        root.insert(&parts, value).map_err(|()| Failure::new(format!("key `{key}` is both a value and a map")))?;
    }
    Ok(root.into_val())
}

#[derive(Default)]
struct Tree {
    leaves: BTreeMap<String, Val>,
    branches: BTreeMap<String, Self>,
}

impl Tree {
    fn insert(&mut self, parts: &[&str], value: &Val) -> Result<(), ()> {
        let Some((first, rest)) = parts.split_first() else { return Err(()) };
        if rest.is_empty() {
            let clash = self.branches.contains_key(*first);
            let twice = self.leaves.insert((*first).to_owned(), value.clone()).is_some();
            return if clash || twice { Err(()) } else { Ok(()) };
        }
        if self.leaves.contains_key(*first) {
            return Err(());
        }
        self.branches.entry((*first).to_owned()).or_default().insert(rest, value)
    }

    fn into_val(self) -> Val {
        let branches = self.branches.into_iter().map(|(key, tree)| (key, tree.into_val()));
        Val::map(self.leaves.into_iter().chain(branches).collect())
    }
}

/// `mergeMap INTO FROM`: keys of `INTO` stay as they are.
pub(crate) fn merge_map(args: &[Val]) -> Out {
    merged(map(args, 1)?, map(args, 0)?)
}

/// `mergeMapWithOverride INTO FROM`: keys of `FROM` win.
pub(crate) fn merge_map_with_override(args: &[Val]) -> Out {
    merged(map(args, 0)?, map(args, 1)?)
}

/// `strong` wins; maps in both are merged in their turn.
fn merged(weak: &BTreeMap<String, Val>, strong: &BTreeMap<String, Val>) -> Out {
    let mut out = weak.clone();
    for (key, value) in strong {
        let value = match (out.get(key), value) {
            (Some(Val::Map(below)), Val::Map(above)) => merged(below, above)?,
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Ok(Val::map(out))
}

/// `dict KEY VALUE …`.
pub(crate) fn dict(args: &[Val]) -> Out {
    let mut entries = BTreeMap::new();
    for (index, pair) in args.chunks(2).enumerate() {
        let value = pair.get(1).cloned().unwrap_or_else(|| Val::str(""));
        entries.insert(text(args, 2 * index)?.to_owned(), value);
    }
    Ok(Val::map(entries))
}

/// `list VALUE …`.
pub(crate) fn make_list(args: &[Val]) -> Out {
    Ok(Val::list(args.to_vec()))
}

/// `append LIST VALUE`.
pub(crate) fn append(args: &[Val]) -> Out {
    let mut items = list(args, 0)?.to_vec();
    items.push(args[1].clone());
    Ok(Val::list(items))
}

pub(crate) fn first(args: &[Val]) -> Out {
    Ok(list(args, 0)?.first().cloned().unwrap_or(Val::Nil))
}

pub(crate) fn last(args: &[Val]) -> Out {
    Ok(list(args, 0)?.last().cloned().unwrap_or(Val::Nil))
}

/// `get MAP KEY`: nothing there is an empty string, as in sprig.
pub(crate) fn get(args: &[Val]) -> Out {
    Ok(map(args, 0)?.get(text(args, 1)?).cloned().unwrap_or_else(|| Val::str("")))
}

/// `hasKey MAP KEY`.
pub(crate) fn has_key(args: &[Val]) -> Out {
    Ok(Val::Bool(map(args, 0)?.contains_key(text(args, 1)?)))
}

pub(crate) fn keys(args: &[Val]) -> Out {
    Ok(Val::list(map(args, 0)?.keys().map(|key| Val::str(key.as_str())).collect()))
}

/// `default FALLBACK VALUE`.
pub(crate) fn default(args: &[Val]) -> Out {
    let value = args.get(1).unwrap_or(&Val::Nil);
    Ok(if value.truth() { value.clone() } else { args[0].clone() })
}

/// `coalesce VALUE …`: the first that is not empty.
pub(crate) fn coalesce(args: &[Val]) -> Out {
    Ok(args.iter().find(|value| value.truth()).cloned().unwrap_or(Val::Nil))
}

/// `ternary YES NO CONDITION`.
pub(crate) fn ternary(args: &[Val]) -> Out {
    Ok(if args[2].truth() { args[0].clone() } else { args[1].clone() })
}

pub(crate) fn empty(args: &[Val]) -> Out {
    Ok(Val::Bool(!args[0].truth()))
}
