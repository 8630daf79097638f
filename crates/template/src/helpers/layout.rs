//! Text by its width: cut, abbreviated, wrapped, indented. Widths count bytes, as sprig's do; a cut may fall inside a character.

use super::{Out, Text, bytes, int, size, text};
use crate::failure::Failure;
use crate::value::Val;

const DOTS: &[u8] = b"...";

fn outside() -> Failure {
    Failure::new("the cut would fall outside the text")
}

/// `trunc LENGTH TEXT`: the first bytes, or the last ones when the length is negative.
pub(crate) fn trunc(args: &[Val]) -> Out {
    let (length, whole) = (int(args, 0)?, bytes(args, 1)?);
    let keep = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(if keep >= whole.len() {
        args[1].clone()
    } else if length < 0 {
        Val::str(&whole[whole.len() - keep..])
    } else {
        Val::str(&whole[..keep])
    })
}

/// `substr FROM TO TEXT`: a negative FROM is the start, a TO that is negative or too large the end.
pub(crate) fn substr(args: &[Val]) -> Out {
    let (from, to, whole) = (int(args, 0)?, int(args, 1)?, bytes(args, 2)?);
    let end = usize::try_from(to).ok().filter(|end| *end <= whole.len());
    let (begin, end) = match usize::try_from(from) {
        Ok(begin) => (begin, end.unwrap_or(whole.len())),
        Err(_) => (0, end.ok_or_else(outside)?),
    };
    whole.get(begin..end).map(Val::str).ok_or_else(outside)
}

/// `abbrev WIDTH TEXT`: with `...` at the end of what is longer.
pub(crate) fn abbrev(args: &[Val]) -> Out {
    let (width, whole) = (int(args, 0)?, bytes(args, 1)?);
    if width < 4 { Ok(args[1].clone()) } else { shortened(whole, 0, usize::try_from(width).unwrap_or(usize::MAX)) }
}

/// `abbrevboth OFFSET WIDTH TEXT`: with `...` at both ends.
pub(crate) fn abbrevboth(args: &[Val]) -> Out {
    let (offset, width, whole) = (int(args, 0)?, int(args, 1)?, bytes(args, 2)?);
    if width < 4 || (offset > 0 && width < 7) {
        return Ok(args[2].clone());
    }
    shortened(whole, usize::try_from(offset).unwrap_or(0), usize::try_from(width).unwrap_or(usize::MAX))
}

fn shortened(whole: &[u8], offset: usize, width: usize) -> Out {
    let length = whole.len();
    if length <= width {
        return Ok(Val::str(whole));
    }
    let room = width - 3;
    let offset = if length - offset.min(length) < room { length - room } else { offset.min(length) };
    if offset <= 4 {
        return Ok(Val::str([&whole[..room], DOTS].concat()));
    }
    if width < 7 {
        return Ok(Val::str(""));
    }
    Ok(Val::str(if offset + room < length {
        [DOTS, &whole[offset..offset + room - 3], DOTS].concat()
    } else {
        [DOTS, &whole[length - room..]].concat()
    }))
}

/// `wrap WIDTH TEXT`: breaks at spaces; a longer word stays whole.
pub(crate) fn wrap(args: &[Val]) -> Out {
    wrapped(text(args, 1)?, int(args, 0)?, "\n", false)
}

/// `wrapWith WIDTH BREAK TEXT`: longer words are cut.
pub(crate) fn wrap_with(args: &[Val]) -> Out {
    wrapped(text(args, 2)?, int(args, 0)?, text(args, 1)?, true)
}

fn wrapped(whole: &str, width: i64, mark: &str, cuts: bool) -> Out {
    let (width, mark) = (usize::try_from(width).unwrap_or(1).max(1), if mark.is_empty() { "\n" } else { mark });
    let (mut out, mut at) = (Text::default(), 0);
    let bytes = whole.as_bytes();
    while bytes.len() - at > width {
        if bytes[at] == b' ' {
            at += 1;
            continue;
        }
        let window = &bytes[at..=at + width];
        let (end, next) = match window.iter().rposition(|byte| *byte == b' ') {
            Some(space) => (at + space, at + space + 1),
            None if cuts => (at + width, at + width),
            None => match bytes[at + width..].iter().position(|byte| *byte == b' ') {
                Some(space) => (at + width + space, at + width + space + 1),
                None => break,
            },
        };
        out.push(&bytes[at..end])?;
        out.push(mark.as_bytes())?;
        at = next;
    }
    out.push(&bytes[at..])?;
    Ok(out.done())
}

/// sprig's `indent SPACES TEXT`: before every line, empty ones too.
pub(crate) fn indent(args: &[Val]) -> Out {
    indented(args, "")
}

/// `nindent SPACES TEXT`: on a new line.
pub(crate) fn nindent(args: &[Val]) -> Out {
    indented(args, "\n")
}

fn indented(args: &[Val], before: &str) -> Out {
    let pad = vec![b' '; size(args, 0)?.min(super::MAX_BYTES)];
    let mut out = Text::default();
    out.push(before.as_bytes())?;
    for (line, part) in bytes(args, 1)?.split(|byte| *byte == b'\n').enumerate() {
        if line > 0 {
            out.push(b"\n")?;
        }
        out.push(&pad)?;
        out.push(part)?;
    }
    Ok(out.done())
}
