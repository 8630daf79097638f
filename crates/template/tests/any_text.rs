//! Whatever the text: no panic, no endless rendering, no answer without a place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{go, hbs, outcome, rendered, store};
use proptest::prelude::*;
use sidekey_core::contract::{Engine, Source, Template};
use sidekey_template::{Rendered, compile};

/// Pieces that make a parser work: random text alone hardly ever opens an action.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "\n",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define \"x\"",
        "template \"x\"",
        "block \"y\" ",
        "break",
        "continue",
        ".",
        ".Data",
        "$",
        "$x",
        " := ",
        " = ",
        ",",
        "|",
        "(",
        ")",
        "\"a\"",
        "`b`",
        "'c'",
        "1",
        "-2.5e3",
        "0x",
        "nil",
        "true",
        "secret \"kv1/web\"",
        "printf \"%d%s%v\"",
        "index ",
        "len ",
        "scratch.Set ",
        "scratch",
        "sprig_dict \"k\" ",
        "sprig_set $x \"k\" ",
        "sprig_list ",
        "sprig_until 9",
        "sprig_substr -1 2 ",
        "sprig_regexSplit \"[é\" ",
        "sprig_camelcase ",
        "sprig_urlParse ",
        "sprig_mustToDate \"2006-1-2 3:4.00\" ",
        "toYAML ",
        "toTOML ",
        "and ",
        "or ",
        "/*",
        "*/",
        "é",
        "\u{a0}",
        "#if x",
        "/if",
        "#each (secret \"kv1/web\")",
        "/each",
        "#with this",
        "/with",
        "{{{",
        "}}}",
        "{{{{raw}}}}",
        "{{{{/raw}}}}",
        "~",
        "../",
        "@key",
        "this",
        "[",
        "]",
        "as |v k|",
        "> p",
        "!",
        "!--",
        "--",
        "\\",
        "lookup ",
    ]);
    prop::collection::vec(prop_oneof![4 => piece.prop_map(str::to_owned), 1 => ".{0,3}"], 0..40)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn reads_or_refuses_any_text(text in pieces()) {
        for source in [go(&text), hbs(&text)] {
            match compile("t", &source, None) {
                Err(error) => prop_assert!(error.line.is_some() && error.column.is_some(), "{:?}", error),
                Ok(compiled) => drop(compiled.literal_lookups()),
            }
            let _ = outcome(&source, &store());
        }
    }

    #[test]
    fn reads_or_refuses_any_delimiters(text in "[a{}<%\\[\\] -/*\"]{0,30}", left in "[{<%\\[-]{1,3}", right in "[}>%\\]-]{1,3}") {
        let template = Template { left, right, ..Template::inline(Engine::Go, text) };
        let _ = outcome(&Source::Template(template), &store());
    }

    #[test]
    fn keeps_text_without_actions(text in "[^{\\\\]{0,80}") {
        for source in [go(&text), hbs(&text)] {
            let Ok(Rendered::Complete { bytes, .. }) = rendered(&source, &store()) else { return Err(TestCaseError::fail("renders")) };
            prop_assert_eq!(bytes.expose().as_slice(), text.as_bytes());
        }
    }
}

#[test]
fn refuses_deep_nesting_in_good_time() {
    let cases = [
        "{{ (".repeat(50_000),
        "(".repeat(100_000),
        "{{ if 1 }}".repeat(50_000),
        "{{(".repeat(50_000),
        format!("{{{{{}", "(".repeat(100_000)),
        format!("{{{{ {} }}}}", "(len ".repeat(5_000) + "1" + &")".repeat(5_000)),
        "{{#if a}}".repeat(20_000),
        format!("{{{{a {}", "(b ".repeat(16)),
        "{{#if (a (b (c".repeat(30),
    ];
    for text in cases {
        for source in [go(&text), hbs(&text)] {
            let _ = outcome(&source, &store());
        }
    }
}
