//! The settings' schema and page: what the schema takes, the reader takes, and the other way round.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "golden files are files")]

use std::path::Path;

use regex_lite::Regex;
use serde_json::Value;
use sidekey_inject::{Settings, settings};

fn same_as_file(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text == wanted, "{name} differs; UPDATE_GOLDEN=1 writes it anew\n--- now\n{text}");
}

#[test]
fn the_schema_is_that_of_the_types() {
    same_as_file("settings.schema.json", &format!("{:#}\n", Settings::schema()));
}

#[test]
fn the_page_of_settings_names_each_field() {
    let page = settings::page();
    let mut fields = Vec::new();
    leaves(&Settings::schema(), "", &mut fields);
    assert!(fields.len() > 40, "{fields:?}");
    for field in fields {
        let row = format!("| `{field}` | ");
        assert_eq!(page.matches(&row).count(), 1, "page.md names {field} once");
        assert!(!page.contains(&format!("{row}text | unset |  |")), "{field} is in page.md and nowhere else");
    }
    same_as_file("settings.md", &page);
}

fn leaves(schema: &Value, prefix: &str, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(properties) => properties.iter().for_each(|(name, schema)| {
            leaves(schema, &format!("{prefix}{}{name}", if prefix.is_empty() { "" } else { "." }), found);
        }),
        None => found.push(prefix.to_owned()),
    }
}

/// As much of JSON Schema as the schema uses; anything else in it is a failure, so that nothing is passed over.
fn takes(schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "title" | "description" | "default" | "examples" => true,
        "type" => rule.as_array().map_or_else(|| is(rule, value), |types| types.iter().any(|one| is(one, value))),
        "enum" => rule.as_array().unwrap().contains(value),
        "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap()),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "not" => !takes(rule, value),
        "items" => value.as_array().into_iter().flatten().all(|item| takes(rule, item)),
        "properties" => value
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, value)| rule.get(name).is_none_or(|schema| takes(schema, value))),
        "additionalProperties" => {
            let known = |name: &str| schema.get("properties").is_some_and(|all| all.get(name).is_some());
            let mut more = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
            more.all(|(_, value)| *rule != false && takes(rule, value))
        }
        word => panic!("the schema says {word}, which this test does not know"),
    })
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        kind => panic!("type {kind}"),
    }
}

/// Whether the schema takes a file, and whether the reader does.
fn both(text: &str) -> (bool, bool) {
    let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    (takes(&Settings::schema(), &value), Settings::from_yaml(text).is_ok())
}

#[test]
fn what_is_right_is_so_by_schema_and_by_reading() {
    for text in [
        "vaultAddress: http://vault:8200",
        "vaultAddress: \"\"",
        "proxyAddress: https://proxy:3128",
        "authType: token_file",
        "authType: aws",
        "caPem: \"\"",
        "caPem: \" \\n\"",
        "caPem: |\n  # ours\n  -----BEGIN CERTIFICATE-----\n  c2V0dGluZ3M=\n  -----END CERTIFICATE-----\n",
        "staticInterval: 1h30m",
        "staticInterval: +.5m",
        "staticInterval: 10µs",
        "staticInterval: 0",
        "logLevel: WARNING",
        "logLevel: notice",
        "logLevel: \" err \"",
        "tokenExpirationSeconds: 600",
        "nativeSidecars: on",
        "nativeSidecars: true",
        "envFiles: false",
        "securityContext: platformUser",
        "securityContext: false",
        "securityContext: \"T\"",
        "setSecurityContext: true",
        "runAsUser: 0",
        "runAsUser: null",
        "imagePullPolicy: Never",
        "imagePullPolicy: null",
        "dialects: [openbao.org]",
        "resources: {cpuLimit: 1, cpuRequest: 1.5, memoryBase: 2Pi}",
        "resources: {cpuLimit: +500m, cpuRequest: 1e3, memoryBase: \"1E2\"}",
        "secretsSize: \".5Gi\"",
        "policy: {forced: {sidekey.dev/log-level: Warning, vault.hashicorp.com/auth-type: jwt}}",
        "policy: {forbidden: [\"sidekey.dev/command-*\"], allowed: {roles: [a]}}",
        "namespaces: [{names: [a], policy: {}}]",
    ] {
        assert_eq!(both(text), (true, true), "schema and reading of {text}");
    }
    let default = serde_json::to_value(Settings::default()).unwrap();
    assert!(takes(&Settings::schema(), &default));
}

#[test]
fn what_is_wrong_is_so_by_schema_and_by_reading() {
    for text in [
        "vaultAdress: https://vault:8200",
        "vaultAddress: vault:8200",
        "proxyAddress: proxy:3128",
        "authType: kubernets",
        "authType: ldap",
        "authType: \"\"",
        "caPem: nothing of the kind",
        "caPem: \"-----BEGIN CERTIFICATE----------END CERTIFICATE-----\"",
        "staticInterval: soon",
        "staticInterval: 10",
        "staticInterval: -1s",
        "staticInterval: \"\"",
        "staticInterval: 1s1",
        "logLevel: loud",
        "logLevel: \"\"",
        "tokenExpirationSeconds: 599",
        "tokenExpirationSeconds: 4294967296",
        "nativeSidecars: maybe",
        "missedPods: delete",
        "securityContext: some",
        "securityContext: 1",
        "securityContext: full\nsetSecurityContext: true",
        "runAsUser: -1",
        "runAsGroup: 2147483648",
        "imagePullPolicy: Sometimes",
        "dialects: [example.com]",
        "dialects: sidekey.dev",
        "resources: {cpuLimit: much}",
        "resources: {cpuLimit: 1mi}",
        "resources: {cpuLimit: 1.2.3}",
        "resources: {cpuLimit: \"\"}",
        "resources: {memory: 1Gi}",
        "revokeOnShutdown: 1",
        "vaultNamespace: null",
        "policy: {allow: {}}",
        "policy: {allowed: {addresses: x}}",
        "namespaces: [{names: [a]}]",
        "namespaces: [{names: [a], polizy: {}}]",
    ] {
        assert_eq!(both(text), (false, false), "schema and reading of {text}");
    }
}

/// By schema a value has its own type, since Helm writes anew what it reads; by reading, every scalar is a text.
#[test]
fn only_quotes_and_keys_of_annotations_are_judged_by_one_alone() {
    for text in ["vaultNamespace: 1", "tokenExpirationSeconds: \"600\"", "policy: {defaults: {sidekey.dev/mode: 0640}}"]
    {
        assert_eq!(both(text), (false, true), "schema and reading of {text}");
    }
    for text in ["policy: {forced: {sidekey.dev/rolle: x}}", "policy: {forced: {sidekey.dev/log-level: loud}}"] {
        assert_eq!(both(text), (true, false), "schema and reading of {text}");
    }
}
