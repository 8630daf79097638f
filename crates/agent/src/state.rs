//! The resume state: what a killed agent needs to go on with no login and no new lease.
//!
//! One file of the private tmpfs, replaced by one rename before anything is done with an answer. Its first line is JSON
//! without secrets; then one line for each token and each answer it names, and one for each group's seed, so that no secret passes through a type that
//! can be printed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sidekey_core::contract::Action;
use sidekey_core::planner::{Planner, TokenId};
use sidekey_core::{Cause, Code, Lookup, Response, Sensitive, Value};
use sidekey_template::Frozen;
use sidekey_vault::Mounts;

use crate::session::{Answers, Held, Session};
use crate::superseded::Old;
use crate::{credential, private};

/// Raised when the form changes; another release's file is a fresh start.
const VERSION: u32 = 3;

/// Name of the file in `state_dir`.
const FILE: &str = "state";

/// Name of the mark that the work has ended.
const DONE: &str = "done";

/// The whole of it.
pub(crate) struct State {
    /// One for each login, in the configuration's order.
    pub(crate) sessions: Vec<Session>,
    /// By group: the time and seed its bytes were rendered with.
    pub(crate) frozen: BTreeMap<String, Frozen>,
    /// What the app has not been told of yet.
    pub(crate) owed: Vec<Action>,
    /// Groups that are being written; not kept by themselves, but as what they would make owed.
    pub(crate) announced: Vec<String>,
    /// Leases with a successor that are to be revoked.
    pub(crate) superseded: Vec<Old>,
    /// The first set has been written.
    pub(crate) published: bool,
    /// The tokens are being revoked: they must not be used again.
    pub(crate) revoking: bool,
}

/// Why there is nothing to resume.
pub(crate) enum Absent {
    /// There is no file: the first start.
    Nothing,
    /// There is one that is of no use.
    Unusable(Cause),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    version: u32,
    boot: String,
    sessions: Vec<SessionHead>,
    /// The moments; a line with the seed for each follows the sessions'.
    frozen: BTreeMap<String, i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owed: Vec<Action>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    superseded: Vec<Old>,
    published: bool,
    revoking: bool,
}

#[derive(Serialize, Deserialize)]
struct SessionHead {
    planner: Planner,
    mounts: Mounts,
    tokens: Vec<TokenHead>,
    answers: Vec<AnswerHead>,
}

#[derive(Serialize, Deserialize)]
struct TokenHead {
    id: TokenId,
    accessor: String,
    issued: i64,
    #[serde(default)]
    has_default: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerHead {
    lookup: Lookup,
    request_id: String,
    lease_id: String,
    lease_duration: u64,
    renewable: bool,
    warnings: Vec<String>,
    /// A line of its own follows the data's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    auth: bool,
}

impl State {
    /// Where it is kept.
    pub(crate) fn path(state_dir: &str) -> PathBuf {
        Path::new(state_dir).join(FILE)
    }

    /// Replaces the file; `boot` names the boot its times belong to.
    ///
    /// # Errors
    /// `FileWrite`.
    pub(crate) fn save(&self, state_dir: &str, boot: &str) -> Result<(), Cause> {
        let written = self
            .encode(boot)
            .map_err(io::Error::other)
            .and_then(|text| private::replace(&Self::path(state_dir), text.expose().as_bytes(), 0o600));
        written.map_err(|error| Cause::new(Code::FileWrite, "keeping the state for a restart", error.to_string()))
    }

    /// Answers and tokens at hand.
    pub(crate) fn size(&self) -> (usize, usize) {
        let sizes = self.sessions.iter().map(|session| (session.answers.len(), session.tokens.len()));
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// Reads what [`Self::save`] wrote during this boot, with so many logins.
    ///
    /// # Errors
    /// [`Absent`]; the text never quotes the file.
    pub(crate) fn load(state_dir: &str, boot: &str, logins: usize) -> Result<Self, Absent> {
        let unusable = |answer: String| {
            Absent::Unusable(Cause::new(Code::StateUnreadable, "resuming from the kept state", answer))
        };
        let text = match std::fs::read_to_string(Self::path(state_dir)) {
            Ok(text) => Sensitive::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Absent::Nothing),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let state = decode(text.expose(), boot).map_err(&unusable)?;
        if state.sessions.len() != logins {
            return Err(unusable(format!("it is of {} logins, the configuration of {logins}", state.sessions.len())));
        }
        Ok(state)
    }

    /// Forgets all of it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn wipe(state_dir: &str) -> io::Result<()> {
        private::remove(&Self::path(state_dir)).and(credential::wipe(state_dir))
    }

    /// Marks that the agent's work has ended for good.
    ///
    /// # Errors
    /// `FileWrite`.
    pub(crate) fn mark_done(state_dir: &str) -> Result<(), Cause> {
        private::replace(&Path::new(state_dir).join(DONE), b"", 0o600)
            .map_err(|error| Cause::new(Code::FileWrite, "marking the end of the work", error.to_string()))
    }

