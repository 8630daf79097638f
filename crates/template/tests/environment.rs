//! Environment variables: each reader gets back what was written, or nothing is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{MARKER, Store, kv2, outcome, store};
use proptest::prelude::*;
use sidekey_core::contract::{Engine, EnvSource, EnvSyntax, Format, FormatSource, Source, Template, Variable};
use sidekey_core::{Lookup, Response, Value};

fn field(name: &str, path: &str, field: &str) -> Variable {
    let source = FormatSource { format: Format::Raw, path: path.to_owned(), field: Some(field.to_owned()) };
    Variable { name: name.to_owned(), source: Source::Format(source) }
}

fn source(syntax: EnvSyntax, variables: Vec<Variable>) -> Source {
    Source::Environment(EnvSource { syntax, variables, restart: false })
}

fn shown(syntax: EnvSyntax, value: &str) -> String {
    let data = serde_json::json!({ "v": value }).to_string();
    let answers = Store::from([(Lookup::read("s"), Arc::new(kv2(&data)))]);
    outcome(&source(syntax, vec![field("A", "s", "v"), field("B", "s", "v")]), &answers)
}

/// As kubelet 1.34.4 reads a file (k8s.io/kubernetes pkg/kubelet/util/env), told anew.
fn kubelet_plain(text: &str, key: &str) -> Result<String, &'static str> {
    let (mut open, mut joined) = (false, String::new());
    for line in lines(text) {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            if open {
                return Err("interrupted");
            }
            continue;
        }
        let cut = line.trim_end_matches([' ', '\t']);
        let more = cut.strip_suffix('\\');
        let part = more.map_or(cut, |part| part.trim_end_matches([' ', '\t']));
        joined = if open { format!("{joined} {part}") } else { part.to_owned() };
        open = more.is_some();
        if open {
            continue;
        }
        // Without a continuation the line goes on with its end as it is; the value's is cut below.
        let (name, value) = joined.split_once('=').ok_or("no =")?;
        if name.trim().is_empty() {
            return Err("no name");
        }
        if name.trim() == key {
            return Ok(value.trim().to_owned());
        }
    }
    if open { Err("unfinished") } else { Ok(String::new()) }
}

/// As kubelet 1.35.0 reads a file, told anew.
fn kubelet_quoted(text: &str, key: &str) -> Result<String, &'static str> {
    let mut lines = lines(text);
    while let Some(line) = lines.next() {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or("no =")?;
        if name.is_empty() || name.ends_with([' ', '\t']) {
            return Err("no name");
        }
        let mut rest = value.strip_prefix('\'').ok_or("no quote")?.to_owned();
        while !rest.contains('\'') {
            rest = format!("{rest}\n{}", lines.next().ok_or("open quote")?);
        }
        let (value, after) = rest.split_once('\'').unwrap();
        let after = after.trim_start_matches([' ', '\t']);
        if !after.is_empty() && !after.starts_with('#') {
            return Err("something after the quote");
        }
        if name == key {
            return Ok(value.to_owned());
        }
    }
    Ok(String::new())
}

/// Go's `bufio.ScanLines`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

#[test]
fn writes_what_each_reader_reads() {
    assert_eq!(shown(EnvSyntax::Plain, "it's \"$x\" #1=2"), "A=it's \"$x\" #1=2\nB=it's \"$x\" #1=2\n");
    assert_eq!(shown(EnvSyntax::Quoted, "a\n b\\ "), "A='a\n b\\ '\nB='a\n b\\ '\n");
    assert_eq!(shown(EnvSyntax::Nul, "a'\n"), "A=a'\n\0B=a'\n\0");
    assert_eq!(shown(EnvSyntax::Nul, ""), "A=\0B=\0");
}

