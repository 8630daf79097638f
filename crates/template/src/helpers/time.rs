//! Moments in Go's layouts (pkg.go.dev/time#Layout). Local time is UTC: a file must not depend on where it is rendered.

use std::rc::Rc;

use super::{Out, text, wanted};
use crate::object::Object;
use crate::value::Val;

/// A moment, and the offset from UTC in which it is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since 1970-01-01 UTC.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    /// Seconds east of UTC.
    pub(crate) offset: i64,
}

/// A moment's parts on the calendar.
pub(super) struct Civil {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    year_day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Layout elements, the longer of two with one beginning first.
const ELEMENTS: [&str; 35] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "__2",
    "_2006",
    "_2",
    "1",
    "2",
    "3",
    "4",
    "5",
    "",
];

/// Most years, months or days that a date is moved by at once.
const FAR: i64 = 1 << 32;

const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

/// The layout's first element, with the text before and after it. An empty element: there is none.
pub(super) fn element(layout: &str) -> (&str, &str, &str) {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        let found = fraction(rest).or_else(|| {
            let found = ELEMENTS.iter().find(|element| !element.is_empty() && rest.starts_with(**element))?;
            let short = matches!(*found, "Jan" | "Mon") && rest[3..].starts_with(|c: char| c.is_ascii_lowercase());
            (!short).then_some(found.len())
        });
        if let Some(length) = found {
            // An underscore before a year is itself.
            let skip = usize::from(rest.starts_with("_2006"));
            return (&layout[..at + skip], &rest[skip..length], &rest[length..]);
        }
    }
    (layout, "", "")
}

/// `.000` or `,999`: a point, equal digits, and no digit behind.
fn fraction(rest: &str) -> Option<usize> {
    let digits = rest.strip_prefix(['.', ','])?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let end = digits.find(|c| c != digit).unwrap_or(digits.len());
    (!digits[end..].starts_with(|c: char| c.is_ascii_digit())).then_some(end + 1)
}

/// `seconds` since 1970 in RFC 3339, or in the layout given; `unix` is the number itself.
pub(crate) fn timestamp(seconds: i64, layout: Option<&str>) -> String {
    match layout {
        Some("unix") => seconds.to_string(),
        layout => Moment { seconds, nanos: 0, offset: 0 }.format(layout.unwrap_or(RFC3339)),
    }
}

impl Moment {
    pub(crate) fn format(&self, layout: &str) -> String {
        let civil = civil(self.seconds + self.offset);
        let mut out = String::new();
        let mut rest = layout;
        loop {
            let (before, found, after) = element(rest);
            out.push_str(before);
            if found.is_empty() {
                return out;
            }
            match found.chars().next() {
                Some('.' | ',') => self.push_fraction(found, &mut out),
                Some('Z' | '-') => out.push_str(&zone(self.offset, found)),
                _ if found == "MST" => out.push_str(&self.abbreviation()),
                _ => out.push_str(&civil.write(found)),
            }
            rest = after;
        }
    }

    /// `AddDate YEARS MONTHS DAYS`: a day that its month does not have is one of the next month.
    fn later(&self, civil: &Civil, args: &[Val]) -> Out {
        let part = |index| super::int(args, index).map(|n| n.clamp(-FAR, FAR));
        let (years, months, days) = (part(0)?, part(1)?, part(2)?);
        let month = i64::try_from(civil.month).unwrap_or(0) + months + 12 * (civil.year + years);
        let (year, month) = (month.div_euclid(12), usize::try_from(month.rem_euclid(12)).unwrap_or(0));
        let days = days_before(year, month) + civil.day - 1 + days;
        let clock = (self.seconds + self.offset).rem_euclid(86_400);
        Ok(Val::Object(Rc::new(Self { seconds: days * 86_400 + clock - self.offset, ..*self })))
    }

    fn abbreviation(&self) -> String {
        if self.offset == 0 {
            return "UTC".to_owned();
        }
        zone(self.offset, "-0700")
    }

    /// Zeros are kept, nines drop zeros at the end, and the point with the last of them.
    fn push_fraction(self, element: &str, out: &mut String) {
        let digits = format!("{:09}", self.nanos);
        let digits = &digits[..(element.len() - 1).min(9)];
        let kept = if element.ends_with('9') { digits.trim_end_matches('0') } else { digits };
        if !kept.is_empty() {
            out.push_str(&element[..1]);
            out.push_str(kept);
        }
    }
}

fn zone(offset: i64, element: &str) -> String {
    if offset == 0 && element.starts_with('Z') {
        return "Z".to_owned();
    }
    let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    let colon = if element.contains(':') { ":" } else { "" };
    let mut out = format!("{sign}{:02}", size / 3600);
    let shown = element.bytes().filter(u8::is_ascii_digit).count();
    if shown >= 4 {
        out.push_str(&format!("{colon}{:02}", size / 60 % 60));
    }
    if shown >= 6 {
        out.push_str(&format!("{colon}{:02}", size % 60));
    }
    out
}

