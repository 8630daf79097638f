//! Arithmetic and numbers from text. The operand that pipes in is the first of the operation: `10 | subtract 3` is 7.

use std::cmp::Ordering;

use super::{Out, text};
use crate::failure::Failure;
use crate::value::Val;

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Uint(u64),
    Float(f64),
}

fn number(args: &[Val], index: usize) -> Result<Number, Failure> {
    let number = match args.get(index) {
        Some(Val::Int(n) | Val::Long(n)) => Some(Number::Int(*n)),
        Some(Val::Uint(n)) => Some(Number::Uint(*n)),
        Some(Val::Float(f)) => Some(Number::Float(*f)),
        _ => None,
    };
    number.ok_or_else(|| {
        let failure = super::wanted(args, index, "a number");
        let text = matches!(args.get(index), Some(Val::Number(_) | Val::Str(_)));
        if text { failure.hint("write (parseInt (print VALUE)), or parseFloat") } else { failure }
    })
}

#[expect(clippy::cast_precision_loss, reason = "Go converts so too")]
const fn float(number: Number) -> f64 {
    match number {
        Number::Int(n) => n as f64,
        Number::Uint(n) => n as f64,
        Number::Float(f) => f,
    }
}

/// Integers wrap as Go's do; one float makes all floats; signed and unsigned mix as signed.
fn operate(
    args: &[Val],
    ints: impl Fn(i64, i64) -> Option<i64>,
    uints: impl Fn(u64, u64) -> Option<u64>,
    floats: impl Fn(f64, f64) -> f64,
) -> Out {
    let (right, left) = (number(args, 0)?, number(args, 1)?);
    let value = match (left, right) {
        (Number::Uint(a), Number::Uint(b)) => uints(a, b).map(Val::Uint),
        (Number::Float(_), _) | (_, Number::Float(_)) => Some(Val::Float(floats(float(left), float(right)))),
        _ => ints(signed(left), signed(right)).map(Val::Long),
    };
    value.ok_or_else(|| Failure::new("division by zero"))
}

pub(crate) fn add(args: &[Val]) -> Out {
    operate(args, |a, b| Some(a.wrapping_add(b)), |a, b| Some(a.wrapping_add(b)), |a, b| a + b)
}

pub(crate) fn subtract(args: &[Val]) -> Out {
    operate(args, |a, b| Some(a.wrapping_sub(b)), |a, b| Some(a.wrapping_sub(b)), |a, b| a - b)
}

pub(crate) fn multiply(args: &[Val]) -> Out {
    operate(args, |a, b| Some(a.wrapping_mul(b)), |a, b| Some(a.wrapping_mul(b)), |a, b| a * b)
}

pub(crate) fn divide(args: &[Val]) -> Out {
    let divided = |a: i64, b: i64| (b != 0).then(|| a.wrapping_div(b));
    operate(args, divided, u64::checked_div, |a, b| a / b)
}

pub(crate) fn modulo(args: &[Val]) -> Out {
    if matches!((number(args, 0)?, number(args, 1)?), (Number::Float(_), _) | (_, Number::Float(_))) {
        return Err(Failure::new("modulo takes integers"));
    }
    operate(args, |a, b| (b != 0).then(|| a.wrapping_rem(b)), u64::checked_rem, |a, _| a)
}

pub(crate) fn minimum(args: &[Val]) -> Out {
    chosen(args, Ordering::Less)
}

pub(crate) fn maximum(args: &[Val]) -> Out {
    chosen(args, Ordering::Greater)
}

/// One of the two, in its own type; the first argument when they are equal.
fn chosen(args: &[Val], wanted: Ordering) -> Out {
    let (right, left) = (number(args, 0)?, number(args, 1)?);
    let order = match (left, right) {
        (Number::Float(_), _) | (_, Number::Float(_)) => float(left).partial_cmp(&float(right)),
        (Number::Uint(a), Number::Uint(b)) => Some(a.cmp(&b)),
        _ => Some(signed(left).cmp(&signed(right))),
    };
    Ok(match if order == Some(wanted) { left } else { right } {
        Number::Int(n) => Val::Long(n),
        Number::Uint(n) => Val::Uint(n),
        Number::Float(f) => Val::Float(f),
    })
}

const fn signed(number: Number) -> i64 {
    match number {
        Number::Int(n) => n,
        Number::Uint(n) => n.cast_signed(),
        Number::Float(_) => 0,
    }
}

fn parsed<T: Default>(args: &[Val], want: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
    let text = text(args, 0)?;
    if text.is_empty() {
        Ok(T::default())
    } else {
        parse(text).ok_or_else(|| Failure::new(format!("the text is not {want}")))
    }
}

pub(crate) fn parse_bool(args: &[Val]) -> Out {
    parsed(args, "a boolean", sidekey_core::goparse::parse_bool).map(Val::Bool)
}

pub(crate) fn parse_int(args: &[Val]) -> Out {
    parsed(args, "an integer", |text| text.parse().ok()).map(Val::Long)
}

pub(crate) fn parse_uint(args: &[Val]) -> Out {
    parsed(args, "an unsigned integer", |text| text.parse().ok()).map(Val::Uint)
}

pub(crate) fn parse_float(args: &[Val]) -> Out {
    parsed(args, "a number", |text| text.parse().ok()).map(Val::Float)
}
