//! The demo itself holds, as a machine reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// `cargo test` of the workspace has built the agent already; of this package alone, it may be missing.
fn build_agent(demo: &Path) {
    if !demo.with_file_name("sidekey-agent").is_file() {
        let status = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "sidekey-agent"]).status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn every_step_holds() {
    let demo = Path::new(env!("CARGO_BIN_EXE_sidekey-demo"));
    build_agent(demo);
    let output = Command::new(demo).arg("--json").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<_> = steps.iter().filter(|step| step["held"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    let pods = ["admission", "files", "admission", "files", "change", "change", "rotation", "rotation", "end", "end"];
    assert_eq!(names, [&["surroundings"][..], &pods, &["explanation", "nothing left", "end"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_missing_agent_is_named_and_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_sidekey-demo")).args(["--agent", "/nowhere/agent"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("/nowhere/agent"), "{text}");
}
