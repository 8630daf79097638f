//! The chart by its golden renders (`.ci/chart` makes them with helm), beside `deploy/base`, the settings and the program's flags.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sidekey_inject::Settings;
use sidekey_operator::types::crd;
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

/// All that a folder's kustomization lists.
fn kustomized(folder: &str) -> Objects {
    let list: Value = serde_saphyr::from_str(&read(&format!("{folder}/kustomization.yaml"))).unwrap();
    let files = list["resources"].as_array().unwrap();
    files.iter().flat_map(|file| objects(&format!("{folder}/{}", file.as_str().unwrap()))).collect()
}

fn base() -> Objects {
    kustomized("base")
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
fn the_operator_by_chart_and_by_kustomize_is_the_same() {
    let mut chart = objects("chart/golden/operator.yaml");
    // Kustomize applies the CRDs themselves; Helm needs a Job for it, which goes when it is done.
    chart.retain(|_, object| object["metadata"]["annotations"]["helm.sh/hook"].is_null());
    let mut manifests = without_namespace(kustomized("operator"));
    manifests.retain(|name, _| !name.starts_with("CustomResourceDefinition "));
    same(&chart, &manifests);
    golden::check(deploy().join("chart/sidekey/charts/crds/crds/crds.yaml"), &read("operator/crds.yaml"));
}

#[test]
fn a_values_file_of_the_vault_secrets_operator_makes_what_it_made() {
    let objects = objects("chart/golden/vso.yaml");
    assert!(objects.keys().all(|name| !name.contains("webhook")), "{:?}", objects.keys());
    let name = "vault-secrets-operator-controller-manager";
    assert!(objects.contains_key(&format!("ServiceAccount {name}")), "roles in Vault are bound to it");
    let cache = &env(&objects[&format!("Deployment {name}")])["VSO_CLIENT_CACHE_PERSISTENCE_MODEL"];
    assert_eq!(cache, "direct-encrypted");
    let connection = &objects["VaultConnection default"];
    assert_eq!(connection["metadata"]["namespace"], "vault-secrets-operator");
    let wanted = json!({ "address": "http://vault.vault.svc.cluster.local:8200", "skipTLSVerify": true });
    assert_eq!(connection["spec"], wanted);
    let transit = &objects["VaultAuth vault-secrets-operator-default-transit-auth"];
    assert_eq!(transit["metadata"]["labels"]["cacheStorageEncryption"], "true");
    let wanted = json!({
        "vaultConnectionRef": "default", "method": "kubernetes", "mount": "kubernetes",
        "kubernetes": { "role": "auth-role-operator", "serviceAccount": name, "audiences": ["vault"] },
        "storageEncryption": { "mount": "demo-transit", "keyName": "vso-client-cache" },
    });
    assert_eq!(transit["spec"], wanted);
}

#[test]
fn in_namespaced_mode_the_operator_has_no_right_in_the_whole_cluster() {
    let text = read("chart/golden/namespaced.yaml");
    let all: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let named = |kind: &str| {
        let of = |object: &&Value| {
            object["kind"] == kind && object["metadata"]["name"].as_str().unwrap().contains("operator")
        };
        all.iter().filter(|object| object.is_object()).filter(of).collect::<Vec<_>>()
    };
    assert_eq!((named("ClusterRole").len(), named("ClusterRoleBinding").len()), (0, 0));
    let served: BTreeSet<_> = named("RoleBinding")
        .iter()
        .filter(|object| object["metadata"]["name"] == "sidekey-operator-served")
        .map(|object| object["metadata"]["namespace"].as_str().unwrap())
        .collect();
    assert_eq!(served, BTreeSet::from(["shop", "sidekey", "web"]));
    let mut rules = objects("chart/golden/operator.yaml")["ClusterRole sidekey-operator"]["rules"].clone();
    let wide = |rule: &Value| rule["apiGroups"][0] == "sidekey.dev" || rule["resources"][0] == "namespaces";
    rules.as_array_mut().unwrap().retain(|rule| !wide(rule));
    assert!(
        named("Role")
            .iter()
            .filter(|role| role["metadata"]["name"] == "sidekey-operator-served")
            .all(|role| role["rules"] == rules)
    );
    assert_eq!(env(named("Deployment")[0])["SIDEKEY_WATCH_NAMESPACE"], "shop,web");
}

#[test]
fn custom_resources_of_the_chart_are_as_their_definitions_have_them() {
    let mut seen = 0;
    for (name, object) in renders().into_values().flatten() {
        let definitions = crd::all();
        let Some(definition) = definitions.iter().find(|crd| crd["spec"]["names"]["kind"] == object["kind"]) else {
            continue;
        };
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        fits(schema, &object["spec"], &name);
        for needed in schema["required"].as_array().into_iter().flatten() {
            assert!(!object["spec"][needed.as_str().unwrap()].is_null(), "{name} has no {needed}");
        }
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}

/// The value has no field that the schema does not know, and none of another type.
fn fits(schema: &Value, value: &Value, place: &str) {
    let fit = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        kind => panic!("{place}: {kind}"),
    };
    assert!(fit, "{place}: {value} is no {}", schema["type"]);
    for (key, below) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
        fits(known.unwrap_or_else(|| panic!("{place} has no {key}")), below, &format!("{place}.{key}"));
    }
}

