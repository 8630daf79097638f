//! Every key of both dialects alone, in pairs that meet, and with hostile values. What a key changes is in `keys.txt`;
//! `UPDATE_GOLDEN=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "golden files are files")]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use sidekey_core::AgentConfig;
use sidekey_core::contract::Dialect;
use sidekey_inject::registry::{Annotation, Field, Kind, NATIVE, Suffix, TABLE, VAULT};
use sidekey_inject::{Facts, Injection, Outcome, Settings, SkipReason, mutate};

const ODD: &str = "fieldOfTomorrow";

fn facts() -> Facts {
    Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() }
}

/// A pod with one secret, a declared user, and volumes to name.
fn pod(dialect: Dialect, more: &[(String, String)]) -> Value {
    let (prefix, own) = match dialect {
        Dialect::Vault => {
            (VAULT, [("agent-inject", "true"), ("role", "web"), ("agent-inject-secret-db", "database/creds/web")])
        }
        Dialect::Native => (NATIVE, [("inject", "true"), ("role", "web"), ("secret-db", "database/creds/web")]),
    };
    let mut map: Map<String, Value> =
        own.iter().map(|(key, value)| (format!("{prefix}{key}"), (*value).into())).collect();
    map.extend(more.iter().map(|(key, value)| (key.clone(), value.as_str().into())));
    let token = json!({ "serviceAccountToken": { "path": "token" } });
    json!({
        "metadata": { "annotations": map },
        "spec": {
            "containers": [{ "name": "app", "command": ["/app"], "securityContext": { "runAsUser": 1001 }, ODD: { "a": [1] },
                "volumeMounts": [{ "name": "hooks", "mountPath": "/hooks", ODD: 1 }] }],
            "initContainers": [{ "name": "setup" }],
            "volumes": [{ "name": "hooks", "emptyDir": {} }, { "name": "token", "projected": { "sources": [token] } }],
            ODD: true,
        },
    })
}

fn key(row: &Annotation, dialect: Dialect) -> Option<String> {
    let key = row.key(dialect)?;
    let prefix = if dialect == Dialect::Vault { VAULT } else { NATIVE };
    let tail = match (key.suffix, row.field) {
        (Suffix::Always, Field::AuthConfig) => "-role",
        (Suffix::Always, Field::Env) => "-PASSWORD",
        (Suffix::Always, _) => "-db",
        _ => "",
    };
    Some(format!("{prefix}{}{tail}", key.name))
}

/// A value that says something.
fn sample(row: &Annotation) -> &'static str {
    match row.field {
        Field::Inject => "T",
        Field::Status => "update",
        Field::Containers => "app, nobody",
        Field::Image => "registry.example/sidekey-agent:1",
        Field::Secret => "secret/data/other",
        Field::Template => "{{ \"plain\" }}",
        Field::TemplateFile => "/hooks/db.tpl",
        Field::LeftDelimiter => "[[",
        Field::RightDelimiter => "]]",
        Field::Format => "json",
        Field::File => "sub/db.env",
        Field::Command => "/hooks/reload --now",
        Field::OnChange => "http POST http://127.0.0.1:8080/-/reload",
        Field::ConfigMap => "agent-config",
        Field::CopyMounts => "app",
        Field::JsonPatch | Field::InitJsonPatch => r#"[{"op":"add","path":"/workingDir","value":"/"}]"#,
        Field::LimitsMemory | Field::InitLimitsMemory => "96Mi",
        Field::LimitsCpu | Field::RequestsCpu | Field::InitLimitsCpu | Field::InitRequestsCpu => "250m",
        Field::MetricsPort => "9102",
        Field::RunAsUser | Field::RunAsGroup => "2000",
        Field::Address => "https://other:8200",
        Field::AuthType => "jwt",
        Field::AuthPath => "auth/other",
        Field::TokenVolume => "token",
        Field::Proxy => "http://proxy:3128",
        Field::LogLevel => "debug",
        Field::RenewalThreshold => "0.7",
        _ => match row.kind {
            Kind::Bool => "true",
            Kind::Int | Kind::Uint => "3",
            Kind::Share => "0.5",
            Kind::Duration | Kind::Seconds => "90s",
            Kind::Quantity => "64Mi",
            Kind::Mode => "0600",
            Kind::Path => "/elsewhere",
            Kind::List => "a,b",
            Kind::Json => "[]",
            Kind::OneOf(words) => words[words.len() - 1],
            Kind::Template | Kind::Text => "some-text",
        },
    }
}

