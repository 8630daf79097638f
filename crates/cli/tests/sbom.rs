//! `.ci/sbom` names what a program is made of, and nothing that only tests, build scripts and macros need.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const TARGET: &str = "aarch64-unknown-linux-musl";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text for one program; nothing where jq is missing.
fn text(package: &str, binary: &str) -> Option<String> {
    if Command::new("jq").arg("--version").output().is_err() {
        println!("not run: .ci/sbom needs jq");
        return None;
    }
    let done = Command::new(root().join(".ci/sbom")).args([package, binary, TARGET]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().unwrap().iter().collect()
}

/// The names of what it is made of.
fn names(sbom: &Value) -> BTreeSet<&str> {
    list(&sbom["components"]).into_iter().map(|part| part["name"].as_str().unwrap()).collect()
}

/// What each part is directly made of, by `name@version`.
fn needs<'s>(sbom: &'s Value) -> BTreeMap<&'s str, Vec<&'s str>> {
    let row = |row: &'s Value| {
        (row["ref"].as_str().unwrap(), list(&row["dependsOn"]).into_iter().map(|on| on.as_str().unwrap()).collect())
    };
    list(&sbom["dependencies"]).into_iter().map(row).collect()
}

/// The names below `[heading]` of a manifest.
fn manifest(package: &str, heading: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("crates").join(package).join("Cargo.toml")).unwrap();
    let lines = text.lines().skip_while(|line| *line != format!("[{heading}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty());
    lines.map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned()).collect()
}

#[test]
fn the_agent_is_made_of_what_its_manifest_names_and_of_nothing_that_only_tests_need() {
    let Some(text) = text("sidekey-agent", "sidekey-agent") else { return };
    let sbom: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sbom["metadata"]["component"]["name"], "sidekey-agent");
    let needs = needs(&sbom);
    let own = needs[sbom["metadata"]["component"]["bom-ref"].as_str().unwrap()].iter();
    let own: BTreeSet<String> = own.map(|part| part.split('@').next().unwrap().to_owned()).collect();
    let mut named = manifest("agent", "dependencies");
    named.insert("rust-std".to_owned());
    assert_eq!(own, named);
    let names = names(&sbom);
    for part in ["rustls", "ring", "webpki-roots", "sidekey-core"] {
        assert!(names.contains(part), "{part} is missing");
    }
    let tests = manifest("agent", "dev-dependencies");
    assert!(tests.contains("sidekey-fakevault"), "{tests:?}");
    // Its tests look at the log by a crate that sidekey-runtime links.
    for other in tests.iter().map(String::as_str).filter(|name| *name != "tracing-subscriber") {
        assert!(!names.contains(other), "{other} is for tests");
    }
    for other in ["cc", "serde_derive", "tokio-macros", "syn", "kube", "clap", "proptest"] {
        assert!(!names.contains(other), "{other} is in no agent");
    }
}

#[test]
fn the_control_plane_is_made_of_its_own_crates_without_the_agent_and_the_look_alike() {
    let Some(text) = text("sidekey-cli", "sidekey") else { return };
    let sbom: Value = serde_json::from_str(&text).unwrap();
    let names = names(&sbom);
    let ours: Vec<&str> = names.iter().copied().filter(|name| name.starts_with("sidekey")).collect();
    let known = ["cluster", "core", "inject", "operator", "runtime", "template", "vault", "webhook"];
    assert_eq!(ours, known.map(|name| format!("sidekey-{name}")));
    assert!(names.contains("kube") && names.contains("clap"), "{names:?}");
    assert_eq!(sbom["metadata"]["component"]["name"], "sidekey");
}

#[test]
fn all_hangs_together_with_the_checksums_of_the_lock_and_comes_out_the_same_again() {
    let Some(first) = text("sidekey-agent", "sidekey-agent") else { return };
    assert_eq!(Some(&first), text("sidekey-agent", "sidekey-agent").as_ref());
    let here = root().canonicalize().unwrap();
    assert!(!first.contains(here.to_str().unwrap()), "it names a directory of the machine that made it");
    let sbom: Value = serde_json::from_str(&first).unwrap();
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let parts = list(&sbom["components"]);
    for part in parts.iter().filter(|part| !part["purl"].is_null()) {
        let (name, version) = (part["name"].as_str().unwrap(), part["version"].as_str().unwrap());
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let entry = lock.split("[[package]]\n").find(|text| text.starts_with(&entry)).unwrap();
        let sum = part["hashes"][0]["content"].as_str().unwrap();
        assert!(entry.contains(&format!("checksum = \"{sum}\"")), "{name} has another checksum");
        assert_eq!(part["purl"], format!("pkg:cargo/{name}@{version}"));
    }
    for part in &parts {
        let (name, licence) = (part["name"].as_str().unwrap(), part["licenses"][0]["expression"].as_str());
        assert!(licence.is_some_and(|text| !text.is_empty() && !text.contains(['/', '*'])), "{name}: {licence:?}");
        assert!(
            !part["purl"].is_null() || name.starts_with("sidekey-") || name == "rust-std",
            "{name} is from nowhere"
        );
    }
    let needs = needs(&sbom);
    let mut seen = BTreeSet::new();
    let mut open = vec![sbom["metadata"]["component"]["bom-ref"].as_str().unwrap()];
    while let Some(part) = open.pop() {
        if seen.insert(part) {
            open.extend(needs[part].iter().copied());
        }
    }
    assert_eq!(seen.len(), parts.len() + 1, "each part is reached from the program");
}
