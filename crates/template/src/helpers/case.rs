//! Upper and lower case as Go maps them: one character to one character.

use super::{Out, text};
use crate::value::Val;

/// Go's `unicode.ToUpper`: what has no single capital stays.
pub(crate) fn upper(c: char) -> char {
    match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(c, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(c, 9),
        _ => single(c.to_uppercase(), c),
    }
}

/// Go's `unicode.IsUpper`: letters alone, not what is only like one.
pub(crate) fn is_upper(c: char) -> bool {
    c.is_uppercase() && !matches!(c, '\u{2160}'..='\u{216f}' | '\u{24b6}'..='\u{24cf}' | '\u{1f130}'..='\u{1f189}')
}

/// Go's `unicode.IsLower`.
fn is_lower(c: char) -> bool {
    c.is_lowercase()
        && !matches!(c, 'ª' | 'º' | '\u{2b0}'..='\u{2e4}' | '\u{345}' | '\u{37a}' | '\u{1d2c}'..='\u{1d6a}' | '\u{1d78}'
            | '\u{1d9b}'..='\u{1dbf}' | '\u{2071}'..='\u{209c}' | '\u{2170}'..='\u{217f}' | '\u{24d0}'..='\u{24e9}')
}

/// Go's `unicode.ToLower`.
pub(crate) fn lower(c: char) -> char {
    if c == '\u{130}' { 'i' } else { single(c.to_lowercase(), c) }
}

/// Go's `unicode.ToTitle`: digraphs have a form of their own.
pub(crate) fn title_char(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        _ => upper(c),
    }
}

fn shifted(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

fn single(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub(crate) fn to_lower(args: &[Val]) -> Out {
    Ok(Val::str(text(args, 0)?.chars().map(lower).collect::<String>()))
}

pub(crate) fn to_upper(args: &[Val]) -> Out {
    Ok(Val::str(text(args, 0)?.chars().map(upper).collect::<String>()))
}

/// consul-template's `toTitle`: words end where text does, an apostrophe or a point inside does not end one.
pub(crate) fn to_title(args: &[Val]) -> Out {
    let whole: Vec<char> = text(args, 0)?.chars().collect();
    let (mut inside, mut small) = (false, true);
    let mut out = String::new();
    for (place, c) in whole.iter().enumerate() {
        small = small || !inside;
        if small && (is_lower(*c) || is_upper(*c)) {
            small = false;
            push_title(*c, &mut out);
        } else {
            out.push(*c);
        }
        let joins = matches!(c, '\'' | '.' | ':' | '\u{b7}' | '\u{2018}' | '\u{2019}' | '\u{2024}')
            && whole.get(place + 1).is_some_and(|next| next.is_alphabetic());
        inside = c.is_alphanumeric() || *c == '_' || (inside && joins);
    }
    Ok(Val::str(out))
}

/// With letters of their own for what becomes several: `ß` is `Ss`.
fn push_title(c: char, out: &mut String) {
    let single = title_char(c);
    if single == c {
        let mut letters = c.to_uppercase();
        out.extend(letters.next());
        out.extend(letters.flat_map(char::to_lowercase));
    } else {
        out.push(single);
    }
}

/// Go's `strings.Title`: a word is letters, digits and underscores.
pub(crate) fn title(args: &[Val]) -> Out {
    let mut inside = false;
    let each = |c: char| {
        let out = if inside { c } else { title_char(c) };
        inside = c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace());
        out
    };
    Ok(Val::str(text(args, 0)?.chars().map(each).collect::<String>()))
}

/// The first letter of each word in lower case; words end at white space.
pub(crate) fn untitle(args: &[Val]) -> Out {
    let mut inside = false;
    let each = |c: char| {
        let out = if inside || c.is_whitespace() { c } else { lower(c) };
        inside = !c.is_whitespace();
        out
    };
    Ok(Val::str(text(args, 0)?.chars().map(each).collect::<String>()))
}

/// Upper to lower and back; a small letter that begins a word gets its title form.
pub(crate) fn swapcase(args: &[Val]) -> Out {
    let mut gap = true;
    let each = |c: char| {
        if is_upper(c) || matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}') {
            gap = false;
            lower(c)
        } else if is_lower(c) {
            let out = if gap { title_char(c) } else { upper(c) };
            gap = false;
            out
        } else {
            gap = c.is_whitespace();
            c
        }
    };
    Ok(Val::str(text(args, 0)?.chars().map(each).collect::<String>()))
}

/// Every part of a name in upper camel case: separators go, what follows one is a capital.
pub(crate) fn camelcase(args: &[Val]) -> Out {
    let whole: Vec<char> = text(args, 0)?.chars().collect();
    let start = whole.iter().position(|c| !is_separator(*c)).unwrap_or(whole.len());
    let mut out: String = whole[..start].iter().collect();
    if start == whole.len() {
        out.extend(whole.last());
    }
    let (mut lead, mut previous) = (false, ' ');
    for (place, c) in whole.iter().enumerate().skip(start) {
        let last = place + 1 == whole.len();
        if place == start || (is_separator(previous) && !is_separator(*c)) {
            lead = is_upper(*c);
            out.push(upper(*c));
        } else if is_separator(*c) {
            // The last separator before a word goes; those before it stay, as do those at the end.
            if last || is_separator(whole[place + 1]) {
                out.push(*c);
            }
        } else if lead && is_upper(*c) {
            out.push(lower(*c));
        } else {
            lead = false;
            out.push(*c);
        }
        previous = *c;
    }
    Ok(Val::str(out))
}

pub(crate) fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_whitespace()
}

/// The first letter of each word.
pub(crate) fn initials(args: &[Val]) -> Out {
    let mut gap = true;
    let mut out = String::new();
    for c in latin(text(args, 0)?.as_bytes()) {
        if c.is_whitespace() {
            gap = true;
        } else if std::mem::take(&mut gap) {
            out.push(c);
        }
    }
    Ok(Val::str(out))
}

/// Text without white space.
pub(crate) fn nospace(args: &[Val]) -> Out {
    let whole = text(args, 0)?;
    if !latin(whole.as_bytes()).any(char::is_whitespace) {
        return Ok(args[0].clone());
    }
    Ok(Val::str(latin(whole.as_bytes()).filter(|c| !c.is_whitespace()).collect::<String>()))
}

/// Each byte as the character of its number: how sprig's helpers read what is not ASCII.
fn latin(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    bytes.iter().map(|byte| char::from(*byte))
}
