//! One clock for server and agent, in a file that both processes have open: the real one and what was skipped.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use sidekey_agent::clock::Clock;
use sidekey_core::time::Time;

/// Milliseconds skipped, then how often the agent has looked.
const SKIPPED: u64 = 0;
const LOOKS: u64 = 8;

/// What is skipped at first, so that the clock can go back.
const BASE: u64 = 1_000_000_000;

/// The file.
pub(crate) struct Shared(File);

impl Shared {
    pub(crate) fn create(path: &Path) -> Self {
        std::fs::write(path, [0; 16]).unwrap();
        let shared = Self::open(path);
        shared.write(SKIPPED, BASE);
        shared
    }

    pub(crate) fn open(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn write(&self, at: u64, value: u64) {
        self.0.write_all_at(&value.to_le_bytes(), at).unwrap();
    }

    /// Moves the agent's clock on.
    pub(crate) fn skip(&self, time: Duration) {
        self.write(SKIPPED, self.read(SKIPPED) + u64::try_from(time.as_millis()).unwrap());
    }

    /// Moves the agent's clock back.
    pub(crate) fn back(&self, time: Duration) {
        self.write(SKIPPED, self.read(SKIPPED) - u64::try_from(time.as_millis()).unwrap());
    }

    /// How often the agent has looked at it.
    pub(crate) fn looks(&self) -> u64 {
        self.read(LOOKS)
    }

    /// The agent's side.
    pub(crate) fn clock(self) -> Clock {
        let boot = Clock::boot();
        Clock::new(move || {
            self.write(LOOKS, self.read(LOOKS) + 1);
            Time::from_millis(boot.now().as_millis() + self.read(SKIPPED))
        })
    }
}
