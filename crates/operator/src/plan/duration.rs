//! Durations as the custom resources write them: `90s`, `1.5h`, for certificates also `30d`.

use std::time::Duration;

use sidekey_core::goparse;

/// Reads one; none for anything else. Zero counts as not said.
pub fn read(text: Option<&str>) -> Option<Duration> {
    let text = text?.trim();
    let read = match text.strip_suffix('d') {
        Some(days) => days.parse::<f64>().ok().and_then(|days| Duration::try_from_secs_f64(days * 86_400.0).ok()),
        None => goparse::parse_duration(text),
    };
    read.filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_manifests_hold() {
        let cases = [
            ("90s", Some(90.0)),
            ("1.5h", Some(5400.0)),
            ("2d", Some(172_800.0)),
            ("0s", None),
            ("x", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(read(Some(text)).map(|duration| duration.as_secs_f64()), want, "{text}");
        }
        assert_eq!(read(None), None);
    }
}
