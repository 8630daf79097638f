//! The status as numbers for Prometheus, in its text form
//! (prometheus.io/docs/instrumenting/exposition_formats): a snapshot needs no registry.

use std::fmt::{self, Write};

use crate::status::{Phase, SecretStatus, Status};

/// The form's `Content-Type`.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics; labels are codes, logins, file paths and Vault paths of the configuration. `now` is seconds since 1970.
pub fn text(status: &Status, now: i64) -> String {
    let mut text = String::new();
    let _ = write(status, now, &mut text);
    text
}

fn write(status: &Status, now: i64, out: &mut String) -> fmt::Result {
    let counters = &status.counters;
    metric(out, "build_info", "gauge", "What is running", [(label("version", &status.version), 1)])?;
    metric(
        out,
        "ready",
        "gauge",
        "Whether the first set is written",
        [one(i64::from(status.phase != Phase::Starting))],
    )?;
    for (name, help, count) in [
        ("logins_total", "Logins that gave a token", counters.logins),
        ("renewals_total", "Renewals of token and leases that were granted", counters.renewals),
        ("fetches_total", "Secrets fetched", counters.fetches),
        ("writes_total", "Files whose bytes changed", counters.writes),
        ("actions_total", "Actions done after changes", counters.actions),
    ] {
        metric(out, name, "counter", help, [one(i64::try_from(count).unwrap_or(i64::MAX))])?;
    }
    let failures = counters.failures.iter();
    let failures =
        failures.map(|(code, count)| (label("code", &code.to_string()), i64::try_from(*count).unwrap_or(i64::MAX)));
    metric(out, "failures_total", "counter", "Failed attempts by code", failures)?;
    let others = status.others.iter().map(|other| (&other.login, &other.token));
    let logins = [(&status.login, &status.token)].into_iter().chain(others);
    let held = logins.map(|(login, token)| (label("login", login), i64::from(token.is_some())));
    metric(out, "logged_in", "gauge", "Whether there is a token, by login", held)?;
    let files = status.files.iter();
    let ages = files.clone().filter_map(|file| Some((label("path", &file.path), now - file.good?)));
    metric(out, "file_written_age_seconds", "gauge", "Since the file was last found right or written", ages)?;
    let ages = files.clone().map(|file| (label("path", &file.path), file.stale_since.map_or(0, |since| now - since)));
    metric(out, "file_stale_seconds", "gauge", "Since Vault last vouched for the file; 0 while it does", ages)?;
    let stale = files.map(|file| (label("path", &file.path), i64::from(file.cause.is_some())));
    metric(out, "file_stale", "gauge", "Whether the file is not the newest, or not there", stale)?;
    let secrets = status.secrets.iter();
    let ages = secrets.clone().filter_map(|secret| Some((labels(secret), now - secret.answered?)));
    metric(out, "secret_answered_age_seconds", "gauge", "Since Vault last answered", ages)?;
    let failures = secrets.map(|secret| (labels(secret), i64::from(secret.failures)));
    metric(out, "secret_failures", "gauge", "Failures in a row", failures)
}

fn metric(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, i64)>,
) -> fmt::Result {
    writeln!(out, "# HELP sidekey_agent_{name} {help}.\n# TYPE sidekey_agent_{name} {kind}")?;
    samples.into_iter().try_for_each(|(labels, value)| writeln!(out, "sidekey_agent_{name}{labels} {value}"))
}

const fn one(value: i64) -> (String, i64) {
    (String::new(), value)
}

fn label(name: &str, value: &str) -> String {
    format!("{{{}}}", pair(name, value))
}

/// With the login where it is not the pod's own: two may read one path.
fn labels(secret: &SecretStatus) -> String {
    let path = pair("path", &secret.path);
    match &secret.login {
        Some(login) => format!("{{{path},{}}}", pair("login", login)),
        None => format!("{{{path}}}"),
    }
}

fn pair(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::starting;

    #[test]
    fn tells_numbers_by_code_and_path() {
        let mut status = starting();
        status.files[0].good = Some(940);
        status.files[0].path = "/secrets/a\"b".to_owned();
        status.files[0].stale_since = Some(700);
        status.counters.logins = 3;
        status.counters.failures.insert(sidekey_core::Code::VaultDns, 2);
        let text = text(&status, 1_000);
        for line in [
            "sidekey_agent_ready 0",
            "sidekey_agent_logins_total 3",
            "sidekey_agent_failures_total{code=\"SK3001\"} 2",
            "sidekey_agent_file_written_age_seconds{path=\"/secrets/a\\\"b\"} 60",
            "sidekey_agent_file_stale_seconds{path=\"/secrets/a\\\"b\"} 300",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
