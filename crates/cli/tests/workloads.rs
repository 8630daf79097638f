//! What `inject`, `explain` and `check` take besides a pod, and by whose settings they decide.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const ALL: [&str; 3] = ["inject", "explain", "check"];

fn fed(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn said(output: &Output) -> String {
    [text(&output.stdout), text(&output.stderr)].concat()
}

/// A pod's metadata and spec: it asks for one file and names `more` besides.
fn template(more: &[(&str, &str)]) -> Value {
    let mut annotations = json!({"sidekey.dev/inject": "true", "sidekey.dev/secret-a.env": "secret/data/a"});
    for (key, value) in more {
        annotations[*key] = json!(value);
    }
    json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}})
}

fn pod(more: &[(&str, &str)]) -> Value {
    let mut pod = template(more);
    (pod["apiVersion"], pod["kind"], pod["metadata"]["name"]) = (json!("v1"), json!("Pod"), json!("a"));
    pod
}

fn workload(version: &str, kind: &str, name: &str) -> Value {
    let spec = json!({"template": template(&[("sidekey.dev/role", "web")])});
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
}

/// What the agent of a pod, or of a pod template, is told.
fn config(pod: &Value) -> Value {
    let containers = ["initContainers", "containers"].iter().flat_map(|list| pod["spec"][*list].as_array());
    let agent = containers.flatten().find(|container| container["name"] == "sidekey-agent").unwrap();
    let env = agent["env"].as_array().unwrap();
    let config = env.iter().find(|variable| variable["name"] == "SIDEKEY_CONFIG").unwrap();
    serde_json::from_str(config["value"].as_str().unwrap()).unwrap()
}

#[test]
fn settings_give_what_a_pod_does_not_say() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let policy = "policy: {defaults: {sidekey.dev/role: team}}";
    std::fs::write(file.path(), format!("vaultAddress: https://vault.example:8200\n{policy}\n")).unwrap();
    let settings = file.path().to_str().unwrap();
    let pod = pod(&[]).to_string();
    for command in ALL {
        let without = fed(&[command, "-f", "-"], &pod);
        assert_eq!(without.status.code(), Some(1), "{command}: {}", said(&without));
        assert!(said(&without).contains("denied: SK1002 "), "{command}: {}", said(&without));
        let with = fed(&[command, "-f", "-", "--settings", settings], &pod);
        assert_eq!(with.status.code(), Some(0), "{command}: {}", said(&with));
        assert!(said(&with).contains("Pod default/a: injected (sidekey-agent)"), "{command}: {}", said(&with));
        match command {
            "inject" => {
                let config = config(&serde_saphyr::from_str(text(&with.stdout)).unwrap());
                assert_eq!(
                    (&config["auth"]["role"], &config["server"]["address"]),
                    (&json!("team"), &json!("https://vault.example:8200"))
                );
            }
            "explain" => {
                let lines: Vec<Vec<_>> = text(&with.stdout)
                    .lines()
                    .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
                    .collect();
                assert!(
                    lines.contains(&vec!["role", "team", "settings policy, default sidekey.dev/role"]),
                    "{lines:?}"
                );
                assert!(
                    lines.contains(&vec!["address", "https://vault.example:8200", "settings vaultAddress"]),
                    "{lines:?}"
                );
            }
            _ => assert!(text(&with.stdout).ends_with("1 injected, 0 denied, 0 warnings, 1 objects\n")),
        }
    }
}

#[test]
fn settings_forbid_what_a_pod_says() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "policy: {forbidden: [sidekey.dev/tls-skip-verify]}\n").unwrap();
    let settings = file.path().to_str().unwrap();
    let pod = pod(&[("sidekey.dev/role", "web"), ("sidekey.dev/tls-skip-verify", "true")]).to_string();
    for command in ALL {
        assert_eq!(fed(&[command, "-f", "-"], &pod).status.code(), Some(0), "{command}");
        let output = fed(&[command, "-f", "-", "--settings", settings], &pod);
        assert_eq!(output.status.code(), Some(1), "{command}: {}", said(&output));
        let wanted = "Pod default/a: denied: SK1020 reading annotation sidekey.dev/tls-skip-verify: ";
        assert!(said(&output).contains(wanted), "{command}: {}", said(&output));
    }
}

#[test]
fn a_rollout_and_a_list_in_yaml_are_injected() {
    let rollout = workload("argoproj.io/v1alpha1", "Rollout", "canary");
    let deployment = workload("apps/v1", "Deployment", "web");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [rollout, {"kind": "Service"}, deployment]});
    let output = fed(&["inject", "-f", "-"], &serde_saphyr::to_string(&list).unwrap());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let wanted = "Rollout shop/canary: injected (sidekey-agent)\nService default/(no name): no pod in it\n\
                  Deployment shop/web: injected (sidekey-agent)\n";
    assert_eq!(text(&output.stderr), wanted);
    let printed: Value = serde_saphyr::from_str(text(&output.stdout)).unwrap();
    assert_eq!(printed["items"][1], list["items"][1]);
    for index in [0, 2] {
        assert_eq!(config(&printed["items"][index]["spec"]["template"])["auth"]["role"], "web");
    }
}

/// `kubectl get -o json` repeats the kind in each item; `kubectl get --raw` shows the API server's own, without.
#[test]
fn items_of_a_typed_list_need_no_kind_of_their_own() {
    let (named, mut bare) = (workload("apps/v1", "Deployment", "named"), workload("apps/v1", "Deployment", "bare"));
    for key in ["apiVersion", "kind"] {
        bare.as_object_mut().unwrap().remove(key);
    }
    let list = json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [named, bare]});
    let output = fed(&["inject", "-f", "-"], &list.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let wanted = "Deployment shop/named: injected (sidekey-agent)\nDeployment shop/bare: injected (sidekey-agent)\n";
    assert_eq!(text(&output.stderr), wanted);
    let printed: Value = serde_saphyr::from_str(text(&output.stdout)).unwrap();
    for index in [0, 1] {
        assert_eq!(config(&printed["items"][index]["spec"]["template"])["auth"]["role"], "web");
    }
    assert!(printed["items"][1].get("kind").is_none(), "nothing else is written");
    let kindless = fed(&["inject", "-f", "-"], &json!({"metadata": {"name": "x"}, "spec": {}}).to_string());
    assert_eq!(text(&kindless.stderr), "(no kind) default/x: no pod in it\n");
}

#[test]
fn json_comes_out_as_yaml() {
    let input = pod(&[("sidekey.dev/role", "web")]).to_string();
    let output = fed(&["inject", "-f", "-"], &input);
    let printed = text(&output.stdout);
    assert!(
        serde_json::from_str::<Value>(printed).is_err() && printed.lines().any(|line| line == "kind: Pod"),
        "{printed}"
    );
}