    /// Whether it has.
    pub(crate) fn is_done(state_dir: &str) -> bool {
        Path::new(state_dir).join(DONE).exists()
    }

    fn encode(&self, boot: &str) -> Result<Sensitive<String>, serde_json::Error> {
        let mut text = Sensitive::new(serde_json::to_string(&self.head(boot))?);
        for line in self.sessions.iter().flat_map(secrets).chain(self.frozen.values().map(seed)) {
            text.expose_mut().push('\n');
            text.expose_mut().push_str(line.expose());
        }
        Ok(text)
    }

    fn head(&self, boot: &str) -> Head {
        Head {
            version: VERSION,
            boot: boot.to_owned(),
            sessions: self.sessions.iter().map(SessionHead::of).collect(),
            frozen: self.frozen.iter().map(|(group, f)| (group.clone(), f.unix_seconds)).collect(),
            owed: self.owed.clone(),
            superseded: self.superseded.clone(),
            published: self.published,
            revoking: self.revoking,
        }
    }
}

/// The line of a group's seed.
fn seed(frozen: &Frozen) -> Sensitive<String> {
    let digits = Sensitive::new(STANDARD.encode(frozen.seed.expose()));
    Value::text(digits.expose().as_str()).to_json()
}

/// The lines of one login: its tokens, then its answers.
fn secrets(session: &Session) -> impl Iterator<Item = Sensitive<String>> {
    let tokens = session.tokens.values().map(|held| Value::text(held.token.expose().as_str()).to_json());
    tokens.chain(session.answers.values().flat_map(|answer| parts(answer)))
}

/// The lines of one answer: its data, then what it says of a token, if it does.
fn parts(answer: &Response) -> impl Iterator<Item = Sensitive<String>> {
    let auth = (answer.auth != Value::Null).then(|| answer.auth.to_json());
    [Some(answer.data.to_json()), auth].into_iter().flatten()
}

impl SessionHead {
    fn of(session: &Session) -> Self {
        let token = |(id, held): (&TokenId, &Held)| {
            let Held { accessor, issued, has_default, .. } = held.clone();
            TokenHead { id: *id, accessor, issued, has_default }
        };
        Self {
            planner: session.planner.clone(),
            mounts: Mounts::clone(&session.mounts),
            tokens: session.tokens.iter().map(token).collect(),
            answers: session.answers.iter().map(|(lookup, response)| AnswerHead::of(lookup, response)).collect(),
        }
    }

    /// `next` gives the secrets' lines.
    fn with(self, mut next: impl FnMut() -> Result<Value, String>) -> Result<Session, String> {
        let mut tokens = BTreeMap::new();
        for TokenHead { id, accessor, issued, has_default } in self.tokens {
            let token = next()?.as_text().map(Sensitive::from).ok_or("a token is not text")?;
            tokens.insert(id, Held { token, accessor, issued, has_default });
        }
        let mut answers = Answers::new();
        for answer in self.answers {
            let data = next()?;
            let auth = if answer.auth { next()? } else { Value::Null };
            let (lookup, response) = answer.with(data, auth);
            answers.insert(lookup, response);
        }
        Ok(Session::of(self.planner, tokens, answers, self.mounts))
    }
}

impl AnswerHead {
    fn of(lookup: &Lookup, response: &Response) -> Self {
        Self {
            lookup: lookup.clone(),
            request_id: response.request_id.clone(),
            lease_id: response.lease_id.clone(),
            lease_duration: response.lease_duration,
            renewable: response.renewable,
            warnings: response.warnings.clone(),
            auth: response.auth != Value::Null,
        }
    }

