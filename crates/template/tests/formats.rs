//! The stock formats: golden bytes, and what real readers make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use common::{Store, data, kv2, outcome};
use proptest::prelude::*;
use sidekey_core::Lookup;
use sidekey_core::contract::{Format, FormatSource, Source};

/// Names that need no care, values that need all of it.
const HOSTILE: &str = r##"{"A": "plain", "B": "it's \"$HOME\" `id` \\ !", "C": "line\nline\n", "D": "", "E": "#x = y: z", "F": " é😀 ",
    "G": "$(id)", "H": "\\n", "I": "-----BEGIN KEY-----\nQUJD\n-----END KEY-----\n", "J": 1.50, "K": true, "L": null,
    "M": {"x": [1, "'"]}, "N": "yes", "O": "tab\tcr\r", "P": "'", "Q": "%PATH%"}"##;

fn shown(format: Format, json: &str) -> String {
    outcome(&common::format(format, "s"), &Store::from([(Lookup::read("s"), Arc::new(kv2(json)))]))
}

#[test]
fn writes_env_files() {
    assert_eq!(
        shown(Format::Env, r#"{"B": "it's \"$x\"", "A": "1", "C": {"d": 1.50}}"#),
        "A=\"1\"\nB=\"it's \\\"\\$x\\\"\"\nC='{\"d\":1.50}'\n"
    );
    assert_eq!(
        shown(Format::Env, r#"{"db-password": "x"}"#),
        "SK2005: template t: the key \"db-password\" is no name of an environment variable (rename the key in the secret to letters, \
         digits and underscores, or choose the format json, yaml or properties)"
    );
    assert_eq!(
        shown(Format::Env, "{\"A\": \"a\\u0000\"}"),
        "SK2005: template t: field `A`: a NUL byte cannot stand in a variable (encode the field with base64, or use format raw)"
    );
}

#[test]
fn writes_json() {
    assert_eq!(
        shown(Format::Json, r#"{"b": {"x": [1.50, {}], "y": null}, "a": "\"<&>\u0001é"}"#),
        "{\n  \"a\": \"\\\"<&>\\u0001é\",\n  \"b\": {\n    \"x\": [\n      1.50,\n      {}\n    ],\n    \"y\": null\n  }\n}\n"
    );
    assert_eq!(shown(Format::Json, "{}"), "{\n}\n");
}

#[test]
fn writes_yaml() {
    assert_eq!(
        shown(Format::Yaml, r#"{"on": "yes", "a b": {"x": [1.50, {}], "y": null}, "pem": "A\nB\n", "z": "a: b"}"#),
        "a b:\n  x:\n  - 1.50\n  - {}\n  \"y\": null\n\"on\": \"yes\"\npem: |\n  A\n  B\nz: 'a: b'\n"
    );
    assert_eq!(shown(Format::Yaml, "{}"), "{}\n");
}

#[test]
fn writes_properties_and_lines() {
    assert_eq!(
        shown(Format::Properties, r#"{"a.b": " x=y", "c d": "é\n", "e": [1]}"#),
        "a.b=\\ x=y\nc\\ d=\\u00e9\\n\ne=[1]\n"
    );
    assert_eq!(shown(Format::Map, r#"{"b": "x y", "a": 1.50}"#), "a: 1.50\nb: x y\n");
}

#[test]
fn writes_one_field_raw() {
    let raw = |field: Option<&str>, json: &str| {
        let source = FormatSource { format: Format::Raw, path: "s".to_owned(), field: field.map(str::to_owned) };
        outcome(&Source::Format(source), &Store::from([(Lookup::read("s"), Arc::new(kv2(json)))]))
    };
    assert_eq!(raw(Some("k"), r#"{"k": "a\nb", "l": 1}"#), "a\nb");
    assert_eq!(raw(None, r#"{"k": {"x": 1.50}}"#), "{\"x\":1.50}");
    assert_eq!(
        raw(None, r#"{"a": 1, "b": 2}"#),
        "SK2005: template t: format raw writes one field, and the secret has 2 (name one of: a, b)"
    );
    assert_eq!(
        raw(Some("pasword"), r#"{"password": "x"}"#),
        "SK2005: template t: the secret has no field `pasword` (did you mean `password`?)"
    );
}

#[test]
fn takes_kv1_and_leased_answers_as_they_are() {
    let store = Store::from([(Lookup::read("s"), Arc::new(data(r#"{"data": "x", "b": "y"}"#)))]);
    assert_eq!(outcome(&common::format(Format::Map, "s"), &store), "b: y\ndata: x\n");
    let store = Store::from([(Lookup::read("s"), Arc::new(data("null")))]);
    assert_eq!(outcome(&common::format(Format::Map, "s"), &store), "SK2005: template t: the answer has no fields");
}

/// What a variable of each name holds after `sh` has read the file.
fn sourced(file: &str, names: &[String]) -> Vec<Vec<u8>> {
    let prints: String = names.iter().map(|name| format!("printf '%s\\0' \"${name}\"\n")).collect();
    let done =
        Command::new("sh").args(["-eu", "-c", &format!("{file}\n{prints}")]).env_clear().output().expect("sh runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut values: Vec<Vec<u8>> = done.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    values.pop();
    values
}

#[test]
fn gives_sh_the_exact_bytes() {
    let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(HOSTILE).unwrap();
    let names: Vec<String> = fields.keys().cloned().collect();
    let want: Vec<Vec<u8>> = fields
        .values()
        .map(|value| match value {
            serde_json::Value::String(text) => text.clone().into_bytes(),
            serde_json::Value::Number(_) => b"1.50".to_vec(),
            other => other.to_string().into_bytes(),
        })
        .collect();
    assert_eq!(sourced(&shown(Format::Env, HOSTILE), &names), want);
}

#[test]
fn gives_yaml_and_json_readers_the_same_data() {
    let want: serde_json::Value = serde_json::from_str(HOSTILE).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown(Format::Json, HOSTILE)).unwrap(), want);
    let read: serde_json::Value = serde_saphyr::from_str(&shown(Format::Yaml, HOSTILE)).unwrap();
    assert_eq!(read, want);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gives_sh_any_value(values in prop::collection::vec("[^\u{0}]{0,12}", 1..6)) {
        let fields: BTreeMap<String, &String> = values.iter().enumerate().map(|(index, value)| (format!("V{index}"), value)).collect();
        let names: Vec<String> = fields.keys().cloned().collect();
        let json = serde_json::to_string(&fields).unwrap();
        let want: Vec<Vec<u8>> = fields.values().map(|value| value.as_bytes().to_vec()).collect();
        prop_assert_eq!(sourced(&shown(Format::Env, &json), &names), want);
    }

    #[test]
    fn gives_yaml_readers_any_value(text in "[ -~\n\té😀\u{a0}\u{7f}\u{85}]{0,16}", key in "[ -~]{1,8}") {
        let json = serde_json::json!({ &key: text, "list": [text], "map": { "k": text } }).to_string();
        let written = shown(Format::Yaml, &json);
        let read: serde_json::Value = serde_saphyr::from_str(&written).map_err(|error| TestCaseError::fail(format!("{written:?}: {error}")))?;
        prop_assert_eq!(read, serde_json::from_str::<serde_json::Value>(&json).unwrap(), "{:?}", written);
    }
}
