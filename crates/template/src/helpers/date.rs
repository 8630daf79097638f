//! sprig's dates and durations. Now is the frozen moment of the data.

use std::rc::Rc;

use super::time::{DAYS, MONTHS, Moment, days_before, element};
use super::{Out, text, wanted};
use crate::failure::Failure;
use crate::value::Val;

const SECOND: i128 = 1_000_000_000;

/// Go's zero time: 1 January of the year 1.
pub(crate) const ZERO: Moment = Moment { seconds: -62_135_596_800, nanos: 0, offset: 0 };

fn moment(args: &[Val], index: usize) -> Result<Moment, Failure> {
    match args.get(index) {
        Some(Val::Object(object)) => object.moment().copied().ok_or_else(|| wanted(args, index, "a date")),
        _ => Err(wanted(args, index, "a date")),
    }
}

fn date(moment: Moment) -> Val {
    Val::Object(Rc::new(moment))
}

/// `toDate LAYOUT TEXT`: what does not fit is the zero time.
pub(crate) fn to_date(args: &[Val]) -> Out {
    Ok(date(parse(text(args, 0)?, text(args, 1)?).unwrap_or(ZERO)))
}

/// `mustToDate LAYOUT TEXT`.
pub(crate) fn must_to_date(args: &[Val]) -> Out {
    let parsed = parse(text(args, 0)?, text(args, 1)?);
    parsed.map(date).ok_or_else(|| Failure::new("the text is not a date in that layout"))
}

/// `unixEpoch DATE`: seconds since 1970, as text.
pub(crate) fn unix_epoch(args: &[Val]) -> Out {
    Ok(Val::str(moment(args, 0)?.seconds.to_string()))
}

/// `dateModify DURATION DATE`: by what is no duration it is not changed.
pub(crate) fn modify(args: &[Val]) -> Out {
    if parse_duration(text(args, 0)?).is_none() { Ok(args[1].clone()) } else { must_modify(args) }
}

/// `mustDateModify DURATION DATE`.
pub(crate) fn must_modify(args: &[Val]) -> Out {
    let by = parse_duration(text(args, 0)?).ok_or_else(|| Failure::new("the first text is not a duration"))?;
    let from = moment(args, 1)?;
    let total = i128::from(from.seconds) * SECOND + i128::from(from.nanos) + by;
    let seconds = i64::try_from(total.div_euclid(SECOND)).map_err(|_| Failure::new("the date is too far away"))?;
    Ok(date(Moment { seconds, nanos: u32::try_from(total.rem_euclid(SECOND)).unwrap_or(0), ..from }))
}

/// `duration SECONDS`, of an integer or a text of digits; anything else is no time.
pub(crate) fn duration(args: &[Val]) -> Out {
    let seconds = match &args[0] {
        Val::Long(n) => *n,
        Val::Str(_) => super::cast::clamped(text(args, 0)?),
        _ => 0,
    };
    Ok(Val::str(shown(i128::from(seconds) * SECOND)))
}

