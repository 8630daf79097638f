//! Answers for templates under test.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sidekey_core::contract::{Engine, Format, FormatSource, Source, Template};
use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Response, Sensitive, Value};
use sidekey_template::{Frozen, Inputs, Rendered, TemplateError, compile};

/// A value that must never be seen in an error.
pub(crate) const MARKER: &str = "s3cr3t-mArKeR-value";

pub(crate) type Store = BTreeMap<Lookup, Arc<Response>>;

pub(crate) fn data(json: &str) -> Response {
    Response { data: Value::parse(json).unwrap(), ..Response::default() }
}

/// KV version 2's wrapper.
pub(crate) fn kv2(json: &str) -> Response {
    data(&format!(r#"{{"data": {json}, "metadata": {{"version": 3, "created_time": "2024-01-01T00:00:00Z"}}}}"#))
}

/// What most tests ask for.
pub(crate) fn store() -> Store {
    let password = r#"{"username": "app", "password": "p<&>\"w$", "port": 5432, "ratio": 1.50, "zero": 0, "on": true, "none": null,
        "odd.key": "dotted", "b64": "aGVsbG8=", "list": ["x", "y"], "deep": {"a": {"b": {"c": "down"}}}, "empty": "",
        "bytes": "AP/+"}"#;
    let pki = r#"{"certificate": "CERT", "private_key": "KEY", "issuing_ca": "CA", "ca_chain": ["CA1", "CA2"]}"#;
    let marker = format!(r#"{{"v": "{MARKER}", "n": 918273645, "m": {{"k": "{MARKER}"}}, "l": ["{MARKER}"]}}"#);
    let database = Response {
        request_id: "rid".to_owned(),
        lease_id: "database/creds/web/1".to_owned(),
        lease_duration: 3600,
        renewable: true,
        warnings: vec!["slow".to_owned()],
        ..data(r#"{"username": "v-user", "password": "v-pass"}"#)
    };
    let write = |path: &str, pairs: &[(&str, &str)]| {
        Lookup::new(
            Verb::Write,
            path,
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        )
    };
    [
        (Lookup::read("secret/data/web"), kv2(password)),
        (Lookup::read("kv1/web"), data(password)),
        (Lookup::read("secret/data/web?version=2"), kv2(r#"{"username": "old"}"#)),
        (Lookup::read("secret/data/marker"), kv2(&marker)),
        (Lookup::read("database/creds/web"), database),
        (write("pki/issue/web", &[("common_name", "web.test"), ("ttl", "1h")]), data(pki)),
        (write("kv1/noparams", &[]), data(r#"{"a": "written"}"#)),
        (Lookup::new(Verb::List, "secret/metadata/", BTreeMap::new()), data(r#"{"keys": ["web", "api/"]}"#)),
        (Lookup::read("secret/data/api/"), kv2(r#"{"x": "from api"}"#)),
    ]
    .into_iter()
    .map(|(lookup, response)| (lookup, Arc::new(response)))
    .collect()
}

pub(crate) fn go(text: &str) -> Source {
    Source::Template(Template::inline(Engine::Go, text))
}

pub(crate) fn strict(text: &str) -> Source {
    Source::Template(Template { error_on_missing_key: true, ..Template::inline(Engine::Go, text) })
}

pub(crate) fn hbs(text: &str) -> Source {
    Source::Template(Template::inline(Engine::Handlebars, text))
}

pub(crate) fn format(format: Format, path: &str) -> Source {
    Source::Format(FormatSource { format, path: path.to_owned(), field: None })
}

pub(crate) fn env() -> BTreeMap<String, String> {
    BTreeMap::from([("POD".to_owned(), "web-1".to_owned()), ("EMPTY".to_owned(), String::new())])
}

/// A moment, and a seed of this number.
pub(crate) fn frozen(number: u8) -> Frozen {
    let mut seed = [0; 32];
    seed[7] = number;
    Frozen { unix_seconds: 1_700_000_000, seed: Sensitive::new(seed) }
}

/// Compiles and renders once.
pub(crate) fn rendered(source: &Source, store: &Store) -> Result<Rendered, TemplateError> {
    let env = env();
    let frozen = frozen(1);
    compile("t", source, None)?.render(&Inputs { answers: store, env: &env, frozen: &frozen })
}

/// The text, or the error as a person reads it, or what is missing.
pub(crate) fn outcome(source: &Source, store: &Store) -> String {
    match rendered(source, store) {
        Ok(Rendered::Complete { bytes, .. }) => String::from_utf8_lossy(bytes.expose()).into_owned(),
        Ok(Rendered::Incomplete { missing }) => format!("missing: {}", paths(&missing)),
        Err(error) => format!("{}: {error}", error.code),
    }
}

pub(crate) fn paths(lookups: &BTreeSet<Lookup>) -> String {
    lookups.iter().map(|lookup| lookup.path.as_str()).collect::<Vec<_>>().join(" ")
}

/// Runs a table and shows all that differs at once.
pub(crate) fn table(make: fn(&str) -> Source, cases: &[(&str, &str)]) {
    let store = store();
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, want)| (text, want, outcome(&make(text), &store)))
        .filter(|(_, want, got)| got != *want)
        .map(|(text, want, got)| format!("{text}\n  want {want:?}\n  got  {got:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
