//! The chart by its golden renders (`.ci/chart` makes them with helm), beside `deploy/base`, the settings and the program's flags.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sidekey_inject::Settings;
use sidekey_testkit::golden;

/// What Helm's conventions put on each object and selector, and the manifests do not have.
const HELM: [&str; 4] =
    ["app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"];

/// Objects by kind and name.
type Objects = BTreeMap<String, Value>;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

fn objects(path: &str) -> Objects {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"));
    documents
        .into_iter()
        .filter(Value::is_object)
        .map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_else(|| panic!("deploy/{path}: {object:#}"));
            (format!("{} {name}", object["kind"].as_str().unwrap()), object)
        })
        .collect()
}

fn base() -> Objects {
    let list: Value = serde_saphyr::from_str(&read("base/kustomization.yaml")).unwrap();
    let files = list["resources"].as_array().unwrap();
    files.iter().flat_map(|file| objects(&format!("base/{}", file.as_str().unwrap()))).collect()
}

/// Every golden render of the chart, by its case.
fn renders() -> BTreeMap<String, Objects> {
    let files = std::fs::read_dir(deploy().join("chart/golden")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.trim_end_matches(".yaml").to_owned(), objects(&format!("chart/golden/{name}")))).collect()
}

/// What two ways of writing one object may differ in, taken away: Helm's labels, the order of named things, the settings' text.
fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        // The base gives it to what the Service or a selector knows by it; the chart to all.
        labels.remove("app.kubernetes.io/name");
    }
    if let Some(text) = object["data"]["settings.yaml"].as_str() {
        object["data"]["settings.yaml"] = serde_json::to_value(Settings::from_yaml(text).unwrap()).unwrap();
    }
    tidy(&mut object);
    object
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !HELM.contains(&key.as_str()));
            map.values_mut().for_each(tidy);
            map.retain(|_, member| !member.is_null() && member.as_object().is_none_or(|map| !map.is_empty()));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(tidy);
            if items.iter().all(|item| item["name"].is_string()) {
                items.sort_by_key(|item| item["name"].as_str().map(str::to_owned));
            }
        }
        _ => {}
    }
}

#[track_caller]
fn same(chart: &Objects, manifests: &Objects) {
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(chart), names(manifests));
    for (name, object) in chart {
        let (ours, theirs) = (format!("{:#}", plain(object)), format!("{:#}", plain(&manifests[name])));
        assert_eq!(ours, theirs, "{name}:\n{}", golden::difference(&theirs, &ours));
    }
}

/// Helm makes the namespace, or finds it, before it reads a chart.
fn without_namespace(mut objects: Objects) -> Objects {
    objects.retain(|name, _| !name.starts_with("Namespace "));
    objects
}

#[test]
fn the_chart_with_no_value_changed_is_the_base() {
    same(&objects("chart/golden/default.yaml"), &without_namespace(base()));
}

#[test]
fn cert_manager_by_chart_and_by_kustomize_is_the_same() {
    let overlay = objects("overlays/golden/cert-manager.yaml");
    same(&objects("chart/golden/cert-manager.yaml"), &without_namespace(overlay.clone()));
    assert!(overlay.contains_key("Namespace sidekey"));
    // Mounted certificates need no right to write anything.
    let verbs: Vec<_> = overlay["ClusterRole sidekey-webhook"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["verbs"].as_array().unwrap())
        .collect();
    assert_eq!(verbs, ["list"]);
    // The one Role left is the Lease of who looks for missed pods.
    assert!(overlay.keys().filter(|name| name.starts_with("Role")).all(|name| name.ends_with("-missed")));
}

#[test]
fn the_network_policy_by_chart_and_by_kustomize_is_the_same() {
    let mut expected = without_namespace(base());
    expected.extend(objects("components/network-policy/network.yaml"));
    same(&objects("chart/golden/network-policy.yaml"), &expected);
}

/// The object with all that the type does not know left out.
fn known<T: Serialize + DeserializeOwned>(object: &Value) -> Value {
    serde_json::to_value(
        serde_json::from_value::<T>(object.clone()).unwrap_or_else(|error| panic!("{error}: {object:#}")),
    )
    .unwrap()
}

