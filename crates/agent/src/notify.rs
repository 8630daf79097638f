//! What is owed to the app after a change: debounced, tried again, each action one at a time. It asks Vault nothing.

use std::time::Duration;

use sidekey_core::contract::{Action, Notify};
use sidekey_core::time::Time;
use sidekey_core::{Cause, Code};

use crate::backoff::{Backoff, random};
use crate::clock::unix_seconds;
use crate::status::ActionStatus;

/// Changes this close together are one change to the app.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// All actions of the configuration, each once, however many groups ask for it.
pub(crate) struct Notifier {
    errands: Vec<Errand>,
}

/// One action.
struct Errand {
    action: Action,
    groups: Vec<Asker>,
    owed: bool,
    /// Readiness waits for it.
    opening: bool,
    running: bool,
    at: Time,
    retry: Backoff,
    done: Option<i64>,
    failures: u32,
    cause: Option<Cause>,
}

struct Asker {
    group: String,
    first: bool,
}

impl Notifier {
    /// `owed` is what the agent before left undone; `opening` says that it was not ready yet.
    pub(crate) fn new(all: &[Notify], owed: &[Action], opening: bool) -> Self {
        let mut errands: Vec<Errand> = Vec::new();
        for Notify { group, action, first } in all {
            let asker = Asker { group: group.clone(), first: *first };
            match errands.iter_mut().find(|errand| errand.action == *action) {
                Some(errand) => errand.groups.push(asker),
                None => errands.push(Errand::new(action.clone(), asker)),
            }
        }
        for errand in errands.iter_mut().filter(|errand| owed.contains(&errand.action)) {
            (errand.owed, errand.opening) = (true, opening);
        }
        Self { errands }
    }

    /// Whether a change of `group` asks for anything.
    pub(crate) fn cares(&self, group: &str, first: bool) -> bool {
        self.errands.iter().any(|errand| errand.is_asked_by(group, first))
    }

    /// `group` was written; the first publication is not waited with.
    pub(crate) fn changed(&mut self, group: &str, first: bool, now: Time) {
        for errand in self.errands.iter_mut().filter(|errand| errand.is_asked_by(group, first)) {
            if !errand.owed {
                errand.at = if first { now } else { now + DEBOUNCE };
            }
            errand.retry.succeeded();
            errand.owed = true;
            errand.opening |= first;
        }
    }

    /// What has to be done after a restart: owed, or under way with an unknown end, or about to be owed by these groups.
    pub(crate) fn owed(&self, announced: &[String], first: bool) -> Vec<Action> {
        let open = |errand: &&Errand| {
            errand.owed || errand.running || announced.iter().any(|group| errand.is_asked_by(group, first))
        };
        self.errands.iter().filter(open).map(|errand| errand.action.clone()).collect()
    }

    /// Whether readiness need not wait.
    pub(crate) fn is_open(&self) -> bool {
        !self.errands.iter().any(|errand| errand.opening)
    }

    /// Whether nothing is owed or under way.
    pub(crate) fn is_idle(&self) -> bool {
        !self.errands.iter().any(|errand| errand.owed || errand.running)
    }

    /// When the next one is due. A program waits for the one before it, whose end wakes the loop.
    pub(crate) fn due(&self) -> Option<Time> {
        let busy = self.is_running_a_program();
        self.errands.iter().filter(|errand| errand.is_ready(busy)).map(Errand::due).min()
    }

    /// Takes what is due.
    pub(crate) fn start(&mut self, now: Time) -> Vec<Action> {
        let mut busy = self.is_running_a_program();
        let mut started = Vec::new();
        for errand in &mut self.errands {
            // A clock that went back puts off nothing that is owed.
            errand.at = errand.at.min(now + DEBOUNCE);
            if errand.is_ready(busy) && errand.at <= now && errand.retry.is_due(now) {
                (errand.owed, errand.running) = (false, true);
                busy |= errand.is_program();
                started.push(errand.action.clone());
            }
        }
        started
    }

    /// It has been done, or not: then it is owed again.
    pub(crate) fn finished(&mut self, action: &Action, result: Result<(), String>, now: Time) -> Option<Cause> {
        let errand = self.errands.iter_mut().find(|errand| errand.action == *action)?;
        errand.running = false;
        match result {
            Ok(()) => {
                errand.succeeded();
                None
            }
            Err(answer) => Some(errand.failed(answer, now)),
        }
    }

    /// How each stands.
    pub(crate) fn status(&self) -> Vec<ActionStatus> {
        self.errands.iter().map(Errand::status).collect()
    }

    fn is_running_a_program(&self) -> bool {
        self.errands.iter().any(|errand| errand.running && errand.is_program())
    }
}

impl Errand {
    fn new(action: Action, asker: Asker) -> Self {
        let retry = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Self {
            action,
            groups: vec![asker],
            owed: false,
            opening: false,
            running: false,
            at: Time::from_millis(0),
            retry,
            done: None,
            failures: 0,
            cause: None,
        }
    }

    fn is_asked_by(&self, group: &str, first: bool) -> bool {
        self.groups.iter().any(|asker| asker.group == group && (asker.first || !first))
    }

    const fn is_program(&self) -> bool {
        matches!(self.action, Action::Command { .. })
    }

    const fn is_ready(&self, busy: bool) -> bool {
        self.owed && !self.running && !(busy && self.is_program())
    }

