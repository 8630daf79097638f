//! A real Prometheus reads webhook and operator as the chart's monitors tell it to; dashboards and alerts are tried on what it has.
//! It spoils the webhook's settings for a moment, so it runs when the other tests are over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use sidekey_e2e::kept::OPERATOR;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, Shape, api, setting};
use sidekey_testkit::prometheus::{self, Prometheus};

/// What the names of our numbers begin with, those among them that come from controller-runtime's and client-go's.
const NUMBERS: [&str; 8] = [
    "sidekey_",
    "vso_",
    "controller_r",
    "workqueue_",
    "rest_client_",
    "leader_election_",
    "process_resident",
    "process_cpu",
];

/// Alerts whose cause this test makes.
const PROVOKED: [&str; 7] = [
    "SidekeyAdmissionsNotAnswered",
    "SidekeyReloadFailed",
    "SidekeyVaultUnreachable",
    "SidekeySecretsNotSynced",
    "SidekeyReferencesMissing",
    "SidekeyDestinationConflict",
    "SidekeyRestartsFail",
];

/// Alerts that must be silent while both programs live.
const SILENT: [&str; 5] = [
    "SidekeyWebhookAbsent",
    "SidekeyOperatorAbsent",
    "SidekeyOperatorNoLeader",
    "SidekeyCertificateExpiring",
    "SidekeyCaExpiring",
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/monitoring").join(name)
}

/// Scrapes a port of a Deployment's pods through `kubectl proxy`, with the labels that a PodMonitor gives. The pods are named, since
/// Debian's Prometheus cannot ask a cluster for them.
fn job(deployment: &str, namespace: &str, port: u16, honor: bool) -> String {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let list = api::get(&format!("{pods}?labelSelector=app.kubernetes.io/name%3D{deployment}")).expect("pods");
    let names = list["items"].as_array().unwrap().iter().filter_map(|pod| pod["metadata"]["name"].as_str());
    let target = |pod| {
        let path = format!("{pods}/{pod}:{port}/proxy/metrics");
        json!({"targets": [setting().api], "labels": {"__metrics_path__": path, "namespace": namespace, "pod": pod}})
    };
    let targets: Vec<Value> = names.map(target).collect();
    let job = json!({"job_name": deployment, "honor_labels": honor, "static_configs": targets});
    format!("  - {job}\n")
}

/// One admission of each outcome, with pods that are never made; asked again they count again.
fn admissions(kept: &Kept) {
    let pods = format!("{}?dryRun=All", kept.sandbox.path("pods"));
    let shape = |name: &str, inject: &str| {
        Shape::new(name, &["sleep"]).native(&[("inject", inject), ("role", "web"), ("secret-a", "secret/data/a")])
    };
    api::create(&pods, &shape("injected", "true").manifest).expect("an injected pod");
    api::create(&pods, &shape("left-alone", "false").manifest).expect("a pod that is left alone");
    assert!(!api::create(&pods, &shape("denied", "yes please").manifest).ok(), "a bad annotation was let in");
    // What is no review, by the API server's own way to the webhook.
    let webhook = format!("/api/v1/namespaces/{}/services/https:sidekey-webhook:443/proxy/mutate", setting().system);
    let answer = api::create(&webhook, &json!({"no": "review"}));
    assert_eq!(answer.status, 400, "{}", answer.body);
}

