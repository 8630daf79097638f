//! Values as Go would write them in a program (`%#v`), and floats by their bits (`%x`).

use super::print;
use crate::value::Val;

/// Go syntax; `scalar` writes what has no parts. What is nothing inside another value names its type.
pub(super) fn show(value: &Val, inside: bool, out: &mut Vec<u8>, scalar: &dyn Fn(&Val, &mut Vec<u8>)) {
    match value {
        Val::Absent | Val::Void | Val::Nil if inside => out.extend_from_slice(b"interface {}(nil)"),
        Val::List(items) if items.is_nil() => out.extend_from_slice(format!("{}(nil)", items.go_type()).as_bytes()),
        Val::List(items) => block(items.go_type(), items.iter(), out, |item, out| show(item, true, out, scalar)),
        Val::Map(entries) if entries.is_nil() => {
            out.extend_from_slice(format!("{}(nil)", entries.go_type()).as_bytes());
        }
        Val::Struct(fields) => {
            let kind = fields.go_type().replacen('*', "&", 1);
            block(&kind, fields.iter(), out, |(name, item), out| {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                show(item, true, out, scalar);
            });
        }
        Val::Map(entries) => block(entries.go_type(), entries.borrow().iter(), out, |(key, item), out| {
            scalar(&entries.key(key), out);
            out.push(b':');
            show(item, true, out, scalar);
        }),
        Val::Absent | Val::Void | Val::Nil => print::show(value, out),
        value => scalar(value, out),
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

/// A positive float in hexadecimal, as many digits as it has or as are asked for: `0x1.cp+01`.
pub(super) fn hexadecimal(f: f64, precision: Option<usize>) -> Option<String> {
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
    if let Some(kept) = precision.filter(|digits| *digits < 13) {
        // Half way between two numbers goes to the even one.
        let whole = u64::from(lead) << 52 | fraction;
        let (unit, rest) = (1_u64 << (52 - 4 * kept), whole & ((1 << (52 - 4 * kept)) - 1));
        let up = rest * 2 > unit || rest * 2 == unit && whole & unit != 0;
        let rounded = whole - rest + if up { unit } else { 0 };
        exponent += i64::from(rounded >> 53 != 0);
        (lead, fraction) =
            (u8::from(rounded >> 52 != 0), if rounded >> 53 != 0 { 0 } else { rounded & ((1 << 52) - 1) });
    }
    let digits = format!("{fraction:013x}");
    let digits = match precision {
        Some(wanted) => format!("{:0<wanted$}", &digits[..wanted.min(13)]),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("0x{lead}{point}{digits}p{sign}{:02}", exponent.abs()))
}

/// A positive float as a whole number and a power of two: `4503599627370496p-52`.
pub(super) fn binary(f: f64) -> Option<String> {
    let (exponent, fraction) = (i64::try_from(f.to_bits() >> 52 & 0x7ff).ok()?, f.to_bits() & ((1 << 52) - 1));
    let whole = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    f.is_finite().then(|| format!("{whole}p{:+}", exponent.max(1) - 1075))
}

/// Whether Go can write the text between back quotes.
pub(super) fn fits_back_quotes(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| !text.contains(|c| (c < ' ' && c != '\t') || matches!(c, '`' | '\u{7f}' | '\u{feff}')))
}
