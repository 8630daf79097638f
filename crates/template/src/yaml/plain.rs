//! Bare scalars: where they end, and what they stand for.

use crate::helpers::cast;
use crate::value::Val;

/// Where a bare text on one line ends: before a colon, a comment, or in a flow before its marks. `None`: with the line.
pub(super) fn end(line: &str, flow: bool) -> Option<usize> {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        let after = line[at + c.len_utf8()..].chars().next();
        let blank = after.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let mark = flow && after.is_some_and(|c| matches!(c, ',' | '[' | ']' | '{' | '}'));
        let ends = match c {
            ':' => blank || mark,
            '#' => matches!(before, ' ' | '\t') && at > 0,
            ',' | '[' | ']' | '{' | '}' => flow,
            '\n' | '\r' => true,
            _ => false,
        };
        if ends {
            return Some(at);
        }
        before = c;
    }
    None
}

/// A boolean, a number, nothing, or the text itself, as Go's library of YAML 1.1 takes it.
pub(super) fn resolve(text: &str) -> Val {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Val::Nil,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Val::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Val::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Val::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Val::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Val::Float(f64::NAN),
        _ => {}
    }
    number(text).unwrap_or_else(|| Val::str(text))
}

fn number(text: &str) -> Option<Val> {
    if text.starts_with('.') {
        return cast::parse_float(text).map(Val::Float);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(n) = cast::parse_int(&plain) {
        return Some(Val::Int(n));
    }
    let decimal = plain.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(n) = plain.parse().ok().filter(|_| decimal) {
        return Some(Val::Uint(n));
    }
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let float = unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let digits = unsigned.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    cast::parse_float(&plain).filter(|_| float && digits).map(Val::Float)
}