#[test]
fn no_object_has_a_field_that_its_kind_does_not_know() {
    let mut kinds = BTreeSet::new();
    let all = renders().into_values().chain([base(), objects("overlays/golden/cert-manager.yaml")]);
    for (name, object) in all.flatten() {
        let known = match object["kind"].as_str().unwrap() {
            "ClusterRole" => known::<ClusterRole>(&object),
            "ClusterRoleBinding" => known::<ClusterRoleBinding>(&object),
            "ConfigMap" => known::<ConfigMap>(&object),
            "Deployment" => known::<Deployment>(&object),
            "MutatingWebhookConfiguration" => known::<MutatingWebhookConfiguration>(&object),
            "Namespace" => known::<Namespace>(&object),
            "NetworkPolicy" => known::<NetworkPolicy>(&object),
            "PodDisruptionBudget" => known::<PodDisruptionBudget>(&object),
            "Role" => known::<Role>(&object),
            "RoleBinding" => known::<RoleBinding>(&object),
            "Service" => known::<Service>(&object),
            "ServiceAccount" => known::<ServiceAccount>(&object),
            // Of others' making: there is no type of them here.
            "Certificate" | "Issuer" | "PodMonitor" | "PrometheusRule" | "ServiceMonitor" => object.clone(),
            kind => panic!("{kind} is not known here"),
        };
        kinds.insert(object["kind"].as_str().unwrap().to_owned());
        let (given, known) = (format!("{:#}", plain(&object)), format!("{:#}", plain(&known)));
        assert_eq!(given, known, "{name}:\n{}", golden::difference(&given, &known));
    }
    assert_eq!(kinds.len(), 17, "{kinds:?}");
}

#[test]
fn rights_are_for_the_names_that_the_webhook_is_told() {
    for (case, objects) in renders() {
        let Some((name, deployment)) = objects.iter().find(|(name, _)| name.starts_with("Deployment ")) else {
            continue;
        };
        let name = name.trim_start_matches("Deployment ");
        let told = |flag: &str, default: &str| env(deployment).get(flag).cloned().unwrap_or_else(|| default.to_owned());
        assert!(objects.contains_key(&format!("Service {}", told("SIDEKEY_SERVICE", name))), "{case}");
        assert!(objects.contains_key(&format!("MutatingWebhookConfiguration {name}")), "{case}");
        let Some(role) = objects.get(&format!("Role {name}")) else { continue };
        assert_eq!(role["rules"][0]["resourceNames"][0], told("SIDEKEY_CA_SECRET", "sidekey-webhook-ca"), "{case}");
        assert_eq!(role["rules"][1]["resourceNames"][0], told("SIDEKEY_LEASE", "sidekey-webhook"), "{case}");
        let hooks = told("SIDEKEY_WEBHOOK_CONFIGURATION", "sidekey-webhook");
        assert_eq!(objects[&format!("ClusterRole {name}")]["rules"][0]["resourceNames"][0], hooks, "{case}");
    }
}

/// The environment of the webhook's container; empty for what is no plain text.
fn env(deployment: &Value) -> BTreeMap<String, String> {
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    env.iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
}

#[test]
fn every_flag_is_reached_by_its_variable_and_no_variable_is_made_up() {
    let help = Command::new(env!("CARGO_BIN_EXE_sidekey")).args(["webhook", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: BTreeSet<_> = help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap()).collect();
    assert!(flags.len() > 10, "{help}");
    let all = renders();
    let deployments = all.values().flatten().filter(|(name, _)| name.starts_with("Deployment "));
    let set: BTreeSet<_> = deployments.flat_map(|(_, deployment)| env(deployment).into_keys()).collect();
    // TZ stands for extraEnv in values/all.yaml.
    let set: BTreeSet<_> = set.iter().map(String::as_str).filter(|name| *name != "TZ").collect();
    assert_eq!(set, flags);
}

#[test]
fn a_release_has_one_number() {
    let chart: Value = serde_saphyr::from_str(&read("chart/sidekey/Chart.yaml")).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&env!("CARGO_PKG_VERSION").into(), &chart["version"]));
}

