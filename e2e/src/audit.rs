//! What Vault itself recorded: requests are counted on the server, not believed of the client.

use std::fs;

use serde_json::Value;

use crate::setting;

/// One answered request.
pub struct Entry {
    /// RFC 3339 time of the answer.
    pub time: String,
    /// `read`, `update`, …
    pub operation: String,
    /// Without `/v1/`.
    pub path: String,
    /// Vault's error, if it refused.
    pub error: Option<String>,
    /// Accessor of the token that was used, or that the login made.
    pub accessor: Option<String>,
    /// Lease of the answer.
    pub lease: Option<String>,
}

/// All answered requests that came from a pod's address, or from a pod of the namespace by its token's metadata.
///
/// # Panics
/// Where Vault's audit log cannot be read: a count that was not made must not look like one.
pub fn of(namespace: &str, address: &str) -> Vec<Entry> {
    let file =
        setting().audit.as_ref().unwrap_or_else(|| panic!("not run: E2E_VAULT_AUDIT names no audit log to count in"));
    let log = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|it| it["type"] == "response")
        .filter(|it| {
            it["auth"]["metadata"]["service_account_namespace"] == namespace
                || (!address.is_empty() && it["request"]["remote_address"] == address)
        })
        .map(|it| entry(&it))
        .collect()
}

/// How many of the entries are at a path that begins with `prefix`.
pub fn count(entries: &[Entry], prefix: &str) -> usize {
    entries.iter().filter(|it| it.path.starts_with(prefix)).count()
}

fn entry(line: &Value) -> Entry {
    let text = |value: &Value| value.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    Entry {
        time: text(&line["time"]).unwrap_or_default(),
        operation: text(&line["request"]["operation"]).unwrap_or_default(),
        path: text(&line["request"]["path"]).unwrap_or_default(),
        error: text(&line["error"]),
        accessor: text(&line["response"]["auth"]["accessor"]).or_else(|| text(&line["auth"]["accessor"])),
        lease: text(&line["response"]["secret"]["lease_id"]),
    }
}
