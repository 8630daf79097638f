//! Vault's answer → the Secret's data, and the digest of it that the status keeps.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sidekey_core::{Cause, Code, Sensitive, Value};
use sidekey_template::Pattern;

/// The whole answer.
pub const RAW: &str = "_raw";

/// A Secret's data. No `Debug`: it is the secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data(pub BTreeMap<String, Sensitive<Vec<u8>>>);

/// The key of all digests, shared with the Vault Secrets Operator.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// From the bytes of the key Secret.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The digest of these, one after the other.
    pub fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }

    /// Whether this is their digest.
    pub fn verifies(&self, parts: &[&[u8]], digest: &[u8]) -> bool {
        hmac::verify(&self.0, &parts.concat(), digest).is_ok()
    }
}

impl Data {
    /// From base64 as a Secret holds it; what cannot be decoded is left out.
    pub fn from_encoded(encoded: &BTreeMap<String, Sensitive<String>>) -> Self {
        let decoded = encoded
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), Sensitive::new(STANDARD.decode(value.expose()).ok()?))));
        Self(decoded.collect())
    }

    /// With others' keys beside its own, which win.
    #[must_use]
    pub fn beside(&self, others: &Self) -> Self {
        let mut all = others.clone();
        all.0.extend(self.0.clone());
        all
    }

    /// Values as base64, as a Secret holds them.
    pub fn encoded(&self) -> BTreeMap<&str, String> {
        self.0.iter().map(|(key, value)| (key.as_str(), STANDARD.encode(value.expose()))).collect()
    }

    /// HMAC-SHA256 of the JSON object of base64 values with sorted keys, as base64: byte for byte what the status of a
    /// VaultStaticSecret holds today, else each workload would be restarted when the operator is replaced.
    pub fn mac(&self, key: &MacKey) -> String {
        self.signed(key, "\"\"")
    }

    /// The digest in the form of one that a status has. Where a template has rendered to nothing, the Vault Secrets Operator signs
    /// `null` for what the Secret holds as an empty text.
    pub fn mac_as(&self, said: &str, key: &MacKey) -> String {
        let nothing = self.0.values().any(|value| value.expose().is_empty());
        let theirs = nothing.then(|| self.signed(key, "null")).filter(|theirs| theirs == said);
        theirs.unwrap_or_else(|| self.mac(key))
    }

    fn signed(&self, key: &MacKey, empty: &str) -> String {
        let mut json = Sensitive::new(String::from("{"));
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let text = json.expose_mut();
            text.push_str(comma);
            write_string(name, text);
            let _ = match value.expose().as_slice() {
                [] => write!(text, ":{empty}"),
                bytes => write!(text, ":\"{}\"", STANDARD.encode(bytes)),
            };
        }
        json.expose_mut().push('}');
        STANDARD.encode(hmac::sign(&key.0, json.expose().as_bytes()))
    }

    /// Whether each key can be one of a Secret, and all fit into one.
    ///
    /// # Errors
    /// The key at fault, in words.
    pub fn check(&self) -> Result<(), String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_name = |key: &str| !key.is_empty() && key.len() <= 253 && key.chars().all(allowed);
        let is_file = |key: &str| key != "." && !key.starts_with("..");
        if let Some(key) = self.0.keys().find(|key| !is_name(key) || !is_file(key)) {
            let rule = "letters, digits, '-', '_' and '.' only, and neither \".\" nor two dots at its start";
            return Err(format!("{key:?} cannot be a key of a Secret: {rule}"));
        }
        let size: usize = self.0.values().map(|value| value.expose().len()).sum();
        if size > 1_048_576 { Err(format!("{size} bytes do not fit into a Secret, 1 MiB at most")) } else { Ok(()) }
    }
}

/// Which source fields are kept.
#[derive(Debug, Default)]
pub struct Filter {
    includes: Vec<Pattern>,
    excludes: Vec<Pattern>,
}

impl Filter {
    /// Compiles the expressions.
    ///
    /// # Errors
    /// The expression at fault.
    pub fn new(includes: &[String], excludes: &[String]) -> Result<Self, String> {
        let compile = |list: &[String]| {
            let one = |text: &String| Pattern::parse(text).map_err(|words| format!("{text:?}: {words}"));
            list.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { includes: compile(includes)?, excludes: compile(excludes)? })
    }

