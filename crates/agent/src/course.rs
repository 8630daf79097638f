//! When a running program is asked to end for a new start, and when it is killed. Time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A change is followed after this, as several secrets may change at once.
const SETTLE: Duration = Duration::from_secs(2);

/// A program that does not end when asked, for a change, is killed after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The budget of restarts: as many in as long.
const RESTARTS: (usize, Duration) = (5, Duration::from_secs(600));

/// What to do with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It runs with what there is.
    Nothing,
    /// Ask it to end.
    Ask,
    /// It did not.
    Kill,
}

/// One program's way from change to change.
pub(crate) struct Course {
    /// Once somebody has asked for the end there is no new start.
    follows: bool,
    stopping: bool,
    due: Option<Instant>,
    patience: Duration,
    budget: Budget,
}

impl Course {
    pub(crate) fn new(follows: bool, patience: Option<Duration>) -> Self {
        let patience = patience.unwrap_or(PATIENCE);
        Self { follows, stopping: false, due: None, patience, budget: Budget::default() }
    }

    /// There is a process, with the newest environment.
    pub(crate) const fn started(&mut self) {
        (self.stopping, self.due) = (false, None);
    }

    /// Whether a change is of interest.
    pub(crate) const fn follows(&self) -> bool {
        self.follows && !self.stopping
    }

    /// Whether an end now is one for a new start.
    pub(crate) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// When to call [`Self::act`].
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Somebody else has asked it to end.
    pub(crate) const fn asked_to_end(&mut self) {
        (self.follows, self.stopping, self.due) = (false, false, None);
    }

    /// There is another environment.
    pub(crate) fn changed(&mut self, now: Instant) {
        let may = self.budget.next(now) + SETTLE;
        if self.due.replace(self.due.map_or(may, |due| due.min(may))).is_none() && self.budget.is_spent() {
            tracing::warn!(most = RESTARTS.0, seconds = RESTARTS.1.as_secs(), "too many restarts: the next one waits");
        }
    }

    /// It is due; `is_another` says whether the environment still differs from the program's.
    pub(crate) fn act(&mut self, is_another: bool, now: Instant) -> Act {
        self.due = None;
        if self.stopping {
            tracing::warn!(seconds = self.patience.as_secs(), "the program did not end when asked: killing it");
            return Act::Kill;
        }
        if !is_another {
            return Act::Nothing;
        }
        self.budget.take(now);
        (self.stopping, self.due) = (true, Some(now + self.patience));
        Act::Ask
    }
}

/// When a restart may be. What is above it waits, and is never left out.
#[derive(Default)]
struct Budget(VecDeque<Instant>);

impl Budget {
    fn next(&mut self, now: Instant) -> Instant {
        let (most, period) = RESTARTS;
        self.0.retain(|at| *at + period > now);
        if self.0.len() < most { now } else { self.0[0] + period }
    }

    fn is_spent(&self) -> bool {
        self.0.len() >= RESTARTS.0
    }

    fn take(&mut self, now: Instant) {
        self.0.push_back(now);
        if self.0.len() > RESTARTS.0 {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A restart from its change to its end, as soon as it may be; when it was asked for.
    fn restart(course: &mut Course, changed: Instant) -> Instant {
        course.changed(changed);
        let due = course.due().unwrap();
        assert_eq!(course.act(true, due), Act::Ask);
        course.started();
        due
    }

    #[test]
    fn changes_of_a_moment_are_one_restart_and_one_that_is_taken_back_is_none() {
        let (begun, mut course) = (Instant::now(), Course::new(true, None));
        assert!(course.follows() && course.due().is_none());
        for count in 0..3 {
            course.changed(begun + SECOND * count);
        }
        assert_eq!(course.due(), Some(begun + SETTLE), "later changes do not put it off");
        assert_eq!(course.act(false, begun + SETTLE), Act::Nothing);
        assert!(course.due().is_none() && course.follows() && !course.is_stopping());
        course.changed(begun + SECOND * 9);
        assert_eq!(course.act(true, begun + SECOND * 11), Act::Ask);
        assert!(!course.follows() && course.is_stopping(), "what changes now is taken along by the new start");
    }

    #[test]
    fn a_program_that_stays_is_killed_after_its_time_and_no_earlier() {
        for (patience, wanted) in [(None, SECOND * 30), (Some(SECOND * 5), SECOND * 5)] {
            let (begun, mut course) = (Instant::now(), Course::new(true, patience));
            course.changed(begun);
            course.act(true, begun + SETTLE);
            assert_eq!(course.due(), Some(begun + SETTLE + wanted));
            assert_eq!(course.act(true, begun + SETTLE + wanted), Act::Kill);
            assert!(course.due().is_none() && course.is_stopping(), "once, and its end is one for a new start");
        }
    }

    #[test]
    fn who_is_asked_to_end_by_others_is_neither_killed_nor_started_anew() {
        let (begun, mut course) = (Instant::now(), Course::new(true, None));
        course.changed(begun);
        course.act(true, begun + SETTLE);
        course.asked_to_end();
        assert!(course.due().is_none() && !course.is_stopping() && !course.follows());
        let mut keeps = Course::new(false, None);
        keeps.started();
        assert!(!keeps.follows());
    }

    #[test]
    fn restarts_are_bounded_and_none_is_left_out() {
        let (begun, mut course) = (Instant::now(), Course::new(true, None));
        let asked: Vec<Instant> = (0..5).map(|count| restart(&mut course, begun + SECOND * 10 * count)).collect();
        assert!((0..5).zip(&asked).all(|(count, asked)| *asked == begun + SECOND * 10 * count + SETTLE));
        let period = RESTARTS.1;
        let sixth = restart(&mut course, begun + SECOND * 50);
        assert_eq!(sixth, asked[0] + period + SETTLE, "when the first of five is ten minutes old");
        assert_eq!(restart(&mut course, sixth), asked[1] + period + SETTLE, "the window slides");
        let late = begun + period * 6;
        assert_eq!(restart(&mut course, late), late + SETTLE, "an old budget is whole again");
    }
}
