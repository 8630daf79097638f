//! YAML that version 1.1 and 1.2 readers understand alike: block style, keys sorted, strings quoted when in doubt.

use crate::json;
use crate::value::Val;

/// A whole document, with a newline at its end.
pub(crate) fn document(value: &Val) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Val::Map(_) | Val::Struct(_) | Val::List(_) if value_is_nested(value) => block(value, 0, &mut out),
        scalar => {
            out.extend_from_slice(&inline(scalar, 0));
            out.push(b'\n');
        }
    }
    out
}

/// What stands after `key:`, with its leading space or newline and its closing newline.
pub(crate) fn entry(value: &Val, level: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if value_is_nested(value) {
        out.push(b'\n');
        // A list stands below its key, not right of it.
        block(value, if matches!(value, Val::List(_)) { level } else { level + 1 }, &mut out);
    } else {
        out.push(b' ');
        out.extend_from_slice(&inline(value, level + 1));
        out.push(b'\n');
    }
    out
}

fn value_is_nested(value: &Val) -> bool {
    match value {
        Val::List(items) => !items.is_empty(),
        Val::Map(entries) => !entries.is_empty(),
        Val::Struct(_) => true,
        _ => false,
    }
}

fn block(value: &Val, level: usize, out: &mut Vec<u8>) {
    match value {
        Val::List(items) => items.iter().for_each(|item| {
            pad(level, out);
            out.push(b'-');
            if value_is_nested(item) {
                // The nested block begins on the dash's own line.
                let mut inner = Vec::new();
                block(item, level + 1, &mut inner);
                out.push(b' ');
                out.extend_from_slice(&inner[2 * (level + 1)..]);
            } else {
                out.extend_from_slice(&entry(item, level));
            }
        }),
        Val::Map(entries) => entries.iter().for_each(|(key, item)| pair(key, item, level, out)),
        Val::Struct(fields) => fields.iter().for_each(|(key, item)| pair(&key.to_lowercase(), item, level, out)),
        _ => {}
    }
}

fn pair(key: &str, item: &Val, level: usize, out: &mut Vec<u8>) {
    pad(level, out);
    out.extend_from_slice(scalar(key, None).as_bytes());
    out.push(b':');
    out.extend_from_slice(&entry(item, level));
}

fn pad(level: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * level, b' ');
}

fn inline(value: &Val, level: usize) -> Vec<u8> {
    match value {
        Val::Str(bytes) => scalar(&String::from_utf8_lossy(bytes), Some(level)).into_bytes(),
        Val::List(_) => b"[]".to_vec(),
        Val::Map(_) => b"{}".to_vec(),
        other => json::encode(other, json::PLAIN),
    }
}

/// A string: bare where no reader can take it for something else, a literal block for lines of text, else quoted.
/// `level` is the indentation of a literal block; a key has none.
pub(crate) fn scalar(text: &str, level: Option<usize>) -> String {
    if let Some(level) = level.filter(|_| text.contains('\n') && is_literal(text)) {
        return literal(text, level.max(1));
    }
    if is_bare(text) {
        text.to_owned()
    } else if !text.is_empty() && text.chars().all(is_printable) && !resolves(text) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// A literal block keeps every character but cannot begin with a space, nor hold what is not printable.
fn is_literal(text: &str) -> bool {
    !text.starts_with([' ', '\n']) && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

fn literal(text: &str, level: usize) -> String {
    let trailing = text.len() - text.trim_end_matches('\n').len();
    let chomp = match trailing {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let mut out = format!("|{chomp}");
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&"  ".repeat(level));
            out.push_str(line);
        }
    }
    out
}

fn is_bare(text: &str) -> bool {
    let plain_start = text
        .chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '+' | '(' | '$' | '^' | '<' | ';'));
    plain_start
        && text.chars().all(is_printable)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !resolves(text)
}

/// Whether some reader takes the bare text for a boolean, a number, a date, nothing, or a merge.
fn resolves(text: &str) -> bool {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "<<", "="];
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    WORDS.contains(&lower.as_str()) || matches!(unsigned, ".inf" | ".nan") || is_number(unsigned) || is_date(text)
}

/// Decimal, hexadecimal, octal, binary, base 60, or with a point or an exponent; underscores between digits.
fn is_number(unsigned: &str) -> bool {
    let text = unsigned.replace('_', "");
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((text.strip_prefix(prefix)?, radix)));
    if let Some((rest, radix)) = radix {
        return digits(rest, radix);
    }
    let (mantissa, exponent) =
        text.split_once('e').map_or((text.as_str(), None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let exponent_fits =
        exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent), 10));
    let points = mantissa.matches('.').count();
    exponent_fits
        && points <= 1
        && mantissa.contains(|c: char| c.is_ascii_digit())
        && mantissa.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':'))
}

/// `2001-12-14`, perhaps with a time behind it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut number = |most: usize| {
        parts
            .next()
            .is_some_and(|part| !part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit()))
    };
    number(4) && number(2) && parts.next().is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// JSON's string is YAML's, with what JSON prints bare and YAML does not.
fn double_quoted(text: &str) -> String {
    let mut quoted = Vec::new();
    json::string(text.as_bytes(), false, &mut quoted);
    let mut out = String::new();
    for c in String::from_utf8_lossy(&quoted).chars() {
        if is_printable(c) { out.push(c) } else { out.push_str(&format!("\\u{:04x}", u32::from(c))) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidekey_core::Value;

    fn written(json: &str) -> String {
        String::from_utf8(document(&Val::from(&Value::parse(json).unwrap()))).unwrap()
    }

    #[test]
    fn writes_block_style_with_sorted_keys() {
        let nested = r#"{"b": {"x": [1, {"c": "z", "a": [[]]}, [true]], "e": {}}, "a": "text", "r": 1.50, "0": null}"#;
        let want = "\"0\": null\na: text\nb:\n  e: {}\n  x:\n  - 1\n  - a:\n    - []\n    c: z\n  - - true\nr: 1.50\n";
        assert_eq!(written(nested), want);
        assert_eq!(written("{}"), "{}\n");
        assert_eq!(written("\"x\""), "x\n");
    }

    #[test]
    fn quotes_what_a_reader_would_take_for_something_else() {
        let cases = [
            ("plain text", "plain text"),
            ("yes", "\"yes\""),
            ("Null", "\"Null\""),
            ("123", "\"123\""),
            ("1:20", "\"1:20\""),
            ("0x1F", "\"0x1F\""),
            ("1_000.5e3", "\"1_000.5e3\""),
            ("2024-01-01", "\"2024-01-01\""),
            ("10.0.0.1:8080", "10.0.0.1:8080"),
            ("3 cafe", "3 cafe"),
            ("1abc", "1abc"),
            ("", "\"\""),
            (" lead", "' lead'"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("it's: x", "'it''s: x'"),
            ("- a", "'- a'"),
            ("{a}", "'{a}'"),
            ("a\u{7f}", "\"a\\u007f\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("postgres://u:p@h:5432/d?x=1", "postgres://u:p@h:5432/d?x=1"),
        ];
        for (text, want) in cases {
            assert_eq!(scalar(text, Some(1)), want);
        }
    }

    #[test]
    fn keeps_lines_of_text_as_a_literal_block() {
        assert_eq!(
            written(r#"{"pem": "a\nb\n", "open": "a\n\nb", "many": "a\n\n"}"#),
            "many: |+\n  a\n\nopen: |-\n  a\n\n  b\npem: |\n  a\n  b\n"
        );
    }
}
