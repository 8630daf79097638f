//! Go's spellings, as the known annotations use them.

use std::time::Duration;

/// `strconv.ParseBool`, with the empty string as false.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" | "" => Some(false),
        _ => None,
    }
}

/// `time.ParseDuration` for durations that are not negative: `1h30m`, `1.5s`, `.5m`, `0`. A bare number is refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total = total.checked_add(nanoseconds(number, unit_nanoseconds(unit)?)?)?;
        rest = tail;
    }
    let limit = u128::from(i64::MAX.unsigned_abs());
    (total <= limit).then(|| Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn nanoseconds(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let kept = &fraction[..fraction.len().min(18)];
    let part: u128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(kept.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_booleans_as_go_does() {
        let cases = [
            ("1", Some(true)),
            ("True", Some(true)),
            ("", Some(false)),
            ("F", Some(false)),
            ("yes", None),
            ("tRuE", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_bool(text), want, "{text}");
        }
    }

    #[test]
    fn reads_durations_as_go_does() {
        let cases = [
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1_500)),
            (".5m", Some(30_000)),
            ("+1s", Some(1_000)),
            ("0", Some(0)),
            ("10", None),
            ("", None),
            ("-1s", None),
            ("1 s", None),
            (".s", None),
            ("1d", None),
            ("9999999999h", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), want, "{text}");
        }
    }
}
