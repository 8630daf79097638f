//! The page of what templates may call, written from the one table.

use std::fmt::Write;

use crate::functions::{AGENT, BUILTIN, Function, HANDLEBARS, SPRIG, Serve, Set};

const HEAD: &str = include_str!("reference.md");

/// `docs/reference/templates.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let sorted = |functions: Vec<&'static Function>| {
        let mut functions = functions;
        functions.sort_by_key(|function| function.name);
        functions
    };
    section(&mut page, "Go templates: functions", &sorted(AGENT.iter().chain(BUILTIN).collect()));
    sprig(&mut page);
    section(&mut page, "handlebars: helpers", &HANDLEBARS.iter().collect::<Vec<_>>());
    page
}

const fn refused(function: &Function) -> bool {
    matches!(function.serve, Serve::Refused)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn section(page: &mut String, title: &str, table: &[&Function]) {
    let _ = writeln!(page, "\n## {title}\n\n| written | answers |\n|---|---|");
    for function in table.iter().filter(|function| !refused(function)) {
        let _ = writeln!(page, "| `{}` | {} |", cell(function.usage), cell(function.about));
    }
    let _ = writeln!(page, "\nRefused when the template is read:\n\n| name | why |\n|---|---|");
    for function in table.iter().filter(|function| refused(function)) {
        let _ = writeln!(page, "| `{}` | {} |", function.name, function.about);
    }
}

fn sprig(page: &mut String) {
    page.push_str(
        "\n## Go templates: sprig's functions\n\nThe agent's templates write them with the prefix `sprig_`, ",
    );
    page.push_str(
        "the operator's without it. Those that answer something else each time are OpenBao's agent's alone: ",
    );
    page.push_str(
        "Vault's refuses a template that has one.\n\n| written | answers | agent | operator |\n|---|---|---|---|\n",
    );
    let mark = |has: bool| if has { "yes" } else { "" };
    for row in SPRIG.iter().filter(|row| !refused(&row.function)) {
        let agent = if row.is_openbaos() { "yes, OpenBao's" } else { mark(row.known_to(Set::Agent)) };
        let operator = mark(row.known_to(Set::Operator));
        let (usage, about) = (cell(row.function.usage), cell(row.function.about));
        let _ = writeln!(page, "| `{usage}` | {about} | {agent} | {operator} |");
    }
    page.push_str("\nRefused when the template is read:\n\n| name | why |\n|---|---|\n");
    for row in SPRIG.iter().filter(|row| refused(&row.function)) {
        let _ = writeln!(page, "| `{}` | {} |", row.function.name, row.function.about);
    }
}
