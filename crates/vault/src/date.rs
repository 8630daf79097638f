//! Dates as HTTP and AWS write them. Days to a date and back as in Howard Hinnant's `civil_from_days`.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Unix seconds as `20150830T123600Z`.
pub(crate) fn basic(now: u64) -> String {
    let (days, second) = (now / 86_400 + 719_468, now % 86_400);
    let era_day = days % 146_097;
    let era_year = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let shifted = (5 * year_day + 2) / 153;
    let day = year_day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era_year + days / 146_097 * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// Unix seconds of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7; its two obsolete forms are not read).
pub(crate) fn http(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [weekday, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let digits = |word: &str, most: u64| {
        let plain = !word.is_empty() && word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse().ok().filter(|number: &u64| plain && *number <= most)
    };
    let month = MONTHS.iter().position(|known| known == month)? as u64 + 1;
    let (day, year) = (digits(day, 31).filter(|day| *day > 0)?, digits(year, 9_999).filter(|year| *year >= 1970)?);
    let mut clock = time.split(':');
    let (hour, minute, second) = (digits(clock.next()?, 23)?, digits(clock.next()?, 59)?, digits(clock.next()?, 60)?);
    if clock.next().is_some() || !weekday.ends_with(',') {
        return None;
    }
    // Years begin in March, so that the leap day is the last of one.
    let year = year - u64::from(month <= 2);
    let year_day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year / 400 * 146_097 + (year % 400 * 365 + year % 400 / 4 - year % 400 / 100) + year_day - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_dates() {
        let cases = [
            (0, "19700101T000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "19941106T084937Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "20000229T000000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_440_938_160, "20150830T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT"),
            (4_107_542_399, "21000228T235959Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "21000301T000000Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
        ];
        for (now, short, long) in cases {
            assert_eq!(basic(now), short);
            assert_eq!(http(long), Some(now), "{long}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "120",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 0001 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http(text), None, "{text}");
        }
    }
}