#[test]
fn the_schema_has_every_setting_and_no_other() {
    let schema = json("chart/sidekey/values.schema.json");
    let policy =
        "policy: {defaults: {sidekey.dev/role: a}, forced: {sidekey.dev/role: a}, forbidden: [sidekey.dev/role]}";
    let text = format!(
        "imagePullPolicy: Always\nrunAsUser: 1\nrunAsGroup: 1\n{policy}\nnamespaces: [{{names: [a], {policy}}}]\n"
    );
    let full = Settings::from_yaml(&text).unwrap();
    let full = serde_json::to_value(full).unwrap();
    let hint = "a setting of crates/inject/src/settings.rs and values.schema.json must say the same";
    agree(&schema["properties"]["settings"], &full, "settings", hint);
    // values/all.yaml says each setting, and each is read from what the chart makes of it.
    let all = objects("chart/golden/all.yaml");
    let text = all["ConfigMap vault-secrets-settings"]["data"]["settings.yaml"].as_str().unwrap();
    let rendered: Value = serde_saphyr::from_str(text).unwrap();
    agree(&schema["properties"]["settings"], &rendered, "settings of values/all.yaml", hint);
    let (read, default) = (serde_json::to_value(Settings::from_yaml(text).unwrap()).unwrap(), Settings::default());
    for (name, value) in serde_json::to_value(default).unwrap().as_object().unwrap() {
        assert_ne!(&read[name], value, "values/all.yaml leaves {name} as it is");
    }
}

/// `value` has each property of `schema` and nothing else, at every depth that the schema closes.
fn agree(schema: &Value, value: &Value, place: &str, hint: &str) {
    if schema["additionalProperties"] != false {
        return;
    }
    let names = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
    let (known, given) = (schema["properties"].as_object().unwrap(), value.as_object().unwrap());
    assert_eq!(names(known), names(given), "{place}: {hint}");
    for (name, schema) in known {
        agree(schema, &given[name], &format!("{place}.{name}"), hint);
    }
}

fn values() -> Value {
    serde_saphyr::from_str(&read("chart/sidekey/values.yaml")).unwrap()
}

#[test]
fn values_and_schema_say_the_same() {
    let mut schema = json("chart/sidekey/values.schema.json");
    let properties = schema["properties"].as_object_mut().unwrap();
    // Helm's own, and what is open in values.yaml: settings are in force by their own defaults, an empty selector or issuer is none.
    for name in ["global", "enabled", "settings"] {
        assert!(properties.remove(name).is_some(), "{name}");
    }
    for path in ["/webhook/properties/namespaceSelector", "/webhook/properties/objectSelector"] {
        *schema["properties"].pointer_mut(path).unwrap() = Value::Null;
    }
    schema["properties"]["certificates"]["properties"]["certManager"]["properties"]["issuerRef"] = Value::Null;
    let mut values = values();
    assert!(values.as_object_mut().unwrap().remove("settings").is_some());
    agree(&schema, &values, "values", "values.yaml and values.schema.json must say the same");
}

#[test]
fn each_paragraph_of_the_values_says_what_it_is_for() {
    let text = read("chart/sidekey/values.yaml");
    let bare: Vec<_> = text.split("\n\n").filter(|paragraph| !paragraph.contains("# ")).collect();
    assert_eq!(bare, [""; 0]);
}

#[test]
fn all_of_the_values_show() {
    let all = format!("{:#}", Value::from_iter(objects("chart/golden/all.yaml")));
    let said: Value = serde_saphyr::from_str(&read("chart/values/all.yaml")).unwrap();
    let mut leaves = Vec::new();
    collect(&said, &mut leaves);
    // PEM is written in base64 or over several lines, templates are rendered.
    let shown = |leaf: &String| all.contains(leaf.trim()) || leaf.starts_with("-----BEGIN") || leaf.contains("{{");
    let missing: Vec<_> = leaves.iter().filter(|leaf| !shown(leaf)).collect();
    assert_eq!(missing, [""; 0]);
    let hooks = &objects("chart/golden/all.yaml")["MutatingWebhookConfiguration vault-secrets-webhook"]["webhooks"][0];
    let bundle = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tClkyRkNkVzVrYkdVPQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";
    assert_eq!(hooks["clientConfig"]["caBundle"], bundle);
}

