//! The program as a person runs it: arguments and files in, output and exit code out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;
use sidekey_testkit::golden;

fn sidekey(arguments: &[&str]) -> Output {
    fed(arguments, "")
}

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

fn yaml(output: &Output) -> Vec<Value> {
    serde_saphyr::from_multiple(text(&output.stdout)).unwrap()
}

#[test]
fn injects_a_deployment_in_the_order_in_which_it_was_written() {
    let output = sidekey(&["inject", "-f", "tests/data/deployment.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    golden::check("tests/golden/deployment.yaml", text(&output.stdout));
    let report = text(&output.stderr);
    assert!(report.starts_with("Deployment shop/web: injected (sidekey-agent)\n"), "{report}");
    assert!(report.contains("Service shop/web: no pod in it\n"), "{report}");
}

/// `data/workloads/KIND.yaml` becomes `golden/workloads/KIND.yaml`, which the cluster tests show to an API server.
#[test]
fn injects_every_kind_of_workload() {
    let kinds = [
        "Pod",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "ReplicationController",
        "Job",
        "CronJob",
        "PodTemplate",
    ];
    for kind in kinds {
        let file = format!("workloads/{}.yaml", kind.to_lowercase());
        let output = sidekey(&["inject", "-f", &format!("tests/data/{file}")]);
        assert_eq!(output.status.code(), Some(0), "{kind}: {}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("{kind} default/")) && said.contains(": injected ("), "{said}");
        golden::check(format!("tests/golden/{file}"), text(&output.stdout));
    }
    assert_eq!(std::fs::read_dir("tests/data/workloads").unwrap().count(), kinds.len());
}

#[test]
fn injecting_again_changes_nothing() {
    let once = sidekey(&["inject", "-f", "tests/data/deployment.yaml"]);
    let twice = fed(&["inject", "-f", "-"], text(&once.stdout));
    assert_eq!(text(&twice.stdout), text(&once.stdout));
    assert!(text(&twice.stderr).contains("skipped (already_injected)"), "{}", text(&twice.stderr));
}

#[test]
fn reads_json_lists_of_any_workload_and_leaves_the_rest_alone() {
    let output = sidekey(&["inject", "-f", "tests/data/list.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let list = &yaml(&output)[0];
    let before: Value = serde_json::from_str(include_str!("data/list.json")).unwrap();
    assert_eq!(list["items"][0], before["items"][0]);
    let template = &list["items"][1]["spec"]["jobTemplate"]["spec"]["template"];
    let started = template["spec"]["initContainers"].as_array().unwrap();
    assert!(started.iter().any(|container| container["name"] == "vault-agent"), "{template:#}");
    assert_eq!(template["metadata"]["annotations"]["vault.hashicorp.com/agent-inject-status"], "injected");
    assert!(text(&output.stderr).starts_with("Pod default/plain: skipped (not_asked)\nCronJob jobs/nightly: injected"));
}

#[test]
fn an_older_cluster_gets_the_classic_pair() {
    let output = sidekey(&["inject", "-f", "tests/data/list.json", "--kubernetes-version", "1.28"]);
    assert!(text(&output.stderr).contains("injected (vault-agent-init, vault-agent)"), "{}", text(&output.stderr));
}

#[test]
fn prints_nothing_and_exits_1_when_a_pod_is_denied() {
    for command in ["inject", "explain"] {
        let output = sidekey(&[command, "-f", "tests/data/denied.yaml"]);
        assert_eq!(output.status.code(), Some(1));
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(said.starts_with("Pod default/bad: denied: SK1001 ") && said.contains("sidekey.dev/inject"), "{said}");
    }
    assert!(sidekey(&["inject", "-f", "tests/data/denied.yaml"]).stdout.is_empty());
}

#[test]
fn exits_2_for_input_that_cannot_be_read() {
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), "vaultAdress: x\n").unwrap();
    let settings = settings.path().to_str().unwrap();
    let cases: [(&[&str], &str, &str); 8] = [
        (&["inject", "-f", "/nowhere.yaml"], "", "SK1012 reading /nowhere.yaml"),
        (&["inject", "-f", "-"], "a: [", "SK1012 reading -"),
        (&["inject", "-f", "-"], "just words", "SK1012 reading -"),
        (&["explain", "-f", "-", "--settings", settings], "", "SK1010 reading the settings file"),
        (&["check", "-f", "/nowhere.yaml"], "", "SK1012 reading /nowhere.yaml"),
        (&["explain", "-f", "-"], "a: [", "SK1012 reading -"),
        (&["inject"], "", "--filename"),
        (&["inject", "-f", "-", "--kubernetes-version", "new"], "", "not a version"),
    ];
    for (arguments, input, wanted) in cases {
        let output = fed(arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(wanted), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn explains_where_each_value_comes_from() {
    let output = sidekey(&["explain", "-f", "tests/data/deployment.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    golden::check("tests/golden/explain.txt", text(&output.stdout));
    let output = sidekey(&["explain", "-f", "tests/data/deployment.yaml", "--json"]);
    let judged: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&judged[0]["outcome"], &judged[1]["outcome"]), (&Value::from("injected"), &Value::from("no_pod")));
    assert_eq!(judged[0]["agents"][0]["config"]["auth"]["role"], "web");
}

#[test]
fn refuses_to_install_on_a_cluster_without_match_conditions() {
    let output = sidekey(&["manifests", "--kubernetes-version", "v1.27.9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && text(&output.stderr).contains("1.28"), "{}", text(&output.stderr));
    let output = sidekey(&["manifests", "--kubernetes-version", "1.28"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(yaml(&output).last().unwrap()["kind"], "MutatingWebhookConfiguration");
}

/// A webhook with a certificate from files, no cluster, and its `webhook started` line.
fn webhook(directory: &std::path::Path) -> (Child, BufReader<ChildStderr>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    command.args(["webhook", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--tls-dir"]).arg(directory);
    command.env("KUBECONFIG", directory.join("none")).env("HOME", directory).env("SIDEKEY_LAME_DUCK_SECONDS", "1");
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("webhook started") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended early");
        assert!(line.starts_with('{'), "not JSON: {line}");
    }
    (child, log)
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn the_webhook_drains_on_sigterm_and_exits_0() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, mut log) = webhook(directory.path());
    terminate(&child);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("draining") && rest.contains("drained"), "{rest}");
}

#[test]
fn a_second_signal_ends_the_webhook_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, mut log) = webhook(directory.path());
    terminate(&child);
    let mut line = String::new();
    while !line.contains("draining") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_webhook_names_a_settings_file_it_cannot_read() {
    let output = sidekey(&[
        "webhook",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--tls-dir",
        ".",
        "--settings",
        "/nowhere",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("sidekey: SK1010 reading the settings file /nowhere"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn says_its_version() {
    assert_eq!(text(&sidekey(&["version"]).stdout), concat!("sidekey ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn checks_folders_and_files_for_a_pipeline() {
    let good = sidekey(&["check", "-f", "tests/data/deployment.yaml", "-f", "tests/data/list.json"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    let said = text(&good.stdout);
    assert!(said.contains("Deployment shop/web: injected (sidekey-agent)\n") && !said.contains("Service"), "{said}");
    assert!(said.ends_with("2 injected, 0 denied, 0 warnings, 4 objects\n"), "{said}");
    let folder = sidekey(&["check", "-f", "tests/data"]);
    assert_eq!(folder.status.code(), Some(1));
    assert!(text(&folder.stdout).contains("Pod default/bad: denied: SK1001"), "{}", text(&folder.stdout));
}

#[test]
fn a_warning_fails_a_strict_check_only() {
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","annotations":{"sidekey.dev/inject":"true",
        "sidekey.dev/role":"web","sidekey.dev/secret-a.env":"secret/data/a","sidekey.dev/rolle":"x"}},
        "spec":{"containers":[{"name":"app","image":"i"}]}}"#;
    let (lax, strict) = (fed(&["check", "-f", "-"], pod), fed(&["check", "-f", "-", "--strict", "--json"], pod));
    assert_eq!((lax.status.code(), strict.status.code()), (Some(0), Some(1)));
    assert!(text(&lax.stdout).contains("did you mean sidekey.dev/role?"), "{}", text(&lax.stdout));
    let line: Value = serde_json::from_slice(&strict.stdout).unwrap();
    assert_eq!((&line["outcome"], line["warnings"].as_array().map(Vec::len)), (&Value::from("injected"), Some(1)));
    assert!(line.get("patch").is_none());
}

#[test]
fn a_diff_shows_what_changes_and_no_more() {
    let output = sidekey(&["inject", "--diff", "-f", "tests/data/deployment.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let diff = text(&output.stdout);
    assert!(diff.starts_with("--- before\n+++ after\n@@"), "{diff}");
    assert!(diff.contains("\n+") && !diff.lines().skip(2).any(|line| line.starts_with('-')), "only additions: {diff}");
    let plain = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: b, image: c}]}\n";
    assert!(fed(&["inject", "--diff", "-f", "-"], plain).stdout.is_empty());
}

/// Each shell by the form in which its script offers a subcommand.
#[test]
fn completes_every_subcommand_in_the_known_shells() {
    let help = sidekey(&["--help"]);
    let list = text(&help.stdout).lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<_> =
        list.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 9 && names.contains(&"explain"), "{names:?}");
    let offers = [
        ("bash", "\n            sidekey,NAME)\n"),
        ("zsh", "\n'NAME:"),
        ("fish", "\"__fish_sidekey_needs_command\" -f -a \"NAME\""),
        ("powershell", "[CompletionResult]::new('NAME'"),
        ("elvish", "\n            cand NAME "),
    ];
    for (shell, offer) in offers {
        let output = sidekey(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let offered = |name: &str| text(&output.stdout).contains(&offer.replace("NAME", name));
        let missing: Vec<_> = names.iter().filter(|name| !offered(name)).collect();
        assert_eq!(missing, [&""; 0], "{shell}");
    }
}

/// As a pod does whose values were made for the Vault Secrets Operator.
#[test]
fn the_operator_names_the_flags_that_have_no_effect_and_goes_on() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    let args = ["operator", "--zap-log-level=debug", "--kube-client-qps=50"];
    let output = command.args(args).env_clear().env("KUBECONFIG", "/nowhere").output().unwrap();
    let said = text(&output.stderr);
    let lines: Vec<_> = said.lines().filter(|line| line.contains("no effect here")).collect();
    assert!(lines.len() == 1 && lines[0].contains("--kube-client-qps --zap-log-level"), "{said}");
    assert!(!said.contains("unexpected argument"), "{said}");
}
