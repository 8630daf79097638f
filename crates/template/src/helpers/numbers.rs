//! sprig's arithmetic: any value counts as a number, what is none as zero.

use super::cast::{to_float, to_int};
use super::decimal::Decimal;
use super::{Out, int};
use crate::failure::Failure;
use crate::go::print;
use crate::value::Val;

fn folded(args: &[Val], start: i64, each: impl Fn(i64, i64) -> i64) -> Out {
    Ok(Val::Long(args.iter().map(to_int).fold(start, each)))
}

pub(crate) fn add(args: &[Val]) -> Out {
    folded(args, 0, i64::wrapping_add)
}

pub(crate) fn add1(args: &[Val]) -> Out {
    folded(args, 1, i64::wrapping_add)
}

pub(crate) fn mul(args: &[Val]) -> Out {
    folded(args, 1, i64::wrapping_mul)
}

/// `sub A B`.
pub(crate) fn sub(args: &[Val]) -> Out {
    Ok(Val::Long(to_int(&args[0]).wrapping_sub(to_int(&args[1]))))
}

/// `div A B`.
pub(crate) fn div(args: &[Val]) -> Out {
    divided(args, i64::wrapping_div)
}

/// `mod A B`.
pub(crate) fn modulo(args: &[Val]) -> Out {
    divided(args, i64::wrapping_rem)
}

fn divided(args: &[Val], operation: fn(i64, i64) -> i64) -> Out {
    match to_int(&args[1]) {
        0 => Err(Failure::new("division by zero")),
        divisor => Ok(Val::Long(operation(to_int(&args[0]), divisor))),
    }
}

pub(crate) fn max(args: &[Val]) -> Out {
    folded(args, i64::MIN, i64::max)
}

pub(crate) fn min(args: &[Val]) -> Out {
    folded(args, i64::MAX, i64::min)
}

pub(crate) fn maxf(args: &[Val]) -> Out {
    Ok(Val::Float(args.iter().map(to_float).fold(f64::NEG_INFINITY, |a, b| if a.is_nan() { a } else { a.max(b) })))
}

pub(crate) fn minf(args: &[Val]) -> Out {
    Ok(Val::Float(args.iter().map(to_float).fold(f64::INFINITY, |a, b| if a.is_nan() { a } else { a.min(b) })))
}

pub(crate) fn to_int64(args: &[Val]) -> Out {
    Ok(Val::Long(to_int(&args[0])))
}

pub(crate) fn to_int_kind(args: &[Val]) -> Out {
    Ok(Val::Int(to_int(&args[0])))
}

pub(crate) fn to_float64(args: &[Val]) -> Out {
    Ok(Val::Float(to_float(&args[0])))
}

/// `atoi TEXT`: decimal digits, else zero.
pub(crate) fn atoi(args: &[Val]) -> Out {
    Ok(Val::Int(super::cast::clamped(super::text(args, 0)?)))
}

/// The value's text read as an octal number, else zero.
pub(crate) fn to_decimal(args: &[Val]) -> Out {
    let text = String::from_utf8(print::text(&args[0])).unwrap_or_default();
    Ok(Val::Long(i64::from_str_radix(&text, 8).unwrap_or(0)))
}

pub(crate) fn ceil(args: &[Val]) -> Out {
    Ok(Val::Float(to_float(&args[0]).ceil()))
}

pub(crate) fn floor(args: &[Val]) -> Out {
    Ok(Val::Float(to_float(&args[0]).floor()))
}

/// `round VALUE PLACES [FROM]`: up from the fraction `FROM` on, which is one half unless said.
pub(crate) fn round(args: &[Val]) -> Out {
    let places = i32::try_from(int(args, 1)?.clamp(-400, 400)).unwrap_or(0);
    let from = args.get(2).map_or(0.5, to_float);
    let power = 10_f64.powi(places);
    let digit = power * to_float(&args[0]);
    let rounded = if digit - digit.trunc() >= from { digit.ceil() } else { digit.floor() };
    Ok(Val::Float(rounded / power))
}

/// Exact; where digits run out, as floats.
fn decimals(
    args: &[Val],
    start: Option<f64>,
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    rough: fn(f64, f64) -> f64,
) -> Out {
    let wrong = || Failure::new("the numbers cannot be computed: infinite, or divided by zero");
    let mut values = start.into_iter().chain(args.iter().map(to_float));
    let mut total = values.next().and_then(Decimal::of).ok_or_else(wrong)?;
    for value in values {
        let operand = Decimal::of(value).ok_or_else(wrong)?;
        let next = exact(total, operand).or_else(|| Decimal::of(rough(total.to_float(), value)));
        total = next.ok_or_else(wrong)?;
    }
    Ok(Val::Float(total.to_float()))
}

pub(crate) fn addf(args: &[Val]) -> Out {
    decimals(args, Some(0.0), Decimal::plus, |a, b| a + b)
}

pub(crate) fn add1f(args: &[Val]) -> Out {
    decimals(args, Some(1.0), Decimal::plus, |a, b| a + b)
}

pub(crate) fn subf(args: &[Val]) -> Out {
    decimals(args, None, Decimal::minus, |a, b| a - b)
}

pub(crate) fn mulf(args: &[Val]) -> Out {
    decimals(args, None, Decimal::times, |a, b| a * b)
}

pub(crate) fn divf(args: &[Val]) -> Out {
    decimals(args, None, Decimal::over, |a, b| a / b)
}
