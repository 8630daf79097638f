//! `printf`: Go's verbs, flags, width, precision and argument indexes, and its way to mark what does not fit
//! (pkg.go.dev/fmt: `%!d(string=hi)`, `%!s(MISSING)`, `%!(EXTRA …)`).

use super::quote::{quote, quote_ascii};
use super::{print, syntax};
use crate::failure::Failure;
use crate::value::Val;

/// Widest field; Go's own limit is a million.
const MAX_WIDTH: usize = 10_000;

/// The place that an argument index names when it names none.
const NOWHERE: usize = usize::MAX / 2;

#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    verb: char,
}

/// Formats `args` as `format` says.
///
/// # Errors
/// A width or precision above ten thousand, which Go refuses at a million.
pub(super) fn sprintf(format: &str, args: &[Val]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut printer = Printer { args, next: 0, reordered: false };
    let mut rest = format;
    while let Some((text, directive)) = rest.split_once('%') {
        out.extend_from_slice(text.as_bytes());
        rest = printer.directive(directive, &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    printer.extra(&mut out);
    Ok(out)
}

struct Printer<'a> {
    args: &'a [Val],
    next: usize,
    reordered: bool,
}

impl Printer<'_> {
    /// One directive after its `%`; answers what follows it.
    fn directive<'t>(&mut self, text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, Failure> {
        let (mut spec, rest) = flags(text);
        let rest = self.index(rest);
        let (width, rest) = self.number(rest, "WIDTH", out)?;
        if let Some(width) = width {
            spec.minus |= width < 0;
            spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(MAX_WIDTH);
        }
        let rest = match rest.strip_prefix('.') {
            Some(rest) => {
                let (precision, rest) = self.number(self.peek_index(rest), "PREC", out)?;
                spec.precision = Some(usize::try_from(precision.unwrap_or(0)).unwrap_or(0));
                rest
            }
            None => rest,
        };
        let rest = self.index(rest);
        let mut chars = rest.chars();
        let Some(verb) = chars.next() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return Ok("");
        };
        spec.verb = verb;
        self.verb(spec, out);
        Ok(chars.as_str())
    }

    fn verb(&mut self, spec: Spec, out: &mut Vec<u8>) {
        if spec.verb == '%' {
            out.push(b'%');
            return;
        }
        match self.args.get(self.next) {
            Some(value) => format_value(value, spec, out),
            None if self.next == NOWHERE => out.extend_from_slice(format!("%!{}(BADINDEX)", spec.verb).as_bytes()),
            None => out.extend_from_slice(format!("%!{}(MISSING)", spec.verb).as_bytes()),
        }
        self.next += 1;
    }

    /// `[n]`: the next argument is the n-th.
    fn index<'t>(&mut self, text: &'t str) -> &'t str {
        let rest = self.peek_index(text);
        if rest.len() < text.len() {
            let digits = &text[1..text.len() - rest.len() - 1];
            let place = digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            self.next = place.filter(|place| *place < self.args.len()).unwrap_or(NOWHERE);
            self.reordered = true;
        }
        rest
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the printer")]
    fn peek_index<'t>(&self, text: &'t str) -> &'t str {
        text.strip_prefix('[').and_then(|inner| inner.split_once(']')).map_or(text, |(_, rest)| rest)
    }

    /// Digits, or `*` for the next argument.
    fn number<'t>(&mut self, text: &'t str, what: &str, out: &mut Vec<u8>) -> Result<(Option<i64>, &'t str), Failure> {
        let (number, rest) = if let Some(rest) = text.strip_prefix('*') {
            let number = match self.args.get(self.next) {
                Some(Val::Int(n) | Val::Long(n)) if n.unsigned_abs() <= 1_000_000 => Some(*n),
                _ => {
                    out.extend_from_slice(format!("%!(BAD{what})").as_bytes());
                    None
                }
            };
            self.next += 1;
            (number, rest)
        } else {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let number = if end == 0 { None } else { Some(text[..end].parse().unwrap_or(i64::MAX)) };
            (number, &text[end..])
        };
        if number.is_some_and(|n| n.unsigned_abs() > MAX_WIDTH as u64) {
            return Err(Failure::new(format!("printf: width or precision above {MAX_WIDTH}")));
        }
        Ok((number, rest))
    }

    fn extra(&self, out: &mut Vec<u8>) {
        if self.reordered || self.next >= self.args.len() {
            return;
        }
        out.extend_from_slice(b"%!(EXTRA ");
        for (index, value) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value.go_type().as_bytes());
            if !matches!(value, Val::Nil | Val::Void | Val::Absent) {
                out.push(b'=');
                print::show(value, out);
            }
        }
        out.push(b')');
    }
}