    fn due(&self) -> Time {
        self.retry.until().map_or(self.at, |until| until.max(self.at))
    }

    fn succeeded(&mut self) {
        self.retry.succeeded();
        self.opening &= self.owed;
        self.failures = 0;
        self.done = Some(unix_seconds());
        self.cause = None;
        tracing::info!(action = %self.action, "done");
    }

    fn failed(&mut self, answer: String, now: Time) -> Cause {
        self.owed = true;
        self.at = now;
        self.failures = self.failures.saturating_add(1);
        self.retry.failed(now, random());
        let cause = Cause::new(Code::ActionFailed, format!("doing `{}` after a change", self.action), answer);
        if self.cause.as_ref() != Some(&cause) {
            tracing::warn!(action = %self.action, code = %cause.code, "{cause}");
            self.cause = Some(cause.clone());
        }
        cause
    }

    fn status(&self) -> ActionStatus {
        ActionStatus {
            action: self.action.to_string(),
            owed: self.owed || self.running,
            done: self.done,
            failures: self.failures,
            cause: self.cause.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::path::RelPath;

    use super::*;

    fn touch(file: &str) -> Action {
        Action::Touch { dir: "/secrets".to_owned(), file: RelPath::parse(file).unwrap() }
    }

    fn program(name: &str) -> Action {
        Action::Command { argv: vec![name.to_owned()] }
    }

    fn notify(group: &str, action: Action, first: bool) -> Notify {
        Notify { group: group.to_owned(), action, first }
    }

    const fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    #[test]
    fn changes_close_together_are_one_and_those_during_a_run_another() {
        let all = ["a", "b"].map(|group| notify(group, touch("x"), false));
        let mut notifier = Notifier::new(&all, &[], false);
        notifier.changed("a", false, at(1_000));
        notifier.changed("b", false, at(1_400));
        assert_eq!(notifier.due(), Some(at(1_500)));
        assert!(notifier.start(at(1_499)).is_empty());
        assert_eq!(notifier.start(at(1_500)), [touch("x")]);
        assert_eq!((notifier.due(), notifier.start(at(2_000))), (None, vec![]), "it is under way");
        notifier.changed("a", false, at(2_000));
        assert!(notifier.finished(&touch("x"), Ok(()), at(2_100)).is_none());
        assert_eq!(notifier.start(at(2_500)), [touch("x")]);
        assert!(notifier.finished(&touch("x"), Ok(()), at(2_600)).is_none());
        assert_eq!(notifier.due(), None);
    }

    #[test]
    fn what_is_owed_is_done_though_the_clock_goes_back() {
        let mut notifier = Notifier::new(&[notify("a", touch("x"), false)], &[], false);
        notifier.changed("a", false, at(3_600_000));
        assert!(notifier.start(at(1_000)).is_empty());
        assert_eq!(notifier.start(at(1_500)), [touch("x")]);
        notifier.finished(&touch("x"), Err("no".to_owned()), at(3_600_000));
        assert!(notifier.start(at(2_000)).is_empty());
        assert_eq!(notifier.start(at(2_500)), [touch("x")], "and is tried again");
    }

    #[test]
    fn the_first_publication_asks_only_for_what_wants_it_and_waits_for_its_success() {
        let all = [notify("a", touch("x"), false), notify("a", program("y"), true)];
        let mut notifier = Notifier::new(&all, &[], false);
        assert!(notifier.cares("a", true) && !notifier.cares("b", false));
        notifier.changed("a", true, at(0));
        assert!(!notifier.is_open());
        assert_eq!(notifier.start(at(0)), [program("y")]);
        let cause = notifier.finished(&program("y"), Err("exit code 1".to_owned()), at(10)).unwrap();
        assert_eq!(cause.code, Code::ActionFailed);
        assert!(!notifier.is_open(), "a failed one is no beginning");
        assert!(notifier.due().unwrap() > at(700), "no hot loop");
        assert_eq!(notifier.start(at(2_000)), [program("y")]);
        notifier.finished(&program("y"), Ok(()), at(2_001));
        assert!(notifier.is_open());
    }

    #[test]
    fn one_program_at_a_time_and_no_busy_wait_for_the_next() {
        let all = ["p", "q"].map(|name| notify("a", program(name), false));
        let mut notifier = Notifier::new(&all, &[], false);
        notifier.changed("a", false, at(0));
        assert_eq!(notifier.start(at(500)), [program("p")]);
        assert_eq!((notifier.due(), notifier.start(at(900))), (None, vec![]));
        notifier.finished(&program("p"), Ok(()), at(1_000));
        assert_eq!(notifier.start(at(1_000)), [program("q")]);
    }

    #[test]
    fn what_is_owed_survives_a_restart_even_when_it_was_under_way() {
        let all = [notify("a", touch("x"), false), notify("a", touch("y"), false)];
        let mut notifier = Notifier::new(&all, &[], false);
        notifier.changed("a", false, at(0));
        notifier.start(at(500));
        notifier.finished(&touch("x"), Ok(()), at(501));
        assert_eq!(notifier.owed(&[], false), [touch("y")]);
        assert_eq!(notifier.owed(&["a".to_owned()], false).len(), 2);
        let mut next = Notifier::new(&all, &notifier.owed(&[], false), false);
        assert_eq!(next.start(at(0)), [touch("y")]);
    }
}
