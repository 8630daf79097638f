//! `printf`: Go's verbs, flags, width, precision and argument indexes, and its way to mark what does not fit
//! (pkg.go.dev/fmt: `%!d(string=hi)`, `%!s(MISSING)`, `%!(EXTRA …)`).

mod directive;

use directive::Printer;

use super::quote::{quote, quote_ascii};
use super::{print, syntax};
use crate::failure::Failure;
use crate::value::Val;

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
    let mut printer = Printer::new(args);
    let mut rest = format;
    while let Some((text, directive)) = rest.split_once('%') {
        out.extend_from_slice(text.as_bytes());
        rest = printer.directive(directive, &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    printer.extra(&mut out);
    Ok(out)
}

fn format_value(value: &Val, spec: Spec, out: &mut Vec<u8>) {
    if spec.verb == 'T' {
        let kind = value.go_type().as_bytes();
        return pad(if value.is_nothing() { kind } else { cut(kind, spec) }, spec, out);
    }
    if spec.verb == 'w' && !value.is_nothing() {
        out.extend_from_slice(format!("%!w({}=", value.go_type()).as_bytes());
        format_value(value, Spec { verb: 'v', plus: false, ..spec }, out);
        return out.push(b')');
    }
    match value {
        value if spec.verb == 'v' && spec.sharp && !value.is_nothing() => {
            syntax::show(value, false, out, &|value, out| syntax_scalar(value, spec, out));
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
                format_value(&entries.key(key), spec, out);
                out.push(b':');
                format_element(item, spec, out);
            });
            out.push(b']');
        }
        Val::Struct(fields) => {
            out.extend_from_slice(if fields.is_pointer() { b"&{" } else { b"{" });
            print::spaced(fields.iter(), out, |(name, item), out| {
                if spec.plus && spec.verb == 'v' {
                    out.extend_from_slice(name.as_bytes());
                    out.push(b':');
                }
                format_element(item, spec, out);
            });
            out.push(b'}');
        }
        scalar => format_scalar(scalar, spec, out),
    }
}

/// A value without parts as Go would write it in a program.
fn syntax_scalar(value: &Val, spec: Spec, out: &mut Vec<u8>) {
    let spec = Spec { plus: false, sharp: false, ..spec };
    match value {
        Val::Str(text) | Val::Number(text) => pad(quote(cut(text, spec), '"').as_bytes(), spec, out),
        Val::Uint(_) => scalar(value, Spec { verb: 'x', sharp: true, ..spec }, out),
        Val::Object(object) => out.extend_from_slice(object.text().as_bytes()),
        value => scalar(value, spec, out),
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
        scalar(value, Spec { verb: 'v', ..spec }, out);
        out.push(b')');
    }
}

fn integer(size: u64, negative: bool, spec: Spec, out: &mut Vec<u8>) -> bool {
    let character = || u32::try_from(size).ok().and_then(char::from_u32).filter(|_| !negative).unwrap_or('\u{fffd}');
    let (prefix, digits) = match spec.verb {
        'd' | 'v' => ("", size.to_string()),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => ("", format!("{size:o}")),
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
    let mut digits = format!("{digits:0>width$}", width = spec.precision.unwrap_or(0));
    if spec.sharp && matches!(spec.verb, 'o' | 'O') && !digits.starts_with('0') {
        digits.insert(0, '0');
    }
    numeric(negative, prefix, &digits, spec.precision.is_none(), spec, out)
}

/// `U+263A`, and the character itself with `#`, if it can be seen.
fn code_point(size: u64, negative: bool, spec: Spec, out: &mut Vec<u8>) -> bool {
    let code = if negative { size.wrapping_neg() } else { size };
    let seen = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| spec.sharp && super::quote::is_visible(*c));
    let character = seen.map_or_else(String::new, |c| format!(" '{c}'"));
    let digits = spec.precision.unwrap_or(0).max(4);
    padded(format!("U+{code:0digits$X}{character}").as_bytes(), Spec { zero: false, ..spec }, out)
}

fn float(f: f64, spec: Spec, out: &mut Vec<u8>) -> bool {
    if f.is_infinite() && "vgGeEfFxXb".contains(spec.verb) {
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
        ('x', precision) => syntax::hexadecimal(f.abs(), precision).unwrap_or_else(|| print::shortest(f.abs())),
        ('X', precision) => {
            syntax::hexadecimal(f.abs(), precision).unwrap_or_else(|| print::shortest(f.abs())).to_uppercase()
        }
        ('b', _) => syntax::binary(f.abs()).unwrap_or_else(|| print::shortest(f.abs())),
        ('f' | 'F', precision) => print::fixed(f.abs(), precision.unwrap_or(6)),
        _ => return false,
    };
    let text = if spec.sharp && f.is_finite() && spec.verb != 'b' { sharp(&text, spec) } else { text };
    numeric(f.is_sign_negative() && !f.is_nan(), "", text.trim_start_matches('+'), f.is_finite(), spec, out)
}

/// `#` of a float: always a point, and for `%g` and `%x` the zeros that its digits were rid of.
fn sharp(text: &str, spec: Spec) -> String {
    let hex = matches!(spec.verb, 'x' | 'X');
    let tail = if hex { text.find(['p', 'P']) } else { text.find(['e', 'E']) };
    let (number, tail) = text.split_at(tail.unwrap_or(text.len()));
    let wanted = if matches!(spec.verb, 'v' | 'g' | 'G' | 'x') { spec.precision.unwrap_or(6) } else { 0 };
    // As in Go, the x of a hexadecimal number is its first digit that is not zero.
    let mut digits = number.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    let pointed = number.contains('.');
    digits += usize::from(!pointed && number == "0");
    let point = if pointed { "" } else { "." };
    format!("{number}{point}{}{tail}", "0".repeat(wanted.saturating_sub(digits)))
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

/// As many characters as the precision lets through.
fn cut(bytes: &[u8], spec: Spec) -> &[u8] {
    let Some(precision) = spec.precision else { return bytes };
    std::str::from_utf8(bytes).map_or(&bytes[..bytes.len().min(precision)], |text| {
        text.char_indices().nth(precision).map_or(bytes, |(end, _)| &bytes[..end])
    })
}

fn string(bytes: &[u8], spec: Spec, out: &mut Vec<u8>) -> bool {
    let cut = cut(bytes, spec);
    // To these the precision counts bytes.
    let first = &bytes[..bytes.len().min(spec.precision.unwrap_or(usize::MAX))];
    match spec.verb {
        's' | 'v' => padded(cut, spec, out),
        'q' if spec.sharp && syntax::fits_back_quotes(cut) => {
            padded(format!("`{}`", String::from_utf8_lossy(cut)).as_bytes(), spec, out)
        }
        'q' if spec.plus => padded(quote_ascii(cut, '"').as_bytes(), spec, out),
        'q' => padded(quote(cut, '"').as_bytes(), spec, out),
        'x' => padded(digits(first, spec, |byte| format!("{byte:02x}")).as_bytes(), spec, out),
        'X' => padded(digits(first, spec, |byte| format!("{byte:02X}")).as_bytes(), spec, out),
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
