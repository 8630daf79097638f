//! Strings: cut, join, replace, match.

use regex::bytes::{Regex, RegexBuilder};

use super::{Out, Text, bytes, int, list, text};
use crate::failure::Failure;
use crate::value::Val;

pub(crate) fn to_lower(args: &[Val]) -> Out {
    Ok(Val::str(text(args, 0)?.to_lowercase()))
}

pub(crate) fn to_upper(args: &[Val]) -> Out {
    Ok(Val::str(text(args, 0)?.to_uppercase()))
}

/// The first letter of each word in upper case; a word is letters, digits and underscores.
pub(crate) fn to_title(args: &[Val]) -> Out {
    let mut inside = false;
    let mut out = String::new();
    for c in text(args, 0)?.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace());
    }
    Ok(Val::str(out))
}

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
    let parts: Vec<Val> = if whole.is_empty() {
        Vec::new()
    } else if separator.is_empty() {
        whole.chars().map(|c| Val::str(c.to_string())).collect()
    } else {
        whole.split(separator).map(Val::str).collect()
    };
    Ok(Val::list(parts))
}

/// `splitToMap PAIRS KEYS TEXT`: cuts at `PAIRS`, then each piece at its first `KEYS`.
pub(crate) fn split_to_map(args: &[Val]) -> Out {
    let (pairs, keys, whole) = (text(args, 0)?, text(args, 1)?, text(args, 2)?.trim());
    if pairs.is_empty() || keys.is_empty() {
        return Err(Failure::new("a separator is empty"));
    }
    let entries = whole.split(pairs).filter(|piece| !piece.trim().is_empty());
    let entries = entries.map(|piece| piece.trim().split_once(keys).unwrap_or((piece.trim(), "")));
    Ok(Val::map(entries.map(|(key, value)| (key.trim().to_owned(), Val::str(value.trim()))).collect()))
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
    let spaces = usize::try_from(int(args, 0)?).map_err(|_| Failure::new("a negative number of spaces"))?;
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
    let (from, to, whole) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
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

/// `regexMatch PATTERN TEXT`.
pub(crate) fn regex_match(args: &[Val]) -> Out {
    Ok(Val::Bool(regex(text(args, 0)?)?.is_match(bytes(args, 1)?)))
}

/// `regexReplaceAll PATTERN REPLACEMENT TEXT`; `$1` and `${name}` are groups, as in Go.
pub(crate) fn regex_replace_all(args: &[Val]) -> Out {
    let pattern = regex(text(args, 0)?)?;
    let (replacement, whole) = (bytes(args, 1)?, bytes(args, 2)?);
    let mut out = Text::default();
    let mut end = 0;
    for groups in pattern.captures_iter(whole) {
        let Some(found) = groups.get(0) else { continue };
        out.push(&whole[end..found.start()])?;
        let mut expanded = Vec::new();
        groups.expand(replacement, &mut expanded);
        out.push(&expanded)?;
        end = found.end();
    }
    out.push(&whole[end..])?;
    Ok(out.done())
}

/// Compiled when called: most templates never need one.
fn regex(pattern: &str) -> Result<Regex, Failure> {
    let built = RegexBuilder::new(pattern).size_limit(1 << 20).dfa_size_limit(1 << 20).build();
    built.map_err(|_| Failure::new("the pattern is not a regular expression, or too large a one"))
}

/// `repeat COUNT TEXT`.
pub(crate) fn repeat(args: &[Val]) -> Out {
    let count = usize::try_from(int(args, 0)?).map_err(|_| Failure::new("a negative count"))?;
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

/// `trunc LENGTH TEXT`: the first characters, or the last ones when the length is negative.
pub(crate) fn trunc(args: &[Val]) -> Out {
    let (length, whole) = (int(args, 0)?, text(args, 1)?);
    let keep = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    let count = whole.chars().count();
    let kept: String = if length < 0 {
        whole.chars().skip(count.saturating_sub(keep)).collect()
    } else {
        whole.chars().take(keep).collect()
    };
    Ok(Val::str(kept))
}
