//! YAML that version 1.1 and 1.2 readers understand alike: block style, strings quoted when in doubt.

mod keys;
mod marks;
mod order;
mod plain;
mod read;
mod scalar;
mod text;

pub(crate) use read::document as read;

use base64::Engine as _;

use crate::go::print;
use crate::json;
use crate::value::Val;
use scalar::Place;

/// How to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Keys sorted by their bytes, numbers of secrets as received, no line folded.
    Plain,
    /// The bytes of Go's library: keys in natural order, numbers by their value, long lines folded.
    Go,
}

/// A whole document, with a newline at its end.
pub(crate) fn document(value: &Val, style: Style) -> Vec<u8> {
    let mut writer = Writer { style, out: Vec::new() };
    if is_nested(value) {
        writer.block(value, 0);
    } else {
        writer.inline(value, 1, 0);
        writer.out.push(b'\n');
    }
    writer.out
}

/// A key, as it stands before its colon.
pub(crate) fn key(text: &str) -> String {
    scalar::write(text, Place { indent: 0, column: None, key: true })
}

/// What stands after `key:` of the outermost mapping, with its leading space or newline and its closing newline.
pub(crate) fn entry(value: &Val) -> Vec<u8> {
    let mut writer = Writer { style: Style::Plain, out: Vec::new() };
    writer.entry(value, 0, 0);
    writer.out
}

fn is_nested(value: &Val) -> bool {
    match value {
        Val::List(items) => !items.is_empty(),
        Val::Map(entries) => entries.len() > 0,
        Val::Struct(_) => true,
        _ => false,
    }
}

struct Writer {
    style: Style,
    out: Vec<u8>,
}

impl Writer {
    /// A mapping or a list, each line so many levels in; the first one too.
    fn block(&mut self, value: &Val, level: usize) {
        match value {
            Val::List(items) => items.iter().for_each(|item| {
                self.pad(level);
                self.item(item, level);
            }),
            Val::Map(entries) => {
                let items = entries.borrow();
                let mut sorted: Vec<(Val, &Val)> = items.iter().map(|(key, item)| (entries.key(key), item)).collect();
                if self.style == Style::Go {
                    sorted.sort_by(|a, b| order::keys(&a.0, &b.0));
                }
                sorted.into_iter().for_each(|(key, item)| self.pair(&key, item, level));
            }
            Val::Struct(fields) => {
                fields.iter().for_each(|(key, item)| self.pair(&Val::str(key.to_lowercase()), item, level));
            }
            _ => {}
        }
    }

    /// After the padding: a nested block begins on the dash's own line.
    fn item(&mut self, item: &Val, level: usize) {
        self.out.push(b'-');
        if is_nested(item) {
            let mut inner = Self { style: self.style, out: Vec::new() };
            inner.block(item, level + 1);
            self.out.push(b' ');
            self.out.extend_from_slice(&inner.out[2 * (level + 1)..]);
        } else {
            self.entry(item, level, 2 * level + 1);
        }
    }

    fn pair(&mut self, name: &Val, item: &Val, level: usize) {
        self.pad(level);
        let name = match name {
            Val::Str(text) => key(&String::from_utf8_lossy(text)),
            Val::Float(f) => float(*f),
            other => String::from_utf8_lossy(&print::text(other)).into_owned(),
        };
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b':');
        self.entry(item, level, 2 * level + name.chars().count() + 1);
    }

    /// What follows a colon or a dash in that column.
    fn entry(&mut self, value: &Val, level: usize, column: usize) {
        if is_nested(value) {
            self.out.push(b'\n');
            // A list stands below its key, not right of it.
            self.block(value, if matches!(value, Val::List(_)) { level } else { level + 1 });
        } else {
            self.out.push(b' ');
            self.inline(value, level + 1, column + 1);
            self.out.push(b'\n');
        }
    }

    fn pad(&mut self, level: usize) {
        self.out.resize(self.out.len() + 2 * level, b' ');
    }

    fn inline(&mut self, value: &Val, level: usize, column: usize) {
        let column = (self.style == Style::Go).then_some(column);
        let place = Place { indent: 2 * level, column, key: false };
        let text = match value {
            Val::Str(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => scalar::write(text, place),
                Err(_) => format!("!!binary {}", base64::engine::general_purpose::STANDARD.encode(bytes.as_slice())),
            },
            Val::Number(bytes) if self.style == Style::Go => number(&String::from_utf8_lossy(bytes), place),
            Val::Float(f) if self.style == Style::Go => float(*f),
            // A date stands bare, as a date of YAML.
            Val::Object(object) if object.moment().is_some() => object.json_text(),
            Val::Object(object) => scalar::write(&object.text(), place),
            Val::List(_) => "[]".to_owned(),
            Val::Map(_) => "{}".to_owned(),
            other => String::from_utf8_lossy(&json::encode(other, json::PLAIN)).into_owned(),
        };
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// A number of a secret by its value; one that fits no float is a string to Go.
fn number(text: &str, place: Place) -> String {
    match text.parse::<i64>() {
        Ok(n) => n.to_string(),
        Err(_) => match text.parse::<f64>().ok().filter(|f| f.is_finite()) {
            Some(f) => float(f),
            None => scalar::write(text, place),
        },
    }
}

fn float(f: f64) -> String {
    match print::shortest(f).as_str() {
        "+Inf" => ".inf".to_owned(),
        "-Inf" => "-.inf".to_owned(),
        "NaN" => ".nan".to_owned(),
        digits => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidekey_core::Value;

    fn written(json: &str, style: Style) -> String {
        String::from_utf8(document(&Val::from(&Value::parse(json).unwrap()), style)).unwrap()
    }

    #[test]
    fn writes_block_style_with_sorted_keys() {
        let nested = r#"{"b": {"x": [1, {"c": "z", "a": [[]]}, [true]], "e": {}}, "a": "text", "r": 1.50, "0": null}"#;
        let want = "\"0\": null\na: text\nb:\n  e: {}\n  x:\n  - 1\n  - a:\n    - []\n    c: z\n  - - true\nr: 1.50\n";
        assert_eq!(written(nested, Style::Plain), want);
        assert_eq!(written("{}", Style::Plain), "{}\n");
        assert_eq!(written("\"x\"", Style::Plain), "x\n");
    }

    #[test]
    fn writes_numbers_by_value_as_go_does() {
        assert_eq!(
            written("[1.50, 12, 1e6, 1e400, 123456789012345678901]", Style::Go),
            "- 1.5\n- 12\n- 1e+06\n- 1e400\n- 1.2345678901234568e+20\n"
        );
    }

    #[test]
    fn keeps_lines_of_text_as_a_literal_block() {
        assert_eq!(
            written(r#"{"pem": "a\nb\n", "open": "a\n\nb", "many": "a\n\n", "lead": " a\nb"}"#, Style::Plain),
            "lead: |2-\n   a\n  b\nmany: |+\n  a\n\nopen: |-\n  a\n\n  b\npem: |\n  a\n  b\n"
        );
    }
}
