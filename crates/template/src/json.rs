//! JSON as Go's encoder writes it: keys sorted, numbers of secrets as received, HTML characters escaped on request.

use crate::failure::Failure;
use crate::go::print;
use crate::list::Elem;
use crate::value::Val;

/// How to write.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// `<`, `>` and `&` as `\u003c` and so on.
    pub(crate) html: bool,
    /// Two spaces per level and one entry per line.
    pub(crate) pretty: bool,
}

/// Compact, nothing escaped but what JSON itself asks for.
pub(crate) const PLAIN: Style = Style { html: false, pretty: false };

/// Whether JSON has a form for it.
///
/// # Errors
/// A float that is no number, and the maps that `parseYAML` answers: Go's encoder refuses both.
pub(crate) fn check(value: &Val) -> Result<(), Failure> {
    match value {
        Val::Float(f) if !f.is_finite() => {
            Err(Failure::new("JSON has no form for a float that is infinite or no number"))
        }
        Val::Map(map) if map.is_of_yaml() => Err(Failure::new("JSON has no form for a map that parseYAML has read")
            .hint("Go refuses it too; pick its values out, or write it with toYAML")),
        Val::List(items) if items.elem() == Elem::Turns => Err(Failure::new("JSON has no form for a loop")),
        Val::Map(map) => map.borrow().values().try_for_each(check),
        Val::List(items) => items.iter().try_for_each(check),
        Val::Struct(fields) => fields.iter().try_for_each(|(_, item)| check(item)),
        _ => Ok(()),
    }
}

/// The value as JSON text.
pub(crate) fn encode(value: &Val, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, style, 0, &mut out);
    out
}

fn write(value: &Val, style: Style, level: usize, out: &mut Vec<u8>) {
    match value {
        Val::Absent | Val::Void | Val::Nil => out.extend_from_slice(b"null"),
        Val::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Val::Int(n) | Val::Long(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Val::Uint(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Val::Float(f) => out.extend_from_slice(float(*f).as_bytes()),
        Val::Number(text) => out.extend_from_slice(text),
        Val::Str(text) => string(text, style.html, out),
        Val::List(items) if items.is_nil() => out.extend_from_slice(b"null"),
        Val::Object(object) => string(object.json_text().as_bytes(), style.html, out),
        Val::List(items) => {
            block(b"[]", items.iter(), style, level, out, |item, out| write(item, style, level + 1, out));
        }
        Val::Map(entries) if entries.is_nil() => out.extend_from_slice(b"null"),
        Val::Map(entries) => block(b"{}", entries.borrow().iter(), style, level, out, |(key, item), out| {
            entry(key, item, style, level, out);
        }),
        Val::Struct(fields) => block(b"{}", fields.iter(), style, level, out, |(key, item), out| {
            entry(&fields.json_name(key), item, style, level, out);
        }),
    }
}

fn entry(key: &str, item: &Val, style: Style, level: usize, out: &mut Vec<u8>) {
    string(key.as_bytes(), style.html, out);
    out.extend_from_slice(if style.pretty { b": " } else { b":" });
    write(item, style, level + 1, out);
}

fn block<T>(
    brackets: &[u8; 2],
    items: impl ExactSizeIterator<Item = T>,
    style: Style,
    level: usize,
    out: &mut Vec<u8>,
    mut each: impl FnMut(T, &mut Vec<u8>),
) {
    let newline = |level: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + 2 * level, b' ');
    };
    let spread = style.pretty && items.len() > 0;
    out.push(brackets[0]);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if spread {
            newline(level + 1, out);
        }
        each(item, out);
    }
    if spread {
        newline(level, out);
    }
    out.push(brackets[1]);
}

/// A JSON string; what is not UTF-8 becomes U+FFFD, as with Go's encoder.
pub(crate) fn string(bytes: &[u8], html: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '<' | '>' | '&' if html => escape(c, out),
            '\u{2028}' | '\u{2029}' => escape(c, out),
            c if c < ' ' => escape(c, out),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn escape(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
}

/// A float as Go's encoder writes it: an exponent only below 1e-6 and from 1e21.
fn float(f: f64) -> String {
    let size = f.abs();
    if !f.is_finite() {
        "null".to_owned()
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // Go drops the zero of an exponent like e-07.
        print::shortest(f).replace("e-0", "e-").replace("e+0", "e+")
    } else {
        print::decimal(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidekey_core::Value;

    fn written(json: &str, style: Style) -> String {
        String::from_utf8(encode(&Val::from(&Value::parse(json).unwrap()), style)).unwrap()
    }

    #[test]
    fn writes_as_gos_encoder_does() {
        let hostile = r#"{"b": 1.50, "a": "<&>\u0008\u000c\u0001\u2028é\"\\", "c": []}"#;
        let html = Style { html: true, pretty: false };
        assert_eq!(written(hostile, html), r#"{"a":"\u003c\u0026\u003e\b\f\u0001\u2028é\"\\","b":1.50,"c":[]}"#);
        let pretty = Style { html: false, pretty: true };
        assert_eq!(
            written(r#"{"a": [1, {}], "b": {"c": null}}"#, pretty),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  }\n}"
        );
    }

    #[test]
    fn writes_floats_as_gos_encoder_does() {
        let cases = [
            (1.0, "1"),
            (0.5, "0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (-0.0, "-0"),
        ];
        for (f, want) in cases {
            assert_eq!(float(f), want);
        }
    }
}