/// `durationRound DURATION`: its largest unit, of a text or of nanoseconds; of a date the time since then.
pub(crate) fn duration_round(now: i64, args: &[Val]) -> Out {
    let nanos = match &args[0] {
        Val::Str(_) => parse_duration(text(args, 0)?).unwrap_or(0),
        Val::Long(n) => i128::from(*n),
        Val::Object(object) => object.moment().map_or(0, |moment| since(now, moment)),
        _ => 0,
    };
    let units = [("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let found = units.iter().find(|(_, seconds)| nanos.abs() > seconds * SECOND);
    Ok(Val::str(
        found.map_or_else(|| "0s".to_owned(), |(unit, seconds)| format!("{}{unit}", nanos.abs() / (seconds * SECOND))),
    ))
}

/// So many seconds after 1970 began.
pub(crate) fn at(seconds: i64) -> Val {
    date(Moment { seconds, nanos: 0, offset: 0 })
}

/// What HTML's field of a date wants.
pub(crate) const HTML: &str = "2006-01-02";

/// The names of UTC that Go's database of zones has; without a name, and of the place itself, the zone is UTC too.
const UTC: [&str; 9] = ["", "Local", "UTC", "UCT", "Universal", "Zulu", "Etc/UTC", "Etc/UCT", "Etc/Zulu"];

/// Whether dates can be shown in this zone.
///
/// # Errors
/// It is any but UTC: there is no database of zones here, and UTC under another's name would be wrong.
pub(crate) fn check_zone(zone: &str) -> Result<(), Failure> {
    if UTC.contains(&zone) {
        return Ok(());
    }
    Err(Failure::new("only the time zone UTC is known").hint("there are no rules of other zones here"))
}

/// A date, or seconds since 1970, in that layout and zone; anything else is now.
pub(crate) fn shown_in(now: i64, layout: &str, value: &Val, zone: &str) -> Out {
    check_zone(zone)?;
    let (seconds, nanos) = match value {
        Val::Object(object) => object.moment().map_or((now, 0), |moment| (moment.seconds, moment.nanos)),
        Val::Int(n) | Val::Long(n) => (*n, 0),
        _ => (now, 0),
    };
    Ok(Val::str(Moment { seconds, nanos, offset: 0 }.format(layout)))
}

fn since(now: i64, moment: &Moment) -> i128 {
    i128::from(now) * SECOND - i128::from(moment.seconds) * SECOND - i128::from(moment.nanos)
}

/// `ago DATE`, of a date or of seconds since 1970.
pub(crate) fn ago(now: i64, args: &[Val]) -> Out {
    let nanos = match &args[0] {
        Val::Object(object) => object.moment().map_or(0, |moment| since(now, moment)),
        Val::Int(n) | Val::Long(n) => i128::from(now) * SECOND - i128::from(*n) * SECOND,
        _ => 0,
    };
    let half = if nanos < 0 { -SECOND / 2 } else { SECOND / 2 };
    Ok(Val::str(shown((nanos + half) / SECOND * SECOND)))
}

/// Go's form of a duration: `1h2m3.5s`.
fn shown(nanos: i128) -> String {
    // Go holds 292 years and wraps beyond.
    let nanos = i128::from(i64::try_from(nanos).unwrap_or_else(|_| wrapped(nanos)));
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let (seconds, rest) = (size / 1_000_000_000, size % 1_000_000_000);
    let fraction = |digits: usize, rest: u128| {
        let text = format!("{rest:0digits$}");
        let text = text.trim_end_matches('0');
        if text.is_empty() { String::new() } else { format!(".{text}") }
    };
    match (size, seconds) {
        (0, _) => "0s".to_owned(),
        (..1_000, _) => format!("{sign}{size}ns"),
        (..1_000_000, _) => format!("{sign}{}{}µs", size / 1_000, fraction(3, size % 1_000)),
        (_, 0) => format!("{sign}{}{}ms", size / 1_000_000, fraction(6, size % 1_000_000)),
        (_, ..60) => format!("{sign}{seconds}{}s", fraction(9, rest)),
        (_, ..3_600) => format!("{sign}{}m{}{}s", seconds / 60, seconds % 60, fraction(9, rest)),
        _ => format!("{sign}{}h{}m{}{}s", seconds / 3_600, seconds / 60 % 60, seconds % 60, fraction(9, rest)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "wraps as Go's own multiplication does")]
const fn wrapped(nanos: i128) -> i64 {
    nanos as i64
}

/// Go's `time.ParseDuration`.
fn parse_duration(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_i128;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(end);
        let units = [("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", SECOND), ("m", 60 * SECOND)];
        let hour = ("h", 3_600 * SECOND);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit = units.into_iter().chain([hour]).find(|(name, _)| *name == &after[..end])?.1;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 || whole.len() > 18 {
            return None;
        }
        total += whole.parse::<i128>().unwrap_or(0) * unit;
        total += fraction.parse::<i128>().unwrap_or(0) * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        rest = &after[end..];
    }
    i64::try_from(total).ok().map(|_| if negative { -total } else { total })
}

/// What a layout has read so far.
#[derive(Default)]
struct Parts {
    year: i64,
    month: Option<usize>,
    day: Option<i64>,
    year_day: Option<i64>,
    clock: [i64; 3],
    afternoon: Option<bool>,
    nanos: u32,
    offset: i64,
}

/// Go's `time.Parse`. A date that is on no calendar is none.
pub(crate) fn parse(layout: &str, value: &str) -> Option<Moment> {
    let mut parts = Parts::default();
    let (mut layout, mut value) = (layout, value);
    loop {
        let (before, found, after) = element(layout);
        value = literal(before, value)?;
        if found.is_empty() {
            return if value.is_empty() { parts.moment() } else { None };
        }
        value = parts.read(found, value)?;
        layout = after;
        // Seconds may have a fraction that the layout does not mention.
        if matches!(found, "05" | "5") && !element(layout).1.starts_with(['.', ',']) {
            value = parts.fraction(value).unwrap_or(value);
        }
    }
}

fn literal<'v>(before: &str, value: &'v str) -> Option<&'v str> {
    let mut value = value;
    for c in before.chars() {
        value = if c == ' ' { value.trim_start_matches(' ') } else { value.strip_prefix(c)? };
    }
    Some(value)
}

