//! Every pod of the injector's golden corpus, patched as its settings say, passes the real API server: all of its validation
//! and not one field that it does not know. Nothing is stored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use sidekey_core::contract::EnvSyntax;
use sidekey_e2e::{Sandbox, api};
use sidekey_inject::{Facts, Outcome, Settings, mutate};

/// Those with fields that no API server knows, on purpose: they must be kept. They pass where unknown fields may.
const FOREIGN: &[&str] = &["native-foreign-fields", "vault-init-first", "vault-json-patch", "vault-tls"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    #[serde(default)]
    facts: CaseFacts,
    #[serde(default)]
    settings: Settings,
    pod: Value,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
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

fn corpus() -> Vec<(String, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/inject/tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| {
        file.extension().is_some_and(|it| it == "yaml") && !file.to_string_lossy().ends_with(".out.yaml")
    });
    files.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let case = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file.file_stem().unwrap().to_string_lossy().into_owned(), case)
    };
    files.into_iter().map(read).collect()
}

/// Makes the service account that a pod names.
fn account(sandbox: &Sandbox, pod: &Value, known: &mut BTreeSet<String>) {
    for field in ["serviceAccountName", "serviceAccount"] {
        if let Some(name) = pod["spec"][field].as_str().filter(|name| known.insert((*name).to_owned())) {
            sandbox.create("serviceaccounts", &json!({"metadata": {"name": name}}));
        }
    }
}

/// Declares the device claims that a user's patch names.
fn claims(pod: &mut Value) {
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    let named = lists.flatten().filter_map(|container| container["resources"]["claims"].as_array());
    let claims: Vec<Value> =
        named.flatten().map(|claim| json!({"name": claim["name"], "resourceClaimName": claim["name"]})).collect();
    if !claims.is_empty() {
        pod["spec"]["resourceClaims"] = Value::Array(claims);
    }
}

#[test]
fn every_golden_pod_passes_the_api_server() {
    let sandbox = Sandbox::new("golden").unrestricted();
    let mut accounts = BTreeSet::from(["default".to_owned(), "app".to_owned()]);
    let (mut passed, mut refused) = (0, Vec::new());
    for (name, case) in corpus() {
        let CaseFacts { namespace, native_sidecars, env_files } = case.facts;
        let facts = Facts { namespace, native_sidecars, env_files };
        let Outcome::Patch(injection) = mutate(&case.pod, &facts, &case.settings) else {
            panic!("{name}: not injected")
        };
        let mut pod = case.pod;
        injection.patch.apply(&mut pod).unwrap();
        pod["metadata"]["namespace"] = json!(sandbox.namespace);
        if pod["metadata"]["name"].is_null() && pod["metadata"]["generateName"].is_null() {
            pod["metadata"]["generateName"] = json!("golden-");
        }
        claims(&mut pod);
        account(&sandbox, &pod, &mut accounts);
        let validation = if FOREIGN.contains(&name.as_str()) { "Ignore" } else { "Strict" };
        let path = format!("{}?dryRun=All&fieldValidation={validation}", sandbox.path("pods"));
        let answer = api::create(&path, &pod);
        if answer.ok() { passed += 1 } else { refused.push(format!("{name}: {} {}", answer.status, answer.message())) }
    }
    println!("{passed} golden pods passed the API server, {} of them with fields that it does not know", FOREIGN.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(passed >= 45, "{passed} pods are fewer than the corpus has");
}
