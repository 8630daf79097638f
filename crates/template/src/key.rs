//! Keys of maps that YAML made, which may be numbers and booleans: how they stand among texts.

use crate::value::Val;

/// What a key that is no text begins with.
const MARK: char = '\u{10ffff}';

/// The key of this value, in the order in which Go prints a map: texts, unsigned integers, integers, floats, booleans.
/// `None`: nothing, a collection, and what is not even equal to itself are no keys; nor is a text that begins with the mark.
pub(crate) fn of(value: &Val) -> Option<String> {
    const SIGN: u64 = 1 << 63;
    let (kind, bits) = match value {
        Val::Str(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            return Some(text.to_owned()).filter(|text| !text.starts_with(MARK));
        }
        Val::Uint(n) => ('a', *n),
        Val::Int(n) => ('b', n.cast_unsigned() ^ SIGN),
        Val::Float(f) if f.is_nan() => return None,
        Val::Float(f) => {
            // The two zeros are one key.
            let bits = (f + 0.0).to_bits();
            ('c', if bits & SIGN == 0 { bits | SIGN } else { !bits })
        }
        Val::Bool(flag) => ('d', u64::from(*flag)),
        _ => return None,
    };
    Some(format!("{MARK}{kind}{bits:016x}"))
}

/// The value that the key was made of.
pub(crate) fn value(key: &str) -> Val {
    const SIGN: u64 = 1 << 63;
    let bits = |digits: &str| u64::from_str_radix(digits, 16).unwrap_or_default();
    match key.strip_prefix(MARK).and_then(|rest| rest.split_at_checked(1)) {
        Some(("a", digits)) => Val::Uint(bits(digits)),
        Some(("b", digits)) => Val::Int((bits(digits) ^ SIGN).cast_signed()),
        Some(("c", digits)) => {
            let bits = bits(digits);
            Val::Float(f64::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN }))
        }
        Some(("d", digits)) => Val::Bool(bits(digits) != 0),
        _ => Val::str(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::print;

    #[test]
    fn keeps_each_value_and_sorts_as_go_prints() {
        let values = [
            Val::str(""),
            Val::str("a"),
            Val::str("\u{10fffe}"),
            Val::Uint(u64::MAX),
            Val::Int(i64::MIN),
            Val::Int(-1),
            Val::Int(0),
            Val::Int(7),
            Val::Int(i64::MAX),
            Val::Float(f64::NEG_INFINITY),
            Val::Float(-2.5),
            Val::Float(0.0),
            Val::Float(1e-300),
            Val::Float(1.5),
            Val::Float(f64::INFINITY),
            Val::Bool(false),
            Val::Bool(true),
        ];
        let keys: Vec<String> = values.iter().map(|value| of(value).unwrap()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for (key, want) in keys.iter().zip(&values) {
            let got = value(key);
            assert_eq!((got.go_type(), print::text(&got)), (want.go_type(), print::text(want)));
        }
        assert_eq!(of(&Val::Float(-0.0)), of(&Val::Float(0.0)));
        assert!(
            [Val::Nil, Val::list(vec![]), Val::Float(f64::NAN), Val::str("\u{10ffff}b")]
                .iter()
                .all(|it| of(it).is_none())
        );
    }
}
