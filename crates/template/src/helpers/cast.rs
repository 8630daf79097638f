//! Numbers from anything, as sprig's arithmetic takes them: what is no number counts as zero.

use crate::value::Val;

/// An integer: floats lose their fraction, texts are read with Go's prefixes (`0x`, `0o`, `0b`, `0`), `true` is one.
pub(crate) fn to_int(value: &Val) -> i64 {
    match value {
        Val::Int(n) | Val::Long(n) => *n,
        Val::Uint(n) => n.cast_signed(),
        Val::Float(f) => truncated(*f),
        Val::Bool(flag) => i64::from(*flag),
        other => {
            other.bytes().and_then(|bytes| parse_int(without_zeros(std::str::from_utf8(bytes).ok()?))).unwrap_or(0)
        }
    }
}

/// A float: texts are read as decimal numbers, `true` is one.
pub(crate) fn to_float(value: &Val) -> f64 {
    match value {
        Val::Float(f) => *f,
        Val::Bool(flag) => f64::from(u8::from(*flag)),
        Val::Int(_) | Val::Long(_) | Val::Uint(_) => whole(value),
        other => other.bytes().and_then(|bytes| parse_float(std::str::from_utf8(bytes).ok()?)).unwrap_or(0.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "Go converts so too")]
fn whole(value: &Val) -> f64 {
    match value {
        Val::Uint(n) => *n as f64,
        other => to_int(other) as f64,
    }
}

/// What a 64-bit processor answers for what does not fit: the smallest integer.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn truncated(f: f64) -> i64 {
    if f.is_finite() && f.abs() < 9_223_372_036_854_775_808.0 { f as i64 } else { i64::MIN }
}

/// `"3.00"` without its point and zeros.
fn without_zeros(text: &str) -> &str {
    let head = text.trim_end_matches('0');
    if head.len() < text.len() { head.strip_suffix('.').unwrap_or(text) } else { text }
}

/// Go's `strconv.ParseInt` with base 0.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits, prefixed) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..], true),
        Some("0o") => (8, &lower[2..], true),
        Some("0b") => (2, &lower[2..], true),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    let digits = ungrouped(digits, prefixed)?;
    let size = i128::from_str_radix(&digits, radix).ok()?;
    i64::try_from(if negative { -size } else { size }).ok()
}

/// Underscores may stand between digits, and after a prefix.
fn ungrouped(digits: &str, prefixed: bool) -> Option<String> {
    let misplaced = digits.ends_with('_') || digits.contains("__") || (!prefixed && digits.starts_with('_'));
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    (!misplaced && !plain.is_empty() && plain.chars().all(|c| c.is_ascii_alphanumeric())).then_some(plain)
}

/// Go's `strconv.Atoi` with its error overlooked: too large is the largest, no number is zero.
pub(crate) fn clamped(text: &str) -> i64 {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().unwrap_or_else(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow => i64::MAX,
        NegOverflow => i64::MIN,
        _ => 0,
    })
}

/// Go's `strconv.ParseFloat`; a number too large to hold is none.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok().or_else(|| ungrouped_float(text)?.parse().ok())?;
    let digits = text.contains(|c: char| c.is_ascii_digit());
    (!(digits && number.is_infinite())).then_some(number)
}

/// Underscores stand between digits only.
fn ungrouped_float(text: &str) -> Option<String> {
    let digit = |c: Option<&u8>| c.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let between = |at: usize| digit(at.checked_sub(1).and_then(|at| bytes.get(at))) && digit(bytes.get(at + 1));
    let fine = text.bytes().enumerate().all(|(at, byte)| byte != b'_' || between(at));
    fine.then(|| text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_integers_with_gos_prefixes() {
        let cases = [
            ("12", 12),
            ("-0x1F", -31),
            ("010", 8),
            ("08", 0),
            ("0b101", 5),
            ("1_000", 1000),
            ("1__0", 0),
            ("_1", 0),
            ("0x_ff", 255),
            ("3.00", 3),
            ("3.10", 0),
            ("100", 100),
            ("", 0),
            ("9223372036854775808", 0),
        ];
        for (text, want) in cases {
            assert_eq!(to_int(&Val::str(text)), want, "{text}");
        }
        assert_eq!(to_int(&Val::Float(-2.9)), -2);
        assert!((to_float(&Val::str("1e400"))).abs() < f64::EPSILON);
    }
}