fn flags(text: &str) -> (Spec, &str) {
    let mut spec = Spec::default();
    let end = text.find(|c| !"+-# 0".contains(c)).unwrap_or(text.len());
    for flag in text[..end].chars() {
        match flag {
            '+' => spec.plus = true,
            '-' => spec.minus = true,
            '#' => spec.sharp = true,
            ' ' => spec.space = true,
            _ => spec.zero = true,
        }
    }
    (spec, &text[end..])
}

fn format_value(value: &Val, spec: Spec, out: &mut Vec<u8>) {
    if spec.verb == 'T' {
        return pad(value.go_type().as_bytes(), spec, out);
    }
    if spec.verb == 'w' && !value.is_nothing() {
        out.extend_from_slice(format!("%!w({}=", value.go_type()).as_bytes());
        format_value(value, Spec { verb: 'v', plus: false, sharp: false, ..spec }, out);
        return out.push(b')');
    }
    match value {
        value if spec.verb == 'v' && spec.sharp && !value.is_nothing() => {
            let mut text = Vec::new();
            syntax::show(value, false, &mut text);
            pad(&text, spec, out);
        }
        Val::Absent | Val::Void | Val::Nil if spec.verb == 'v' => pad(b"<nil>", spec, out),
        Val::Absent | Val::Void | Val::Nil => out.extend_from_slice(format!("%!{}(<nil>)", spec.verb).as_bytes()),
        Val::List(items) => {
            out.push(b'[');
            print::spaced(items.iter(), out, |item, out| format_element(item, spec, out));
            out.push(b']');
        }
        Val::Map(entries) => {
            out.extend_from_slice(b"map[");
            print::spaced(entries.borrow().iter(), out, |(key, item), out| {
                format_value(&Val::str(key.as_str()), spec, out);
                out.push(b':');
                format_element(item, spec, out);
            });
            out.push(b']');
        }
        Val::Struct(_) => print::show(value, out),
        scalar => format_scalar(scalar, spec, out),
    }
}

/// Nothing inside another value is written the same whatever the verb.
fn format_element(value: &Val, spec: Spec, out: &mut Vec<u8>) {
    if value.is_nothing() { out.extend_from_slice(b"<nil>") } else { format_value(value, spec, out) }
}

fn format_scalar(value: &Val, spec: Spec, out: &mut Vec<u8>) {
    // To `v`, a plus asks for the names of fields, not for a sign.
    scalar(value, Spec { plus: spec.plus && spec.verb != 'v', ..spec }, out);
}

fn scalar(value: &Val, spec: Spec, out: &mut Vec<u8>) {
    let done = match value {
        Val::Bool(flag) if matches!(spec.verb, 't' | 'v') => {
            pad(if *flag { b"true" } else { b"false" }, spec, out);
            true
        }
        Val::Int(n) | Val::Long(n) => integer(n.unsigned_abs(), *n < 0, spec, out),
        Val::Uint(n) => integer(*n, false, spec, out),
        Val::Float(f) => float(*f, spec, out),
        Val::Str(text) | Val::Number(text) => string(text, spec, out),
        Val::Object(object) => string(object.text().as_bytes(), spec, out),
        _ => false,
    };
    if !done {
        out.extend_from_slice(format!("%!{}({}=", spec.verb, value.go_type()).as_bytes());
        scalar(value, Spec { verb: 'v', sharp: false, ..spec }, out);
        out.push(b')');
    }
}

fn integer(size: u64, negative: bool, spec: Spec, out: &mut Vec<u8>) -> bool {
    let character = || u32::try_from(size).ok().and_then(char::from_u32).filter(|_| !negative).unwrap_or('\u{fffd}');
    let (prefix, digits) = match spec.verb {
        'd' | 'v' => ("", size.to_string()),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => (if size == 0 { "" } else { "0" }, format!("{size:o}")),
        'O' => ("0o", format!("{size:o}")),
        'b' => ("0b", format!("{size:b}")),
        'c' => return padded(character().to_string().as_bytes(), spec, out),
        'q' => return padded(quote(character().to_string().as_bytes(), '\'').as_bytes(), spec, out),
        'U' => return code_point(size, negative, spec, out),
        _ => return false,
    };
    if size == 0 && spec.precision == Some(0) && !matches!(spec.verb, 'c' | 'q' | 'U') {
        return padded(b"", Spec { zero: false, ..spec }, out);
    }
    let prefix = if spec.sharp || spec.verb == 'O' { prefix } else { "" };
    let digits = format!("{digits:0>width$}", width = spec.precision.unwrap_or(0));
    numeric(negative, prefix, &digits, spec.precision.is_none(), spec, out)
}