fn apply(pod: &Value, injection: &Injection) -> Value {
    let mut patched = pod.clone();
    injection.patch.apply(&mut patched).unwrap();
    patched
}

/// All that can be seen of an outcome: the pod without its annotations, the contract decoded, the warnings.
fn seen(pod: &Value) -> Value {
    match mutate(pod, &facts(), &Settings::default()) {
        Outcome::Patch(injection) => {
            let mut spec = apply(pod, &injection)["spec"].take();
            for list in ["containers", "initContainers"] {
                let all = spec[list].take();
                let named = all
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| (one["name"].as_str().unwrap().to_owned(), short(one.clone())));
                spec[list] = named.collect::<Map<_, _>>().into();
            }
            let agents: Map<String, Value> = injection
                .agents
                .iter()
                .map(|(name, config)| (name.clone(), serde_json::to_value(config).unwrap()))
                .collect();
            json!({ "agents": agents, "spec": spec, "warnings": injection.warnings })
        }
        Outcome::Skip(reason) => json!({ "skipped": reason.as_str() }),
        Outcome::Deny { cause, .. } => json!({ "denied": cause.to_string() }),
    }
}

fn short(mut container: Value) -> Value {
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if variable["name"] == "SIDEKEY_CONFIG" {
            variable["value"] = "…".into();
        }
    }
    container
}

/// Lists of things with a name or a path, by it.
fn keyed(value: &Value) -> Value {
    let key = |item: &Value| Some(item.get("mountPath").or_else(|| item.get("name"))?.as_str()?.replace('/', "~"));
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| key(item).is_some()) => {
            items.iter().map(|item| (key(item).unwrap(), keyed(item))).collect::<Map<_, _>>().into()
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), keyed(field))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// A container or a contract that is there or not needs no more than a beginning.
fn line(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(240) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// One line for each leaf that differs.
fn differences(path: &str, before: &Value, after: &Value, out: &mut String) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (before, after) = (before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null));
                differences(&format!("{path}/{key}"), before, after, out);
            }
        }
        (before, after) if before == after => {}
        (Value::Null, after) => writeln!(out, "  + {path} {}", line(after)).unwrap(),
        (before, Value::Null) => writeln!(out, "  - {path} {}", line(before)).unwrap(),
        (before, after) => writeln!(out, "  ~ {path} {} -> {}", line(before), line(after)).unwrap(),
    }
}

fn entry(dialect: Dialect, annotations: &[(String, String)], out: &mut String) {
    let said: Vec<String> = annotations.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    writeln!(out, "\n{}", said.join(" ")).unwrap();
    let before = seen(&pod(dialect, &[]));
    let after = seen(&pod(dialect, annotations));
    match after.get("denied").or_else(|| after.get("skipped")) {
        Some(words) => writeln!(
            out,
            "  {}: {}",
            if after.get("denied").is_some() { "denied" } else { "skipped" },
            words.as_str().unwrap()
        )
        .unwrap(),
        None => differences("", &keyed(&before), &keyed(&after), out),
    }
}

