//! The page of what templates may call, written from the one table.

use std::fmt::Write;

use crate::functions::{Function, GO, HANDLEBARS, Serve};

const HEAD: &str = include_str!("reference.md");

/// `docs/reference/templates.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Go templates: functions", GO);
    section(&mut page, "handlebars: helpers", HANDLEBARS);
    page
}

fn section(page: &mut String, title: &str, table: &[Function]) {
    let refused = |function: &&Function| matches!(function.serve, Serve::Refused);
    let _ = writeln!(page, "\n## {title}\n\n| written | answers |\n|---|---|");
    for function in table.iter().filter(|function| !refused(function)) {
        let _ = writeln!(page, "| `{}` | {} |", function.usage.replace('|', "\\|"), function.about.replace('|', "\\|"));
    }
    let _ = writeln!(page, "\nRefused when the template is read:\n\n| name | why |\n|---|---|");
    for function in table.iter().filter(refused) {
        let _ = writeln!(page, "| `{}` | {} |", function.name, function.about);
    }
}
