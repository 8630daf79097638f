//! What Go's text/template, consul-template 0.41.1 and sprig 3.3.0 print, byte for byte: `cases/*.json` are tables of a template and
//! what those programs made of it, `null` where they refuse it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Store, data, go, rendered, strict};
use sidekey_core::contract::Source;
use sidekey_core::{Lookup, Value};
use sidekey_template::{Frozen, Input, Rendered, TemplateSet, reference};

const DATA: &str = include_str!("cases/data.json");

/// What a leading `@` of the agent's cases stands for.
const SECRET: &str = r#"{{ $d := (secret "kv1/web").Data }}"#;

fn cases(json: &str) -> Vec<(String, Option<String>)> {
    serde_json::from_str(json).unwrap()
}

fn differences(cases: &[(String, Option<String>)], render: impl Fn(&str) -> Option<String>) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, want)| (text, want, render(text)))
        .filter(|(_, want, got)| *want != got)
        .map(|(text, want, got)| format!("{text}\n  want {want:?}\n  got  {got:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn agent(make: fn(&str) -> Source) -> impl Fn(&str) -> Option<String> {
    let web = data(DATA);
    let leased = sidekey_core::Response {
        request_id: "rid".to_owned(),
        lease_id: "database/creds/web/1".to_owned(),
        lease_duration: 3600,
        renewable: true,
        warnings: vec!["slow".to_owned()],
        ..data(r#"{"username": "v-user", "password": "v-pass"}"#)
    };
    let kv2 = common::kv2(r#"{"username": "app", "password": "p<&>\"w$", "port": 5432}"#);
    let token = r#"{"client_token": "hvs.x", "accessor": "acc", "policies": ["default", "web"], "metadata": {"user": "u<1>", "a": "b"},
        "lease_duration": 3600, "renewable": true}"#;
    let token = sidekey_core::Response {
        request_id: "rid".to_owned(),
        auth: Value::parse(token).unwrap(),
        ..sidekey_core::Response::default()
    };
    let answers =
        [("kv1/web", web), ("secret/data/web", kv2), ("database/creds/web", leased), ("auth/token/create", token)];
    let store: Store = answers.into_iter().map(|(path, answer)| (Lookup::read(path), Arc::new(answer))).collect();
    move |text| {
        let text = text.strip_prefix('@').map_or_else(|| text.to_owned(), |rest| format!("{SECRET}{rest}"));
        match rendered(&make(&text), &store) {
            Ok(Rendered::Complete { bytes, .. }) => Some(String::from_utf8_lossy(bytes.expose()).into_owned()),
            Ok(Rendered::Incomplete { .. }) => panic!("data is missing: {text}"),
            Err(_) => None,
        }
    }
}

#[test]
fn prints_what_consul_template_prints() {
    differences(&cases(include_str!("cases/agent.json")), agent(go));
}

/// Functions on arguments of every type, right and wrong: drawn by lot.
#[test]
fn takes_the_arguments_that_consul_template_takes() {
    differences(&cases(include_str!("cases/calls.json")), agent(go));
}

/// Programs of nested blocks, variables, trim markers and pipelines: drawn by lot.
#[test]
fn runs_programs_as_consul_template_runs_them() {
    differences(&cases(include_str!("cases/programs.json")), agent(go));
}

/// Drawn anew: flags, indexes and precisions of `printf`, programs, and text that is nearly a template.
#[test]
fn treats_corners_as_consul_template_treats_them() {
    differences(&cases(include_str!("cases/corners.json")), agent(go));
}

/// Keys of every type, anchors, tags and merge keys, where they may stand and where not.
#[test]
fn reads_yaml_as_consul_template_reads_it() {
    differences(&cases(include_str!("cases/yaml.json")), agent(go));
}

#[test]
fn fails_where_consul_templates_strict_mode_fails() {
    differences(&cases(include_str!("cases/strict.json")), agent(strict));
}

/// The functions of sprig that only OpenBao's agent has, where they ask neither clock nor chance.
#[test]
fn prints_what_openbaos_agent_prints() {
    differences(&cases(include_str!("cases/openbao.json")), agent(go));
}

#[test]
fn prints_what_the_operator_prints() {
    let (secrets, metadata) = (Value::parse(DATA).unwrap(), Value::parse(r#"{"version": 3}"#).unwrap());
    let map = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let (annotations, labels) = (map("a", "1"), map("app", "web"));
    let input = Input { secrets: &secrets, metadata: Some(&metadata), annotations: &annotations, labels: &labels };
    let all = [include_str!("cases/operator.json"), include_str!("cases/operator_calls.json")];
    let all: Vec<_> = all.into_iter().flat_map(cases).collect();
    differences(&all, |text| {
        let set = TemplateSet::compile([("t", text)]).ok()?;
        let settled = set.render(["t"], input, &Frozen::default()).ok()?;
        Some(String::from_utf8_lossy(settled.texts[0].expose()).into_owned())
    });
}

/// Functions whose answers no other program can be asked for: frozen with the data, or bound to this program.
const OWN: [&str; 28] = [
    "ago",
    "bcrypt",
    "buildCustomCert",
    "durationRound",
    "executeTemplate",
    "fail",
    "file",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "now",
    "pkiCert",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "secrets",
    "shuffle",
    "timestamp",
    "uuidv4",
    "writeToFile",
];

#[test]
fn has_a_case_for_every_function_that_is_served() {
    let agent = [include_str!("cases/agent.json"), include_str!("cases/openbao.json")];
    let agent: Vec<_> = agent.into_iter().flat_map(cases).collect();
    let operator = cases(include_str!("cases/operator.json"));
    let words = |cases: &[(String, Option<String>)]| -> BTreeSet<String> {
        let rendered = cases.iter().filter(|(_, want)| want.is_some());
        rendered
            .flat_map(|(text, _)| text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned))
            .collect()
    };
    let (known, theirs) = (words(&agent), words(&operator));
    let page = reference::page();
    let section = |title: &str| page.split(title).nth(1).unwrap().split("\nRefused").next().unwrap().to_owned();
    let rows = |title: &str| -> Vec<Vec<String>> {
        let row = |line: &str| line.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned()).collect();
        section(title).lines().filter(|line| line.starts_with("| `")).map(row).collect()
    };
    let mut missing = Vec::new();
    for row in rows("## Go templates: functions") {
        let name = row[0].split([' ', '.']).next().unwrap().to_owned();
        missing.extend(Some(name).filter(|name| !known.contains(name) && !OWN.contains(&name.as_str())));
    }
    for row in rows("## Go templates: sprig's functions") {
        let name = row[0].split(' ').next().unwrap();
        let asked = [(2, format!("sprig_{name}"), &known), (3, name.to_owned(), &theirs)];
        for (column, name, known) in asked {
            let served = row.get(column).is_some_and(|cell| cell.starts_with("yes"));
            if served && !known.contains(&name) && !OWN.contains(&row[0].split(' ').next().unwrap()) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
