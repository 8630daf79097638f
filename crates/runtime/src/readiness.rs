//! What start-up still waits for, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ready when every token taken out has been handed back and nobody closed it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    awaited: BTreeSet<&'static str>,
    notes: BTreeMap<&'static str, String>,
    closed: Option<&'static str>,
}

/// One component that must come up. Dropping it without [`Token::ready`] leaves the process unready: a task that died
/// has not become ready.
#[derive(Debug)]
#[must_use = "call ready() when the component works"]
pub struct Token {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Ready at once, until the first token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the component of that name.
    pub fn token(&self, name: &'static str) -> Token {
        self.lock().awaited.insert(name);
        Token { name, readiness: self.clone() }
    }

    /// Unready from now on, whatever else happens: the process drains.
    pub fn close(&self, reason: &'static str) {
        self.lock().closed = Some(reason);
    }

    /// A remark that [`Self::report`] shows and that changes no verdict; `None` takes it back.
    pub fn note(&self, name: &'static str, text: Option<String>) {
        let mut state = self.lock();
        match text {
            Some(text) => state.notes.insert(name, text),
            None => state.notes.remove(name),
        };
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        let state = self.lock();
        state.awaited.is_empty() && state.closed.is_none()
    }

    /// Verdict and the text for a person behind a probe: what is awaited, what closed it, every note.
    pub fn report(&self) -> (bool, String) {
        let state = self.lock();
        let ready = state.awaited.is_empty() && state.closed.is_none();
        let mut text = String::from(if ready { "ready\n" } else { "not ready\n" });
        if let Some(reason) = state.closed {
            let _ = writeln!(text, "closed: {reason}");
        }
        for name in &state.awaited {
            let _ = writeln!(text, "awaits: {name}");
        }
        for (name, note) in &state.notes {
            let _ = writeln!(text, "note: {name}: {note}");
        }
        (ready, text)
    }

    /// A panic while the lock was held leaves plain data that is still right.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Token {
    /// The component works. Logs who is still awaited.
    pub fn ready(self) {
        let awaited: Vec<_> = {
            let mut state = self.readiness.lock();
            state.awaited.remove(self.name);
            state.awaited.iter().copied().collect()
        };
        if awaited.is_empty() {
            tracing::info!(component = self.name, "ready");
        } else {
            tracing::info!(component = self.name, awaits = awaited.join(", "), "component ready");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_every_token_and_names_them() {
        let readiness = Readiness::new();
        let (certificate, bundle) = (readiness.token("certificate"), readiness.token("caBundle"));
        certificate.ready();
        assert_eq!(readiness.report(), (false, "not ready\nawaits: caBundle\n".to_owned()));
        bundle.ready();
        assert_eq!(readiness.report(), (true, "ready\n".to_owned()));
    }

    #[test]
    fn a_dropped_token_does_not_count_as_ready() {
        let readiness = Readiness::new();
        drop(readiness.token("settings"));
        assert!(!readiness.is_ready());
    }

    #[test]
    fn notes_inform_and_only_closing_unreadies() {
        let readiness = Readiness::new();
        readiness.note("settings", Some("line 3: unknown field".to_owned()));
        assert_eq!(readiness.report(), (true, "ready\nnote: settings: line 3: unknown field\n".to_owned()));
        readiness.note("settings", None);
        readiness.close("draining");
        assert_eq!(readiness.report(), (false, "not ready\nclosed: draining\n".to_owned()));
    }
}