    fn with(self, data: Value, auth: Value) -> (Lookup, Arc<Response>) {
        let Self { lookup, request_id, lease_id, lease_duration, renewable, warnings, auth: _ } = self;
        (lookup, Arc::new(Response { request_id, lease_id, lease_duration, renewable, data, auth, warnings }))
    }
}

fn decode(text: &str, boot: &str) -> Result<State, String> {
    #[derive(Deserialize)]
    struct Form {
        version: u32,
        boot: String,
    }
    // serde_json's own texts may quote what they do not like.
    let malformed = |error: serde_json::Error| format!("not its form at line 1, column {}", error.column());
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let form: Form = serde_json::from_str(first).map_err(malformed)?;
    if form.version != VERSION {
        return Err(format!("it has version {}, this agent keeps version {VERSION}", form.version));
    }
    if form.boot != boot {
        return Err("it is from before the node's last boot".to_owned());
    }
    let head: Head = serde_json::from_str(first).map_err(malformed)?;
    let mut value =
        || lines.next().and_then(|line| Value::parse(line).ok()).ok_or_else(|| "it ends too early".to_owned());
    let sessions = head.sessions.into_iter().map(|session| session.with(&mut value)).collect::<Result<_, _>>()?;
    let frozen = head.frozen.into_iter().map(|(group, unix_seconds)| {
        let (line, mut seed) = (value()?, Sensitive::new([0; 32]));
        let decoded = line.as_text().and_then(|text| STANDARD.decode_slice(text, seed.expose_mut()).ok());
        decoded.filter(|length| *length == 32).ok_or("a seed is not its form")?;
        Ok::<_, String>((group, Frozen { unix_seconds, seed }))
    });
    let frozen = frozen.collect::<Result<_, _>>()?;
    Ok(State {
        sessions,
        frozen,
        owed: head.owed,
        announced: Vec::new(),
        superseded: head.superseded,
        published: head.published,
        revoking: head.revoking,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use sidekey_core::planner::{LeaseTerms, Policy, Step, Time, TokenTerms};
    use sidekey_vault::MountKind;

    use super::*;

    fn state() -> State {
        let now = Time::from_millis(5_000);
        let lookup = Lookup::read("database/creds/app");
        let data = Value::parse(r#"{"username": "u", "password": "line\nbreak", "n": 1.50}"#).unwrap();
        let response =
            Response { lease_id: "database/creds/app/1".to_owned(), lease_duration: 60, data, ..Response::default() };
        let mut planner = Planner::new(Policy::default(), 7);
        planner.want(&[lookup.clone()].into());
        planner.started(&Step::LogIn, now);
        let id =
            planner.logged_in(&TokenTerms { ttl: std::time::Duration::from_secs(60), ..TokenTerms::default() }, now);
        planner.started(&Step::Fetch(lookup.clone()), now);
        planner.fetched(&lookup, &LeaseTerms::of(&response, 0), now);
        let mounts = Mounts::default();
        mounts.remember("secret", MountKind::Kv2);
        let held = Held { token: "hvs.\"quoted\"\n".into(), accessor: "acc".to_owned(), issued: 9, has_default: true };
        let answers: Answers = [(lookup, Arc::new(response))].into();
        let other = Held { token: "hvs.other".into(), ..held.clone() };
        let first = Session::of(planner.clone(), [(id, held)].into(), answers.clone(), mounts.clone());
        let second = Session::of(planner, [(id, other)].into(), answers, mounts);
        State {
            sessions: vec![first, second],
            frozen: [("g".to_owned(), Frozen { unix_seconds: 3, seed: Sensitive::new([4; 32]) })].into(),
            owed: vec![Action::Command { argv: vec!["/reload".to_owned()] }],
            announced: Vec::new(),
            superseded: Vec::new(),
            published: true,
            revoking: false,
        }
    }

    fn refused(dir: &str, boot: &str) -> String {
        match State::load(dir, boot, 2) {
            Err(Absent::Unusable(cause)) => {
                assert_eq!(cause.code, Code::StateUnreadable);
                cause.answer
            }
            Err(Absent::Nothing) => "nothing".to_owned(),
            Ok(_) => "loaded".to_owned(),
        }
    }

    #[test]
    fn reads_back_all_it_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, kept) = (dir.path().to_str().unwrap(), state());
        kept.save(dir, "boot").unwrap();
        let mode = fs::metadata(State::path(dir)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let Ok(back) = State::load(dir, "boot", 2) else { panic!("unreadable") };
        for (session, token) in back.sessions.iter().zip(["hvs.\"quoted\"\n", "hvs.other"]) {
            let held = session.held().unwrap();
            assert_eq!((held.token.expose().as_str(), held.issued, held.has_default), (token, 9, true));
            assert_eq!(session.planner.lease_id(&Lookup::read("database/creds/app")), Some("database/creds/app/1"));
            assert!(session.answers == kept.sessions[0].answers, "answers differ");
            assert_eq!(session.mounts.find("secret/x"), kept.sessions[0].mounts.find("secret/x"));
        }
        assert_eq!(back.sessions.len(), 2);
        assert!(back.frozen == kept.frozen);
        assert_eq!(back.owed, kept.owed);
        assert!(back.published && !back.revoking);
    }

    #[test]
    fn starts_afresh_when_the_state_is_of_no_use_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        assert_eq!(refused(dir, "boot"), "nothing");
        state().save(dir, "boot").unwrap();
        assert!(matches!(State::load(dir, "boot", 1), Err(Absent::Unusable(_))), "of another number of logins");
        assert_eq!(refused(dir, "another"), "it is from before the node's last boot");
        let text = fs::read_to_string(State::path(dir)).unwrap();
        let cases = [
            (text.replacen("\"version\":3", "\"version\":9", 1), "it has version 9, this agent keeps version 3"),
            (text[..text.rfind('\n').unwrap()].to_owned(), "it ends too early"),
            ("hvs.secret".to_owned(), "not its form at line 1, column 1"),
        ];
        for (text, want) in cases {
            fs::write(State::path(dir), text).unwrap();
            assert_eq!(refused(dir, "boot"), want);
        }
    }
}