fn collect(value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| collect(value, leaves)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, leaves)),
        Value::String(text) => leaves.push(text.clone()),
        Value::Number(number) => leaves.push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

#[test]
fn golden_renders_are_made_of_what_is_there() {
    let mut known = BTreeSet::new();
    for list in ["chart/golden.sha256", "overlays/golden.sha256"] {
        for line in read(list).lines() {
            let (digest, path) = line.split_once("  ").unwrap();
            let path = path.strip_prefix("deploy/").unwrap();
            let now = hex::encode(Sha256::digest(read(path)));
            assert_eq!(digest, now, "deploy/{path} changed; UPDATE_GOLDEN=1 .ci/chart renders it anew");
            known.insert(path.to_owned());
        }
    }
    for folder in
        ["chart/sidekey/templates", "chart/values", "base", "components/cert-manager", "overlays/cert-manager"]
    {
        for file in std::fs::read_dir(deploy().join(folder)).unwrap() {
            let path = format!("{folder}/{}", file.unwrap().file_name().into_string().unwrap());
            let rendered = known.contains(&path) || path.ends_with("NOTES.txt");
            assert!(rendered, "deploy/{path} is new; UPDATE_GOLDEN=1 .ci/chart renders it");
        }
    }
}

#[test]
fn the_chart_carries_the_alerts_and_the_dashboard_of_monitoring() {
    for name in ["alerts.yaml", "dashboard.json"] {
        golden::check(deploy().join("chart/sidekey/files").join(name), &read(&format!("monitoring/{name}")));
    }
    let all = objects("chart/golden/all.yaml");
    let alerts: Value = serde_saphyr::from_str(&read("monitoring/alerts.yaml")).unwrap();
    assert_eq!(all["PrometheusRule vault-secrets-webhook"]["spec"], alerts);
    let dashboard = all["ConfigMap vault-secrets-dashboard"]["data"]["sidekey-webhook.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(dashboard).unwrap(), json("monitoring/dashboard.json"));
}

/// The rows of a page's tables whose head's cell `column` is `head`: that cell's words in backquotes.
fn spans(page: &str, head: &str, column: usize) -> Vec<String> {
    let text = read(&format!("../docs/{page}"));
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("|--")) {
        let cells: Vec<_> = line.split(" |").map(|cell| cell.trim_start_matches('|').trim()).collect();
        let Some(cell) = cells.get(column).filter(|_| line.starts_with('|')) else {
            inside = false;
            continue;
        };
        if inside {
            found.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        inside |= *cell == head;
    }
    assert!(found.len() > 20, "{page} has no table of values: {found:?}");
    found
}

/// The dotted names that the schema closes on; below an open map nothing is named.
fn paths(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match schema["properties"].as_object().filter(|_| schema["additionalProperties"] == false) {
        Some(properties) => {
            let join = |name: &String| if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            properties.iter().for_each(|(name, schema)| paths(schema, &join(name), found));
        }
        None => assert!(found.insert(prefix.to_owned())),
    }
}

#[test]
fn the_guides_name_each_value_and_none_that_is_not() {
    let mut known = BTreeSet::new();
    paths(&json("chart/sidekey/values.schema.json"), "", &mut known);
    for name in ["global", "enabled"] {
        known.remove(name);
    }
    let is = |known: &str, named: &str| match named.strip_suffix('*') {
        Some(prefix) => known.starts_with(prefix),
        // A group of values may go by its own name: `webhook.namespaceSelector`.
        None => known == named || known.strip_prefix(named).is_some_and(|rest| rest.starts_with('.')),
    };
    let table = spans("install.md", "value", 0);
    for named in table.iter().chain(&spans("migrate-vault-agent-injector.md", "here", 1)) {
        let named = named.split([':', '{']).next().unwrap();
        let ours = named.starts_with("sidekey_") || known.iter().any(|known| is(known, named));
        assert!(ours, "there is no value {named}");
    }
    let missing: Vec<_> = known.iter().filter(|known| !table.iter().any(|named| is(known, named))).collect();
    assert_eq!(missing, [""; 0], "docs/install.md does not name them");
}
