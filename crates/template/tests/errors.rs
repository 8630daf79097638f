//! What is refused, where, and in which words; and that no words hold a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{MARKER, go, hbs, store, table};
use sidekey_core::contract::{Engine, Source, Template};
use sidekey_core::{Cause, Code};
use sidekey_template::compile;

#[test]
fn names_the_place_of_a_go_syntax_error() {
    table(
        go,
        &[
            (
                "a\n  {{ if .x }}b",
                "SK2001: template t, line 2, column 3: this if is never closed (add {{end}} where it ends)",
            ),
            ("a{{ end }}b", "SK2001: template t, line 1, column 2: this {{end}} belongs to no block"),
            ("é{{ else }}b", "SK2001: template t, line 1, column 2: this {{else}} belongs to no block"),
            (
                "{{ if 1 }}{{ else }}{{ else }}{{ end }}",
                "SK2001: template t, line 1, column 21: a second else in one if",
            ),
            (
                "{{ range 1 }}{{ else if 1 }}{{ end }}",
                "SK2001: template t, line 1, column 14: `else if` in a block that begins with `range`",
            ),
            (
                "{{ if 1 }}{{ define \"x\" }}{{ end }}{{ end }}",
                "SK2001: template t, line 1, column 11: a definition stands inside another block (move it to the top of the template)",
            ),
            ("{{ break }}", "SK2001: template t, line 1, column 1: this {{break}} stands outside every range"),
            ("x\n{{ .a", "SK2001: template t, line 2, column 1: this action is never closed with }}"),
            ("{{ secret \"a }}", "SK2001: template t, line 1, column 11: this string is never closed"),
            ("{{ printf `a }}", "SK2001: template t, line 1, column 11: this string is never closed"),
            ("{{/* a }}", "SK2001: template t, line 1, column 3: this comment is never closed with */"),
            ("{{ (len .x }}", "SK2001: template t, line 1, column 4: this parenthesis is never closed"),
            ("{{ len .x) }}", "SK2001: template t, line 1, column 10: this `)` closes nothing"),
            ("{{ $x }}", "SK2001: template t, line 1, column 4: variable $x is not declared here"),
            (
                "{{ $name := 1 }}{{ $nme }}",
                "SK2001: template t, line 1, column 20: variable $nme is not declared here (did you mean $name?)",
            ),
            (
                "{{ with 1 }}{{ $y := 1 }}{{ end }}{{ $y }}",
                "SK2001: template t, line 1, column 38: variable $y is not declared here",
            ),
            ("{{ template \"x\" }}", "SK2001: template t, line 1, column 4: template \"x\" is not defined"),
            (
                "{{ define \"x\" }}a{{ end }}{{ define \"x\" }}b{{ end }}",
                "SK2001: template t, line 1, column 30: template \"x\" is defined twice",
            ),
            ("{{ 1 | 2 }}", "SK2001: template t, line 1, column 8: only a function takes arguments, and this is none"),
            ("{{ nil }}", "SK2001: template t, line 1, column 4: nil cannot be printed or passed on"),
            ("{{ /* c */ }}", "SK2001: template t, line 1, column 4: a comment stands alone between its delimiters"),
            (
                "a\n {{- /* c */}} {{ \"a\" | | }}",
                "SK2001: template t, line 2, column 29: an expression is missing here",
            ),
            ("{{ @ }}", "SK2001: template t, line 1, column 4: unexpected character: '@'"),
            (
                "{{ 99999999999999999999 }}",
                "SK2001: template t, line 1, column 4: decimal integer literal overflows u64",
            ),
        ],
    );
}

#[test]
fn refuses_functions_when_the_template_is_read() {
    table(
        go,
        &[
            (
                "{{ secert \"a\" }}",
                "SK2002: template t, line 1, column 4: function `secert` is not known (did you mean `secret`?)",
            ),
            (
                "{{ if false }}\n\t{{ .x | b64 }}{{ end }}",
                "SK2002: template t, line 2, column 10: function `b64` is not known (see docs/reference/templates.md for what is served)",
            ),
            (
                "{{ define \"never\" }}{{ key \"a\" }}{{ end }}",
                "SK2002: template t, line 1, column 24: function `key` is refused (Consul is not read: Sidekey serves Vault and OpenBao only.)",
            ),
            (
                "{{ printf \"%s\" (plugin \"ls\") }}",
                "SK2002: template t, line 1, column 17: function `plugin` is refused (Templates run no programs.)",
            ),
            (
                "{{ scratch.Sett \"a\" 1 }}",
                "SK2002: template t, line 1, column 4: scratch has no method `Sett`, or it is followed by a field (write scratch.Set; fields of its answer need parentheses)",
            ),
        ],
    );
    table(
        hbs,
        &[
            (
                "{{#if false}}\n  {{secert \"a\" \"b\"}}\n{{/if}}",
                "SK2002: template t, line 2, column 3: helper `secert` is not known (did you mean `secret`?)",
            ),
            (
                "{{log \"a\"}}",
                "SK2002: template t, line 1, column 1: helper `log` is refused (A debugging aid that prints secrets to the log.)",
            ),
            (
                "{{#each (secrit \"a\")}}{{/each}}",
                "SK2002: template t, line 1, column 1: helper `secrit` is not known (did you mean `secret`?)",
            ),
            (
                "a\n{{> env}}",
                "SK2002: template t, line 2, column 1: partials are not served (an annotation's template is whole: write the text where it is needed)",
            ),
            (
                "{{#*inline \"a\"}}{{> b}}{{/inline}}{{#*inline \"b\"}}{{> a}}{{/inline}}{{> a}}",
                "SK2002: template t, line 1, column 1: partials are not served (an annotation's template is whole: write the text where it is needed)",
            ),
        ],
    );
}

