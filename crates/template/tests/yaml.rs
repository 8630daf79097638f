//! `parseYAML`: what is refused, in words that hold no value, and that what is written is read back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{MARKER, Store, go, kv2, outcome};
use proptest::prelude::*;
use sidekey_core::Lookup;

fn store(text: &str) -> Store {
    let json = serde_json::json!({ "t": text }).to_string();
    Store::from([(Lookup::read("s"), Arc::new(kv2(&json)))])
}

fn read(text: &str) -> String {
    outcome(&go("{{ (secret \"s\").Data.data.t | parseYAML | toJSON }}"), &store(text))
}

#[test]
fn refuses_what_is_rare_or_surprising() {
    let cases = [
        ("a: *x\nb: &x 1", "an alias without an anchor before it, in its line 1"),
        ("a: &x *x", "an alias without an anchor before it, in its line 1"),
        ("a: 1\nb: !!int two", "a value that its tag does not fit, in its line 2"),
        ("~: 1", "a key that is nothing, no number, or a collection, in its line 1"),
        (".nan: 1", "a key that is nothing, no number, or a collection, in its line 1"),
        ("a: &x [1]\n*x : 2", "a key that is nothing, no number, or a collection, in its line 2"),
        ("{[1]: 2}", "a value inside brackets that is none, or on several lines; quote it, in its line 1"),
        ("*x : 1", "an alias without an anchor before it, in its line 1"),
        ("a: 1\n<<: 2", "a merge key of something that is no map, in its line 2"),
        ("? a\n: b", "a complex key, in its line 1"),
        ("a: b: c", "a collection begins beside a key, in its line 1"),
        ("a: [1, 2", "a comma or a bracket is missing, in its line 1"),
        ("a: \"x", "a quote is never closed, in its line 1"),
        ("a:\n\t- 1", "a tab indents, in its line 2"),
        ("a: \"\\q\"", "an escape that is none, in its line 1"),
    ];
    for (text, why) in cases {
        let want =
            format!("SK2003: template t, line 1, column 31: parseYAML: the text is no YAML that is served: {why}");
        assert_eq!(read(text), want, "{text}");
    }
    assert!(read(&"[".repeat(1000)).contains("it nests too deep"));
    assert!(read(&"- ".repeat(1000)).contains("it nests too deep"));
}

/// Aliases of aliases: what would print as more than a million values is refused before it is printed.
#[test]
fn bounds_what_aliases_multiply() {
    let lines =
        (1..12).map(|level| format!("l{level}: &l{level} [{}]", vec![format!("*l{}", level - 1); 10].join(", ")));
    let text = format!("l0: &l0 [x]\n{}", lines.collect::<Vec<_>>().join("\n"));
    let shown = outcome(&go("{{ (secret \"s\").Data.data.t | parseYAML | toYAML }}"), &store(&text));
    assert!(shown.contains("the value nests too deep, or is too large"), "{}", &shown[..shown.len().min(200)]);
}

/// Merge keys copy what they merge, so that many of one large map would be the square of the text.
#[test]
fn bounds_what_merge_keys_copy() {
    let keys: Vec<String> = (0..400).map(|n| format!("k{n}: 1")).collect();
    let text = |times| format!("- &m {{{}}}\n{}", keys.join(", "), "- <<: *m\n".repeat(times));
    let count = |times| outcome(&go("{{ (secret \"s\").Data.data.t | parseYAML | len }}"), &store(&text(times)));
    assert_eq!(count(250), "251");
    assert!(count(251).ends_with("its merge keys copy too much, in its line 252"), "{}", count(251));
}

#[test]
fn shows_no_secret_in_any_error() {
    for text in [
        "{MARKER",
        "a: !{M}",
        "{M}: {M}: {M}",
        "*{M} : x",
        "!!int {M}: x",
        "{M}: 1\n<<: {M}",
        "\"{M}",
        "a: {M}\n  b: {M}",
        "[{M}",
        "{M}: |x\n {M}",
    ] {
        let text = text.replace("{M}", MARKER).replace("MARKER", MARKER);
        let shown = read(&text);
        assert!(shown.starts_with("SK2003") && !shown.contains(MARKER), "{text}: {shown}");
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Json;
    let text = "[ -~\n\té😀\u{a0}\u{85}\u{2028}]{0,14}";
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        text.prop_map(Json::from)
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[ -~é]{1,8}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reads_back_what_is_written(value in value()) {
        // The last line break of a text is trimmed, so something follows the value.
        let text = serde_json::json!({ "v": value, "z": 1 });
        let store = Store::from([(Lookup::read("s"), Arc::new(kv2(&text.to_string())))]);
        for writer in ["toYAML", "toJSON", "toUnescapedJSONPretty"] {
            // JSON has no form for what parseYAML answers, so it is written again as YAML.
            let shown =
                |read: &str| outcome(&go(&format!("{{{{ (secret \"s\").Data.data | {read} toYAML }}}}")), &store);
            prop_assert_eq!(shown(&format!("{writer} | parseYAML |")), shown(""), "{}", writer);
        }
    }

    #[test]
    fn reads_or_refuses_any_text(text in "([-:#\\[\\]{}|>'\"&*!?, \n\ta-c1é]|: |- |\n  |\n\n){0,24}") {
        let _ = read(&text);
    }
}
