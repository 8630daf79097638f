//! Bodies made to cost time or memory.

#![allow(unreachable_pub, reason = "a part of the tests beside it")]

use serde_json::{Value, json};

use crate::support::{pod, review};

fn annotated(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    let mut pod = pod();
    for (key, value) in pairs {
        pod["metadata"]["annotations"][key] = value.into();
    }
    review(&pod).to_string().into_bytes()
}

fn one(key: &str, value: String) -> Vec<u8> {
    annotated([(key.to_owned(), value)])
}

/// A template of the other language.
fn go(template: String) -> Vec<u8> {
    annotated([
        ("sidekey.dev/template-engine".to_owned(), "go".to_owned()),
        ("sidekey.dev/template-app.env".to_owned(), template),
    ])
}

fn with(field: &str, value: Value) -> Vec<u8> {
    let mut pod = pod();
    pod["spec"][field] = value;
    review(&pod).to_string().into_bytes()
}

/// In the text of a review: the object's first bytes.
fn spliced(bytes: &[u8]) -> Vec<u8> {
    let text = review(&pod()).to_string();
    let (before, after) = text.split_once(r#""object":{"#).unwrap();
    [before.as_bytes(), br#""object":{"x":"#, bytes, b",", after.as_bytes()].concat()
}

/// With a name each; none is much longer than `long` bytes.
pub fn bodies(long: usize) -> Vec<(&'static str, Vec<u8>)> {
    let many = |count: usize, item: fn(usize) -> Value| Value::Array((0..count).map(item).collect());
    let key = |name: &str| format!("sidekey.dev/{name}");
    vec![
        ("nested lists", spliced(&[vec![b'['; long / 2], vec![b']'; long / 2]].concat())),
        (
            "nested objects",
            spliced(&[r#"{"a":"#.repeat(long / 6).into_bytes(), b"1".to_vec(), vec![b'}'; long / 6]].concat()),
        ),
        ("open lists", spliced(&vec![b'['; long])),
        ("invalid UTF-8", spliced(&[&b"\""[..], &[0xff; 1000], &b"\""[..]].concat())),
        ("half a surrogate", spliced(br#""\ud800""#)),
        ("a number of many digits", spliced(&vec![b'9'; long])),
        ("keys twice", spliced(format!("1,{}\"x\":1", r#""x":1,"#.repeat(long / 6)).as_bytes())),
        (
            "the object twice",
            review(&pod()).to_string().replacen(r#""object":"#, r#""object":{},"object":"#, 1).into_bytes(),
        ),
        ("escapes", one("example.com/a", "\u{1}".repeat(long / 6))),
        ("10 MiB that nobody reads", one("example.com/a", "a".repeat(long))),
        ("10 MiB of a boolean", one(&key("inject"), "t".repeat(long))),
        ("10 MiB of a role", one(&key("role"), "r".repeat(long))),
        ("10 MiB of a path", one(&key("secret-app.env"), "a/".repeat(long / 2))),
        ("10 MiB of template", one(&key("template-app.env"), "{{#if a}}".repeat(long / 9))),
        ("512 KiB of open blocks", one(&key("template-app.env"), "{{#if a}}".repeat(512 * 1024 / 9))),
        ("512 KiB of braces", one(&key("template-app.env"), "{".repeat(512 * 1024))),
        (
            "10 MiB of patch",
            one(&key("json-patch"), format!("[{}", r#"{"op":"add","path":"/a","value":1},"#.repeat(long / 36))),
        ),
        ("a deep patch", one(&key("json-patch"), "[".repeat(long))),
        ("a patch of many copies", one(&key("json-patch"), copies(40))),
        (
            "a patch that fills a list from its front",
            one(
                &key("json-patch"),
                format!("[{}]", vec![r#"{"op":"add","path":"/args/0","value":1}"#; 6000].join(",")),
            ),
        ),
        (
            "a patch of many moves",
            one(
                &key("json-patch"),
                format!("[{}]", vec![r#"{"op":"move","from":"/args/0","path":"/args/-"}"#; 5000].join(",")),
            ),
        ),
        ("5 000 secrets", annotated((0..5000).map(|n| (key(&format!("secret-s{n}")), "secret/data/a".to_owned())))),
        ("5 000 misspelt ones", annotated((0..5000).map(|n| (key(&format!("sekret-and-more-{n}")), String::new())))),
        ("a misspelt one of 200 KiB", one(&key(&"sekret".repeat(200 * 1024 / 6)), String::new())),
        (
            "5 000 of the other dialect",
            annotated((0..5000).map(|n| (format!("vault.hashicorp.com/agent-inject-secret-{n}"), "a/b".to_owned()))),
        ),
        ("200 KiB of blocks", one(&key("template-app.env"), "{{#if a}}".repeat(200 * 1024 / 9))),
        ("200 KiB of lookups", one(&key("template-app.env"), "{{secret 'a/b'}}".repeat(200 * 1024 / 17))),
        ("200 KiB of Go blocks", go("{{if .a}}".repeat(200 * 1024 / 9))),
        ("200 KiB of Go parentheses", go(format!("{{{{{}", "(".repeat(200 * 1024)))),
        ("200 KiB of Go pipes", go(format!("{{{{ 1{} }}}}", " | print".repeat(200 * 1024 / 8)))),
        ("200 KiB of commands", one(&key("on-change-app.env"), "touch a\n".repeat(200 * 1024 / 8))),
        ("200 KiB of a path", one(&key("secret-app.env"), "a/".repeat(100 * 1024))),
        ("10 MiB of commands", one(&key("on-change-app.env"), "touch a\n".repeat(long / 8))),
        (
            "100 000 annotations of ours",
            annotated((0..100_000).map(|n| (key(&format!("secret-s{n}")), "secret/data/a".to_owned()))),
        ),
        ("100 000 misspelt ones", annotated((0..100_000).map(|n| (key(&format!("sekret-{n}")), String::new())))),
        ("100 000 containers", with("containers", many(100_000, |n| json!({"name": format!("c{n}"), "image": "a:1"})))),
        ("100 000 volumes", with("volumes", many(100_000, |n| json!({"name": format!("v{n}"), "emptyDir": {}})))),
        (
            "100 000 init containers",
            with("initContainers", many(100_000, |n| json!({"name": format!("i{n}"), "image": "a:1"}))),
        ),
        (
            "240 000 variables",
            with(
                "containers",
                json!([{"name": "app", "image": "a:1", "env": many(240_000, |_| json!({"name": "A"}))}]),
            ),
        ),
        ("containers that are numbers", with("containers", many(100_000, |n| json!(n)))),
    ]
}

/// Doubles what the last one copied.
fn copies(count: usize) -> String {
    let double = |n: usize| format!(r#"{{"op":"copy","from":"/env","path":"/env/{n}"}}"#);
    let all: Vec<_> = (0..count).map(double).collect();
    format!(r#"[{{"op":"add","path":"/env","value":[]}},{}]"#, all.join(","))
}