impl Parts {
    fn read<'v>(&mut self, element: &str, value: &'v str) -> Option<&'v str> {
        let names = |names: &[&str], short: bool| {
            names.iter().enumerate().find_map(|(index, name)| {
                let name = if short { &name[..3] } else { name };
                let head = value.get(..name.len())?;
                head.eq_ignore_ascii_case(name).then(|| (index, &value[name.len()..]))
            })
        };
        Some(match element {
            "January" | "Jan" => {
                let (month, rest) = names(&MONTHS, element == "Jan")?;
                self.month = Some(month);
                rest
            }
            "Monday" | "Mon" => names(&DAYS, element == "Mon")?.1,
            "PM" | "pm" => {
                let half = value.get(..2)?;
                let known = if element == "PM" { ["AM", "PM"] } else { ["am", "pm"] };
                self.afternoon = Some(known.iter().position(|known| *known == half)? == 1);
                &value[2..]
            }
            "MST" => value.strip_prefix("UTC").or_else(|| value.strip_prefix("GMT"))?,
            _ if element.starts_with(['.', ',']) => {
                self.fraction(value).or_else(|| element.ends_with('9').then_some(value))?
            }
            _ if element.starts_with(['Z', '-']) => self.zone(element, value)?,
            _ => self.number(element, value)?,
        })
    }

    fn number<'v>(&mut self, element: &str, value: &'v str) -> Option<&'v str> {
        let value = if element.starts_with('_') { value.trim_start_matches(' ') } else { value };
        let (least, most) = match element {
            "2006" => (4, 4),
            "002" => (3, 3),
            "__2" => (1, 3),
            "01" | "02" | "03" | "04" | "05" | "06" => (2, 2),
            _ => (1, 2),
        };
        let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()).min(most);
        let number: i64 = value.get(..end).filter(|digits| digits.len() >= least)?.parse().ok()?;
        match element {
            "2006" => self.year = number,
            "06" => self.year = if number >= 69 { 1900 + number } else { 2000 + number },
            "01" | "1" => self.month = Some(usize::try_from(number).ok()?.checked_sub(1).filter(|month| *month < 12)?),
            "02" | "2" | "_2" => self.day = Some(number),
            "002" | "__2" => self.year_day = Some(number),
            "15" => self.clock[0] = Some(number).filter(|n| *n < 24)?,
            "03" | "3" => self.clock[0] = Some(number).filter(|n| *n <= 12)?,
            "04" | "4" => self.clock[1] = Some(number).filter(|n| *n < 60)?,
            _ => self.clock[2] = Some(number).filter(|n| *n < 60)?,
        }
        Some(&value[end..])
    }

    fn fraction<'v>(&mut self, value: &'v str) -> Option<&'v str> {
        let digits = value.strip_prefix(['.', ','])?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if end == 0 {
            return None;
        }
        self.nanos = format!("{:0<9}", &digits[..end.min(9)]).parse().ok()?;
        Some(&digits[end..])
    }

    fn zone<'v>(&mut self, element: &str, value: &'v str) -> Option<&'v str> {
        if let Some(rest) = value.strip_prefix('Z').filter(|_| element.starts_with('Z')) {
            return Some(rest);
        }
        let length = element.len();
        let text = value.get(..length)?;
        let shape = element.bytes().zip(text.bytes()).skip(1).all(|(want, got)| (want == b':') == (got == b':'));
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let digits = text[1..].replace(':', "");
        let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |pair| pair.parse::<i64>().ok());
        let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
        self.offset = sign * (hours * 3_600 + minutes * 60 + seconds);
        (shape && hours <= 24 && minutes < 60).then(|| &value[length..])
    }

    fn moment(&self) -> Option<Moment> {
        let hour = match (self.afternoon, self.clock[0]) {
            (Some(true), hour) if hour < 12 => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
        let days = match self.year_day {
            Some(day) => {
                let length = days_before(self.year + 1, 0) - days_before(self.year, 0);
                days_before(self.year, 0) + Some(day).filter(|day| (1..=length).contains(day))? - 1
            }
            None => {
                let month = self.month.unwrap_or(0);
                let next = if month == 11 { days_before(self.year + 1, 0) } else { days_before(self.year, month + 1) };
                let length = next - days_before(self.year, month);
                days_before(self.year, month) + Some(self.day.unwrap_or(1)).filter(|day| (1..=length).contains(day))?
                    - 1
            }
        };
        let seconds = days * 86_400 + hour * 3_600 + self.clock[1] * 60 + self.clock[2] - self.offset;
        Some(Moment { seconds, nanos: self.nanos, offset: self.offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;

    #[test]
    fn reads_dates_in_gos_layouts() {
        let cases = [
            ("2006-01-02", "2024-02-29", Some("2024-02-29 00:00:00 +0000 UTC")),
            ("2006-01-02", "2023-02-29", None),
            ("2006-01-02T15:04:05Z07:00", "2024-01-02T03:04:05.25+02:00", Some("2024-01-02 03:04:05.25 +0200 +0200")),
            ("Jan _2, 2006 3:04PM", "mar  7, 2024 12:30AM", Some("2024-03-07 00:30:00 +0000 UTC")),
            ("Mon, 02 Jan 2006 15:04:05 MST", "Tue, 02 Jan 2024 15:04:05 GMT", Some("2024-01-02 15:04:05 +0000 UTC")),
            ("2006 002", "2024 366", Some("2024-12-31 00:00:00 +0000 UTC")),
            ("15:04", "24:00", None),
        ];
        for (layout, value, want) in cases {
            assert_eq!(parse(layout, value).map(|moment| moment.text()).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn shows_and_reads_durations() {
        for text in ["0s", "1ns", "1.5µs", "2.25ms", "59s", "1m0.5s", "3h0m5s", "-2h45m0s"] {
            assert_eq!(parse_duration(text).map(shown).as_deref(), Some(text));
        }
        assert_eq!(parse_duration("1.5h").map(shown).as_deref(), Some("1h30m0s"));
        assert!(["", "5", "s", "1x", "1h."].iter().all(|text| parse_duration(text).is_none()));
    }
}
