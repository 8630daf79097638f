//! Every stock format by its word in an annotation, down to the bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sidekey_core::contract::Format;
use sidekey_core::{Lookup, Response, Value as SecretValue};
use sidekey_inject::{Facts, Outcome, Settings, mutate};
use sidekey_template::{Frozen, Inputs, Rendered, compile};

const HOSTILE: &str = r##"p'w"\d$HOME `id` é#;=:@/?"##;

/// What each format makes of one login whose password is all that readers mind.
const CASES: [(Format, &str); 13] = [
    (
        Format::Env,
        r##"database="app"
engine="postgresql"
host="db"
password="p'w\"\\d\$HOME \`id\` é#;=:@/?"
port="5432"
username="u"
"##,
    ),
    (
        Format::Json,
        r##"{
  "database": "app",
  "engine": "postgresql",
  "host": "db",
  "password": "p'w\"\\d$HOME `id` é#;=:@/?",
  "port": 5432,
  "username": "u"
}
"##,
    ),
    (
        Format::Yaml,
        r##"database: app
engine: postgresql
host: db
password: p'w"\d$HOME `id` é#;=:@/?
port: 5432
username: u
"##,
    ),
    (
        Format::Properties,
        r##"database=app
engine=postgresql
host=db
password=p'w"\\d$HOME `id` \u00e9#;=:@/?
port=5432
username=u
"##,
    ),
    (Format::Raw, HOSTILE),
    (
        Format::Map,
        r##"database: app
engine: postgresql
host: db
password: p'w"\d$HOME `id` é#;=:@/?
port: 5432
username: u
"##,
    ),
    (
        Format::Ini,
        r##"database=app
engine=postgresql
host=db
password="p'w\"\\d$HOME `id` é#;=:@/?"
port=5432
username=u
"##,
    ),
    (
        Format::Pgpass,
        r##"db:5432:app:u:p'w"\\d$HOME `id` é#;=\:@/?
"##,
    ),
    (
        Format::Mycnf,
        r##"[client]
user="u"
password="p'w\"\\d$HOME `id` é#;=:@/?"
host="db"
port="5432"

[mysql]
database="app"
"##,
    ),
    (
        Format::Netrc,
        r##"machine db login u password "p'w\"\\d$HOME `id` é#;=:@/?"
"##,
    ),
    (
        Format::Dockerconfigjson,
        r##"{
  "auths": {
    "db": {
      "username": "u",
      "password": "p'w\"\\d$HOME `id` é#;=:@/?",
      "auth": "dTpwJ3ciXGQkSE9NRSBgaWRgIMOpIzs9OkAvPw=="
    }
  }
}
"##,
    ),
    (
        Format::Jdbc,
        r##"jdbc:postgresql://db:5432/app?user=u&password=p%27w%22%5Cd%24HOME%20%60id%60%20%C3%A9%23%3B%3D%3A%40%2F%3F"##,
    ),
    (
        Format::Pem,
        r##"-----BEGIN RSA PRIVATE KEY-----
S0VZ
-----END RSA PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
Q0VSVA==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
Q0E=
-----END CERTIFICATE-----
"##,
    ),
];

fn annotations(format: Format) -> Value {
    let path = if format == Format::Pem { "pki/web" } else { "secret/data/login" };
    let mut annotations = json!({
        "sidekey.dev/inject": "true",
        "sidekey.dev/role": "web",
        "sidekey.dev/secret-file": path,
        "sidekey.dev/format-file": format.word(),
    });
    if format == Format::Raw {
        annotations["sidekey.dev/field-file"] = "password".into();
    }
    annotations
}

fn rendered(format: Format) -> String {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "annotations": annotations(format)},
        "spec": {"serviceAccountName": "web", "containers": [{"name": "app", "image": "app"}]},
    });
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, env_files: None };
    let Outcome::Patch(injection) = mutate(&pod, &facts, &Settings::default()) else {
        panic!("{} is not injected", format.word())
    };
    let output = &injection.agents[0].1.outputs[0];
    let login = json!({"username": "u", "password": HOSTILE, "host": "db", "port": 5432, "database": "app", "engine": "postgresql"});
    let kv = json!({"data": login, "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}});
    let pki = json!({
        "private_key": "-----BEGIN RSA PRIVATE KEY-----\nS0VZ\n-----END RSA PRIVATE KEY-----",
        "certificate": "-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----",
        "ca_chain": ["-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----"],
    });
    let answer = |data: &Value| {
        Arc::new(Response { data: SecretValue::parse(&data.to_string()).unwrap(), ..Response::default() })
    };
    let answers: BTreeMap<Lookup, Arc<Response>> =
        [("secret/data/login", &kv), ("pki/web", &pki)].map(|(path, data)| (Lookup::read(path), answer(data))).into();
    let inputs = Inputs { answers: &answers, env: &BTreeMap::new(), frozen: &Frozen::default() };
    match compile(&output.name, &output.source, None).unwrap().render(&inputs) {
        Ok(Rendered::Complete { bytes, .. }) => String::from_utf8(bytes.expose().clone()).unwrap(),
        Ok(Rendered::Incomplete { missing }) => panic!("{}: {missing:?}", format.word()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn writes_every_stock_format_that_an_annotation_names() {
    assert_eq!(CASES.map(|(format, _)| format), Format::ALL, "every format has its case");
    let wrong: Vec<String> = CASES
        .iter()
        .map(|(format, want)| (format.word(), want, rendered(*format)))
        .filter(|(_, want, got)| got != *want)
        .map(|(word, want, got)| format!("{word}\n  want {want:?}\n  got  {got:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}
