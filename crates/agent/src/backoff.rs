//! Waits of the agent's own retries, those that ask Vault nothing; the planner has its own.

use std::time::Duration;

use sidekey_core::time::Time;

/// Doubles from `first` to `longest`, each wait shortened by up to a quarter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    until: Option<Time>,
}

impl Backoff {
    /// Nothing has failed yet.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, until: None }
    }

    /// Whether it is time to try. What is further away than any wait was set by a clock that went back since.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.until.is_none_or(|until| until <= now || until > now + self.longest)
    }

    /// When it will be; `None` when it always is.
    pub(crate) const fn until(&self) -> Option<Time> {
        self.until
    }

    /// One more failure; `random` is any number.
    pub(crate) fn failed(&mut self, now: Time, random: u64) {
        let wait = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        let quarter = u64::try_from(wait.as_millis() / 4).unwrap_or(u64::MAX).max(1);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait - Duration::from_millis(random % quarter));
    }

    /// It worked.
    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }
}

/// A number for jitter and seeds; without a source of them the process's id must do.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_its_bound_and_starts_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let now = Time::from_millis(0);
        assert!(backoff.is_due(now));
        for (failure, longest) in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].into_iter().enumerate() {
            backoff.failed(now, failure as u64 * 7_919);
            let until = backoff.until().unwrap().as_millis();
            assert!(until <= longest && until > longest * 3 / 4, "{failure}: {until}");
            assert!(!backoff.is_due(now) && backoff.is_due(Time::from_millis(longest)));
        }
        backoff.succeeded();
        assert!(backoff.is_due(now));
    }

    #[test]
    fn a_clock_that_goes_back_puts_nothing_off() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let hour = Time::from_millis(3_600_000);
        backoff.failed(hour, 0);
        assert!(!backoff.is_due(hour) && backoff.is_due(Time::from_millis(0)));
    }
}
