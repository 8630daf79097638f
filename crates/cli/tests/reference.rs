//! `docs/reference/flags.md` is what the program says of its own commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::process::Command;

/// The help of a command, without what this machine's environment would add to it.
fn help(command: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_sidekey")).args(command).arg("--help").env_clear().output().unwrap();
    assert!(done.status.success(), "sidekey {command:?} --help: {done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The commands that the help lists, but for `help`.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn the_page_of_flags_is_the_help() {
    let top = help(&[]);
    let names = commands(&top);
    assert!(names.len() > 5, "{names:?}");
    let mut page = format!(
        "# Flags\n\nWhat `sidekey --help` says of each command; `crates/cli/tests/reference.rs` writes this page. A flag with `[env: …]` \
         may be given\nby that variable, too; the flag wins. The agent's own are in [agent.md](agent.md).\n\n```\n{top}\n```\n"
    );
    for name in names {
        page.push_str(&format!("\n## sidekey {name}\n\n```\n{}\n```\n", help(&[&name])));
    }
    sidekey_testkit::golden::check("../../docs/reference/flags.md", &page);
}
