//! Kubernetes quantities: `500m`, `64Mi`, `1e3` (apimachinery, `resource.Quantity`).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

const NANO: i128 = 1_000_000_000;

/// A quantity as it was written, and its value. Equal and ordered by value: `1000m` is `1`.
#[derive(Clone, Debug)]
pub struct Quantity {
    text: String,
    nano: i128,
}

impl Quantity {
    /// Reads what the API server reads. A missing number is 0, as there: `Mi`, `-` and `.` are 0.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, suffix) = split(text);
        let (whole, fraction) = number.1.split_once('.').unwrap_or((number.1, ""));
        if fraction.contains('.') || text.is_empty() {
            return None;
        }
        let (multiplier, divisor) = scale(suffix)?;
        let digits: i128 = join_digits(whole, fraction)?;
        let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(divisor)?;
        let scaled = digits.checked_mul(multiplier)?;
        // The API server caps what is beyond its largest number, which is far below ours.
        let capped = || (scaled / places).saturating_mul(NANO);
        let nano = scaled.checked_mul(NANO).map_or_else(capped, |exact| exact / places);
        Some(Self { text: text.to_owned(), nano: if number.0 { -nano } else { nano } })
    }

    /// `n` MiB.
    pub fn mebibytes(n: u64) -> Self {
        Self { text: format!("{n}Mi"), nano: i128::from(n) * 1024 * 1024 * NANO }
    }

    /// Whole MiB, rounded down; negative values are 0.
    pub fn as_mebibytes(&self) -> u64 {
        u64::try_from(self.nano / (1024 * 1024 * NANO)).unwrap_or(0)
    }

    /// Whether it is 0.
    pub const fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Sign, digits and dot; then the rest.
fn split(text: &str) -> ((bool, &str), &str) {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    ((text.starts_with('-'), number), suffix)
}

fn join_digits(whole: &str, fraction: &str) -> Option<i128> {
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    Some(value)
}

fn scale(suffix: &str) -> Option<(i128, i128)> {
    const UNITS: [(&str, i128, i128); 16] = [
        ("", 1, 1),
        ("n", 1, NANO),
        ("u", 1, 1_000_000),
        ("m", 1, 1_000),
        ("k", 1_000, 1),
        ("M", 1_000_000, 1),
        ("G", NANO, 1),
        ("T", NANO * 1_000, 1),
        ("P", NANO * 1_000_000, 1),
        ("E", NANO * NANO, 1),
        ("Ki", 1 << 10, 1),
        ("Mi", 1 << 20, 1),
        ("Gi", 1 << 30, 1),
        ("Ti", 1 << 40, 1),
        ("Pi", 1 << 50, 1),
        ("Ei", 1 << 60, 1),
    ];
    if let Some((_, multiplier, divisor)) = UNITS.iter().find(|(unit, ..)| *unit == suffix) {
        return Some((*multiplier, *divisor));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a quantity such as 500m or 64Mi")))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "quantity such as `500m` or `64Mi`",
            "type": ["string", "number"],
            "minLength": 1,
            "pattern": r"^[+-]?[0-9]*\.?[0-9]*(n|u|m|k|Ki|[MGTPE]i?|[eE][+-]?[0-9]+)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_compares_by_value() {
        let equal =
            [("1000m", "1"), ("1e3", "1k"), ("1.5Gi", "1536Mi"), ("128974848", "123Mi"), (".5", "500m"), ("+1", "1")];
        for (left, right) in equal {
            assert_eq!(Quantity::parse(left).unwrap(), Quantity::parse(right).unwrap(), "{left} {right}");
        }
        assert!(Quantity::parse("0.1").unwrap() < Quantity::parse("1").unwrap());
        assert!(Quantity::parse("-1").unwrap() < Quantity::parse("0").unwrap());
        assert_eq!(Quantity::mebibytes(64), Quantity::parse("64Mi").unwrap());
        assert_eq!(Quantity::parse("1.9Mi").unwrap().as_mebibytes(), 1);
    }

    #[test]
    fn reads_a_missing_number_as_zero_as_the_api_server_does() {
        for text in ["-", ".", "Mi", "0"] {
            assert!(Quantity::parse(text).unwrap().is_zero(), "{text}");
        }
    }

    #[test]
    fn caps_what_no_cluster_has() {
        let huge = "1".to_owned() + &"0".repeat(38);
        assert!(Quantity::parse(&huge).unwrap() > Quantity::parse("9Ei").unwrap());
        assert!(Quantity::parse(&format!("-{huge}")).unwrap() < Quantity::parse("-9Ei").unwrap());
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for text in
            ["", "1 Gi", "64MB", "1.2.3", "abc", "1e", "1mi", "--1", "99999999999999999999999999999999999999999E"]
        {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }
}
