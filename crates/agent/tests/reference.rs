//! `docs/reference/agent.md` is what the program says of its own commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::process::Command;

fn help(command: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_sidekey-agent")).args(command).arg("--help").output().unwrap();
    assert!(done.status.success(), "sidekey-agent {command:?} --help: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn the_page_of_the_agent_is_its_help() {
    let top = help(&[]);
    let listed = top.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"run") && names.contains(&"ready"), "{names:?}");
    let mut page = format!(
        "# sidekey-agent\n\nWhat `sidekey-agent --help` says of each command; `crates/agent/tests/reference.rs` writes this page.\n\n\
         ```\n{top}\n```\n"
    );
    for name in names.into_iter().filter(|name| *name != "version") {
        page.push_str(&format!("\n## sidekey-agent {name}\n\n```\n{}\n```\n", help(&[name])));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/agent.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == page,
        "agent.md differs; run this with UPDATE_GOLDEN=1"
    );
}