/// Pairs whose meaning is more than the sum of both.
const PAIRS: &[(Dialect, &[&str])] = &[
    (Dialect::Vault, &["agent-pre-populate=false", "agent-pre-populate-only=true"]),
    (Dialect::Vault, &["agent-pre-populate-only=true", "agent-init-first=true"]),
    (Dialect::Vault, &["agent-pre-populate=false", "agent-inject-containers=app"]),
    (Dialect::Vault, &["agent-set-security-context=false", "agent-run-as-user=7"]),
    (Dialect::Vault, &["agent-run-as-user=7", "agent-run-as-same-user=true"]),
    (Dialect::Vault, &["agent-limits-cpu=100m", "agent-requests-cpu=200m"]),
    (Dialect::Vault, &["agent-limits-cpu=", "agent-requests-cpu="]),
    (Dialect::Vault, &["auth-config-role=other", "role="]),
    (Dialect::Vault, &["auth-min-backoff=10m", "auth-max-backoff=1s"]),
    (Dialect::Vault, &["agent-inject-template-db={{ \"t\" }}", "agent-inject-template-file-db=/f"]),
    (Dialect::Vault, &["agent-inject-secret-DB=other", "agent-inject-template-db={{ \"t\" }}"]),
    (Dialect::Vault, &["agent-inject-secret-DB=other", "preserve-secret-case=true"]),
    (Dialect::Vault, &["secret-volume-path=/a/", "secret-volume-path-db=/a"]),
    (Dialect::Vault, &["secret-volume-path=/a", "agent-inject-file-db=/x/../y"]),
    (Dialect::Vault, &["agent-inject-token=true", "agent-inject-file-db=token"]),
    (Dialect::Vault, &["agent-inject-command-db=sh -c 'x'", "agent-image=my/sidekey-agent:1"]),
    (Dialect::Vault, &["agent-inject-command-db=pkill -HUP app", "agent-share-process-namespace=true"]),
    (
        Dialect::Vault,
        &["agent-init-json-patch=[{\"op\":\"add\",\"path\":\"/tty\",\"value\":true}]", "agent-pre-populate=false"],
    ),
    (Dialect::Vault, &["agent-telemetry-a-b=1", "agent-telemetry-a_b=2"]),
    (Dialect::Vault, &["ca-cert=/vault/tls/ca.crt", "tls-secret=vault-tls"]),
    (Dialect::Native, &["init-only=true", "on-change-db=touch x"]),
    (Dialect::Native, &["init-only=true", "command-db=/hooks/convert"]),
    (Dialect::Native, &["secret-x=database/creds/web", "on-change-x=touch x"]),
    (Dialect::Native, &["group-db=g", "path-db=/elsewhere"]),
    (Dialect::Native, &["share-process-namespace=true", "on-change-db=signal HUP app"]),
    (Dialect::Native, &["native-sidecar=false", "json-patch=[{\"op\":\"add\",\"path\":\"/tty\",\"value\":true}]"]),
    (Dialect::Native, &["service-account-token-volume-name=token", "token-audience=x"]),
    (Dialect::Native, &["format-db=raw", "field-db=password"]),
    (Dialect::Native, &["metrics-port=9102", "metrics-scrape=true"]),
    (Dialect::Native, &["metrics-port=9102", "init-only=true"]),
    (Dialect::Native, &["native-sidecar=false", "init-limits-cpu=1", "init-requests-mem=24Mi"]),
    (Dialect::Native, &["ca-configmap=trust", "ca-secret=other", "ca-cert=/x.pem"]),
    (Dialect::Native, &["secret-x=secret/x", "subpath-x=/etc/x.yaml"]),
    (Dialect::Native, &["secret-x=secret/x", "subpath-x=/etc/x.yaml", "max-stale-x=1h"]),
    (Dialect::Native, &["secret-x=secret/x", "containers-x=setup", "path-x=/x"]),
    (Dialect::Native, &["containers-db=setup"]),
    (Dialect::Native, &["role-db=other"]),
    (Dialect::Native, &["role-db=web"]),
    (Dialect::Native, &["role-db=other", "inject-token=true"]),
    (Dialect::Native, &["address-db=https://far:8200", "tls-server-name=near"]),
    (Dialect::Native, &["namespace=a", "namespace-db="]),
    (Dialect::Native, &["secret-x=database/creds/web", "token-audience-x=far"]),
    (Dialect::Native, &["ca-cert=/a.pem", "ca-cert-db=/b.pem", "secret-x=a/b"]),
    (Dialect::Native, &["auth-path-db=other", "secret-x=a/b"]),
    (Dialect::Native, &["set-security-context=platformUser", "run-as-user=7"]),
    (Dialect::Native, &["env-PASSWORD=secret/data/web#password", "env-on-change=restart"]),
    (Dialect::Native, &["env-USER=database/creds/web#username", "native-sidecar=false"]),
    (Dialect::Native, &["env-USER=database/creds/web#username", "containers=setup"]),
    (Dialect::Native, &["env-USER=database/creds/web#username", "init-only=true"]),
];