#[test]
fn names_the_place_of_a_handlebars_syntax_error() {
    table(
        hbs,
        &[
            ("a\n{{#if x}}b", "SK2001: template t, line 2, column 1: this block is never closed"),
            ("{{#if x}}b{{/each}}", "SK2001: template t, line 1, column 11: block if is open, but each is closed"),
            ("x {{ a b", "SK2001: template t, line 1, column 3: this tag is never closed"),
            (
                "a {{ b = }}",
                "SK2001: template t, line 1, column 8: handlebars does not understand this, or a block before it is not closed",
            ),
        ],
    );
}

#[test]
fn names_the_place_of_a_failure_on_data() {
    table(
        go,
        &[
            (
                "{{ with secret \"kv1/web\" }}\n  {{ .Data.nope.deeper }}{{ end }}",
                "SK2003: template t, line 2, column 6: `.deeper` is asked of nothing: the key before it is missing or null",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ .password }}{{ end }}",
                "SK2003: template t, line 1, column 31: a secret's answer has no field `password` (its data is in .Data: write .Data.password, or .Data.data.password for KV version 2)",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ .data }}{{ end }}",
                "SK2003: template t, line 1, column 31: a secret's answer has no field `data` (did you mean `.Data`?)",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ eq .Data.port 5432 }}{{ end }}",
                "SK2003: template t, line 1, column 31: eq: a number of a secret (a string to Go) cannot be compared with an integer (compare with a string, such as eq .port \"5432\")",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ index .Data.list 7 }}{{ end }}",
                "SK2003: template t, line 1, column 31: index: index out of range: there are 2 elements",
            ),
            ("{{ range \"text\" }}{{ end }}", "SK2003: template t, line 1, column 4: a string cannot be ranged over"),
            (
                "{{ base64Decode \"a\" }}",
                "SK2003: template t, line 1, column 4: base64Decode: the text is not valid base64 with padding",
            ),
            (
                "{{ split \",\" }}",
                "SK2003: template t, line 1, column 4: split: 1 arguments do not fit (write split SEPARATOR TEXT)",
            ),
            (
                "{{ secret \"a\" \"b\" }}",
                "SK2003: template t, line 1, column 4: secret: a parameter is not of the form KEY=VALUE (write secret \"path\" \"key=value\")",
            ),
            ("{{ divide 0 1 }}", "SK2003: template t, line 1, column 4: divide: division by zero"),
        ],
    );
    table(
        hbs,
        &[
            (
                "{{#with (secret \"kv1/web\")}}\n  {{nope}}\n{{/with}}",
                "SK2003: template t, line 2, column 3: `nope` is not in the data",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{none}}{{/with}}",
                "SK2003: template t, line 1, column 29: `none` is null (print something else with default, or leave it out with #if)",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{deep}}{{/with}}",
                "SK2003: template t, line 1, column 29: `deep` is a map (print it with json or yaml, or one of its fields)",
            ),
            (
                "{{lookup (secret \"kv1/web\") \"nope\"}}",
                "SK2003: template t, line 1, column 1: lookup: there is no key `nope`",
            ),
            (
                "{{env \"NOPE\"}}",
                "SK2003: template t, line 1, column 1: env: variable NOPE is not set in the agent's container",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{base64Decode bytes}}{{/with}}",
                "SK2003: template t, line 1, column 29: base64Decode: the bytes are not UTF-8 text (use a Go template, or format raw, for binary files)",
            ),
            (
                "{{#with (secret \"kv1/web\")}}\n{{#each nope}}x{{/each}}{{/with}}",
                "SK2003: template t, line 2, column 1: `nope` is not in the data (if that may be, add {{else}} to the block)",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{#with none}}x{{/with}}{{/with}}",
                "SK2003: template t, line 1, column 29: `none` is null (if that may be, add {{else}} to the block)",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{#each username}}x{{/each}}{{/with}}",
                "SK2003: template t, line 1, column 29: `username` is neither a list nor a map (if that may be, add {{else}} to the block)",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{upper nope}}{{/with}}",
                "SK2003: template t, line 1, column 29: upper: `nope` is not in the data",
            ),
        ],
    );
}

