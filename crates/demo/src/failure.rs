//! Why the demo cannot go on.

use std::fmt::Display;

/// What was tried, and what came of it.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {problem}")]
pub(crate) struct Failure {
    doing: String,
    problem: String,
}

impl Failure {
    pub(crate) fn of(doing: impl Into<String>, problem: &dyn Display) -> Self {
        Self { doing: doing.into(), problem: problem.to_string() }
    }
}

/// Says what was tried when it fails.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(what, &error))
    }
}

impl<T> Doing<T> for Option<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::of(what, &"nothing there"))
    }
}