#[test]
fn refuses_what_a_form_cannot_carry_and_names_the_variable() {
    let long = "x".repeat(40_000);
    let longest = "x".repeat(131_072);
    let cases = [
        (EnvSyntax::Plain, "", "empty"),
        (EnvSyntax::Plain, " a", "begins or ends with a space"),
        (EnvSyntax::Plain, "a\u{a0}", "begins or ends with a space"),
        (EnvSyntax::Plain, "a\\", "ends with a backslash"),
        (EnvSyntax::Plain, "a\nb", "line break"),
        (EnvSyntax::Plain, &long, "32 KiB"),
        (EnvSyntax::Quoted, "", "empty"),
        (EnvSyntax::Quoted, "it's", "single quote"),
        (EnvSyntax::Quoted, "a\r\nb", "carriage return"),
        (EnvSyntax::Quoted, &longest[..70_000], "longer line"),
        (EnvSyntax::Nul, "a\0b", "zero byte"),
        (EnvSyntax::Nul, &longest, "128 KiB"),
    ];
    for (syntax, value, words) in cases {
        let told = shown(syntax, value);
        assert!(told.starts_with("SK2005: template A: ") && told.contains(words), "{words}: {told:.200}");
    }
}

#[test]
fn waits_for_all_of_it_and_takes_templates() {
    let text = r#"{{ with secret "database/creds/web" }}{{ .Data.username }}{{ end }}"#;
    let template = |text: &str| Source::Template(Template::inline(Engine::Go, text));
    let variables = || {
        vec![
            field("PASSWORD", "secret/data/web", "password"),
            Variable { name: "USER".to_owned(), source: template(text) },
        ]
    };
    let all = source(EnvSyntax::Nul, variables());
    assert_eq!(outcome(&all, &store()), "PASSWORD=p<&>\"w$\0USER=v-user\0");
    let wrong = source(EnvSyntax::Nul, [variables(), vec![field("X", "secret/data/web", "pasword")]].concat());
    let mut answers = store();
    assert!(outcome(&wrong, &answers).contains("template X: the secret has no field `pasword`"));
    answers.remove(&Lookup::read("database/creds/web"));
    assert!(outcome(&wrong, &answers).contains("database/creds/web"), "what is missing comes before what is wrong");
}

#[test]
fn never_tells_a_value() {
    let data = serde_json::json!({ "v": format!("{MARKER}\n' \\") }).to_string();
    let answers = Store::from([(
        Lookup::read("s"),
        Arc::new(Response { data: Value::parse(&data).unwrap(), ..Response::default() }),
    )]);
    for syntax in [EnvSyntax::Plain, EnvSyntax::Quoted] {
        let told = outcome(&source(syntax, vec![field("A", "s", "v")]), &answers);
        assert!(told.starts_with("SK2005") && !told.contains(MARKER), "{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arrives_unchanged_or_not_at_all(value in prop_oneof![any::<String>(), "[ab=#'\"\\\\ \t\r\n\u{a0}]{0,12}"]) {
        let plain = shown(EnvSyntax::Plain, &value);
        if !plain.starts_with("SK2005") {
            prop_assert_eq!(kubelet_plain(&plain, "B"), Ok(value.clone()));
        }
        let quoted = shown(EnvSyntax::Quoted, &value);
        if !quoted.starts_with("SK2005") {
            prop_assert_eq!(kubelet_quoted(&quoted, "B"), Ok(value.clone()));
        }
    }

    /// Nothing is refused that would arrive.
    #[test]
    fn refuses_no_more_than_it_must(value in "[ab=#'\"\\\\ \t\r\n]{0,8}") {
        let plain = format!("A={value}\nB={value}\n");
        if shown(EnvSyntax::Plain, &value).starts_with("SK2005") {
            prop_assert!(value.is_empty() || kubelet_plain(&plain, "B") != Ok(value.clone()), "{:?}", value);
        }
        let quoted = format!("A='{value}'\nB='{value}'\n");
        if shown(EnvSyntax::Quoted, &value).starts_with("SK2005") {
            prop_assert!(value.is_empty() || kubelet_quoted(&quoted, "B") != Ok(value.clone()), "{:?}", value);
        }
    }
}
