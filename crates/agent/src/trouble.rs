//! What is wrong at the moment, and since when it has been said.

use std::collections::BTreeMap;
use std::time::Duration;

use sidekey_core::time::Time;
use sidekey_core::{Cause, Lookup};
use sidekey_vault::VaultError;

use crate::backoff::{Backoff, random};

/// What something is wrong with; the widest first, which is the order people want to read. The numbers are logins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The server cannot be reached for a renewal, or serves nobody.
    Server(usize),
    /// The login.
    Login(usize),
    /// One secret.
    Secret(usize, Lookup),
    /// A token file for others, by its place among them.
    Sink(usize),
    /// The state for a restart.
    State,
    /// The list of stale files.
    StaleList,
    /// The port for others.
    Listener,
}

/// Current causes, one for each subject, and how often Vault was asked about each.
#[derive(Default)]
pub(crate) struct Troubles {
    causes: BTreeMap<Subject, Cause>,
    visits: BTreeMap<Subject, Visit>,
}

/// An answer that was looked into.
struct Visit {
    symptom: String,
    again: Backoff,
}

impl Troubles {
    /// Something is wrong; said in the log when it was not so before. Which of many requests met it is no news: during an outage
    /// those of a token and of leases take turns.
    pub(crate) fn set(&mut self, subject: Subject, cause: Cause) {
        let met = |before: &Cause| before.code == cause.code && before.answer == cause.answer;
        if !self.causes.get(&subject).is_some_and(met) {
            tracing::warn!(code = %cause.code, path = subject.path(), login = subject.other_login(), "{cause}");
        }
        self.causes.insert(subject, cause);
    }

    /// It is not, or no longer.
    pub(crate) fn clear(&mut self, subject: &Subject) {
        self.visits.remove(subject);
        if let Some(cause) = self.causes.remove(subject) {
            tracing::info!(code = %cause.code, path = subject.path(), login = subject.other_login(), "recovered");
        }
    }

    /// Drops secrets of a login that nobody asks for any more.
    pub(crate) fn keep_secrets(&mut self, login: usize, wanted: impl Fn(&Lookup) -> bool) {
        let keep =
            |subject: &Subject| !matches!(subject, Subject::Secret(of, lookup) if *of == login && !wanted(lookup));
        self.causes.retain(|subject, _| keep(subject));
        self.visits.retain(|subject, _| keep(subject));
    }

    /// What is wrong with it.
    pub(crate) fn get(&self, subject: &Subject) -> Option<&Cause> {
        self.causes.get(subject)
    }

    /// What is wrong with more than one secret.
    pub(crate) fn general(&self) -> Option<&Cause> {
        self.causes.iter().find(|(subject, _)| !matches!(subject, Subject::Secret(..))).map(|(_, cause)| cause)
    }

    /// What is wrong with a login, or with its server.
    pub(crate) fn of_login(&self, login: usize) -> Option<&Cause> {
        self.get(&Subject::Server(login)).or_else(|| self.get(&Subject::Login(login)))
    }

    /// Whether a failure of it has not been followed by a success yet.
    pub(crate) fn is_asked_about(&self, subject: &Subject) -> bool {
        self.visits.contains_key(subject)
    }

    /// Whether to ask Vault what is behind an answer: at once when it is new, then rarely.
    pub(crate) fn ask_about(&mut self, subject: &Subject, error: &VaultError, now: Time) -> bool {
        let symptom = format!("{:?} {}", error.class, error.answer());
        let visit = self.visits.entry(subject.clone()).or_insert_with(|| Visit::new(String::new()));
        if visit.symptom != symptom {
            *visit = Visit::new(symptom);
        }
        let due = visit.again.is_due(now);
        if due {
            visit.again.failed(now, random());
        }
        due
    }
}

impl Visit {
    const fn new(symptom: String) -> Self {
        Self { symptom, again: Backoff::new(Duration::from_secs(10), Duration::from_secs(300)) }
    }
}

impl Subject {
    /// The Vault path, where there is one.
    fn path(&self) -> Option<&str> {
        match self {
            Self::Secret(_, lookup) => Some(&lookup.path),
            _ => None,
        }
    }

    /// Its login, where it is not the pod's own.
    fn other_login(&self) -> Option<usize> {
        match self {
            Self::Server(login) | Self::Login(login) | Self::Secret(login, _) => {
                Some(*login).filter(|login| *login > 0)
            }
            Self::Sink(_) | Self::State | Self::StaleList | Self::Listener => None,
        }
    }
}