/// `U+263A`, and the character itself with `#`, if it can be seen.
fn code_point(size: u64, negative: bool, spec: Spec, out: &mut Vec<u8>) -> bool {
    let code = if negative { size.wrapping_neg() } else { size };
    let seen = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| spec.sharp && super::quote::is_visible(*c));
    let character = seen.map_or_else(String::new, |c| format!(" '{c}'"));
    padded(format!("U+{code:04X}{character}").as_bytes(), Spec { zero: false, ..spec }, out)
}

fn float(f: f64, spec: Spec, out: &mut Vec<u8>) -> bool {
    if f.is_infinite() && "vgGeEfFxX".contains(spec.verb) {
        return padded(if f > 0.0 { b"+Inf" } else { b"-Inf" }, Spec { zero: false, ..spec }, out);
    }
    let text = match (spec.verb, spec.precision) {
        ('v' | 'g', None) => print::shortest(f.abs()),
        ('v' | 'g', Some(precision)) => print::general(f.abs(), precision),
        ('G', precision) => {
            precision.map_or_else(|| print::shortest(f.abs()), |p| print::general(f.abs(), p)).to_uppercase()
        }
        ('e', precision) => print::exponential(f.abs(), precision.unwrap_or(6)),
        ('E', precision) => print::exponential(f.abs(), precision.unwrap_or(6)).to_uppercase(),
        ('x', None) => syntax::hexadecimal(f.abs()).unwrap_or_else(|| print::shortest(f.abs())),
        ('X', None) => syntax::hexadecimal(f.abs()).unwrap_or_else(|| print::shortest(f.abs())).to_uppercase(),
        ('f' | 'F', precision) => print::fixed(f.abs(), precision.unwrap_or(6)),
        _ => return false,
    };
    numeric(f.is_sign_negative() && !f.is_nan(), "", text.trim_start_matches('+'), f.is_finite(), spec, out)
}

/// Sign, prefix and digits; zeros go between the sign and the digits.
fn numeric(negative: bool, prefix: &str, digits: &str, zeros: bool, spec: Spec, out: &mut Vec<u8>) -> bool {
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    if spec.zero && !spec.minus && zeros {
        let width = spec.width.saturating_sub(sign.len());
        out.extend_from_slice(format!("{sign}{prefix}{digits:0>width$}").as_bytes());
        return true;
    }
    padded(format!("{sign}{prefix}{digits}").as_bytes(), Spec { zero: false, ..spec }, out)
}

fn string(bytes: &[u8], spec: Spec, out: &mut Vec<u8>) -> bool {
    let cut = match spec.precision {
        Some(precision) => std::str::from_utf8(bytes).map_or(&bytes[..bytes.len().min(precision)], |text| {
            text.char_indices().nth(precision).map_or(bytes, |(end, _)| &bytes[..end])
        }),
        None => bytes,
    };
    match spec.verb {
        's' | 'v' => padded(cut, spec, out),
        'q' if spec.sharp && syntax::fits_back_quotes(cut) => {
            padded(format!("`{}`", String::from_utf8_lossy(cut)).as_bytes(), spec, out)
        }
        'q' if spec.plus => padded(quote_ascii(cut, '"').as_bytes(), spec, out),
        'q' => padded(quote(cut, '"').as_bytes(), spec, out),
        'x' => padded(digits(cut, spec, |byte| format!("{byte:02x}")).as_bytes(), spec, out),
        'X' => padded(digits(cut, spec, |byte| format!("{byte:02X}")).as_bytes(), spec, out),
        _ => false,
    }
}

fn digits(bytes: &[u8], spec: Spec, each: impl Fn(u8) -> String) -> String {
    let separator = if spec.space { " " } else { "" };
    let prefix = match (spec.sharp, spec.verb) {
        (true, 'x') if !bytes.is_empty() => "0x",
        (true, _) if !bytes.is_empty() => "0X",
        _ => "",
    };
    let each = |byte: &u8| format!("{}{}", if spec.space { prefix } else { "" }, each(*byte));
    let digits = bytes.iter().map(each).collect::<Vec<_>>().join(separator);
    if spec.space { digits } else { format!("{prefix}{digits}") }
}

fn padded(text: &[u8], spec: Spec, out: &mut Vec<u8>) -> bool {
    pad(text, spec, out);
    true
}

/// Fills up to the width, which counts characters.
fn pad(text: &[u8], spec: Spec, out: &mut Vec<u8>) {
    let length = std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count());
    let missing = spec.width.saturating_sub(length);
    let fill = if spec.zero && !spec.minus { b'0' } else { b' ' };
    if !spec.minus {
        out.resize(out.len() + missing, fill);
    }
    out.extend_from_slice(text);
    if spec.minus {
        out.resize(out.len() + missing, b' ');
    }
}

#[cfg(test)]
mod tests;
