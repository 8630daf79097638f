//! `timestamp`: a frozen moment in Go's layouts (pkg.go.dev/time#Layout), always UTC.

/// The moment's parts.
struct Moment {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

const MONTHS: [&str; 12] = [
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
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Layout elements, the longer of two with one beginning first.
const ELEMENTS: [&str; 26] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "-0700", "-07", "Z07:00", "Z0700", "01", "02", "03",
    "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5",
];

/// `seconds` since 1970 in RFC 3339, or in the layout given; `unix` is the number itself.
pub(crate) fn timestamp(seconds: i64, layout: Option<&str>) -> String {
    if layout == Some("unix") {
        return seconds.to_string();
    }
    let moment = moment(seconds);
    let mut rest = layout.unwrap_or("2006-01-02T15:04:05Z07:00");
    let mut out = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some(element) = ELEMENTS.iter().find(|element| rest.starts_with(**element)) {
            out.push_str(&write(&moment, element));
            rest = &rest[element.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn write(moment: &Moment, element: &str) -> String {
    let twelve = (moment.hour + 11) % 12 + 1;
    match element {
        "2006" => format!("{:04}", moment.year),
        "06" => format!("{:02}", moment.year.rem_euclid(100)),
        "January" => MONTHS[moment.month].to_owned(),
        "Jan" => MONTHS[moment.month][..3].to_owned(),
        "Monday" => DAYS[moment.weekday].to_owned(),
        "Mon" => DAYS[moment.weekday][..3].to_owned(),
        "01" => format!("{:02}", moment.month + 1),
        "1" => (moment.month + 1).to_string(),
        "02" => format!("{:02}", moment.day),
        "2" => moment.day.to_string(),
        "_2" => format!("{:2}", moment.day),
        "15" => format!("{:02}", moment.hour),
        "03" => format!("{twelve:02}"),
        "3" => twelve.to_string(),
        "04" => format!("{:02}", moment.minute),
        "4" => moment.minute.to_string(),
        "05" => format!("{:02}", moment.second),
        "5" => moment.second.to_string(),
        "PM" => if moment.hour < 12 { "AM" } else { "PM" }.to_owned(),
        "pm" => if moment.hour < 12 { "am" } else { "pm" }.to_owned(),
        "MST" => "UTC".to_owned(),
        "Z07:00" | "Z0700" => "Z".to_owned(),
        "-07" => "+00".to_owned(),
        "-0700" => "+0000".to_owned(),
        "-07:00" => "+00:00".to_owned(),
        other => other.to_owned(),
    }
}

/// Civil date of a day count, by eras of 400 years that begin on 1 March.
fn moment(seconds: i64) -> Moment {
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = usize::try_from((march_month + 2) % 12).unwrap_or(0);
    Moment {
        year: year_of_era + era * 400 + i64::from(month < 2),
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        hour: clock / 3_600,
        minute: clock / 60 % 60,
        second: clock % 60,
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
            (1_704_067_199, Some("2006-01-02"), "2023-12-31"),
            (-1, None, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, layout, want) in cases {
            assert_eq!(timestamp(seconds, layout), want);
        }
    }
}
