//! Pods in, patched pods beside them: `golden/THEME/CASE.yaml` and `golden/THEME/CASE.out.yaml`. `UPDATE_GOLDEN=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "golden files are files")]

mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corpus::{Case, REFUSED, cases};
use serde_json::{Value, json};
use sidekey_core::contract::Output;
use sidekey_core::{AgentConfig, Code, Lookup, Response, Value as SecretValue};
use sidekey_inject::{Facts, Injection, Outcome, Settings, SkipReason, mutate, registry};
use sidekey_template::{Frozen, Inputs, Rendered, compile};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn same_as_file(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text == wanted, "{} differs; UPDATE_GOLDEN=1 writes it anew\n--- now\n{text}", path.display());
}

fn injected(name: &str, pod: &Value, facts: &Facts, settings: &Settings) -> Injection {
    match mutate(pod, facts, settings) {
        Outcome::Patch(injection) => *injection,
        other => panic!("{name} is not injected: {other:?}"),
    }
}

fn apply(pod: &Value, injection: &Injection) -> Value {
    let mut patched = pod.clone();
    injection.patch.apply(&mut patched).unwrap();
    patched
}

/// What a person reads first, then the pod. The contract is shown once, decoded; in the pod it would be one long line.
fn page(mut pod: Value, injection: &Injection) -> String {
    for list in ["initContainers", "containers"] {
        for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
                if variable["name"] == "SIDEKEY_CONFIG" {
                    variable["value"] = "(see agents)".into();
                }
            }
        }
    }
    let agents: serde_json::Map<_, _> =
        injection.agents.iter().map(|(name, config)| (name.clone(), serde_json::to_value(config).unwrap())).collect();
    let said = injection.warnings.iter().map(|warning| format!("Warning: {warning}")).chain([String::new()]);
    let explained = injection.trace.to_string();
    let said = said.chain(explained.lines().map(str::to_owned)).skip_while(String::is_empty);
    let head: String = said.map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
    let body = serde_saphyr::to_string(&json!({ "pod": pod, "agents": agents })).unwrap();
    format!("{head}\n{}\n", body.trim_end())
}

/// What is said of a pod that is not injected.
fn words(outcome: &Outcome) -> String {
    let (said, warnings) = match outcome {
        Outcome::Skip(reason) => (format!("Left alone: {}", reason.as_str()), &[][..]),
        Outcome::Deny { cause, warnings } => (format!("Denied: {cause}"), warnings.as_slice()),
        Outcome::Patch(_) => panic!("injected"),
    };
    let lines = warnings.iter().map(|warning| format!("Warning: {warning}")).chain([said]);
    lines.map(|line| format!("# {line}\n")).collect()
}

/// The pod with everything in it, and the last call's words; a call more changes nothing.
fn patched(case: &Case) -> String {
    let facts = case.facts();
    let mut injection = injected(&case.name, &case.pod, &facts, &case.settings);
    let mut pod = apply(&case.pod, &injection);
    if let Some(again) = &case.again {
        let init = pod["spec"]["initContainers"].as_array_mut().unwrap();
        init.insert(if again.last { init.len() } else { 0 }, again.init_container.clone());
        pod["spec"]["containers"].as_array_mut().unwrap().push(again.container.clone());
        injection = injected(&case.name, &pod, &facts, &case.settings);
        pod = apply(&pod, &injection);
    }
    let second = mutate(&pod, &facts, &case.settings);
    assert!(matches!(second, Outcome::Skip(SkipReason::AlreadyInjected)), "{}: {second:?}", case.name);
    page(pod, &injection)
}

#[test]
fn patches_pods_as_written_beside_them() {
    let golden = root().join("tests/golden");
    let cases = cases(&golden);
    let (refused, injected): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.is_of(REFUSED));
    assert!(injected.len() >= 150, "{} pods", injected.len());
    assert!(refused.len() >= 30, "{} refused pods", refused.len());
    for case in injected {
        same_as_file(&golden.join(format!("{}.out.yaml", case.name)), &patched(case));
    }
    let harmless = |case: &&Case| matches!(mutate(&case.pod, &case.facts(), &case.settings), Outcome::Patch(_));
    let odd: Vec<&str> = refused.iter().copied().filter(harmless).map(|case| case.name.as_str()).collect();
    assert!(odd.is_empty(), "{odd:?} are injected");
    for case in refused {
        let outcome = mutate(&case.pod, &case.facts(), &case.settings);
        same_as_file(&golden.join(format!("{}.out.yaml", case.name)), &words(&outcome));
    }
}

/// A field that nobody knows in every object, each with a number of its own.
fn sprinkle(value: &mut Value, next: &mut u64) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| sprinkle(field, next));
            *next += 1;
            fields.insert("fieldOfNextYear".to_owned(), json!(*next));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| sprinkle(item, next)),
        _ => {}
    }
}

fn found(value: &Value, numbers: &mut BTreeSet<u64>) {
    match value {
        Value::Object(fields) => {
            numbers.extend(fields.get("fieldOfNextYear").and_then(Value::as_u64));
            fields.values().for_each(|field| found(field, numbers));
        }
        Value::Array(items) => items.iter().for_each(|item| found(item, numbers)),
        _ => {}
    }
}

