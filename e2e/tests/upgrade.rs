//! The chart upgraded to its next version and rolled back, under a stream of pods and while secrets change. Needs `E2E_CHART=1 e2e/run`, which installs by
//! the chart and runs ignored tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_e2e::kept::{OPERATOR, restarted};
use sidekey_e2e::manuals::transit;
use sidekey_e2e::wait::seconds;
use sidekey_e2e::{Kept, Sandbox, api, audit, command, setting, stream};

fn helm(namespace: &str, args: &[&str]) -> String {
    let args = [args, &["--namespace", namespace]].concat();
    command::run("helm", &args, "").expect(&format!("helm {}", args.join(" ")))
}

/// Chart version and revision of the release `sidekey` of a namespace.
fn released(namespace: &str) -> (String, String) {
    let list: Value = serde_json::from_str(&helm(namespace, &["list", "--output", "json"])).unwrap();
    let release = list.as_array().unwrap().iter().find(|it| it["name"] == "sidekey").expect("the release").clone();
    let text = |field: &str| release[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("status"), "deployed");
    (text("chart"), text("revision"))
}

/// The chart with another version, and a change that replaces the pods.
fn next(directory: &Path) -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart/sidekey");
    let copy = directory.join("sidekey");
    command::run("cp", &["-r", &chart.to_string_lossy(), &copy.to_string_lossy()], "").expect("copying the chart");
    let file = copy.join("Chart.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let bumped: Vec<String> = text
        .lines()
        .map(|line| if line.starts_with("version: ") { "version: 99.0.0".to_owned() } else { line.to_owned() })
        .collect();
    std::fs::write(&file, bumped.join("\n") + "\n").unwrap();
    copy.to_string_lossy().into_owned()
}

#[test]
#[ignore = "needs an installation by the chart: E2E_CHART=1 e2e/run"]
fn an_upgrade_of_the_chart_and_its_rollback_lose_no_pod() {
    let directory = tempfile::tempdir().unwrap();
    let next = next(directory.path());
    let system = setting().system.as_str();
    let (before, _) = released(system);
    let sandbox = Sandbox::new("upgrade");
    let authority = || {
        let path = format!("/api/v1/namespaces/{}/secrets/sidekey-webhook-ca", setting().system);
        api::get(&path).expect("CA Secret")["data"]["ca.crt"].clone()
    };
    let ca = authority();
    let tally = stream::during(&sandbox, 300, seconds(0), || {
        there_and_back(system, &next, &before, "log.level=debug");
    });
    tally.print(&format!("{before} upgraded to sidekey-99.0.0 and rolled back"));
    assert!(tally.attempts >= 300, "fewer attempts than planned");
    assert!(tally.failed.is_empty() && tally.bare.is_empty(), "{:?} {:?}", tally.failed, tally.bare);
    assert_eq!(authority(), ca, "the CA is the one from before");
}

/// Upgraded with a change that replaces the pods, and rolled back.
fn there_and_back(namespace: &str, next: &str, before: &str, change: &str) {
    let set = ["--reuse-values", "--set", change, "--wait", "--timeout", "150s"];
    helm(namespace, &[&["upgrade", "sidekey", next][..], &set].concat());
    let (after, _) = released(namespace);
    assert_eq!(after, "sidekey-99.0.0", "upgraded from {before}");
    helm(namespace, &["rollback", "sidekey", "--wait", "--timeout", "150s"]);
    assert_eq!(released(namespace).0, before);
}

#[test]
#[ignore = "needs an installation by the chart: E2E_CHART=1 e2e/run"]
fn an_upgrade_of_the_operator_and_its_rollback_cost_no_login_no_lease_and_no_restart() {
    transit();
    let kept = Kept::with_database("op-upgrade");
    let namespace = kept.sandbox.namespace.clone();
    let workload = kept.workload("deployments", "app");
    kept.sandbox.put("web", &json!({"n": "0"}));
    kept.static_secret("web", &json!({}));
    kept.dynamic_secret("db", &json!({"rolloutRestartTargets": [{"kind": "Deployment", "name": "app"}]}));
    kept.holds("web", "n", "0");
    kept.ready("vaultdynamicsecrets", "db", "True");
    let credentials = || api::get(&kept.secret_path("db")).json()["metadata"]["resourceVersion"].clone();
    let first = credentials();
    let directory = tempfile::tempdir().unwrap();
    let next = next(directory.path());
    let (before, _) = released(OPERATOR);
    let stop = AtomicBool::new(false);
    let (changes, worst) = thread::scope(|scope| {
        let changes = scope.spawn(|| follow(&kept, &stop));
        let done = catch_unwind(AssertUnwindSafe(|| {
            there_and_back(OPERATOR, &next, &before, "controller.manager.logging.level=debug");
        }));
        stop.store(true, Ordering::Relaxed);
        let changes = changes.join().unwrap_or_else(|panic| resume_unwind(panic));
        done.unwrap_or_else(|panic| resume_unwind(panic));
        changes
    });
    println!(
        "{before} upgraded to sidekey-99.0.0 and rolled back: {changes} changes, the slowest reached its Secret after {worst:?}"
    );
    assert!(changes >= 4, "fewer changes than planned: {changes}");
    assert_eq!((credentials(), restarted(&workload)), (first, None));
    let seen = audit::of(&namespace, "");
    let counts = (audit::count(&seen, "auth/kubernetes/login"), audit::count(&seen, "database/creds/"));
    assert_eq!(counts, (1, 1), "logins and leases");
}

/// Changes a secret and waits until it has arrived, again and again; how often, and the longest wait.
fn follow(kept: &Kept, stop: &AtomicBool) -> (u32, Duration) {
    let (mut changes, mut worst) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        changes += 1;
        kept.sandbox.put("web", &json!({"n": changes.to_string()}));
        let begun = Instant::now();
        kept.holds("web", "n", &changes.to_string());
        worst = worst.max(begun.elapsed());
    }
    (changes, worst)
}