    fn keeps(&self, key: &str) -> bool {
        !self.excludes.iter().any(|pattern| pattern.is_match(key))
            && (self.includes.is_empty() || self.includes.iter().any(|pattern| pattern.is_match(key)))
    }
}

/// What is made of an answer, beside its fields.
pub struct Recipe<'a> {
    /// Filters of source fields.
    pub filter: &'a Filter,
    /// Whether to leave `_raw` out.
    pub exclude_raw: bool,
    /// Rendered templates, by their key.
    pub rendered: Data,
}

/// Adds a further source's fields, each with the prefix before its key, to those that are there.
///
/// # Errors
/// A key that is there already.
pub fn join(fields: &mut BTreeMap<String, Value>, path: &str, further: &Value, prefix: &str) -> Result<(), Cause> {
    for (key, value) in further.as_map().into_iter().flatten() {
        let key = format!("{prefix}{key}");
        if fields.contains_key(&key) {
            let words = format!("the key {key} of {path} is also one of a source before it");
            let cause = Cause::new(Code::FormatData, "filling the destination Secret", words);
            return Err(cause.with_fix("Give that source a prefix, or leave the key out of one of the two."));
        }
        fields.insert(key, value.clone());
    }
    Ok(())
}

/// Builds the data: `_raw`, templates, then source fields that no template took and that pass the filters.
///
/// # Errors
/// A source field or template named `_raw`, or a key no Secret can have.
pub fn build(raw: &Value, fields: &Value, recipe: Recipe<'_>) -> Result<Data, Cause> {
    let wrong = |words: String| Cause::new(Code::FormatData, "filling the destination Secret", words);
    let mut data = recipe.rendered;
    let fields = fields.as_map();
    let taken = data.0.contains_key(RAW) || fields.is_some_and(|fields| fields.contains_key(RAW));
    if taken && !recipe.exclude_raw {
        let words = "a field or template is named _raw, which is the name of the whole answer".to_owned();
        return Err(wrong(words).with_fix("Rename it, or set destination.transformation.excludeRaw to true."));
    }
    for (key, value) in fields.into_iter().flatten() {
        if !data.0.contains_key(key) && recipe.filter.keeps(key) {
            data.0.insert(key.clone(), bytes(value));
        }
    }
    if !recipe.exclude_raw {
        data.0.insert(RAW.to_owned(), Sensitive::new(json(raw).expose().clone().into_bytes()));
    }
    data.check().map_err(wrong)?;
    Ok(data)
}

/// A string as it is, anything else as JSON.
fn bytes(value: &Value) -> Sensitive<Vec<u8>> {
    match value.as_text() {
        Some(text) => Sensitive::new(text.as_bytes().to_vec()),
        None => Sensitive::new(json(value).expose().clone().into_bytes()),
    }
}

