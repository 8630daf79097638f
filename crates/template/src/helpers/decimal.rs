//! Decimal arithmetic of floats: 0.1 and 0.2 are 0.3. Exact, or no answer.

/// Digits after the point that a division keeps.
const PLACES: i32 = 16;

/// A number of so many tenths of tenths.
#[derive(Clone, Copy)]
pub(crate) struct Decimal {
    digits: i128,
    /// Power of ten.
    exponent: i32,
}

impl Decimal {
    /// The shortest decimal that reads back as this float. `None`: infinite, or not a number.
    pub(crate) fn of(f: f64) -> Option<Self> {
        let text = format!("{f:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let exponent: i32 = exponent.parse().ok()?;
        Some(Self {
            digits: mantissa.replace('.', "").parse().ok()?,
            exponent: exponent - i32::try_from(decimals).ok()?,
        })
    }

    /// Both with the smaller exponent.
    fn aligned(self, other: Self) -> Option<(i128, i128, i32)> {
        let exponent = self.exponent.min(other.exponent);
        Some((self.scaled(exponent)?, other.scaled(exponent)?, exponent))
    }

    fn scaled(self, exponent: i32) -> Option<i128> {
        if self.digits == 0 {
            return Some(0);
        }
        self.digits.checked_mul(10_i128.checked_pow(u32::try_from(self.exponent - exponent).ok()?)?)
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let (a, b, exponent) = self.aligned(other)?;
        Some(Self { digits: a.checked_add(b)?, exponent })
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { digits: -other.digits, ..other })
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        Some(Self {
            digits: self.digits.checked_mul(other.digits)?,
            exponent: self.exponent.checked_add(other.exponent)?,
        })
    }

    /// Rounded half away from zero, sixteen digits after the point.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        let shift = PLACES + self.exponent - other.exponent;
        let (above, mut below) = (self.digits.unsigned_abs(), other.digits.unsigned_abs());
        if shift < 0 {
            below = below.checked_mul(10_u128.checked_pow(shift.unsigned_abs())?)?;
        }
        let (mut quotient, mut rest) = (above.checked_div(below)?, above.checked_rem(below)?);
        for _ in 0..shift {
            rest = rest.checked_mul(10)?;
            quotient = quotient.checked_mul(10)?.checked_add(rest / below)?;
            rest %= below;
        }
        quotient += u128::from(rest >= below.div_ceil(2) && rest != 0);
        let size = i128::try_from(quotient).ok()?;
        let negative = (self.digits < 0) != (other.digits < 0);
        Some(Self { digits: if negative { -size } else { size }, exponent: -PLACES })
    }

    pub(crate) fn to_float(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn computes_exactly() {
        let of = |f: f64| Decimal::of(f).unwrap();
        let cases = [
            (of(0.1).plus(of(0.2)), 0.3),
            (of(1e20).minus(of(1.0)), 99_999_999_999_999_999_999.0),
            (of(1.1).times(of(1.1)), 1.21),
            (of(1.0).over(of(3.0)), 0.333_333_333_333_333_3),
            (of(-2.0).over(of(3.0)), -0.666_666_666_666_666_7),
            (of(0.0).plus(of(-0.0)), 0.0),
        ];
        for (got, want) in cases {
            assert!((got.unwrap().to_float() - want).abs() < f64::EPSILON, "{want}");
        }
        assert!(of(1.0).over(of(0.0)).is_none() && Decimal::of(f64::INFINITY).is_none());
    }
}