#[test]
fn no_golden_pod_loses_a_field_that_nobody_knows() {
    let mut kept = 0;
    for case in cases(&root().join("tests/golden")).iter().filter(|case| !case.is_of(REFUSED)) {
        let (mut pod, mut last) = (case.pod.clone(), 0);
        sprinkle(&mut pod["spec"], &mut last);
        let patched = apply(&pod, &injected(&case.name, &pod, &case.facts(), &case.settings));
        let mut numbers = BTreeSet::new();
        found(&patched["spec"], &mut numbers);
        assert_eq!(numbers, (1..=last).collect(), "{}", case.name);
        kept += numbers.len();
    }
    assert!(kept > 700, "{kept} fields");
}

#[test]
fn each_key_has_a_pod_of_its_own() {
    let all = cases(&root().join("tests/golden"));
    let mut missing = Vec::new();
    for row in registry::TABLE {
        let (folder, prefix, key) = match (row.vault, row.native) {
            (Some(key), _) => ("vault-keys", registry::VAULT, key),
            (None, Some(key)) => ("native-keys", registry::NATIVE, key),
            (None, None) => panic!("{row:?}"),
        };
        let case = all.iter().find(|case| case.name == format!("{folder}/{}", key.name));
        let annotations = case.map(|case| case.pod["metadata"]["annotations"].as_object().unwrap());
        if !annotations.is_some_and(|map| map.keys().any(|one| one.starts_with(&format!("{prefix}{}", key.name)))) {
            missing.push(format!("{folder}/{}.yaml", key.name));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join(", "));
    assert_eq!(registry::TABLE.iter().filter(|row| row.vault.is_some()).count(), 74);
}

/// What the samples' Vault answers.
fn answers() -> BTreeMap<Lookup, Arc<Response>> {
    let answer = |data: &str| Arc::new(Response { data: SecretValue::parse(data).unwrap(), ..Response::default() });
    let kv = r#"{"data": {"color": "blue"}, "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}}"#;
    let user = r#"{"username": "v-web", "password": "pw"}"#;
    BTreeMap::from([(Lookup::read("secret/data/web"), answer(kv)), (Lookup::read("database/creds/web"), answer(user))])
}

/// File name to text.
fn rendered(config: &AgentConfig) -> BTreeMap<String, String> {
    let (answers, env) = (answers(), BTreeMap::new());
    let inputs = Inputs { answers: &answers, env: &env, frozen: &Frozen::default() };
    let render = |output: &Output| match compile(&output.name, &output.source, None).unwrap().render(&inputs) {
        Ok(Rendered::Complete { bytes, .. }) => String::from_utf8(bytes.expose().clone()).unwrap(),
        Ok(Rendered::Incomplete { missing }) => panic!("{missing:?}"),
        Err(error) => panic!("{error}"),
    };
    config.outputs.iter().map(|output| (output.file.to_string(), render(output))).collect()
}

#[test]
fn the_samples_give_the_files_their_comments_promise() {
    let url = "postgres://v-web:pw@postgres:5432/web\n";
    let cases = [
        ("web-native", [("app.json", "\"color\""), ("db.env", "username=\"v-web\"\n"), ("db.url", url)]),
        ("web-vault", [("app.env", "color=blue\n"), ("db", "username: v-web\n"), ("db.url", url)]),
    ];
    for (name, files) in cases {
        let text = std::fs::read_to_string(root().join(format!("../../deploy/samples/{name}.yaml"))).unwrap();
        let facts = Facts { namespace: "default".to_owned(), native_sidecars: true, ..Facts::default() };
        let injection = injected(name, &serde_saphyr::from_str(&text).unwrap(), &facts, &Settings::default());
        assert_eq!(injection.warnings, [""; 0], "{name}");
        let rendered = rendered(&injection.agents[0].1);
        assert_eq!(rendered.len(), files.len());
        for (file, text) in files {
            assert!(rendered[file].contains(text), "{name} {file}: {}", rendered[file]);
        }
    }
}

#[test]
fn the_page_of_annotations_is_the_registry() {
    same_as_file(&root().join("../../docs/reference/annotations.md"), &registry::page());
}

#[test]
fn the_page_of_compatibility_is_the_registry() {
    same_as_file(&root().join("../../docs/compatibility.md"), &registry::compatibility());
}

#[test]
fn the_page_of_errors_is_the_table_of_codes() {
    let mut page = "# Error codes\n\nThis page is generated from the table of `crates/core`; `UPDATE_GOLDEN=1 cargo test -p sidekey-inject` writes it anew.\n\
        A code keeps its number and its meaning. SK1xxx: annotations, settings and admission. SK2xxx: templates. SK3xxx: reaching Vault\n\
        and logging in. SK4xxx: secrets and leases. SK5xxx: the agent in the pod. SK6xxx: the webhook's process.\n"
        .to_owned();
    for code in Code::ALL {
        page.push_str(&format!("\n## {code}: {}\n\n{}\n", code.title(), code.advice()));
    }
    same_as_file(&root().join("../../docs/reference/errors.md"), &page);
}
