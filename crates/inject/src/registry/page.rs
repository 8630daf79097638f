//! docs/reference/annotations.md, from the table.

use super::{Annotation, Effect, Fallback, Key, Kind, NATIVE, TABLE, VAULT};
use sidekey_core::contract::Dialect;

const HEAD: &str = "# Annotations

This page is generated from the registry of `crates/inject`; `UPDATE_GOLDEN=1 cargo test -p sidekey-inject` writes it anew.

A pod is injected when the switch of one dialect says so: `sidekey.dev/inject: \"true\"` or
`vault.hashicorp.com/agent-inject: \"true\"`. `openbao.org/<key>` is read as `vault.hashicorp.com/<key>`, and wins where both
are given. A native key wins over a Vault key of the same meaning, with a warning.

- `<NAME>` ties the annotations of one file together; it is the file's name unless a file annotation gives another. Kubernetes
  allows 63 characters after the slash. `[-<NAME>]` may be left out: then the value is for all files.
- Booleans are Go's: `1 t T TRUE true True` and `0 f F FALSE false False`; empty is false. Durations are Go's: `90s`, `1h30m`.
- Absent is not empty: an empty value replaces the default where empty means something, and is refused where it does not.
- A value that cannot be read refuses the pod. A key that is not in these tables, and a key without an effect, gives an
  admission warning.
";

/// The page, as Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&format!("\n## `{NATIVE}`\n\n"));
    rows(&mut page, Dialect::Native);
    page.push_str(&format!("\n## `{VAULT}`\n\n"));
    rows(&mut page, Dialect::Vault);
    page
}

fn rows(page: &mut String, dialect: Dialect) {
    page.push_str("| key | value | default | in effect | what it does |\n|---|---|---|---|---|\n");
    for (row, key) in TABLE.iter().filter_map(|row| Some((row, row.key(dialect)?))) {
        page.push_str(&line(row, key));
    }
}

fn line(row: &Annotation, key: Key) -> String {
    let default = match key.default {
        Fallback::None => String::new(),
        Fallback::Is(value) => format!("`{value}`"),
        Fallback::Settings(field) => format!("settings `{field}`"),
        Fallback::Derived(words) => words.to_owned(),
    };
    let effect = match row.effect {
        Effect::Now => "yes".to_owned(),
        Effect::Never(reason) => format!("no: {reason}"),
    };
    let kind = match row.kind {
        Kind::Bool => "boolean".to_owned(),
        kind => kind.shape(),
    };
    format!("| `{}` | {kind} | {default} | {effect} | {} |\n", key.pattern, row.doc)
}
