//! What the agent says of itself: `status.json`, `ready`, `status`, the socket. Holds no secret.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sidekey_core::{Cause, Code};

use crate::private;

/// Name of the file in `state_dir`.
pub const FILE: &str = "status.json";

/// One moment of the agent. Dates are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The agent's release.
    pub version: String,
    /// How far it is.
    pub phase: Phase,
    /// When this was written.
    pub updated: i64,
    /// Where it logs in: `auth/kubernetes as web at https://…`.
    pub login: String,
    /// What stands in the way of everything: no login, no server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The own token, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenStatus>,
    /// The logins beside that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<LoginStatus>,
    /// In the configuration's order.
    pub files: Vec<FileStatus>,
    /// In the order of their paths.
    pub secrets: Vec<SecretStatus>,
    /// What is done after changes; in the configuration's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionStatus>,
    /// Since this process began.
    pub counters: Counters,
}

/// How far the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The first set is not written.
    Starting,
    /// It is.
    Ready,
    /// Asked to end.
    Ending,
}

/// The own token, without itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenStatus {
    /// Names the token in Vault's audit log; of no use without rights of its own.
    pub accessor: String,
    /// When it was issued.
    pub issued: i64,
}

/// A login beside the pod's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginStatus {
    /// Where, and as whom.
    pub login: String,
    /// Its token, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenStatus>,
    /// What stands in its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileStatus {
    /// The suffix of its annotations.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// What it changes with.
    pub group: String,
    /// Whether readiness waits for it.
    pub optional: bool,
    /// When it was last found right or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<i64>,
    /// Since when Vault has not vouched for what is in it: its secret cannot be read again, or has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_since: Option<i64>,
    /// Why it is not the newest, or not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// One lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Vault path.
    pub path: String,
    /// Whose token reads it, where it is not the first login's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// What the planner says: `fresh`, `waiting`, …
    pub state: String,
    /// When it is looked at next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// When the lease or certificate ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When Vault last answered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// One action after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionStatus {
    /// What it does, without its arguments.
    pub action: String,
    /// Whether it is still to be done.
    pub owed: bool,
    /// When it was last done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Numbers that only rise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Logins that gave a token.
    pub logins: u64,
    /// Renewals of the token and of leases that were granted.
    pub renewals: u64,
    /// Secrets fetched.
    pub fetches: u64,
    /// Files whose bytes changed.
    pub writes: u64,
    /// Actions done after changes.
    #[serde(default)]
    pub actions: u64,
    /// Failed attempts by their code.
    pub failures: BTreeMap<Code, u64>,
}

impl Status {
    /// The file in `state_dir`.
    pub fn path(state_dir: &str) -> PathBuf {
        Path::new(state_dir).join(FILE)
    }

    /// Reads what a running agent wrote.
    ///
    /// # Errors
    /// The system's; `InvalidData` for another release's file.
    pub fn load(state_dir: &str) -> io::Result<Self> {
        let bytes = std::fs::read(Self::path(state_dir))?;
        serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, state_dir: &str) -> io::Result<()> {
        private::replace(&Self::path(state_dir), &serde_json::to_vec(self)?, 0o600)
    }