#[test]
fn each_key_alone_and_pairs_that_meet_change_what_is_written_down() {
    let mut page = String::from(
        "What one annotation changes in the patched pod and the agent's contract; `…` stands for the contract's own text.\n",
    );
    for dialect in [Dialect::Vault, Dialect::Native] {
        for (row, key) in TABLE.iter().filter_map(|row| Some((row, key(row, dialect)?))) {
            for value in [sample(row), ""] {
                entry(dialect, &[(key.clone(), value.to_owned())], &mut page);
            }
        }
    }
    for (dialect, pair) in PAIRS {
        let prefix = if *dialect == Dialect::Vault { VAULT } else { NATIVE };
        let split = |text: &&str| {
            text.split_once('=').map(|(key, value)| (format!("{prefix}{key}"), value.to_owned())).unwrap()
        };
        entry(*dialect, &pair.iter().map(split).collect::<Vec<_>>(), &mut page);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, page).unwrap();
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    for (now, before) in page.lines().zip(wanted.lines()) {
        assert_eq!(now, before, "keys.txt differs; UPDATE_GOLDEN=1 writes it anew");
    }
    assert_eq!(page.len(), wanted.len(), "keys.txt differs; UPDATE_GOLDEN=1 writes it anew");
}

fn hostile() -> Vec<String> {
    let mut all: Vec<String> = [
        " ",
        "\n",
        "\0",
        "\u{202e}x",
        "$(HOME)",
        "$$",
        "\\u0024(X)",
        "'\"`$(id)`",
        "../../../etc/passwd",
        "/",
        "//",
        "..",
        "-1",
        "NaN",
        "1e999",
        "99999999999999999999",
        "{{",
        "{{ end }}",
        "{{#if}}",
        "[",
        "null",
        "[null]",
        "[{\"op\":\"remove\",\"path\":\"\"}]",
        "[{\"op\":\"replace\",\"path\":\"\",\"value\":null}]",
        "[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]",
        "true\n",
        "é".repeat(3).as_str(),
        "touch ..data",
        "signal KILL 1",
        "http GET http://169.254.169.254/",
        "command",
        "a=b",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .collect();
    all.push("x".repeat(200_000));
    all.push("[".repeat(20_000));
    all.push("{{ ".repeat(5_000));
    all
}

/// What nobody but us may have touched.
fn foreign(pod: &Value) -> Value {
    let app = pod["spec"]["containers"].as_array().unwrap().iter().find(|one| one["name"] == "app").unwrap();
    let mounts = app["volumeMounts"].as_array().unwrap()[0].clone();
    json!([
        app[ODD],
        app["securityContext"],
        mounts,
        pod["spec"][ODD],
        pod["spec"]["volumes"][0],
        pod["spec"]["volumes"][1]
    ])
}

#[test]
fn hostile_values_are_refused_in_words_or_harm_nothing() {
    let mut attempts = 0;
    let values = hostile();
    for dialect in [Dialect::Vault, Dialect::Native] {
        for (row, key) in TABLE.iter().filter_map(|row| Some((row, key(row, dialect)?))) {
            for value in &values {
                attempts += 1;
                let pod = pod(dialect, &[(key.clone(), value.clone())]);
                let what = || format!("{key} {:?}", value.chars().take(40).collect::<String>());
                match mutate(&pod, &facts(), &Settings::default()) {
                    Outcome::Skip(_) => assert!(matches!(row.field, Field::Inject | Field::Status), "{}", what()),
                    Outcome::Deny { cause, .. } => {
                        let text = cause.to_string();
                        assert!(
                            text.chars().count() < 1_500 && !text.contains('\0'),
                            "{}: {} characters",
                            what(),
                            text.len()
                        );
                    }
                    Outcome::Patch(injection) => harmless(&pod, &injection, &what()),
                }
            }
        }
    }
    assert!(attempts > 4_000, "{attempts} attempts");
}

fn harmless(pod: &Value, injection: &Injection, what: &str) {
    let patched = apply(pod, injection);
    assert_eq!(foreign(&patched), foreign(pod), "{what}");
    let again = mutate(&patched, &facts(), &Settings::default());
    assert!(matches!(again, Outcome::Skip(SkipReason::AlreadyInjected)), "{what}: {again:?}");
    for warning in &injection.warnings {
        assert!(warning.chars().count() < 1_000, "{what}: {warning}");
    }
    let lists = ["containers", "initContainers"].map(|list| patched["spec"][list].as_array().unwrap().clone());
    for variable in lists.iter().flatten().filter_map(|one| one["env"].as_array()).flatten() {
        if variable["name"] == "SIDEKEY_CONFIG" {
            let text = variable["value"].as_str().unwrap();
            assert!(!text.contains('$'), "{what}: the kubelet would expand it");
            AgentConfig::from_json(text).unwrap();
        }
    }
}
