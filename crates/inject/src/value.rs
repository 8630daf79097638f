//! From an annotation's text to a value. The empty string is a value of its own: each function says what it is.

use std::time::Duration;

use sidekey_core::goparse::parse_duration;

/// Go's `ParseInt(text, 10, 64)`; empty is 0.
pub(crate) fn int(text: &str) -> Option<i64> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// Go's `ParseUint(text, 10, 32)`; empty is refused.
pub(crate) fn uint(text: &str) -> Option<u32> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A finite number from 0 to 1; empty is refused.
pub(crate) fn share(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share))
}

/// A Go duration, or whole seconds, as Vault reads its own settings; empty is refused.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    parse_duration(text).or_else(|| uint(text).map(|seconds| Duration::from_secs(seconds.into())))
}

/// Octal permission bits, at most `0777`; empty is refused.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777)
}

/// A port of TCP; empty and 0 are refused.
pub(crate) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Whether Linux has such a uid or gid.
pub(crate) fn is_id(id: i64) -> bool {
    (0..=i64::from(i32::MAX)).contains(&id)
}

/// Whether it says how to speak to a server.
pub(crate) fn has_scheme(address: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme))
}

/// Cleaned: `/a/` and `a` are `/a`; the root is refused, as a volume over it would hide the image.
pub(crate) fn directory(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| format!("/{}", parts.join("/")))
}

/// Names between commas; blanks around them do not count, nor do empty names.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The level's own name; Vault's spellings are read too.
pub(crate) fn log_level(text: &str) -> Option<&'static str> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" | "notice" => "info",
        "warn" | "warning" => "warn",
        "err" | "error" => "error",
        _ => return None,
    })
}

/// `text` within Go's double quotes, for a path inside a template of ours.
pub(crate) fn go_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A value as a message may show it: one line, not long.
pub(crate) fn shown(text: &str) -> String {
    const WIDTH: usize = 60;
    let line: String = text.chars().map(plain).collect();
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}\u{2026}", &line[..end]),
        None => line,
    }
}

/// In the place of a character that a terminal, a log or a YAML reader would act on: ends of lines, escapes, directions of reading.
pub(crate) fn plain(c: char) -> char {
    match c {
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_go_does() {
        assert_eq!([int(""), int("-1"), int("+7"), int("1e3"), int("0x1")], [Some(0), Some(-1), Some(7), None, None]);
        assert_eq!([uint(""), uint("-1"), uint("+1"), uint("007")], [None, None, None, Some(7)]);
        for refused in ["", "NaN", "+Inf", "1.1", "-0.1"] {
            assert_eq!(share(refused), None, "{refused}");
        }
        assert_eq!(share("0.9"), Some(0.9));
    }

    #[test]
    fn reads_seconds_with_and_without_a_unit() {
        assert_eq!(seconds("30"), Some(Duration::from_secs(30)));
        assert_eq!(seconds("1m"), Some(Duration::from_secs(60)));
        assert_eq!([seconds(""), seconds("-1"), seconds("soon")], [None; 3]);
    }

    #[test]
    fn reads_octal_modes() {
        assert_eq!([mode("0600"), mode("644"), mode("0o440")], [Some(0o600), Some(0o644), Some(0o440)]);
        assert_eq!([mode(""), mode("rw"), mode("0800"), mode("1777"), mode("+644")], [None; 5]);
    }

    #[test]
    fn trims_lists() {
        assert_eq!(list("a, b,,c "), ["a", "b", "c"]);
    }

    #[test]
    fn quotes_for_go() {
        assert_eq!(go_quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