/// The condition of the webhook configuration by which pods are sent.
fn asks<'a>(mut objects: impl Iterator<Item = &'a Value>) -> Option<String> {
    let hooks = objects.find(|object| object["kind"] == "MutatingWebhookConfiguration")?;
    let conditions = hooks["webhooks"][0]["matchConditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["name"] == "asks-for-injection").unwrap();
    Some(found["expression"].as_str().unwrap().to_owned())
}

#[test]
fn pods_are_sent_by_the_switches_of_the_dialects_that_the_settings_serve() {
    let mut seen = BTreeSet::new();
    for (case, objects) in renders() {
        let Some(chart) = asks(objects.values()) else { continue };
        let settings = objects.iter().find(|(name, _)| name.ends_with("-settings")).unwrap().1;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), settings["data"]["settings.yaml"].as_str().unwrap()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
        let printed = command.args(["manifests", "--settings"]).arg(file.path()).output().unwrap();
        let printed: Vec<Value> = serde_saphyr::from_multiple(std::str::from_utf8(&printed.stdout).unwrap()).unwrap();
        assert_eq!(Some(&chart), asks(printed.iter()).as_ref(), "{case}");
        seen.insert(chart.matches(" in ").count());
    }
    assert_eq!(seen, BTreeSet::from([1, 2, 3]), "elsewhere, all and default serve so many dialects");
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
    let all =
        renders().into_values().chain([base(), kustomized("operator"), objects("overlays/golden/cert-manager.yaml")]);
    for (name, object) in all.flatten() {
        let known = match object["kind"].as_str().unwrap() {
            "ClusterRole" => known::<ClusterRole>(&object),
            "ClusterRoleBinding" => known::<ClusterRoleBinding>(&object),
            "ConfigMap" => known::<ConfigMap>(&object),
            "Deployment" => known::<Deployment>(&object),
            "Job" => known::<Job>(&object),
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
            // By their own definitions, in another test.
            "VaultAuth" | "VaultConnection" | "CustomResourceDefinition" => object.clone(),
            kind => panic!("{kind} is not known here"),
        };
        kinds.insert(object["kind"].as_str().unwrap().to_owned());
        let (given, known) = (format!("{:#}", plain(&object)), format!("{:#}", plain(&known)));
        assert_eq!(given, known, "{name}:\n{}", golden::difference(&given, &known));
    }
    assert_eq!(kinds.len(), 21, "{kinds:?}");
}