/// JSON as Go's encoder writes it: sorted keys, numbers as received, `<`, `>`, `&` and the line separators escaped.
pub fn json(value: &Value) -> Sensitive<String> {
    let mut text = Sensitive::new(String::new());
    write_value(value, text.expose_mut());
    text
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(text) => out.push_str(text.expose()),
        Value::Text(text) => write_string(text.expose(), out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_value(item, out);
            }
            out.push('}');
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::parse(json).unwrap()
    }

    fn built(
        fields: &str,
        includes: &[&str],
        excludes: &[&str],
        exclude_raw: bool,
        rendered: &[(&str, &str)],
    ) -> String {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&owned(includes), &owned(excludes)).unwrap();
        let rendered = rendered.iter().map(|(key, text)| ((*key).to_owned(), Sensitive::new(text.as_bytes().to_vec())));
        let recipe = Recipe { filter: &filter, exclude_raw, rendered: Data(rendered.collect()) };
        match build(&value(fields), &value(fields), recipe) {
            Ok(data) => {
                let pairs =
                    data.0.iter().map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value.expose())));
                pairs.collect::<Vec<_>>().join(" ")
            }
            Err(cause) => cause.answer,
        }
    }

    #[test]
    fn fills_a_secret_as_its_readers_expect() {
        let fields = r#"{"user":"a<b","n":1.50,"on":true,"list":[1,"&"],"none":null}"#;
        let cases = [
            (built(fields, &[], &[], true, &[]), r#"list=[1,"\u0026"] n=1.50 none=null on=true user=a<b"#),
            (built(r#"{"a":"x<"}"#, &[], &[], false, &[]), r#"_raw={"a":"x\u003c"} a=x<"#),
            (built(fields, &["^u", "^n$"], &[], true, &[]), "n=1.50 user=a<b"),
            (built(fields, &["^u", "^n"], &["none"], true, &[]), "n=1.50 user=a<b"),
            (built(fields, &[], &[".*"], true, &[("url", "x")]), "url=x"),
            (built(r#"{"a":"1"}"#, &[], &[], true, &[("a", "2")]), "a=2"),
            (built(r#"{"_raw":"1"}"#, &[], &[], true, &[]), "_raw=1"),
            (
                built(r#"{"_raw":"1"}"#, &[], &[], false, &[]),
                "a field or template is named _raw, which is the name of the whole answer",
            ),
            (
                built(r#"{"a b":"1"}"#, &[], &[], true, &[]),
                r#""a b" cannot be a key of a Secret: letters, digits, '-', '_' and '.' only, and neither "." nor two dots at its start"#,
            ),
            (built("{}", &[], &[], true, &[]), ""),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
        assert!(Filter::new(&["(".to_owned()], &[]).is_err());
    }

    /// The rules of `IsConfigMapKey`, which the API server applies to Secrets as well.
    #[test]
    fn a_key_is_one_that_can_be_a_file() {
        let cases =
            [("a", true), (".a", true), ("a..b", true), ("A-_.9", true), ("", false), (".", false), ("..", false)];
        for (key, want) in cases.into_iter().chain([("..a", false), ("a/b", false), ("é", false)]) {
            assert_eq!(Data([(key.to_owned(), Sensitive::default())].into()).check().is_ok(), want, "{key}");
        }
    }

    /// The figures are those of Go's `hmac.New(sha256.New, key)` over `{"a":"MQ==","b":""}` and `{}`, made with openssl.
    #[test]
    fn the_digest_is_the_one_that_statuses_hold_today() {
        let key = MacKey::new(b"0123456789abcdef");
        let pair = [("a".to_owned(), Sensitive::new(b"1".to_vec())), ("b".to_owned(), Sensitive::default())];
        assert_eq!(Data(pair.into()).mac(&key), "9HPib295Rg4oSEqoWFnQ1anMfq4WgTV5Mpt6/iSfKnY=");
        assert_eq!(Data::default().mac(&key), "+R4+nwXMLfZKwcJvitzN/9qNHkp6jFChoI7q2sbd/sU=");
    }

    /// `{"a":null,"b":"eA=="}` and `{"a":"","b":"eA=="}`.
    #[test]
    fn a_digest_of_what_a_template_left_empty_is_known_in_both_forms() {
        let key = MacKey::new(b"0123456789abcdef");
        let of = |b: &str| {
            Data(
                [("a".to_owned(), Sensitive::default()), ("b".to_owned(), Sensitive::new(b.as_bytes().to_vec()))]
                    .into(),
            )
        };
        let (theirs, ours) =
            ("i7McqHAMnM588zpY3jTfF+reN9htNwW0FkaIINUUbOA=", "NPFXkALhjGip9exJgKmkld0zbt/2YuROIkS+sV1xOI0=");
        assert_eq!(of("x").mac(&key), ours);
        assert_eq!((of("x").mac_as(theirs, &key).as_str(), of("x").mac_as(ours, &key).as_str()), (theirs, ours));
        for said in [theirs, ours, ""] {
            assert_eq!(of("y").mac_as(said, &key), of("y").mac(&key), "another value is another digest");
        }
    }

    #[test]
    fn json_escapes_what_go_escapes() {
        let json = json(&value("{\"k\":\"<\\u0008\\u000c\\u0001\\u2028\\\"é\"}"));
        assert_eq!(json.expose(), "{\"k\":\"\\u003c\\b\\f\\u0001\\u2028\\\"é\"}");
    }
}
