//! What a real server cannot be told to do.

use std::time::Duration;

use crate::record::same_method;

/// A longest delay: a test that waits longer hides something.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Which requests a fault meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// `GET`, `PUT`, …; empty is any. `PUT` and `POST` are the same.
    pub method: String,
    /// Start of the path without `/v1/`; empty is any.
    pub path: String,
}

impl Matcher {
    /// Any request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Any method below a path.
    pub fn path(prefix: impl Into<String>) -> Self {
        Self { method: String::new(), path: prefix.into() }
    }

    /// A method below a path.
    pub fn new(method: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { method: method.into(), path: prefix.into() }
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        same_method(&self.method, method) && path.starts_with(&self.path)
    }
}

/// What happens in place of, or to, the usual answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A status with `{"errors": […]}`.
    Status(u16, Vec<String>),
    /// A status with `Retry-After` in seconds: 429, 503.
    RetryAfter(u16, u64),
    /// 307 to the same path at another address (scheme, host and port).
    Redirect(String),
    /// The usual answer, this much later; at most a minute.
    Slow(Duration),
    /// The usual answer's head and half of its body, then the connection ends.
    CutBody,
    /// The connection is reset; the request has no effect.
    Reset,
    /// The request has its effect, and then the connection is reset in place of the answer.
    LoseAnswer,
    /// 200 with a page of HTML.
    Garbage,
    /// 200 with a body of this many bytes of valid JSON.
    Huge(usize),
    /// A renewal succeeds and grants no time: `lease_duration` 0.
    RenewToNothing,
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// To the next request that matches.
    Once,
    /// To as many.
    N(u32),
    /// Until [`crate::FakeVault::clear_faults`].
    Always,
}

struct Rule {
    matcher: Matcher,
    fault: Fault,
    /// `None` is for ever.
    left: Option<u32>,
}

#[derive(Default)]
pub(crate) struct Faults(Vec<Rule>);

impl Faults {
    pub(crate) fn add(&mut self, matcher: Matcher, fault: Fault, times: Times) {
        let left = match times {
            Times::Once => Some(1),
            Times::N(count) => Some(count),
            Times::Always => None,
        };
        self.0.push(Rule { matcher, fault, left });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The first fault that matches; it is used up by this.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let meets = |rule: &Rule| rule.left != Some(0) && rule.matcher.matches(method, path);
        let rule = self.0.iter_mut().find(|rule| meets(rule))?;
        rule.left = rule.left.map(|left| left.saturating_sub(1));
        let fault = rule.fault.clone();
        self.0.retain(|rule| rule.left != Some(0));
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_ends_after_its_times_and_the_next_one_follows() {
        let mut faults = Faults::default();
        faults.add(Matcher::new("PUT", "auth/"), Fault::Reset, Times::Once);
        faults.add(Matcher::path("auth/kubernetes"), Fault::Garbage, Times::N(2));
        assert_eq!(faults.take("GET", "secret/x"), None);
        assert_eq!(faults.take("POST", "auth/kubernetes/login"), Some(Fault::Reset));
        assert_eq!(faults.take("POST", "auth/kubernetes/login"), Some(Fault::Garbage));
        assert_eq!(faults.take("GET", "auth/kubernetes/login"), Some(Fault::Garbage));
        assert_eq!(faults.take("GET", "auth/kubernetes/login"), None);
    }
}
