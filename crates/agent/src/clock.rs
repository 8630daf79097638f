//! The node's boot clock: it survives a restart of the process and counts suspended time, and no wall clock jump moves it.

use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use sidekey_core::time::Time;

/// Where the supervisor reads the time; tests hand in their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// `CLOCK_BOOTTIME` (`clock_gettime(2)`).
    pub fn boot() -> Self {
        Self::new(|| {
            let now = clock_gettime(ClockId::Boottime);
            let milliseconds = now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000);
            Time::from_millis(u64::try_from(milliseconds).unwrap_or(0))
        })
    }

    /// Any clock.
    pub fn new(read: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Now.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

/// Names the boot that boot-clock times belong to (`random(4)`); `None` without procfs.
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// Seconds since 1970, for people and for templates; decisions use [`Clock`].
pub fn unix_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}
