//! How many objects read the same: those are looked at together, and ask once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::Deserialize;

use super::Supervisor;
use crate::controllers::Turn;
use crate::types::Kind;
use crate::types::object::{Key, Object};

/// What is read. With whose login is left out, since that changes without the object: who only seems to read the same is
/// looked at together with others for nothing, but never gets their answer.
#[derive(Deserialize, Hash)]
struct Read {
    #[serde(default)]
    namespace: Option<String>,
    mount: String,
    path: String,
    #[serde(default)]
    version: Option<i32>,
}

/// Objects by what they read, as a number.
#[derive(Default)]
pub(super) struct Readers(HashMap<u64, u32>);

impl Readers {
    /// An object came, went, or is another one now.
    pub(super) fn change(&mut self, before: Option<&Object>, after: Option<&Object>) {
        if let Some(read) = before.and_then(number)
            && let Some(count) = self.0.get_mut(&read)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&read);
            }
        }
        if let Some(read) = after.and_then(number) {
            *self.0.entry(read).or_default() += 1;
        }
    }

    /// What the object reads, if another one reads it too.
    fn common(&self, object: &Object) -> Option<u64> {
        number(object).filter(|read| self.0.get(read).is_some_and(|count| *count > 1))
    }
}

fn number(object: &Object) -> Option<u64> {
    let read: Read = object.spec().ok()?;
    let mut hasher = DefaultHasher::new();
    read.hash(&mut hasher);
    Some(hasher.finish())
}

impl Supervisor {
    /// The turn of an object that shares its read with others.
    pub(super) fn turn(&self, key: &Key, object: &Object) -> Option<Turn> {
        let of = (key.kind == Kind::VaultStaticSecret).then(|| self.readers.common(object))??;
        Some(Turn { of, since: self.schedule.since(key)? })
    }

    /// When no look is under way or waits that could use a shared answer, none is kept.
    pub(super) fn settle(&self) {
        if self.sharing.is_empty() && !self.lanes.any() {
            self.tools.reads.settle();
        }
    }
}

/// From this time to the next of the beats that all of one number have in common: `every` long, and none with those of others.
pub(super) fn beat(now: Duration, every: Duration, of: u64) -> Duration {
    // Whole nanoseconds, so that all who count come to the same.
    let every = every.as_nanos().max(1);
    let phase = u128::from(of) % every;
    let past = (now.as_nanos() + every - phase) % every;
    Duration::from_nanos(u64::try_from(every - past).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_number_meet_and_never_later_than_one_beat() {
        let every = Duration::from_secs(51);
        let at = |now: Duration, of| now + beat(now, every, of);
        let now = Duration::from_millis(100_123);
        for of in [0, 7, u64::MAX] {
            let next = at(now, of);
            assert!(now < next && next <= now + every, "{next:?}");
            assert_eq!(at((now + next) / 2, of), next, "whoever counts, and whenever");
            assert_eq!(at(next, of), next + every);
        }
        assert_ne!(at(now, 7), at(now, 8_000_000_000));
    }
}
