//! sprig's lists. None changes its argument.

use super::compare::identical;
use super::text::strings;
use super::{MAX_ITEMS, Out, int, list};
use crate::failure::Failure;
use crate::go::print;
use crate::list::{Elem, List};
use crate::value::Val;

pub(crate) fn make(args: &[Val]) -> Out {
    Ok(Val::list(args.to_vec()))
}

/// `append LIST VALUE`.
pub(crate) fn append(args: &[Val]) -> Out {
    let mut items = list(args, 0)?.to_vec();
    items.push(args[1].clone());
    Ok(Val::list(items))
}

/// `prepend LIST VALUE`.
pub(crate) fn prepend(args: &[Val]) -> Out {
    let mut items = vec![args[1].clone()];
    items.extend_from_slice(list(args, 0)?);
    Ok(Val::list(items))
}

pub(crate) fn first(args: &[Val]) -> Out {
    Ok(list(args, 0)?.first().cloned().unwrap_or(Val::Nil))
}

pub(crate) fn last(args: &[Val]) -> Out {
    Ok(list(args, 0)?.last().cloned().unwrap_or(Val::Nil))
}

/// All but the first.
pub(crate) fn rest(args: &[Val]) -> Out {
    Ok(list(args, 0)?.split_first().map_or_else(nil, |(_, rest)| Val::list(rest.to_vec())))
}

/// All but the last.
pub(crate) fn initial(args: &[Val]) -> Out {
    Ok(list(args, 0)?.split_last().map_or_else(nil, |(_, initial)| Val::list(initial.to_vec())))
}

fn nil() -> Val {
    Val::List(List::nil(Elem::Any))
}

pub(crate) fn reverse(args: &[Val]) -> Out {
    Ok(Val::list(list(args, 0)?.iter().rev().cloned().collect()))
}

/// Without empty elements.
pub(crate) fn compact(args: &[Val]) -> Out {
    Ok(Val::list(list(args, 0)?.iter().filter(|item| item.truth()).cloned().collect()))
}

pub(crate) fn uniq(args: &[Val]) -> Out {
    let mut out: Vec<Val> = Vec::new();
    for item in list(args, 0)?.iter() {
        if !out.iter().any(|known| identical(known, item)) {
            out.push(item.clone());
        }
    }
    Ok(Val::list(out))
}

/// `without LIST VALUE …`.
pub(crate) fn without(args: &[Val]) -> Out {
    let stays = |item: &&Val| !args[1..].iter().any(|omitted| identical(omitted, item));
    Ok(Val::list(list(args, 0)?.iter().filter(stays).cloned().collect()))
}

/// `has VALUE LIST`; nothing has nothing.
pub(crate) fn has(args: &[Val]) -> Out {
    Ok(Val::Bool(!args[1].is_nothing() && list(args, 1)?.iter().any(|item| identical(item, &args[0]))))
}

/// `slice LIST [FROM [TO]]`.
pub(crate) fn slice(args: &[Val]) -> Out {
    let items = list(args, 0)?;
    if items.is_empty() {
        return Ok(Val::Nil);
    }
    let bound = |index: usize, default: usize| match args.get(index) {
        Some(value) => usize::try_from(super::cast::to_int(value)).ok().filter(|bound| *bound <= items.len()),
        None => Some(default),
    };
    let range = bound(1, 0).zip(bound(2, items.len())).and_then(|(from, to)| items.get(from..to));
    range
        .map(|part| Val::List(List::new(items.elem(), part.to_vec())))
        .ok_or_else(|| Failure::new(format!("slice out of range: there are {} elements", items.len())))
}

/// `concat LIST …`.
pub(crate) fn concat(args: &[Val]) -> Out {
    let mut out = Vec::new();
    for index in 0..args.len() {
        out.extend_from_slice(list(args, index)?);
    }
    Ok(if out.is_empty() { nil() } else { Val::list(out) })
}

/// `chunk SIZE LIST`: lists of so many elements.
pub(crate) fn chunk(args: &[Val]) -> Out {
    let (size, list) = (int(args, 0)?, list(args, 1)?);
    // sprig divides by a negative size, and that gives a length for these.
    let size = match list.len() {
        1 if size < -1 => Some(1),
        2.. if size < 0 && list.len() as u64 - 1 <= size.unsigned_abs() => {
            return Ok(Val::List(List::new(Elem::Lists, Vec::new())));
        }
        _ => usize::try_from(size).ok().filter(|size| *size > 0),
    };
    let size = size.ok_or_else(|| Failure::new("a chunk has at least one element"))?;
    let chunks = list.chunks(size).map(|part| Val::list(part.to_vec())).collect();
    Ok(Val::List(List::new(Elem::Lists, chunks)))
}

/// `sortAlpha LIST`: by the bytes of their text.
pub(crate) fn sort_alpha(args: &[Val]) -> Out {
    let mut texts = strings(&args[0]);
    if !matches!(args[0], Val::List(_)) {
        texts = vec![print::text(&args[0])];
    }
    texts.sort();
    Ok(Val::texts(texts))
}

/// `until COUNT`: 0, 1 and so on; downwards for a negative count.
pub(crate) fn until(args: &[Val]) -> Out {
    let stop = int(args, 0)?;
    steps(0, stop, if stop < 0 { -1 } else { 1 }).map(ints)
}

/// `untilStep FROM TO STEP`.
pub(crate) fn until_step(args: &[Val]) -> Out {
    steps(int(args, 0)?, int(args, 1)?, int(args, 2)?).map(ints)
}

fn ints(numbers: Vec<i64>) -> Val {
    Val::List(List::new(Elem::Int, numbers.into_iter().map(Val::Int).collect()))
}

/// From `start`, before `stop`; a step the other way is no step.
fn steps(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Failure> {
    let runs = if stop < start { step < 0 } else { step > 0 };
    let mut out = Vec::new();
    let mut next = Some(start).filter(|_| runs);
    while let Some(n) = next.filter(|n| if step < 0 { *n > stop } else { *n < stop }) {
        if out.len() >= MAX_ITEMS {
            return Err(Failure::new(format!("more than {MAX_ITEMS} numbers")));
        }
        out.push(n);
        next = n.checked_add(step);
    }
    Ok(out)
}

/// `seq TO`, `seq FROM TO`, `seq FROM STEP TO`: as the shell's command, on one line.
pub(crate) fn seq(args: &[Val]) -> Out {
    let numbers = (0..args.len()).map(|index| int(args, index)).collect::<Result<Vec<_>, _>>()?;
    let toward = |from: i64, to: i64| if to < from { -1 } else { 1 };
    let (start, stop, step) = match numbers.as_slice() {
        [to] => (1, to.saturating_add(toward(1, *to)), toward(1, *to)),
        [from, to] => (*from, to.saturating_add(toward(*from, *to)), toward(*from, *to)),
        [from, step, to] if !(to < from && *step > 0) => (*from, to.saturating_add(toward(*from, *to)), *step),
        _ => return Ok(Val::str("")),
    };
    let words: Vec<String> = steps(start, stop, step)?.iter().map(i64::to_string).collect();
    Ok(Val::str(words.join(" ")))
}
