//! The order in which Go's library writes keys: numbers inside them by their value, letters after everything else.

use std::cmp::Ordering;

use crate::helpers::cast;
use crate::value::Val;

/// Numbers and booleans by their value, before texts.
pub(super) fn keys(a: &Val, b: &Val) -> Ordering {
    match (a, b) {
        (Val::Str(a), Val::Str(b)) => natural(&String::from_utf8_lossy(a), &String::from_utf8_lossy(b)),
        (Val::Str(_), _) => Ordering::Greater,
        (_, Val::Str(_)) => Ordering::Less,
        (Val::Int(a), Val::Int(b)) => a.cmp(b),
        (Val::Uint(a), Val::Uint(b)) => a.cmp(b),
        _ => cast::to_float(a).total_cmp(&cast::to_float(b)).then(kind(a).cmp(&kind(b))),
    }
}

/// Go's order of types whose values are equal.
const fn kind(key: &Val) -> u8 {
    match key {
        Val::Bool(_) => 0,
        Val::Int(_) => 1,
        Val::Uint(_) => 2,
        _ => 3,
    }
}

/// `key2` before `key10`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = left.iter().zip(&right).position(|(a, b)| a != b) else { return left.len().cmp(&right.len()) };
    let (x, y) = (left[at], right[at]);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero after other digits is one of theirs: both numbers go on from there.
    let goes_on = (x == '0' || y == '0') && inside_number(&left[..at]);
    let (first, digits) = number(&left[at..], goes_on);
    let (second, others) = number(&right[at..], goes_on);
    first.cmp(&second).then(digits.cmp(&others)).then(x.cmp(&y))
}

fn inside_number(before: &[char]) -> bool {
    before.iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0')
}

/// The digits here as a number, and how many they are.
fn number(from: &[char], goes_on: bool) -> (i64, usize) {
    let digits: Vec<i64> = from.iter().map_while(|c| c.to_digit(10)).map(i64::from).collect();
    let start = i64::from(goes_on);
    (digits.iter().fold(start, |n, digit| n.wrapping_mul(10).wrapping_add(*digit)), digits.len())
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn sorts_as_gos_library_does() {
        let mut keys =
            ["key10", "key2", "key1", "Key", "_k", "1", "10", "9", "a-b", "a.b", "a b", "é", "", "a0", "a10", "a100"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(
            keys,
            ["", "_k", "1", "9", "10", "Key", "a b", "a-b", "a.b", "a0", "a10", "a100", "key1", "key2", "key10", "é"]
        );
    }
}
