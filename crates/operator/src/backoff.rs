//! How fast failing things are tried again.

use std::time::Duration;

use sidekey_cluster::jitter::around;

/// The Vault Secrets Operator's own flags and defaults for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// What each wait is of the one before.
    pub multiplier: f64,
    /// Share by which a wait may be shorter or longer.
    pub randomization: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(5), longest: Duration::from_secs(60), multiplier: 1.5, randomization: 0.5 }
    }
}

impl Backoff {
    /// The wait after so many failures in a row, one at least.
    pub fn after(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1).min(64)).unwrap_or(64);
        let grown = self.initial.as_secs_f64() * self.multiplier.max(1.0).powi(exponent);
        let base = Duration::from_secs_f64(grown.min(self.longest.as_secs_f64()).max(0.1));
        around(base, self.randomization.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_cap_and_never_stop() {
        let backoff = Backoff { randomization: 0.0, ..Backoff::default() };
        let seconds: Vec<_> = [1, 2, 3, 7, 1000].map(|failures| backoff.after(failures).as_secs_f64()).to_vec();
        assert_eq!(seconds, [5.0, 7.5, 11.25, 56.953_125, 60.0]);
        let jittered = Backoff::default().after(1000).as_secs_f64();
        assert!((30.0..=90.0).contains(&jittered), "{jittered}");
    }
}