#[test]
fn bounds_what_a_template_can_cost() {
    table(
        go,
        &[
            (
                "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}",
                "SK2003: template t, line 1, column 20: blocks and templates nest deeper than 128: does a template call itself?",
            ),
            ("{{ range 2000000 }}{{ end }}", "SK2003: template t, line 1, column 4: more than 1000000 steps"),
            (
                "{{ range loop 1000 }}{{ range loop 1000 }}{{ 1 }}{{ end }}{{ end }}",
                "SK2003: template t, line 1, column 25: more than 1000000 steps",
            ),
            (
                "{{ $x := \"0123456789\" }}{{ range loop 40 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
                "SK2003: template t, line 1, column 52: printf: the text grows beyond 8 MiB",
            ),
            (
                "{{ $x := sprig_list 1 }}{{ range loop 100 }}{{ $x = sprig_list $x }}{{ end }}",
                "SK2003: template t, line 1, column 53: sprig_list: the value nests too deep, or is too large",
            ),
            (
                "{{ sprig_repeat 99999999 \"ab\" }}",
                "SK2003: template t, line 1, column 4: sprig_repeat: the text grows beyond 8 MiB",
            ),
            ("{{ loop 1000000 }}", "SK2003: template t, line 1, column 4: loop: more than 100000 turns"),
        ],
    );
}

#[test]
fn asks_for_the_file_it_is_read_from() {
    let template = Template { file: Some("/etc/t.ctmpl".to_owned()), ..Template::inline(Engine::Go, "") };
    let source = Source::Template(template);
    assert_eq!(compile("t", &source, None).err().unwrap().code, Code::TemplateFile);
    assert!(compile("t", &source, Some("{{ 1 }}")).is_ok());
    assert_eq!(compile("t", &source, Some("{{ end }}")).err().unwrap().line, Some(1));
}

#[test]
fn becomes_a_cause_that_names_place_and_fix() {
    let error = compile("db", &go("{{ if false }}\n{{ secert }}{{ end }}"), None).err().unwrap();
    assert_eq!(
        Cause::from(error).to_string(),
        "SK2002 reading template db at line 2, column 4: function `secert` is not known. Did you mean `secret`?"
    );
}

/// Every way to fail on this secret that we know of, in both languages.
#[test]
fn shows_no_secret_in_any_error() {
    let go_ways = ".Data.data.v.x|.Data.data.v | base64Decode|.Data.data.v | parseJSON|.Data.data.v | parseInt|.Data.data.v | parseBool|\
        index .Data.data .Data.data.l|index .Data.data.v .Data.data.v|index .Data.data.l .Data.data.v|len .Data.data.n.x|printf .Data.data.l|\
        printf (printf \"%%%s\" .Data.data.v) 1 | len|eq .Data.data.v 1|lt .Data.data.l .Data.data.v|add .Data.data.v 1|loop .Data.data.v|\
        regexMatch (print \"(\" .Data.data.v) \"a\"|join \",\" .Data.data.v|slice .Data.data.v 99|explodeMap .Data.data.v|secret .Data.data.v \"x\"|\
        executeTemplate .Data.data.v|timestamp .Data.data.l|split 1 .Data.data.v|indent .Data.data.v \"a\"|mergeMap .Data.data.v 1|sprig_dict .Data.data.l 1|\
        scratch.MapSet .Data.data.v .Data.data.l 1|mustEnv .Data.data.v|.Data.data.l | toTitle|divide .Data.data.v 0|index .Data.data.l 918273645";
    let hbs_ways = "{{m}}|{{l}}|{{upper m}}|{{lookup v \"a\"}}|{{lookup m v}}|{{base64Decode v}}|{{join v v}}|{{env v}}|{{envName v}}|{{v.x.y}}|{{json}}|\
        {{#each v}}{{x}}{{/each}}|{{secret m}}|{{indent v v}}|{{timestamp m}}|{{len v.z}}|{{gt v m}}|{{lookup l v}}|{{secret \"a\" p=m}}|{{#with v}}{{a}}{{/with}}";
    let with = |text: &str| format!("{{{{ with secret \"secret/data/marker\" }}}}{text}{{{{ end }}}}");
    let inside = |text: &str| format!("{{{{#with (secret \"secret/data/marker\")}}}}{text}{{{{/with}}}}");
    let sources = go_ways.split('|').map(|way| go(&with(&format!("{{{{ {} }}}}", way.trim()))));
    let mut failed = 0;
    // A pipe inside an action splits a way in two; both halves still parse or are refused, and neither may leak.
    for source in sources.chain(hbs_ways.split('|').map(|way| hbs(&inside(way.trim())))) {
        if let Err(error) = common::rendered(&source, &store()) {
            failed += 1;
            let shown = format!("{error} {error:?} {}", Cause::from(error.clone()));
            // A lookup's key or a variable's name may come from a secret only by the template's own wish.
            let named_by_template = ["executeTemplate", "mustEnv", "env:", "lookup:", "envName", "scratch"]
                .iter()
                .any(|name| shown.contains(name));
            assert!(named_by_template || !shown.contains(MARKER), "{shown}");
            assert!(!shown.contains("918273645") || shown.contains("index out of range"), "{shown}");
        }
    }
    assert!(failed > 30, "{failed} ways failed");
}
