//! Pods in, patched pods beside them: `golden/NAME.yaml` and `golden/NAME.out.yaml`. `UPDATE_GOLDEN=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "golden files are files")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use sidekey_core::contract::{EnvSyntax, Output};
use sidekey_core::{AgentConfig, Code, Lookup, Response, Value as SecretValue};
use sidekey_inject::settings::{NamespacePolicy, Policy, PullPolicy};
use sidekey_inject::{Facts, Injection, Outcome, Settings, SkipReason, mutate, registry};
use sidekey_template::{Frozen, Inputs, Rendered, compile};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    #[serde(default)]
    facts: CaseFacts,
    #[serde(default)]
    settings: Settings,
    /// What another webhook adds between two calls.
    #[serde(default)]
    again: Option<Again>,
    pod: Value,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct CaseFacts {
    namespace: String,
    native_sidecars: bool,
    env_files: Option<EnvSyntax>,
}

impl Default for CaseFacts {
    fn default() -> Self {
        Self { namespace: "shop".to_owned(), native_sidecars: true, env_files: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Again {
    /// Its init container comes after all others, in place of before them.
    #[serde(default)]
    last: bool,
    init_container: Value,
    container: Value,
}

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

fn injected(pod: &Value, facts: &Facts, settings: &Settings) -> Injection {
    match mutate(pod, facts, settings) {
        Outcome::Patch(injection) => *injection,
        other => panic!("not injected: {other:?}"),
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

fn cases() -> Vec<(PathBuf, Case)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root().join("tests/golden")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.to_string_lossy().ends_with(".out.yaml"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let case = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, case)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn patches_pods_as_written_beside_them() {
    let cases = cases();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for (path, case) in cases {
        let facts = Facts {
            namespace: case.facts.namespace,
            native_sidecars: case.facts.native_sidecars,
            env_files: case.facts.env_files,
        };
        let mut injection = injected(&case.pod, &facts, &case.settings);
        let mut pod = apply(&case.pod, &injection);
        if let Some(again) = case.again {
            let init = pod["spec"]["initContainers"].as_array_mut().unwrap();
            init.insert(if again.last { init.len() } else { 0 }, again.init_container);
            pod["spec"]["containers"].as_array_mut().unwrap().push(again.container);
            injection = injected(&pod, &facts, &case.settings);
            pod = apply(&pod, &injection);
        }
        let second = mutate(&pod, &facts, &case.settings);
        assert!(matches!(second, Outcome::Skip(SkipReason::AlreadyInjected)), "{}: {second:?}", path.display());
        same_as_file(&path.with_extension("out.yaml"), &page(pod, &injection));
    }
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
    let inputs = Inputs { answers: &answers, env: &env, frozen: Frozen::default() };
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
        let injection = injected(&serde_saphyr::from_str(&text).unwrap(), &facts, &Settings::default());
        assert_eq!(injection.warnings, [""; 0], "{name}");
        let rendered = rendered(&injection.agents[0].1);
        assert_eq!(rendered.len(), files.len());
        for (file, text) in files {
            assert!(rendered[file].contains(text), "{name} {file}: {}", rendered[file]);
        }
    }
}

#[test]
fn the_page_of_settings_has_every_field_with_its_default() {
    let page = std::fs::read_to_string(root().join("../../docs/reference/settings.md")).unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    assert_eq!(Settings::from_yaml(block).unwrap(), Settings::default());
    let full = Settings {
        image_pull_policy: Some(PullPolicy::Always),
        run_as_user: Some(1),
        run_as_group: Some(1),
        policy: Policy { forbidden: vec!["x".to_owned()], ..Policy::default() },
        namespaces: vec![NamespacePolicy { names: Vec::new(), policy: Policy::default() }],
        ..Settings::default()
    };
    for field in serde_json::to_value(full).unwrap().as_object().unwrap().keys() {
        assert!(block.contains(&format!("{field}:")), "{field}");
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
