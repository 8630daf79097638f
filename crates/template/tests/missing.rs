//! Missing data: what is asked for, and nothing that fails before it is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Store, go, hbs, kv2, outcome, paths, store, strict};
use sidekey_core::Lookup;
use sidekey_core::contract::{Format, Source};
use sidekey_core::lookup::Verb;
use sidekey_template::{Rendered, compile};

/// One pass finds every lookup that does not depend on another one's answer.
#[test]
fn asks_for_all_at_once() {
    let empty = Store::new();
    let cases: [(Source, &str); 9] = [
        (
            go("{{ with secret \"a\" }}{{ with secret \"nested\" }}{{ end }}{{ end }}{{ with secret \"b\" }}{{ end }}"),
            "missing: a b",
        ),
        (
            go(
                "{{ (secret \"a\").Data.x | base64Decode | toUpper }}{{ index (secret \"b\").Data \"x\" }}{{ len (secret \"c\").Data }}",
            ),
            "missing: a b c",
        ),
        (strict("{{ $s := secret \"a\" }}{{ $s.Data.x }}{{ secret \"b\" }}"), "missing: a b"),
        (go("{{ range secrets \"l\" }}{{ secret . }}{{ else }}{{ secret \"else\" }}{{ end }}"), "missing: l"),
        (
            go(
                "{{ with secret \"a\" }}{{ else }}{{ secret \"else\" }}{{ end }}{{ or (secret \"b\") (secret \"later\") }}",
            ),
            "missing: a b",
        ),
        (
            hbs(
                "{{#with (secret \"a\")}}{{x}}{{/with}}{{lookup (secret \"b\") \"y\"}}{{upper (lookup (secret \"c\") \"z\")}}{{json (secret \"d\")}}",
            ),
            "missing: a b c d",
        ),
        (
            hbs("{{#each (split \"x,y\" \",\")}}{{#with (secret this)}}{{secret \"nested\"}}{{/with}}{{/each}}"),
            "missing: x y",
        ),
        (hbs("{{#each (secrets \"l\")}}{{this}}{{/each}}{{secret \"w\" k=\"v\"}}"), "missing: l w"),
        (common::format(Format::Env, "secret/web"), "missing: secret/web"),
    ];
    for (source, want) in cases {
        assert_eq!(outcome(&source, &empty), want);
    }
}

#[test]
fn comes_to_an_end_pass_by_pass() {
    let template = go(
        "{{ range secrets \"secret/metadata/\" }}{{ with secret (printf \"secret/data/%s\" .) }}{{ .Data.data.x }},{{ end }}{{ end }}",
    );
    let all = store();
    let mut known = Store::new();
    let mut asked = Vec::new();
    let text = loop {
        match common::rendered(&template, &known).unwrap() {
            Rendered::Incomplete { missing } => {
                asked.push(paths(&missing));
                for lookup in missing {
                    let answer = all.get(&lookup).unwrap_or_else(|| panic!("{}", lookup.path));
                    known.insert(lookup, Arc::clone(answer));
                }
            }
            Rendered::Complete { bytes, used, .. } => {
                assert_eq!(paths(&used), "secret/data/api secret/data/web secret/metadata");
                break String::from_utf8(bytes.expose().clone()).unwrap();
            }
        }
    };
    assert_eq!(asked, ["secret/metadata", "secret/data/api secret/data/web"]);
    assert_eq!(text, "from api,<no value>,");
}

#[test]
fn reports_a_failure_only_when_nothing_is_missing() {
    let template = go("{{ base64Decode \"!\" }}{{ secret \"a\" }}");
    assert_eq!(
        outcome(&template, &Store::new()),
        "SK2003: template t, line 1, column 4: base64Decode: the text is not valid base64 with padding"
    );
    let template = go("{{ secret \"a\" }}{{ base64Decode \"!\" }}");
    assert_eq!(outcome(&template, &Store::new()), "missing: a");
    let known = Store::from([(Lookup::read("a"), Arc::new(kv2("{}")))]);
    assert!(outcome(&template, &known).starts_with("SK2003: template t, line 1, column 20: base64Decode"));
}

#[test]
fn knows_literal_lookups_without_rendering() {
    let text = "{{ if eq 1 2 }}{{ secret \"no\" }}{{ else }}{{ secret \"no\" }}{{ end }}{{ define \"x\" }}{{ secret \"no\" }}{{ end }}\
        {{ with secret \"a?version=1\" }}{{ range secrets \"l/\" }}{{ secret . }}{{ else }}{{ secret \"no\" }}{{ end }}{{ end }}\
        {{ or (secret \"o\") (secret \"no\") }}{{ with env \"X\" }}{{ secret \"no\" }}{{ end }}{{ secret \"w\" \"k = v\" }}{{ secret (print \"n\") }}";
    let lookups = compile("t", &go(text), None).unwrap().literal_lookups();
    let shown: Vec<_> = lookups
        .iter()
        .map(|lookup| {
            (lookup.path.as_str(), lookup.verb, lookup.query.len(), lookup.params.get("k").map(String::as_str))
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("a", Verb::Read, 1, None),
            ("l", Verb::List, 0, None),
            ("o", Verb::Read, 0, None),
            ("w", Verb::Write, 0, Some("v"))
        ]
    );
    let text = "{{#if (eq 1 2)}}{{json (secret \"no\")}}{{else}}{{json (secret \"no\")}}{{/if}}{{#with (secret \"a\")}}{{json (secret \"b\" k=\"v\")}}{{/with}}\
        {{#each (secrets \"l\")}}{{secret this}}{{else}}{{secret \"no\"}}{{/each}}{{#with x}}{{secret \"no\"}}{{/with}}";
    let lookups = compile("t", &hbs(text), None).unwrap().literal_lookups();
    assert_eq!(paths(&lookups), "a b l");
}