/// A secret that works, and one for each thing that goes wrong.
fn secrets(kept: &Kept) {
    kept.sandbox.put("web", &json!({"n": "1"}));
    kept.workload("deployments", "web");
    let restarts = |name: &str| json!([{"kind": "Deployment", "name": name}]);
    kept.static_secret("web", &json!({"rolloutRestartTargets": restarts("web")}));
    kept.holds("web", "n", "1");
    // Whose Secret is another's, whose VaultAuth is not there, whose role is unknown, whose Vault does not answer.
    let path = json!({"path": format!("{}/web", kept.sandbox.namespace)});
    let with = |more: Value| {
        let mut all = path.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    kept.static_secret("second", &with(json!({"destination": {"name": "web", "create": true}})));
    kept.static_secret("astray", &with(json!({"vaultAuthRef": "nobody"})));
    let mut stranger = kept.auth("vault");
    stranger["kubernetes"]["role"] = json!("no-such-role");
    kept.create("vaultauths", "VaultAuth", "stranger", &stranger);
    kept.static_secret("refused", &with(json!({"vaultAuthRef": "stranger"})));
    kept.create("vaultconnections", "VaultConnection", "dead", &json!({"address": "https://vault.vault.svc:1"}));
    kept.create("vaultauths", "VaultAuth", "dead", &kept.auth("dead"));
    kept.static_secret("unheard", &with(json!({"vaultAuthRef": "dead"})));
    // A change asks for a restart of what is not there.
    kept.static_secret("alone", &with(json!({"rolloutRestartTargets": restarts("nobody")})));
    kept.holds("alone", "n", "1");
    kept.sandbox.put("web", &json!({"n": "2"}));
    kept.holds("alone", "n", "2");
    kept.holds("web", "n", "2");
}

/// The webhook's settings, spoilt and given back.
struct Settings {
    path: String,
    before: Value,
}

impl Settings {
    fn find() -> Self {
        let system = &setting().system;
        let deployment = api::get(&format!("/apis/apps/v1/namespaces/{system}/deployments/sidekey-webhook"));
        let deployment = deployment.expect("the webhook's Deployment");
        let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
        let name = volumes.iter().find_map(|volume| volume["configMap"]["name"].as_str()).expect("a ConfigMap");
        let path = format!("/api/v1/namespaces/{system}/configmaps/{name}");
        let before = api::get(&path).expect("settings")["data"]["settings.yaml"].clone();
        Self { path, before }
    }

    /// Writes them, and has the kubelet look at the pods at once: it would within a minute or two.
    fn write(&self, text: &Value) {
        api::patch(&self.path, &json!({"data": {"settings.yaml": text}})).expect("settings");
        let pods = format!("/api/v1/namespaces/{}/pods", setting().system);
        let mark = json!({"metadata": {"annotations": {"e2e.test/looked": format!("{:?}", Instant::now())}}});
        for pod in api::get(&pods).json()["items"].as_array().into_iter().flatten() {
            api::patch(&format!("{pods}/{}", pod["metadata"]["name"].as_str().unwrap()), &mark);
        }
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        self.write(&self.before);
    }
}

fn seen(server: &Prometheus, query: &str) -> bool {
    server.now(query).is_ok_and(|series| !series.is_empty())
}

/// Panels and alerts that ask for what nobody says.
fn silent(server: &Prometheus) -> Vec<String> {
    let mut silent = Vec::new();
    let files = ["dashboard.json", "operator-dashboard.json"];
    let mut queries: Vec<_> = files.iter().flat_map(|name| prometheus::panels(&file(name))).collect();
    for alert in server.alerts().unwrap() {
        silent.extend(alert.error.map(|error| format!("{}: {error}", alert.name)));
        let selectors = prometheus::selectors(&alert.text, &NUMBERS);
        assert!(!selectors.is_empty(), "{}: {} asks for nothing of ours", alert.name, alert.text);
        queries.extend(selectors.into_iter().map(|text| prometheus::Query { place: alert.name.clone(), text }));
    }
    assert!(queries.len() > 80, "only {} queries were found", queries.len());
    for query in queries {
        match server.drawn(&query.text) {
            Ok(series) if series.is_empty() => silent.push(format!("{}: no series: {}", query.place, query.text)),
            Ok(_) => {}
            Err(error) => silent.push(format!("{}: {error}: {}", query.place, query.text)),
        }
    }
    silent
}

#[test]
fn each_panel_and_each_alert_finds_its_series_and_alerts_know_what_is_wrong() {
    assert!(prometheus::installed(), "not run: prometheus is not installed (e2e/cluster/packages.sh)");
    let begun = Instant::now();
    let jobs = job("sidekey-webhook", &setting().system, 9090, false) + &job("sidekey-operator", OPERATOR, 8080, true);
    let rules = [file("alerts.yaml"), file("operator-alerts.yaml")];
    let server = Prometheus::start("e2e", &jobs, &[&rules[0], &rules[1]]);
    until(seconds(30), "read: webhook and operator, both replicas of each", || {
        let targets = server.targets()?;
        let good = targets.iter().filter(|(_, error)| error.is_empty()).count();
        if good >= 4 { Ok(()) } else { Err(format!("{targets:#?}")) }
    });
    let settings = Settings::find();
    settings.write(&json!("vaultAdress: [\n"));
    let kept = Kept::new("monitoring");
    admissions(&kept);
    secrets(&kept);
    let failed = r#"sidekey_webhook_reloads_total{of="settings",result="failure"}"#;
    until(seconds(60), "noticed: bad settings", || if seen(&server, failed) { Ok(()) } else { Err("no") });
    drop(settings);
    admissions(&kept);
    until(seconds(60), "drawn: each panel and each number of an alert", || {
        let silent = silent(&server);
        if silent.is_empty() { Ok(()) } else { Err(silent.join("\n")) }
    });
    let alerts = server.alerts().unwrap();
    let expression = |name: &str| alerts.iter().find(|alert| alert.name == name).expect(name).text.clone();
    for name in PROVOKED {
        let text = expression(name);
        until(seconds(30), &format!("known: {name}"), || if seen(&server, &text) { Ok(()) } else { Err(&text) });
    }
    for name in SILENT {
        let series = server.now(&expression(name)).unwrap();
        assert!(series.is_empty(), "{name}: {series:?}");
    }
    println!("{} alerts, all panels, in {:?}", alerts.len(), begun.elapsed());
}
