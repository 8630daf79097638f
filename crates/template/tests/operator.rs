//! The operator's templates: one set, data as the dot, functions of its own, and nothing that changes while the data does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::{MARKER, frozen, go, outcome, store, table};
use sidekey_core::{Code, Value};
use sidekey_template::{Input, Settled, TemplateError, TemplateSet, compile};

fn render(templates: &[(&str, &str)], name: &str, seed: u8) -> String {
    let set = TemplateSet::compile(templates.iter().copied());
    match set.and_then(|set| settle(&set, &[name], seed)) {
        Ok(settled) => String::from_utf8(settled.texts[0].expose().clone()).unwrap(),
        Err(error) => format!("{}: {error}", error.code),
    }
}

fn settle(set: &TemplateSet, names: &[&str], seed: u8) -> Result<Settled, TemplateError> {
    let secrets = Value::parse(&format!(r#"{{"user": "app", "password": "{MARKER}", "port": 5432}}"#)).unwrap();
    let (annotations, labels) = (BTreeMap::new(), BTreeMap::from([("app".to_owned(), "web".to_owned())]));
    let input = Input { secrets: &secrets, metadata: None, annotations: &annotations, labels: &labels };
    set.render(names.iter().copied(), input, &frozen(seed))
}

fn one(text: &str) -> String {
    render(&[("ns/cr/key", text)], "ns/cr/key", 7)
}

#[test]
fn renders_the_data_that_it_is_given() {
    let cases = [
        ("{{ .Secrets.user }}:{{ get .Secrets \"port\" }} {{ .Labels.app | upper | b64enc }}", "app:5432 V0VC"),
        ("{{ .Secrets.nope }} {{ .Secrets.nope.deeper }} {{ .Labels.nope }}", "<no value> <no value> <no value>"),
        ("{{ typeOf . }} {{ kindOf . }} {{ .Metadata }}{{ .Annotations }}", "*helpers.SecretInput ptr map[]map[]"),
        (
            "{{ . | toJson | trunc -72 }} {{ .Metadata | toJson }}",
            r#"2,"user":"app"},"metadata":{},"annotations":null,"labels":{"app":"web"}} {}"#,
        ),
        ("{{ $.Secrets.port | int | add 1 }} {{ slice (list 1 2 3) 1 }}", "5433 [2 3]"),
        (
            "{{ .Secrets.port.Int64 | add 1 }} {{ .Secrets.port.String | len }} {{ .Secrets.port.Float64 }}",
            "5433 4 5432",
        ),
        ("{{ fail \"no user\" }}", "SK2003: template ns/cr/key, line 1, column 4: fail: no user"),
        ("{{ range $k, $_ := .Secrets }}{{ $k }} {{ end }}", "password port user "),
        (
            "{{ dict \"u\" .Secrets.user | toJson }}{{ fail (print .Secrets.user \"!\") }}",
            "SK2003: template ns/cr/key, line 1, column 41: fail: the template says that it cannot go on (its words may hold values, so they are not shown)",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(one(text), want, "{text}");
    }
}

#[test]
fn calls_templates_of_the_same_set() {
    let set = [
        ("ns/cr/a", "[{{ template \"ns/st/b\" .Secrets }}]"),
        ("ns/st/b", "{{ define \"in\" }}{{ . }}{{ end }}{{ template \"in\" .user }}!"),
    ];
    assert_eq!(render(&set, "ns/cr/a", 7), "[app!]");
    assert_eq!(
        render(&set, "in", 7),
        "{map[password:s3cr3t-mArKeR-value port:5432 user:app] map[] map[] map[app:web]}"
    );
    assert_eq!(render(&set, "nope", 7), "SK2003: template nope: there is no template of this name");
    let twice = [("a", "1"), ("a", "2")];
    assert_eq!(render(&twice, "a", 7), "SK2001: template a: another template has this name");
    let later = [("a", "1"), ("b", "x{{ define \"a\" }}2{{ end }}")];
    assert_eq!(render(&later, "a", 7), "2", "of two sources the later one counts");
    let empty = [("a", "1"), ("b", "x{{ define \"a\" }}{{ end }}")];
    assert_eq!(render(&empty, "a", 7), "1");
    let taken = [("b", "{{ define \"a\" }}1{{ end }}{{ define \"a\" }}2{{ end }}")];
    assert!(render(&taken, "b", 7).ends_with("template \"a\" is defined twice"));
}

#[test]
fn names_the_source_in_which_a_template_fails() {
    let set = [("a", "\n\n{{ template \"b\" . }}"), ("b", "é {{ .Secrets.user.x }}")];
    assert_eq!(render(&set, "a", 7), "SK2003: template b, line 1, column 6: `.x` is asked of a string");
    let unknown = [("a", "fine"), ("b", "\n {{ if false }}{{ tojson . }}{{ end }}")];
    assert_eq!(
        render(&unknown, "a", 7),
        "SK2002: template b, line 2, column 19: function `tojson` is not known (did you mean `toJson`?)"
    );
}

#[test]
fn refuses_what_the_operator_does_not_have() {
    let cases = [
        (
            "{{ secret \"a\" }}",
            "function `secret` is not known (only the agent's templates have it; the operator hands secrets in as data)",
        ),
        ("{{ sprig_upper \"a\" }}", "function `sprig_upper` is not known (did you mean `upper`?)"),
        (
            "{{ toDate \"a\" \"b\" }}",
            "function `toDate` is not known (the operator does not have this function of sprig)",
        ),
        ("{{ now }}", "function `now` is not known (the operator does not have this function of sprig)"),
        ("{{ call .Secrets }}", "function `call` is refused (No value of a template is a function.)"),
    ];
    for (text, want) in cases {
        assert_eq!(one(text), format!("SK2002: template ns/cr/key, line 1, column 4: {want}"), "{text}");
    }
    table(
        go,
        &[
            (
                "{{ b64enc \"a\" }}",
                "SK2002: template t, line 1, column 4: function `b64enc` is not known (did you mean `sprig_b64enc`?)",
            ),
            (
                "{{ sprig_getHostByName }}",
                "SK2002: template t, line 1, column 4: function `sprig_getHostByName` is refused (Templates do not see the network.)",
            ),
            (
                "{{ now }}",
                "SK2002: template t, line 1, column 4: function `now` is not known (did you mean `sprig_now`?)",
            ),
        ],
    );
}

#[test]
fn reads_patterns_that_a_template_spells_out_before_it_runs() {
    table(
        go,
        &[
            (
                "{{ if false }}{{ \"a\" | regexMatch \"a(\" }}{{ end }}",
                "SK2001: template t, line 1, column 35: the pattern is not a regular expression, or too large a one",
            ),
            (
                "{{ sprig_regexFind `\\p{Lx}+` \"a\" }}",
                "SK2001: template t, line 1, column 20: the pattern is not a regular expression: there is no such class of Unicode",
            ),
            ("{{ sprig_regexMatch \"(\" \"(\" }}{{ sprig_regexQuoteMeta \"(\" }}", "false\\("),
        ],
    );
    assert_eq!(one("{{ regexMatch \"(\" \"(\" }}"), "false");
    assert!(
        one("{{ mustRegexMatch \"(\" \"(\" }}")
            .starts_with("SK2001: template ns/cr/key, line 1, column 19: the pattern")
    );
}

#[test]
fn freezes_clock_and_chance_with_the_data() {
    let text = "{{ randInt 0 1000000 }} {{ randInt 0 1000000 }} {{ shuffle \"abcdefghijklmnop\" }} {{ ago 1699996400 }} \
                {{ durationRound (mustToDate \"2006-01-02\" \"2023-11-10\") }}";
    let first = one(text);
    assert_eq!(one(text), first);
    assert!(first.ends_with(" 1h0m0s 4d"), "{first}");
    let numbers: Vec<&str> = first.split(' ').collect();
    assert_ne!(numbers[0], numbers[1]);
    assert_ne!(render(&[("a", text)], "a", 8), first);
    let mut letters: Vec<char> = numbers[2].chars().collect();
    letters.sort_unstable();
    assert_eq!(letters.into_iter().collect::<String>(), "abcdefghijklmnop");
    assert_eq!(
        one("{{ randInt 5 6 }}{{ randInt 3 3 }}"),
        "SK2003: template ns/cr/key, line 1, column 21: randInt: the end is not above the start"
    );
}

#[test]
fn bounds_maps_that_change() {
    let nest = "{{ $root := dict }}{{ $at := $root }}{{ range until 5000 }}{{ $next := dict }}{{ $_ := set $at \"x\" $next }}{{ $at = $next }}{{ end }}";
    let wide = "{{ $root := dict }}{{ $at := $root }}{{ range until 60 }}{{ $next := dict }}{{ $_ := set $at \"x\" $next }}{{ $_ := set $at \"y\" $next }}{{ $at = $next }}{{ end }}";
    let too_large = "the value nests too deep, or is too large";
    assert_eq!(one(nest), "");
    assert!(one(&format!("{nest}{{{{ $root | toJson }}}}")).ends_with(too_large));
    assert!(one(&format!("{wide}{{{{ $root }}}}")).ends_with(too_large));
    assert!(one(&format!("{wide}{{{{ deepCopy $root | len }}}}")).ends_with(too_large));
    assert!(
        one("{{ $d := dict }}{{ $_ := set $d \"self\" (list $d) }}").ends_with("set: a map cannot be put into itself")
    );
    assert!(one("{{ $l := list 1 }}{{ range until 40 }}{{ $l = list $l $l }}{{ end }}").ends_with(too_large));
    assert!(
        one("{{ $l := until 100000 }}{{ range until 100000 }}{{ $_ := len $l }}{{ end }}")
            .ends_with("more than 1000000 steps")
    );
}

#[test]
fn keeps_what_a_template_changes_to_its_rendering() {
    let source = go(
        "{{ $d := (secret \"kv1/web\").Data }}{{ $_ := sprig_set $d \"new\" 1 }}{{ (secret \"kv1/web\").Data.new }}",
    );
    let store = store();
    assert_eq!(outcome(&source, &store), "1");
    assert_eq!(outcome(&go("{{ (secret \"kv1/web\").Data.new }}"), &store), "<no value>");
}

#[test]
fn calls_methods() {
    table(
        go,
        &[
            (
                "{{ $v := sprig_semver \"1.2.3\" }}{{ $v.Compare (sprig_semver \"1.3.0\") }}{{ sprig_semver \"2\" | $v.LessThan }}",
                "-1true",
            ),
            ("{{ (sprig_toDate \"2006-01-02\" \"2024-02-29\").Format \"Mon _2 Jan\" }}", "Thu 29 Feb"),
            ("{{ (sprig_semver \"1\").Nope }}", "SK2003: template t, line 1, column 4: a version has no method `Nope`"),
            ("{{ .x.Compare 1 }}", "<no value>"),
            (
                "{{ .x.nope 1 }}",
                "SK2001: template t, line 1, column 4: only a function takes arguments, and this is none",
            ),
        ],
    );
}

#[test]
fn shows_no_secret_in_any_error() {
    let calls = [
        "atoi",
        "b64dec",
        "fromJson",
        "semver",
        "urlParse",
        "fail",
        "regexFind .",
        "mustFromJson",
        "mustToDate \"2006\"",
        "first",
        "keys",
        "toDecimal",
        "round",
        "index .",
        "dig \"a\" \"b\"",
        "until",
        "seq",
        "merge",
        "printf \"%d\"",
        "chunk 2",
        "duration",
        "indent",
        "substr 9 1",
    ];
    for call in calls {
        let text = format!("{{{{ {call} .Secrets.password }}}}");
        let shown = one(&text);
        assert!(!shown.starts_with("SK") || !shown.contains(MARKER), "{text}: {shown}");
    }
    assert_eq!(
        compile("t", &go("{{ sprig_fail (secret \"a\").Data.x }}"), None).err().map(|error| error.code),
        None::<Code>
    );
}

/// A hash costs time: it is made once for the same data, and not without bound.
#[test]
fn hashes_passwords_the_same_way_until_the_data_changes() {
    let line = |seed| render(&[("t", "{{ htpasswd .Secrets.user .Secrets.password }}")], "t", seed);
    let (first, again, other) = (line(1), line(1), line(2));
    assert!(first.starts_with("app:$2a$10$") && first.len() == 4 + 60, "{first}");
    assert_eq!(first, again);
    assert_ne!(first[..33], other[..33], "another salt");
    assert_eq!(one("{{ htpasswd \"a:b\" \"x\" }}"), "invalid username: a:b");
    let long = format!("{{{{ bcrypt \"{}\" }}}}", "x".repeat(73));
    assert_eq!(one(&long), "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes");
    let many = one("{{ range until 40 }}{{ bcrypt \"x\" }}{{ end }}");
    assert!(many.starts_with("SK2003") && many.ends_with("bcrypt: more than 1000000 steps"), "{many}");
}

#[test]
fn takes_a_certificate_and_its_key_from_base_64_of_pem() {
    // A DER sequence of one integer.
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\nMAMCAQE=\n-----END {kind}-----\n");
    let call = |cert: &str, key: &str| {
        one(&format!(
            "{{{{ $c := buildCustomCert (b64enc {cert:?}) (b64enc {key:?}) }}}}{{{{ $c.Cert }}}}|{{{{ $c.Key }}}}"
        ))
    };
    let (cert, key) = (pem("CERTIFICATE"), pem("RSA PRIVATE KEY"));
    assert_eq!(call(&cert, &key), format!("{cert}|{key}"));
    assert!(call(&key, &cert).contains("the private key is no PEM block of a private key"));
    assert!(call("x", &key).contains("the certificate is no PEM block that holds DER"));
    assert!(one("{{ buildCustomCert \"-\" \"-\" }}").contains("the certificate is no base 64"));
}
