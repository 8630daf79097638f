//! Every pod of the injector's golden corpus, patched as its settings say, passes the real API server: all of its validation
//! and not one field that it does not know; so does each kind of workload as `sidekey inject` writes it. Nothing is stored.

#[path = "../../../crates/inject/tests/corpus/mod.rs"]
mod corpus;

use std::collections::BTreeSet;
use std::path::Path;

use corpus::{Case, FOREIGN, REFUSED, cases};
use serde_json::{Value, json};
use sidekey_e2e::Sandbox;
use sidekey_e2e::api::{self, Answer};
use sidekey_inject::{Outcome, mutate};

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

/// The patched pod, fit for the sandbox.
fn patched(sandbox: &Sandbox, case: &Case) -> Value {
    let Outcome::Patch(injection) = mutate(&case.pod, &case.facts(), &case.settings) else {
        panic!("{}: not injected", case.name)
    };
    let mut pod = case.pod.clone();
    injection.patch.apply(&mut pod).unwrap();
    pod["metadata"]["namespace"] = json!(sandbox.namespace);
    if pod["metadata"]["name"].is_null() && pod["metadata"]["generateName"].is_null() {
        pod["metadata"]["generateName"] = json!("golden-");
    }
    claims(&mut pod);
    pod
}

fn tried(sandbox: &Sandbox, pod: &Value, validation: &str) -> Answer {
    api::create(&format!("{}?dryRun=All&fieldValidation={validation}", sandbox.path("pods")), pod)
}

#[test]
fn every_golden_pod_passes_the_api_server() {
    let sandbox = Sandbox::new("golden").unrestricted();
    let mut accounts = BTreeSet::from(["default".to_owned(), "app".to_owned()]);
    let (mut passed, mut foreign, mut refused) = (0, 0, Vec::new());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/inject/tests/golden");
    for case in cases(&golden).iter().filter(|case| !case.is_of(REFUSED)) {
        let pod = patched(&sandbox, case);
        account(&sandbox, &pod, &mut accounts);
        let strict = tried(&sandbox, &pod, "Strict");
        let answer = if case.is_of(FOREIGN) {
            assert!(strict.message().contains("unknown field"), "{} has no foreign field: {}", case.name, strict.body);
            foreign += 1;
            tried(&sandbox, &pod, "Ignore")
        } else {
            strict
        };
        match answer.ok() {
            true => passed += 1,
            false => refused.push(format!("{}: {} {}", case.name, answer.status, answer.message())),
        }
    }
    println!("{passed} golden pods passed the API server, {foreign} of them with fields that it does not know");
    assert!(refused.is_empty(), "{passed} passed, and not:\n{}", refused.join("\n"));
    assert!(passed >= 150, "{passed} pods are fewer than the corpus has");
}

/// Where the API server takes objects of a kind.
fn collection(sandbox: &Sandbox, object: &Value) -> String {
    let group = match object["apiVersion"].as_str().unwrap() {
        "v1" => "/api/v1".to_owned(),
        other => format!("/apis/{other}"),
    };
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    format!("{group}/namespaces/{}/{plural}", sandbox.namespace)
}

#[test]
fn every_injected_workload_passes_the_api_server() {
    let sandbox = Sandbox::new("workloads").unrestricted();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/tests/golden/workloads");
    let mut passed = 0;
    for file in std::fs::read_dir(golden).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let object: Value = serde_saphyr::from_str(&text).unwrap();
        let path = format!("{}?dryRun=All&fieldValidation=Strict", collection(&sandbox, &object));
        api::create(&path, &object).expect(object["kind"].as_str().unwrap());
        passed += 1;
    }
    println!("{passed} kinds of workload passed the API server");
    assert!(passed >= 9, "{passed}");
}
