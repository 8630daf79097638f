//! The chart upgraded to its next version and rolled back under a stream of pods. Needs `E2E_CHART=1 e2e/run`, which installs by
//! the chart and runs ignored tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::path::Path;

use serde_json::Value;
use sidekey_e2e::wait::seconds;
use sidekey_e2e::{Sandbox, api, command, setting, stream};

fn helm(args: &[&str]) -> String {
    let args = [args, &["--namespace", &setting().system]].concat();
    command::run("helm", &args, "").expect(&format!("helm {}", args.join(" ")))
}

/// Chart version and revision of the release.
fn released() -> (String, String) {
    let list: Value = serde_json::from_str(&helm(&["list", "--output", "json"])).unwrap();
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
    let (before, _) = released();
    let sandbox = Sandbox::new("upgrade");
    let authority = || {
        let path = format!("/api/v1/namespaces/{}/secrets/sidekey-webhook-ca", setting().system);
        api::get(&path).expect("CA Secret")["data"]["ca.crt"].clone()
    };
    let ca = authority();
    let tally = stream::during(&sandbox, 300, seconds(0), || {
        helm(&[
            "upgrade",
            "sidekey",
            &next,
            "--reuse-values",
            "--set",
            "log.level=debug",
            "--wait",
            "--timeout",
            "150s",
        ]);
        let (after, _) = released();
        assert_eq!(after, "sidekey-99.0.0", "upgraded from {before}");
        helm(&["rollback", "sidekey", "--wait", "--timeout", "150s"]);
        assert_eq!(released().0, before);
    });
    tally.print(&format!("{before} upgraded to sidekey-99.0.0 and rolled back"));
    assert!(tally.attempts >= 300, "fewer attempts than planned");
    assert!(tally.failed.is_empty() && tally.bare.is_empty(), "{:?} {:?}", tally.failed, tally.bare);
    assert_eq!(authority(), ca, "the CA is the one from before");
}