    /// All that is wrong, what matters most first; each cause once.
    pub fn causes(&self) -> Vec<&Cause> {
        let secrets = self.secrets.iter().filter_map(|secret| secret.cause.as_ref());
        let files = self.files.iter().filter_map(|file| file.cause.as_ref());
        let mut causes: Vec<&Cause> = Vec::new();
        let actions = self.actions.iter().filter_map(|action| action.cause.as_ref());
        let others = self.others.iter().filter_map(|other| other.cause.as_ref());
        for cause in self.cause.iter().chain(others).chain(secrets).chain(files).chain(actions) {
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
        causes
    }

    /// One line for the startup probe: what is written, or the cause that stands in the way.
    pub fn line(&self) -> String {
        let causes = self.causes();
        let first = causes.first().map(ToString::to_string);
        if self.phase == Phase::Starting {
            return first.unwrap_or_else(|| self.awaited().to_string());
        }
        let written = self.files.iter().filter(|file| file.good.is_some()).count();
        let files = if written == 1 { "file" } else { "files" };
        if let Some(cause) = causes.iter().find(|cause| cause.code == Code::SecretTooOld) {
            return format!("ready: {written} {files} written, others removed: {cause}");
        }
        match first {
            None => format!("ready: {written} {files} written"),
            Some(cause) if causes[0].code == Code::ActionFailed => {
                format!("ready: {written} {files} written: {cause}")
            }
            Some(cause) => format!("ready: {written} {files} written, last good kept: {cause}"),
        }
    }

    /// What the start waits for when nothing has failed.
    fn awaited(&self) -> Cause {
        let open: Vec<&str> =
            self.files.iter().filter(|f| f.good.is_none() && !f.optional).map(|f| f.name.as_str()).collect();
        let late = self.others.iter().find(|other| other.token.is_none());
        let answer = match (&self.token, late) {
            (None, _) => "waiting for the login".to_owned(),
            (_, Some(other)) => format!("waiting for the login {}", other.login),
            _ if open.is_empty() => "waiting for the commands after the first files".to_owned(),
            _ => format!("waiting for {}", open.join(", ")),
        };
        Cause::new(Code::NotReady, "starting", answer)
    }

    /// The whole for a person.
    pub fn text(&self, now: i64) -> String {
        let mut text = String::new();
        let _ = self.write_text(now, &mut text);
        text
    }

    fn write_text(&self, now: i64, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{:?}, {} (sidekey-agent {})", self.phase, ago(now, self.updated), self.version)?;
        let others = self.others.iter().map(|other| (&other.login, &other.token));
        for (login, token) in [(&self.login, &self.token)].into_iter().chain(others) {
            let token = token.as_ref().map_or_else(
                || "no token".to_owned(),
                |token| format!("token {} issued {}", token.accessor, ago(now, token.issued)),
            );
            writeln!(out, "login    {login}: {token}")?;
        }
        for file in &self.files {
            let good = file.good.map_or_else(|| "not written".to_owned(), |at| format!("good {}", ago(now, at)));
            let stale = file.stale_since.map_or_else(String::new, |at| format!(", last vouched for {}", ago(now, at)));
            let optional = if file.optional { ", optional" } else { "" };
            writeln!(out, "file     {}: {good}{stale}{optional}", file.path)?;
        }
        for secret in &self.secrets {
            let by = secret.login.as_ref().map_or_else(String::new, |login| format!(", by {login}"));
            write!(out, "secret   {}: {}{by}", secret.path, secret.state)?;
            let dates = [("answered", secret.answered), ("next look", secret.next), ("ends", secret.expires)];
            for (what, at) in dates.iter().filter_map(|(what, at)| at.map(|at| (what, at))) {
                write!(out, ", {what} {}", ago(now, at))?;
            }
            match secret.failures {
                0 => writeln!(out)?,
                failures => writeln!(out, ", {failures} failures in a row")?,
            }
        }
        for action in &self.actions {
            let done = action.done.map_or_else(|| "not done yet".to_owned(), |at| format!("done {}", ago(now, at)));
            writeln!(out, "action   {}: {done}{}", action.action, if action.owed { ", owed" } else { "" })?;
        }
        self.causes().iter().try_for_each(|cause| writeln!(out, "problem  {cause}"))
    }
}

/// `12s ago`, `in 3m`, with one unit: a person wants the size.
fn ago(now: i64, then: i64) -> String {
    let seconds = (now - then).unsigned_abs();
    let size = match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    };
    if then > now { format!("in {size}") } else { format!("{size} ago") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Started, nothing done, one file wanted.
    pub(crate) fn starting() -> Status {
        let file = FileStatus {
            name: "db".to_owned(),
            path: "/secrets/db.env".to_owned(),
            group: "db".to_owned(),
            optional: false,
            good: None,
            stale_since: None,
            cause: None,
        };
        Status {
            version: "0.0.0".to_owned(),
            phase: Phase::Starting,
            updated: 1_000,
            login: "auth/kubernetes as web at https://vault:8200".to_owned(),
            cause: None,
            token: None,
            others: Vec::new(),
            files: vec![file],
            secrets: Vec::new(),
            actions: Vec::new(),
            counters: Counters::default(),
        }
    }

    fn ready() -> Status {
        let mut status = Status { phase: Phase::Ready, ..starting() };
        status.files[0].good = Some(940);
        status
    }

    #[test]
    fn says_in_one_line_what_it_waits_for() {
        let mut status = starting();
        assert!(status.line().starts_with("SK5006 starting: waiting for the login."), "{}", status.line());
        status.token = Some(TokenStatus { accessor: "a".to_owned(), issued: 990 });
        assert!(status.line().starts_with("SK5006 starting: waiting for db."), "{}", status.line());
        status.cause = Some(Cause::new(Code::AuthRoleMissing, "logging in", "400 invalid role"));
        assert!(status.line().starts_with("SK3104 logging in: 400 invalid role."), "{}", status.line());
    }

    #[test]
    fn stays_ready_when_vault_fails_and_says_why_it_is_old() {
        let mut status = ready();
        assert_eq!(status.line(), "ready: 1 file written");
        status.files[0].cause = Some(Cause::new(Code::VaultSealed, "fetching db", "503"));
        assert!(status.line().starts_with("ready: 1 file written, last good kept: SK3006 "), "{}", status.line());
    }

    #[test]
    fn names_each_cause_once_and_the_widest_first() {
        let mut status = ready();
        let (sealed, denied) = (Cause::new(Code::VaultSealed, "a", "503"), Cause::new(Code::PolicyDenied, "b", "403"));
        status.cause = Some(sealed.clone());
        status.files[0].cause = Some(sealed.clone());
        status.files.push(FileStatus { cause: Some(denied.clone()), ..status.files[0].clone() });
        assert_eq!(status.causes(), [&sealed, &denied]);
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        let mut status = ready();
        status.counters.failures.insert(Code::VaultDns, 2);
        status.save(dir).unwrap();
        assert_eq!(Status::load(dir).unwrap(), status);
    }

    #[test]
    fn shows_a_person_sizes_not_timestamps() {
        let mut status = ready();
        status.secrets.push(SecretStatus {
            path: "database/creds/app".to_owned(),
            login: None,
            state: "fresh".to_owned(),
            next: Some(1_040),
            expires: Some(1_000 + 3 * 3_600),
            answered: Some(400),
            failures: 0,
            cause: None,
        });
        let text = status.text(1_000);
        for line in [
            "Ready, 0s ago",
            "file     /secrets/db.env: good 60s ago",
            "secret   database/creds/app: fresh, answered 10m ago, next look in 40s, ends in 3h",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
    }
}
