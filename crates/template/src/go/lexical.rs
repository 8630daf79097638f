//! The tokens of an action as strictly as Go reads them: what stands beside what, escapes, numbers.

use crate::failure::Failure;

/// What the token before was, as far as it limits the next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Space, a mark, or the begin: anything may follow.
    Nothing,
    /// A field or variable, or a function.
    Name,
    /// A text, a number, a boolean or nil, which have no fields.
    Constant,
    /// A closing parenthesis, whose value may have fields.
    Paren,
}

/// What a parenthesis may follow at once.
const KEYWORDS: [&str; 4] = ["else", "if", "range", "with"];

/// Checks a token beside the one before it and by itself.
pub(super) fn check(before: Before, token: &str, rest: &str) -> Result<Before, Failure> {
    let first = token.chars().next().unwrap_or(' ');
    let operand = matches!(first, '"' | '`' | '\'' | '(' | '$') || is_word(first) && before == Before::Paren;
    if before != Before::Nothing && (operand || is_word(first) && before == Before::Constant) {
        return Err(Failure::new("a space is missing between two values"));
    }
    if !first.is_ascii() && !first.is_alphanumeric() {
        return Err(Failure::new(format!("the character {} has no meaning here", first.escape_unicode())));
    }
    if before != Before::Nothing && matches!(first, '+' | '-') && begins_number(token) {
        return Err(Failure::new("a space is missing before the number"));
    }
    if before == Before::Name && first == '=' {
        return Err(Failure::new("a space is missing before the equals sign"));
    }
    if first == ',' && !rest.trim_start().starts_with('$') {
        return Err(Failure::new("a comma stands between the two variables of a range only"));
    }
    if before == Before::Constant && first == '.' {
        return Err(Failure::new("a text, a number, true, false and nil have no fields"));
    }
    match first {
        '"' | '\'' => quoted(&token[1..token.len() - 1], first)?,
        _ if begins_number(token) => {
            number(token)?;
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return Err(Failure::new("what begins like a number is none"));
            }
        }
        _ => {}
    }
    Ok(match first {
        '"' | '\'' | '`' => Before::Constant,
        ')' => Before::Paren,
        // A name behind a point is a field, whatever it is called.
        _ if before == Before::Nothing && KEYWORDS.contains(&token) => Before::Nothing,
        _ if before == Before::Nothing && (begins_number(token) || matches!(token, "true" | "false" | "nil")) => {
            Before::Constant
        }
        c if c == '.' || c == '$' || is_word(c) => Before::Name,
        _ => Before::Nothing,
    })
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a number begins here: a digit, perhaps behind a sign or a point.
pub(super) fn begins_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.strip_prefix('.').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit())
}

/// How far Go's lexer takes a text for a number.
pub(super) fn number_length(text: &str) -> usize {
    let mut at = usize::from(text.starts_with(['+', '-']));
    let prefix = text[at..].get(..2).map(str::to_ascii_lowercase);
    let (digits, exponent) = match prefix.as_deref() {
        Some("0x") => ("0123456789abcdefABCDEF_", "pP"),
        Some("0o") => ("01234567_", ""),
        Some("0b") => ("01_", ""),
        _ => ("0123456789_", "eE"),
    };
    at += if matches!(prefix.as_deref(), Some("0x" | "0o" | "0b")) { 2 } else { 0 };
    let run = |at: usize, set: &str| at + text[at..].len() - text[at..].trim_start_matches(|c| set.contains(c)).len();
    at = run(at, digits);
    if text[at..].starts_with('.') {
        at = run(at + 1, digits);
    }
    if text[at..].starts_with(|c| exponent.contains(c)) {
        at += 1;
        at += usize::from(text[at..].starts_with(['+', '-']));
        at = run(at, "0123456789_");
    }
    at + usize::from(text[at..].starts_with('i'))
}

fn number(text: &str) -> Result<(), Failure> {
    let mut before = ' ';
    for c in text.chars().chain([' ']) {
        // One between two digits, or behind the letter of a base.
        if before == '_' && !c.is_ascii_hexdigit() || c == '_' && !before.is_ascii_alphanumeric() {
            return Err(Failure::new("an underscore stands between two digits"));
        }
        before = c;
    }
    let hex = text.contains(['x', 'X']);
    let float = !hex && text.contains(['.', 'e', 'E']) && !text.ends_with('i');
    let parsed = text.replace('_', "").parse::<f64>();
    if float && parsed.map_or(true, f64::is_infinite) {
        return Err(Failure::new("the number is none, or too large for a float"));
    }
    Ok(())
}

/// The escapes of a text or a character.
fn quoted(text: &str, mark: char) -> Result<(), Failure> {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        rest = escape(&rest[at + 1..], mark).ok_or_else(|| {
            Failure::new("the text has an escape that is none").hint("write \\\\ for a backslash, or use back quotes")
        })?;
    }
    Ok(())
}

/// What follows an escape.
fn escape(rest: &str, mark: char) -> Option<&str> {
    let c = rest.chars().next()?;
    let (skip, digits, radix, most) = match c {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Some(&rest[1..]),
        c if c == mark => return Some(&rest[1..]),
        'x' => (1, 2, 16, 0xff),
        'u' => (1, 4, 16, 0xffff),
        'U' => (1, 8, 16, 0x0010_ffff),
        '0'..='7' => (0, 3, 8, 0xff),
        _ => return None,
    };
    let code = rest.get(skip..skip + digits).filter(|code| code.chars().all(|c| c.is_digit(radix)))?;
    let code = u32::from_str_radix(code, radix).ok().filter(|code| *code <= most)?;
    (skip == 0 || c == 'x' || char::from_u32(code).is_some()).then(|| &rest[skip + digits..])
}
