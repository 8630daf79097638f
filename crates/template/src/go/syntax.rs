//! Values as Go would write them in a program (`%#v`), and floats by their bits (`%x`).

use super::print;
use super::quote::quote;
use crate::value::Val;

/// Go syntax. What is nothing inside another value names its type.
pub(super) fn show(value: &Val, inside: bool, out: &mut Vec<u8>) {
    match value {
        Val::Absent | Val::Void | Val::Nil if inside => out.extend_from_slice(b"interface {}(nil)"),
        Val::Str(text) | Val::Number(text) => out.extend_from_slice(quote(text, '"').as_bytes()),
        Val::Uint(n) => out.extend_from_slice(format!("{n:#x}").as_bytes()),
        Val::List(items) if items.is_nil() => out.extend_from_slice(format!("{}(nil)", items.go_type()).as_bytes()),
        Val::List(items) => block(items.go_type(), items.iter(), out, |item, out| show(item, true, out)),
        Val::Map(entries) => block(entries.go_type(), entries.borrow().iter(), out, |(key, item), out| {
            out.extend_from_slice(quote(key.as_bytes(), '"').as_bytes());
            out.push(b':');
            show(item, true, out);
        }),
        other => print::show(other, out),
    }
}

fn block<T>(kind: &str, items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut each: impl FnMut(T, &mut Vec<u8>)) {
    out.extend_from_slice(kind.as_bytes());
    out.push(b'{');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        each(item, out);
    }
    out.push(b'}');
}

/// A positive float in hexadecimal, as many digits as it has: `0x1.cp+01`.
pub(super) fn hexadecimal(f: f64) -> Option<String> {
    if !f.is_finite() {
        return None;
    }
    let bits = f.to_bits();
    let (mut exponent, mut fraction) = (i64::try_from(bits >> 52 & 0x7ff).ok()? - 1023, bits & ((1 << 52) - 1));
    let mut lead = 1;
    if exponent == -1023 {
        (lead, exponent) = (u8::from(fraction != 0), if fraction == 0 { 0 } else { -1022 });
        // A number below the normal ones is shifted until it leads with a one.
        while fraction != 0 && fraction >> 52 == 0 {
            fraction <<= 1;
            exponent -= 1;
        }
        fraction &= (1 << 52) - 1;
    }
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("0x{lead}{point}{digits}p{sign}{:02}", exponent.abs()))
}

/// Whether Go can write the text between back quotes.
pub(super) fn fits_back_quotes(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| !text.contains(|c| (c < ' ' && c != '\t') || matches!(c, '`' | '\u{7f}' | '\u{feff}')))
}
