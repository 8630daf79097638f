//! One failure as a person reads it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::code::Code;

/// What was attempted, on what, what came back, and what to do. Never holds a secret, a token or a response body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Stable code; `docs/reference/errors.md` has its page.
    pub code: Code,
    /// Attempt and object, as a participle: `logging in at auth/kubernetes as role web`.
    pub attempted: String,
    /// What came back: `403 service account name not authorized`.
    pub answer: String,
    /// What a person should do, as an imperative with the names filled in.
    pub fix: String,
}

impl Cause {
    /// With the code's own advice as the fix.
    pub fn new(code: Code, attempted: impl Into<String>, answer: impl Into<String>) -> Self {
        Self { code, attempted: attempted.into(), answer: answer.into(), fix: code.advice().to_owned() }
    }

    /// Replaces the code's general advice by one that names the objects at hand.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}. {}", self.code, self.attempted, self.answer, self.fix)
    }
}
