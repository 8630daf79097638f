//! `print`, `println` and the default form of a value, as Go's fmt package writes them.

pub(crate) use super::quote::quote;
use crate::value::Val;

/// The default form of a value by itself, as `%v` and sprig's `toString` write it.
pub(crate) fn text(value: &Val) -> Vec<u8> {
    let mut out = Vec::new();
    show(value, &mut out);
    out
}

/// The default form (`%v`) of a value inside another one.
pub(crate) fn show(value: &Val, out: &mut Vec<u8>) {
    match value {
        Val::Absent | Val::Void | Val::Nil => out.extend_from_slice(b"<nil>"),
        Val::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Val::Int(n) | Val::Long(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Val::Uint(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Val::Float(f) => out.extend_from_slice(shortest(*f).as_bytes()),
        Val::Str(text) | Val::Number(text) => out.extend_from_slice(text),
        Val::List(items) => {
            out.push(b'[');
            spaced(items.iter(), out, show);
            out.push(b']');
        }
        Val::Map(entries) => {
            out.extend_from_slice(b"map[");
            spaced(entries.borrow().iter(), out, |(key, item), out| {
                show(&entries.key(key), out);
                out.push(b':');
                show(item, out);
            });
            out.push(b']');
        }
        Val::Struct(fields) => {
            if fields.is_pointer() {
                out.push(b'&');
            }
            fields_of(fields, out);
        }
        Val::Object(object) => out.extend_from_slice(object.text().as_bytes()),
    }
}

fn fields_of(fields: &[(&'static str, Val)], out: &mut Vec<u8>) {
    out.push(b'{');
    spaced(fields.iter(), out, |(_, item), out| show(item, out));
    out.push(b'}');
}

pub(super) fn spaced<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut each: impl FnMut(T, &mut Vec<u8>)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        each(item, out);
    }
}

/// What an action prints: at the top, nothing is `<no value>`.
pub(super) fn action(value: &Val, out: &mut Vec<u8>) {
    match value {
        Val::Absent => {}
        Val::Void | Val::Nil => out.extend_from_slice(b"<no value>"),
        // Go prints what a pointer points at.
        Val::Struct(fields) => fields_of(fields, out),
        value => show(value, out),
    }
}

/// `print`: a space between two operands when neither is a string.
pub(super) fn print(values: &[Val]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let is_text = |value: &Val| matches!(value, Val::Str(_) | Val::Number(_));
        if index > 0 && !is_text(value) && !is_text(&values[index - 1]) {
            out.push(b' ');
        }
        show(value, &mut out);
    }
    out
}

/// `println`: a space between operands, a newline at the end.
pub(super) fn println(values: &[Val]) -> Vec<u8> {
    let mut out = Vec::new();
    spaced(values.iter(), &mut out, show);
    out.push(b'\n');
    out
}

/// A float in the fewest digits that read back the same (`%v`, `%g`).
pub(crate) fn shortest(f: f64) -> String {
    let Some((digits, exponent)) = scientific(f, None) else { return unusual(f) };
    if (-4..6).contains(&exponent) { decimal(f) } else { with_exponent(&digits, exponent) }
}

/// The same digits without an exponent, as Go's `%f` of the least precision.
pub(crate) fn decimal(f: f64) -> String {
    let Some((digits, exponent)) = scientific(f, None) else { return unusual(f) };
    let unsigned = digits.trim_start_matches('-').replace('.', "");
    let sign = if digits.starts_with('-') { "-" } else { "" };
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
    if exponent < 0 {
        format!("{sign}0.{}{unsigned}", "0".repeat(zeros))
    } else if unsigned.len() <= whole {
        format!("{sign}{unsigned:0<whole$}")
    } else {
        format!("{sign}{}.{}", &unsigned[..whole], &unsigned[whole..])
    }
}

/// `%e`, with six digits after the point unless told otherwise.
pub(super) fn exponential(f: f64, precision: usize) -> String {
    scientific(f, Some(precision)).map_or_else(|| unusual(f), |(digits, exponent)| with_exponent(&digits, exponent))
}

/// `%f`.
pub(super) fn fixed(f: f64, precision: usize) -> String {
    if f.is_finite() { format!("{f:.precision$}") } else { unusual(f) }
}

/// `%.3g`: at most so many digits, without zeros at the end.
pub(super) fn general(f: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let Some((digits, exponent)) = scientific(f, Some(precision - 1)) else { return unusual(f) };
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        return with_exponent(&trim(&digits), exponent);
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trim(&format!("{f:.decimals$}"))
}

fn scientific(f: f64, precision: Option<usize>) -> Option<(String, i32)> {
    let text = match precision {
        Some(precision) => format!("{f:.precision$e}"),
        None => nearest(f),
    };
    let (digits, exponent) = text.split_once('e')?;
    Some((digits.to_owned(), exponent.parse().ok()?))
}

/// The fewest digits that read back the same; of two such numbers as near as each other, Go takes the even one.
fn nearest(f: f64) -> String {
    let text = format!("{f:e}");
    let digits = text.split('e').next().map_or(0, |mantissa| mantissa.bytes().filter(u8::is_ascii_digit).count());
    let rounded = format!("{f:.precision$e}", precision = digits.saturating_sub(1));
    if rounded.parse() == Ok(f) { rounded } else { text }
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn unusual(f: f64) -> String {
    if f.is_nan() {
        "NaN".to_owned()
    } else if f > 0.0 {
        "+Inf".to_owned()
    } else {
        "-Inf".to_owned()
    }
}
