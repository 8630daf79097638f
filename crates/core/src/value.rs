//! Secret data as Vault sent it: JSON whose numbers keep the text they arrived in.
//!
//! `serde_json::Value` turns `1.50` into `1.5` and is not wiped on drop; consul-template prints numbers as received
//! (Go's `json.Number`), and so do we.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use zeroize::Zeroize;

/// Deepest nesting accepted; Vault's own limit for request JSON is 300, real secrets have less than ten.
const MAX_DEPTH: usize = 64;

/// One JSON value of a secret. No `Debug`, no `Serialize`; wiped on drop (each text wipes itself).
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// JSON `null`.
    #[default]
    Null,
    /// JSON boolean.
    Bool(bool),
    /// The number's text as received.
    Number(Text),
    /// JSON string.
    Text(Text),
    /// JSON array.
    List(Vec<Value>),
    /// JSON object; iteration is sorted by key, as Go templates range over maps.
    Map(BTreeMap<String, Value>),
}

/// A string that is wiped on drop.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Text(String);

impl Text {
    /// Takes ownership of the text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Why bytes are not a value; carries a position at most, never content.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ValueError {
    /// Not JSON.
    #[error("not valid JSON (line {line}, column {column})")]
    Syntax {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
    },
    /// Deeper than 64 levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Value {
    /// Parses JSON text.
    ///
    /// # Errors
    /// [`ValueError`] with the position; the text itself is never quoted.
    pub fn parse(json: &str) -> Result<Self, ValueError> {
        parse(json, 0)
    }

    /// A text value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::new(text.into()))
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// The entries, if this is a map.
    pub const fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The string, if this is a text (a number is not).
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.expose()),
            _ => None,
        }
    }

    /// A whole number in range, from a JSON number or a string of digits (Vault's plugins send both).
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(text) | Self::Text(text) => text.expose().parse().ok(),
            _ => None,
        }
    }

    /// Compact JSON with sorted keys and numbers as received; nothing but JSON's own escapes.
    pub fn to_json(&self) -> crate::Sensitive<String> {
        let mut json = crate::Sensitive::new(String::new());
        self.write_json(json.expose_mut());
        json
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text.expose()),
            Self::Text(text) => write_string(text.expose(), out),
            Self::List(items) => {
                write_joined('[', ']', items, out, Self::write_json);
            }
            Self::Map(map) => write_joined('{', '}', map, out, |(key, value), out| {
                write_string(key, out);
                out.push(':');
                value.write_json(out);
            }),
        }
    }
}

fn write_joined<T>(
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut each: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn parse(json: &str, depth: usize) -> Result<Value, ValueError> {
    if depth > MAX_DEPTH {
        return Err(ValueError::TooDeep);
    }
    let json = json.trim_matches([' ', '\t', '\r', '\n']);
    match json.as_bytes().first() {
        Some(b'{') => from_json::<BTreeMap<String, &RawValue>>(json)?
            .into_iter()
            .map(|(key, raw)| Ok((key, parse(raw.get(), depth + 1)?)))
            .collect::<Result<_, _>>()
            .map(Value::Map),
        Some(b'[') => from_json::<Vec<&RawValue>>(json)?
            .into_iter()
            .map(|raw| parse(raw.get(), depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::List),
        Some(b'"') => from_json::<String>(json).map(|text| Value::Text(Text::new(text))),
        Some(b't' | b'f') => from_json::<bool>(json).map(Value::Bool),
        Some(b'n') => from_json::<()>(json).map(|()| Value::Null),
        _ => from_json::<&RawValue>(json).map(|raw| Value::Number(Text::from(raw.get()))),
    }
}

fn from_json<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ValueError> {
    serde_json::from_str(json).map_err(|error| ValueError::Syntax { line: error.line(), column: error.column() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(json: &str) -> String {
        Value::parse(json).map_or_else(|error| error.to_string(), |value| value.to_json().expose().clone())
    }

    #[test]
    fn keeps_numbers_as_received_and_sorts_keys() {
        let cases = [
            (r#"{"b": 1.50, "a": 10000000000000000000000}"#, r#"{"a":10000000000000000000000,"b":1.50}"#),
            (r#" [ null , true, "x\n\u0001\"" ] "#, r#"[null,true,"x\n\u0001\""]"#),
            (r#"{"a": {"b": []}}"#, r#"{"a":{"b":[]}}"#),
        ];
        for (json, want) in cases {
            assert_eq!(round_trip(json), want);
        }
    }

    #[test]
    fn refuses_bad_json_without_quoting_it() {
        assert_eq!(round_trip(r#"{"password": hunter2}"#), "not valid JSON (line 1, column 14)");
        assert_eq!(round_trip(""), "not valid JSON (line 1, column 0)");
        assert_eq!(round_trip(&"[".repeat(70).to_string()), "not valid JSON (line 1, column 70)");
        let deep = "[".repeat(70) + &"]".repeat(70);
        assert_eq!(round_trip(&deep), "nested deeper than 64 levels");
    }
}