impl Civil {
    fn write(&self, element: &str) -> String {
        let twelve = (self.hour + 11) % 12 + 1;
        match element {
            "2006" => format!("{:04}", self.year),
            "06" => format!("{:02}", self.year.rem_euclid(100)),
            "January" => MONTHS[self.month].to_owned(),
            "Jan" => MONTHS[self.month][..3].to_owned(),
            "Monday" => DAYS[self.weekday].to_owned(),
            "Mon" => DAYS[self.weekday][..3].to_owned(),
            "01" => format!("{:02}", self.month + 1),
            "1" => (self.month + 1).to_string(),
            "02" => format!("{:02}", self.day),
            "2" => self.day.to_string(),
            "_2" => format!("{:2}", self.day),
            "002" => format!("{:03}", self.year_day),
            "__2" => format!("{:3}", self.year_day),
            "15" => format!("{:02}", self.hour),
            "03" => format!("{twelve:02}"),
            "3" => twelve.to_string(),
            "04" => format!("{:02}", self.minute),
            "4" => self.minute.to_string(),
            "05" => format!("{:02}", self.second),
            "5" => self.second.to_string(),
            "PM" => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            "pm" => if self.hour < 12 { "am" } else { "pm" }.to_owned(),
            other => other.to_owned(),
        }
    }
}

/// Civil date of a day count, by eras of 400 years that begin on 1 March.
pub(super) fn civil(seconds: i64) -> Civil {
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = usize::try_from((march_month + 2) % 12).unwrap_or(0);
    let year = year_of_era + era * 400 + i64::from(month < 2);
    Civil {
        year,
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        year_day: days - days_before(year, 0) + 1,
        hour: clock / 3_600,
        minute: clock / 60 % 60,
        second: clock % 60,
    }
}

/// Days from 1970-01-01 to the first of a month.
pub(super) fn days_before(year: i64, month: usize) -> i64 {
    let month = i64::try_from(month).unwrap_or(0);
    let shifted = year - i64::from(month < 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 10) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl Object for Moment {
    fn text(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    fn json_text(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    fn kind(&self) -> &'static str {
        "a date"
    }

    fn go_type(&self) -> &'static str {
        "time.Time"
    }

    fn go_kind(&self) -> &'static str {
        "struct"
    }

    fn method(&self, name: &str, args: &[Val]) -> Option<Out> {
        let civil = civil(self.seconds + self.offset);
        let other = || match args {
            [Val::Object(object)] => object.moment().ok_or_else(|| wanted(args, 0, "a date")),
            _ => Err(wanted(args, 0, "a date")),
        };
        let key = |moment: &Self| (moment.seconds, moment.nanos);
        Some(match name {
            "Format" => text(args, 0).map(|layout| Val::str(self.format(layout))),
            "String" => Ok(Val::str(self.text())),
            "Unix" => Ok(Val::Long(self.seconds)),
            "UnixMilli" => {
                Ok(Val::Long(self.seconds.wrapping_mul(1_000).wrapping_add(i64::from(self.nanos / 1_000_000))))
            }
            "UnixMicro" => {
                Ok(Val::Long(self.seconds.wrapping_mul(1_000_000).wrapping_add(i64::from(self.nanos / 1_000))))
            }
            "IsZero" => Ok(Val::Bool(self.seconds == super::date::ZERO.seconds && self.nanos == 0)),
            "UnixNano" => Ok(Val::Long(self.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanos)))),
            "UTC" => Ok(Val::Object(Rc::new(Self { offset: 0, ..*self }))),
            "Year" => Ok(Val::Int(civil.year)),
            "Month" => Ok(Val::str(MONTHS[civil.month])),
            "Day" => Ok(Val::Int(civil.day)),
            "Weekday" => Ok(Val::str(DAYS[civil.weekday])),
            "YearDay" => Ok(Val::Int(civil.year_day)),
            "Hour" => Ok(Val::Int(civil.hour)),
            "Minute" => Ok(Val::Int(civil.minute)),
            "Second" => Ok(Val::Int(civil.second)),
            "Nanosecond" => Ok(Val::Int(i64::from(self.nanos))),
            "AddDate" => self.later(&civil, args),
            "After" => other().map(|other| Val::Bool(key(self) > key(other))),
            "Before" => other().map(|other| Val::Bool(key(self) < key(other))),
            "Equal" => other().map(|other| Val::Bool(key(self) == key(other))),
            "Compare" => other().map(|other| Val::Int(i64::from(key(self).cmp(&key(other)) as i8))),
            _ => return None,
        })
    }

    fn moment(&self) -> Option<&Moment> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn writes_frozen_moments_in_gos_layouts() {
        let cases = [
            (0, None, "1970-01-01T00:00:00Z"),
            (951_782_400, None, "2000-02-29T00:00:00Z"),
            (1_700_000_000, Some("unix"), "1700000000"),
            (1_700_000_000, Some("Mon Jan _2 15:04:05 MST 2006"), "Tue Nov 14 22:13:20 UTC 2023"),
            (1_700_000_000, Some("Monday, 2 January 06 3:04 PM -0700"), "Tuesday, 14 November 23 10:13 PM +0000"),
            (1_700_000_000, Some("002 __2 _2006 .000 .999 Janet"), "318 318 _2023 .000  Janet"),
            (1_704_067_199, Some("2006-01-02"), "2023-12-31"),
            (-1, None, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, layout, want) in cases {
            assert_eq!(timestamp(seconds, layout), want);
        }
    }
}
