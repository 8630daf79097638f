//! Strings: cut, join, replace.

use super::{Out, Text, bytes, int, list, size, text};
use crate::failure::Failure;
use crate::go::print;
use crate::list::Elem;
use crate::map::Map;
use crate::value::Val;

/// `trim CUTSET TEXT`.
pub(crate) fn trim(args: &[Val]) -> Out {
    let cutset: Vec<char> = text(args, 0)?.chars().collect();
    Ok(Val::str(text(args, 1)?.trim_matches(cutset.as_slice())))
}

pub(crate) fn trim_prefix(args: &[Val]) -> Out {
    let whole = bytes(args, 1)?;
    Ok(Val::str(whole.strip_prefix(bytes(args, 0)?).unwrap_or(whole)))
}

pub(crate) fn trim_suffix(args: &[Val]) -> Out {
    let whole = bytes(args, 1)?;
    Ok(Val::str(whole.strip_suffix(bytes(args, 0)?).unwrap_or(whole)))
}

pub(crate) fn trim_space(args: &[Val]) -> Out {
    Ok(Val::str(text(args, 0)?.trim()))
}

/// `split SEPARATOR TEXT`: trims the text first; nothing splits into nothing.
pub(crate) fn split(args: &[Val]) -> Out {
    let (separator, whole) = (text(args, 0)?, text(args, 1)?.trim());
    Ok(if whole.is_empty() { Val::texts::<&str>([]) } else { Val::texts(parts(whole, separator, None)) })
}

/// Go's `strings.Split` and `SplitN`: an empty separator cuts between all characters.
fn parts<'t>(whole: &'t str, separator: &str, limit: Option<usize>) -> Vec<&'t str> {
    let most = limit.unwrap_or(usize::MAX);
    if !separator.is_empty() {
        return whole.splitn(most, separator).collect();
    }
    let mut out = Vec::new();
    let mut rest = whole;
    while let Some(c) = rest.chars().next() {
        if out.len() + 1 >= most {
            break;
        }
        let (head, tail) = rest.split_at(c.len_utf8());
        out.push(head);
        rest = tail;
    }
    if !rest.is_empty() && most > 0 {
        out.push(rest);
    }
    out
}

/// `splitList SEPARATOR TEXT`.
pub(crate) fn split_list(args: &[Val]) -> Out {
    Ok(Val::texts(parts(text(args, 1)?, text(args, 0)?, None)))
}

/// sprig's `split SEPARATOR TEXT`: a map of `_0`, `_1` and so on.
pub(crate) fn split_numbered(args: &[Val]) -> Out {
    Ok(numbered(&parts(text(args, 1)?, text(args, 0)?, None)))
}

/// `splitn SEPARATOR COUNT TEXT`: at most so many parts; a negative count is no limit.
pub(crate) fn splitn(args: &[Val]) -> Out {
    let (separator, limit, whole) = (text(args, 0)?, usize::try_from(int(args, 1)?).ok(), text(args, 2)?);
    Ok(numbered(&parts(whole, separator, limit)))
}

fn numbered(parts: &[&str]) -> Val {
    let entries = parts.iter().enumerate().map(|(place, part)| (format!("_{place}"), Val::str(*part)));
    Val::Map(Map::of_texts(entries.collect()))
}

/// `splitToMap PAIRS KEYS TEXT`: cuts at `PAIRS`, then each piece at its first `KEYS`; pieces without one are left out.
pub(crate) fn split_to_map(args: &[Val]) -> Out {
    let (pairs, keys, whole) = (text(args, 0)?, text(args, 1)?, text(args, 2)?.trim());
    if whole.is_empty() {
        return Ok(Val::Map(Map::of_texts(std::collections::BTreeMap::new())));
    }
    let pieces = parts(whole, pairs, None).into_iter().filter_map(|piece| piece.split_once(keys));
    Ok(Val::Map(Map::of_texts(pieces.map(|(key, value)| (key.to_owned(), Val::str(value))).collect())))
}

/// `join SEPARATOR LIST`.
pub(crate) fn join(args: &[Val]) -> Out {
    let separator = bytes(args, 0)?;
    let mut out = Text::default();
    for (index, item) in list(args, 1)?.iter().enumerate() {
        if index > 0 {
            out.push(separator)?;
        }
        let piece = item.bytes();
        out.push(piece.ok_or_else(|| Failure::new(format!("the list holds {}, not a string", item.kind())))?)?;
    }
    Ok(out.done())
}