#[test]
fn rights_are_for_the_names_that_the_webhook_is_told() {
    for (case, objects) in renders() {
        let webhook = |(name, _): &(&String, &Value)| name.starts_with("Deployment ") && name.ends_with("-webhook");
        let Some((name, deployment)) = objects.iter().find(webhook) else { continue };
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
    // TZ and GODEBUG stand for extraEnv in values/all.yaml.
    for (command, suffixes, others) in
        [("webhook", &["-webhook"][..], &["TZ"][..]), ("operator", &["-operator", "-controller-manager"], &["GODEBUG"])]
    {
        let help = Command::new(env!("CARGO_BIN_EXE_sidekey")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let flags: BTreeSet<_> =
            help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap()).collect();
        assert!(flags.len() > 10, "{help}");
        let all = renders();
        let of = |name: &str| name.starts_with("Deployment ") && suffixes.iter().any(|suffix| name.ends_with(suffix));
        let deployments = all.values().flatten().filter(|(name, _)| of(name));
        let set: BTreeSet<_> = deployments.flat_map(|(_, deployment)| env(deployment).into_keys()).collect();
        let set: BTreeSet<_> = set.iter().map(String::as_str).collect();
        assert_eq!(flags.difference(&set).collect::<Vec<_>>(), [&""; 0], "{command}: no value sets it");
        let made_up: Vec<_> = set.difference(&flags).filter(|name| !others.contains(name)).collect();
        assert_eq!(made_up, [&""; 0], "{command}: no flag reads it");
    }
}

#[test]
fn a_release_has_one_number() {
    let chart: Value = serde_saphyr::from_str(&read("chart/sidekey/Chart.yaml")).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&env!("CARGO_PKG_VERSION").into(), &chart["version"]));
}

/// The part of the values' schema that is the settings', and what stands before and behind it.
fn around_settings(text: &str) -> (&str, &str) {
    let (head, rest) = text.split_once("\n    \"settings\": {\n").unwrap();
    (head, rest.split_once("\n    },\n").unwrap().1)
}

#[test]
fn the_schema_of_the_settings_is_that_of_the_types() {
    let mut schema = Settings::schema();
    schema.as_object_mut().unwrap().remove("$schema");
    let part = format!("{schema:#}").replace('\n', "\n    ");
    let text = read("chart/sidekey/values.schema.json");
    let (head, tail) = around_settings(&text);
    let wanted = format!("{head}\n    \"settings\": {part},\n{tail}");
    golden::check(deploy().join("chart/sidekey/values.schema.json"), &wanted);
}

#[test]
fn the_schema_has_every_setting_and_no_other() {
    let mut schema = json("chart/sidekey/values.schema.json");
    let former = schema["properties"]["settings"]["properties"].as_object_mut().unwrap().remove("setSecurityContext");
    assert!(former.is_some(), "the former name of securityContext is read, and never written");
    let policy =
        "policy: {defaults: {sidekey.dev/role: a}, forced: {sidekey.dev/role: a}, forbidden: [sidekey.dev/role]}";
    let text = format!(
        "imagePullPolicy: Always\nrunAsUser: 1\nrunAsGroup: 1\n{policy}\nnamespaces: [{{names: [a], {policy}}}]\n"
    );
    let full = Settings::from_yaml(&text).unwrap();
    let full = serde_json::to_value(full).unwrap();
    let hint = "the schema is written from crates/inject/src/settings.rs; values/all.yaml says each setting";
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
    // `crds` is the part of the chart of that name.
    for name in ["global", "enabled", "crds", "settings"] {
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
    // PEM is written in base64 or over several lines, templates are rendered, kinds become the names of URLs.
    let shown = |leaf: &String| {
        all.contains(leaf.trim())
            || all.contains(&format!("{}s", leaf.to_lowercase()))
            || leaf.starts_with("-----BEGIN")
            || leaf.contains("{{")
    };
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
    for name in ["alerts.yaml", "dashboard.json", "operator-alerts.yaml", "operator-dashboard.json"] {
        golden::check(deploy().join("chart/sidekey/files").join(name), &read(&format!("monitoring/{name}")));
    }
    let all = objects("chart/golden/all.yaml");
    let alerts: Value = serde_saphyr::from_str(&read("monitoring/alerts.yaml")).unwrap();
    assert_eq!(all["PrometheusRule vault-secrets-webhook"]["spec"], alerts);
    let dashboard = all["ConfigMap vault-secrets-dashboard"]["data"]["sidekey-webhook.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(dashboard).unwrap(), json("monitoring/dashboard.json"));
    let alerts: Value = serde_saphyr::from_str(&read("monitoring/operator-alerts.yaml")).unwrap();
    assert_eq!(all["PrometheusRule vault-secrets-operator"]["spec"], alerts);
    let dashboard =
        all["ConfigMap vault-secrets-operator-dashboard"]["data"]["sidekey-operator.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(dashboard).unwrap(), json("monitoring/operator-dashboard.json"));
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
    for name in ["global", "enabled", "crds"] {
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
