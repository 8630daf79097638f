//! Looks at once, by what they wait for: a Vault that does not answer must not hold up another's secrets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::controllers::Refers;
use crate::types::Kind;
use crate::types::object::Key;

/// What a look waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The Vault of a connection.
    Vault(Key),
    /// Whether a Vault answers: one look per connection, never kept waiting.
    Health(Key),
    /// Kubernetes alone.
    Rest,
}

impl Lane {
    pub(super) fn of(key: &Key, refers: &Refers) -> Self {
        match refers {
            _ if key.kind.is_connection() => Self::Health(key.clone()),
            Refers::Login(Ok(login)) if key.kind.is_secret() => Self::Vault(login.connection.key.clone()),
            _ => Self::Rest,
        }
    }
}

/// Who runs in which lane, and who waits for a place.
pub(super) struct Lanes {
    most: usize,
    counts: BTreeMap<Lane, usize>,
    parked: BTreeMap<Lane, VecDeque<Key>>,
    /// The same keys: nobody waits twice.
    waiting: BTreeSet<Key>,
}

impl Lanes {
    /// `most` is the bound of each lane, one at least.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), counts: BTreeMap::new(), parked: BTreeMap::new(), waiting: BTreeSet::new() }
    }

    /// Whether there is a place; who gets none waits for one.
    pub(super) fn enter(&mut self, key: &Key, lane: &Lane) -> bool {
        let count = self.counts.entry(lane.clone()).or_default();
        if *count < self.most {
            *count += 1;
            return true;
        }
        if self.waiting.insert(key.clone()) {
            self.parked.entry(lane.clone()).or_default().push_back(key.clone());
        }
        false
    }

    /// A look has ended.
    pub(super) fn leave(&mut self, lane: &Lane) {
        if let Some(count) = self.counts.get_mut(lane) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(lane);
            }
        }
    }

    /// Who has waited longest for a place that is free, and is still there. To be asked until nobody is named: who is named may
    /// have come to need another lane.
    pub(super) fn next(&mut self, lane: &Lane, there: impl Fn(&Key) -> bool) -> Option<Key> {
        if self.counts.get(lane).is_some_and(|count| *count >= self.most) {
            return None;
        }
        let queue = self.parked.get_mut(lane)?;
        let mut next = None;
        while let Some(key) = queue.pop_front() {
            self.waiting.remove(&key);
            if there(&key) {
                next = Some(key);
                break;
            }
        }
        if queue.is_empty() {
            self.parked.remove(lane);
        }
        next
    }

    /// Whether anybody waits.
    pub(super) fn any(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many of the kind wait for a place.
    pub(super) fn waiting(&self, kind: Kind) -> usize {
        self.waiting.iter().filter(|key| key.kind == kind).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_keeps_its_own_waiting_and_nobody_else() {
        let key = |name: &str| Key::new(Kind::VaultStaticSecret, "app", name);
        let lane = |name: &str| Lane::Vault(Key::new(Kind::VaultConnection, "app", name));
        let mut lanes = Lanes::new(2);
        let entered = ["a", "b", "c", "d", "d", "gone"].map(|name| lanes.enter(&key(name), &lane("one")));
        assert_eq!(entered, [true, true, false, false, false, false]);
        assert!(lanes.enter(&key("e"), &lane("two")) && lanes.enter(&key("f"), &Lane::Rest));
        assert_eq!(lanes.waiting(Kind::VaultStaticSecret), 3, "nobody waits twice");
        let there = |key: &Key| &*key.name != "gone";
        let next = |lanes: &mut Lanes| {
            lanes.leave(&lane("one"));
            lanes.next(&lane("one"), there)
        };
        assert_eq!(next(&mut lanes), Some(key("c")));
        assert!(lanes.enter(&key("c"), &lane("one")) && !lanes.enter(&key("g"), &lane("one")));
        assert_eq!(lanes.next(&lane("one"), there), None, "it is full");
        assert_eq!(next(&mut lanes), Some(key("d")));
        // d has another connection now: the place is still free.
        assert_eq!(lanes.next(&lane("one"), there), Some(key("g")), "who is gone holds no place");
        assert_eq!((next(&mut lanes), lanes.waiting(Kind::VaultStaticSecret)), (None, 0));
        assert_eq!(lanes.next(&lane("two"), there), None);
    }
}