/// `indent SPACES TEXT`: before each line that is not empty, the first included.
pub(crate) fn indent(args: &[Val]) -> Out {
    let spaces = size(args, 0)?;
    let mut out = Text::default();
    for line in bytes(args, 1)?.split_inclusive(|byte| *byte == b'\n') {
        if line != b"\n" {
            out.push(&vec![b' '; spaces.min(super::MAX_BYTES)])?;
        }
        out.push(line)?;
    }
    Ok(out.done())
}

/// `replaceAll FROM TO TEXT`.
pub(crate) fn replace_all(args: &[Val]) -> Out {
    replaced(text(args, 2)?, text(args, 0)?, text(args, 1)?)
}

pub(crate) fn replaced(whole: &str, from: &str, to: &str) -> Out {
    let mut out = Text::default();
    let mut end = 0;
    for (start, found) in whole.match_indices(from) {
        out.push(&whole.as_bytes()[end..start])?;
        out.push(to.as_bytes())?;
        end = start + found.len();
    }
    out.push(&whole.as_bytes()[end..])?;
    Ok(out.done())
}

/// `repeat COUNT TEXT`.
pub(crate) fn repeat(args: &[Val]) -> Out {
    let count = size(args, 0)?;
    let piece = bytes(args, 1)?;
    if piece.len().saturating_mul(count) > super::MAX_BYTES {
        return Err(super::too_long());
    }
    Ok(Val::str(piece.repeat(count)))
}

/// `hasPrefix PREFIX TEXT`.
pub(crate) fn has_prefix(args: &[Val]) -> Out {
    Ok(Val::Bool(bytes(args, 1)?.starts_with(bytes(args, 0)?)))
}

/// `hasSuffix SUFFIX TEXT`.
pub(crate) fn has_suffix(args: &[Val]) -> Out {
    Ok(Val::Bool(bytes(args, 1)?.ends_with(bytes(args, 0)?)))
}

/// sprig's `contains PART TEXT`.
pub(crate) fn contains(args: &[Val]) -> Out {
    let (part, whole) = (bytes(args, 0)?, bytes(args, 1)?);
    Ok(Val::Bool(part.is_empty() || whole.windows(part.len()).any(|window| window == part)))
}

/// sprig's `join SEPARATOR LIST`: numbers and booleans by their text, nothing left out.
pub(crate) fn join_any(args: &[Val]) -> Out {
    let separator = bytes(args, 0)?;
    let mut out = Text::default();
    for (place, item) in strings(&args[1]).iter().enumerate() {
        if place > 0 {
            out.push(separator)?;
        }
        out.push(item)?;
    }
    Ok(out.done())
}

/// sprig's `toStrings`: a list's elements by their text, without those that are nothing; else one text.
pub(crate) fn to_strings(args: &[Val]) -> Out {
    Ok(match &args[0] {
        Val::List(items) if items.elem() == Elem::Text => args[0].clone(),
        other => Val::texts(strings(other)),
    })
}

pub(crate) fn strings(value: &Val) -> Vec<Vec<u8>> {
    match value {
        Val::List(items) => items.iter().filter(|item| !item.is_nothing()).map(print::text).collect(),
        Val::Absent | Val::Void | Val::Nil => Vec::new(),
        other => vec![print::text(other)],
    }
}

pub(crate) fn to_string(args: &[Val]) -> Out {
    Ok(Val::str(print::text(&args[0])))
}

/// `quote VALUE …`: each as a Go literal; nothing is left out.
pub(crate) fn quote(args: &[Val]) -> Out {
    joined(args, |text| print::quote(text, '"').into_bytes())
}

/// `squote VALUE …`: single quotes around, nothing escaped.
pub(crate) fn squote(args: &[Val]) -> Out {
    joined(args, |text| [b"'", text, b"'"].concat())
}

/// `cat VALUE …`: by their text, with a space between.
pub(crate) fn cat(args: &[Val]) -> Out {
    joined(args, <[u8]>::to_vec)
}

fn joined(args: &[Val], each: impl Fn(&[u8]) -> Vec<u8>) -> Out {
    let mut out = Text::default();
    for (place, value) in args.iter().filter(|value| !value.is_nothing()).enumerate() {
        if place > 0 {
            out.push(b" ")?;
        }
        out.push(&each(&print::text(value)))?;
    }
    Ok(out.done())
}

/// `plural ONE MANY COUNT`.
pub(crate) fn plural(args: &[Val]) -> Out {
    Ok(args[usize::from(int(args, 2)? != 1)].clone())
}
