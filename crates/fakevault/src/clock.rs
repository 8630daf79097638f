//! The server's own clock: real time plus what a test has skipped.

use std::time::{Duration, Instant, SystemTime};

/// Time since the server's start, on its own clock.
pub(crate) type At = Duration;

pub(crate) struct Clock {
    started: Instant,
    /// Unix time at the start.
    wall: Duration,
    skipped: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), wall, skipped: Duration::ZERO }
    }

    pub(crate) fn now(&self) -> At {
        self.started.elapsed() + self.skipped
    }

    pub(crate) fn skip(&mut self, time: Duration) {
        self.skipped = self.skipped.saturating_add(time);
    }

    /// Unix seconds.
    pub(crate) fn unix(&self, at: At) -> u64 {
        (self.wall + at).as_secs()
    }

    /// Unix seconds of a clock on which nothing was skipped.
    pub(crate) fn wall_unix(&self) -> u64 {
        (self.wall + self.started.elapsed()).as_secs()
    }

    /// RFC 3339 in UTC with nanoseconds.
    pub(crate) fn rfc3339(&self, at: At) -> String {
        let time = self.wall + at;
        i64::try_from(time.as_secs())
            .ok()
            .and_then(|seconds| jiff::Timestamp::new(seconds, i32::try_from(time.subsec_nanos()).unwrap_or(0)).ok())
            .unwrap_or_default()
            .to_string()
    }
}
