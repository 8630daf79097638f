//! How many objects read the same: those are looked at together, and ask once.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::Deserialize;

use super::Supervisor;
use crate::controllers::Turn;
use crate::types::Kind;
use crate::types::object::{Key, Object};

/// What is read. With whose login is left out, since that changes without the object: who only seems to read the same is
/// looked at together with others for nothing, but never gets their answer.
#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    namespace: Option<String>,
    mount: String,
    path: String,
    #[serde(default)]
    version: Option<i32>,
    /// Of the first one alone.
    #[serde(default)]
    sources: Vec<Read>,
}

impl Read {
    fn number(&self, else_in: Option<&str>) -> u64 {
        let namespace = self.namespace.as_deref().filter(|own| !own.is_empty()).or(else_in);
        let mut hasher = DefaultHasher::new();
        (namespace, &self.mount, &self.path, self.version).hash(&mut hasher);
        hasher.finish()
    }
}

/// Objects by what they read, as a number.
#[derive(Default)]
pub(super) struct Readers(HashMap<u64, u32>);

impl Readers {
    /// An object came, went, or is another one now.
    pub(super) fn change(&mut self, before: Option<&Object>, after: Option<&Object>) {
        for read in before.map_or_else(BTreeSet::new, numbers) {
            if let Some(count) = self.0.get_mut(&read) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.0.remove(&read);
                }
            }
        }
        for read in after.map_or_else(BTreeSet::new, numbers) {
            *self.0.entry(read).or_default() += 1;
        }
    }

    /// What the object reads, if others read it too; of several, what most of them read, since it can be looked at with but one
    /// company.
    fn common(&self, object: &Object) -> Option<u64> {
        let counted = numbers(object).into_iter().filter_map(|read| Some((*self.0.get(&read)?, read)));
        counted.filter(|(count, _)| *count > 1).max().map(|(_, read)| read)
    }
}

/// All that an object reads, its further sources too.
fn numbers(object: &Object) -> BTreeSet<u64> {
    let Ok(first) = object.spec::<Read>() else { return BTreeSet::new() };
    let own = first.namespace.as_deref().filter(|own| !own.is_empty());
    [first.number(None)].into_iter().chain(first.sources.iter().map(|source| source.number(own))).collect()
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
    use serde_json::json;

    use super::*;

    fn object(first: &str, others: &[&str]) -> Object {
        let read = |path: &str| json!({ "mount": "kv", "path": path });
        let mut spec = read(first);
        spec["namespace"] = json!("");
        spec["sources"] = others.iter().map(|path| read(path)).collect();
        serde_json::from_value(json!({ "metadata": { "name": first }, "spec": spec })).unwrap()
    }

    #[test]
    fn who_has_any_source_in_common_is_company_and_most_of_it_counts() {
        let objects =
            [object("a", &["shared"]), object("b", &["shared", "b"]), object("shared", &[]), object("a", &["c"])];
        let mut readers = Readers::default();
        objects.iter().for_each(|object| readers.change(None, Some(object)));
        let common = |readers: &Readers| objects.each_ref().map(|object| readers.common(object));
        let [first, second, third, fourth] = common(&readers);
        assert!(first.is_some() && first == second && first == third && fourth.is_some() && fourth != first);
        readers.change(Some(&objects[2]), None);
        readers.change(Some(&objects[1]), Some(&object("b", &[])));
        let [first, second, _, fourth] = common(&readers);
        assert!(first.is_some() && first == fourth && second.is_none());
        readers.change(Some(&objects[0]), None);
        readers.change(Some(&objects[3]), None);
        readers.change(Some(&object("b", &[])), None);
        assert_eq!(readers.0.len(), 0, "nothing is left of what went");
    }

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
