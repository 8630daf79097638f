//! Whose pods may be evicted now: not again and again where it does not help, nor where it is refused. In memory; pure.
//!
//! A pod that is evicted and comes back without its agent would be evicted at every look. So an owner of whom a pod turns up that
//! was not there when another one was evicted is left alone, ever longer. Then one pod of it is tried, and the next when the first
//! had the time to come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// First and longest wait of an owner whose pods came back as they were. The first is longer than two looks.
const RETURNED: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(86_400));

/// First and longest wait of an owner of whom an eviction was refused, by a disruption budget most likely. The first is shorter than
/// one look.
const REFUSED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// How long an owner none of whose pods is missed is remembered. Not less than the longest wait, else that would end it.
const REMEMBERED: Duration = RETURNED.1;

/// Uids of pods, by the uid of their controller.
pub(super) type Pods = BTreeMap<String, BTreeSet<String>>;

/// Controllers of missed pods.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// Their pods that were missed at the last look.
    missed: Pods,
    tried: BTreeMap<String, Tried>,
}

/// An owner of whom an eviction was tried.
#[derive(Debug)]
struct Tried {
    /// Pods that were missed when one was evicted, until one turns up that is not among them.
    before: Option<BTreeSet<String>>,
    /// How often one turned up.
    returned: u32,
    /// Evictions refused in a row.
    refused: u32,
    next: Instant,
    seen: Instant,
}

impl Owners {
    /// Takes in what a look found.
    pub(super) fn look(&mut self, missed: Pods, now: Instant) {
        for (owner, pods) in &missed {
            let Some(tried) = self.tried.get_mut(owner) else { continue };
            tried.seen = now;
            if tried.before.as_ref().is_some_and(|before| !pods.is_subset(before)) {
                tried.before = None;
                tried.returned = tried.returned.saturating_add(1);
                tried.next = tried.next.max(now + grown(RETURNED, tried.returned));
            }
        }
        self.tried.retain(|_, tried| now.duration_since(tried.seen) < REMEMBERED);
        self.missed = missed;
    }

    /// Whether a pod of it may be evicted.
    pub(super) fn may(&self, owner: &str, now: Instant) -> bool {
        self.tried.get(owner).is_none_or(|tried| tried.next <= now)
    }

    /// How long it is still left alone, if its pods came back as they were.
    pub(super) fn left_alone(&self, owner: &str, now: Instant) -> Option<Duration> {
        let tried = self.tried.get(owner).filter(|tried| tried.returned > 0)?;
        tried.next.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// A pod of it was evicted.
    pub(super) fn evicted(&mut self, owner: &str, now: Instant) {
        let before = self.missed.get(owner).cloned().unwrap_or_default();
        let tried = self.tried(owner, now);
        tried.refused = 0;
        tried.before = Some(before);
        if tried.returned > 0 {
            tried.next = now + RETURNED.0;
        }
    }

    /// An eviction was not taken; returns how long none is tried.
    pub(super) fn refused(&mut self, owner: &str, now: Instant) -> Duration {
        let tried = self.tried(owner, now);
        tried.refused = tried.refused.saturating_add(1);
        let wait = grown(REFUSED, tried.refused);
        tried.next = now + wait;
        wait
    }

    fn tried(&mut self, owner: &str, now: Instant) -> &mut Tried {
        let fresh = || Tried { before: None, returned: 0, refused: 0, next: now, seen: now };
        self.tried.entry(owner.to_owned()).or_insert_with(fresh)
    }
}

/// Doubles from the first to the longest.
fn grown((first, longest): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(pods: &[&str]) -> Pods {
        Pods::from([("rs".to_owned(), pods.iter().map(|&pod| pod.to_owned()).collect())])
    }

    const fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    #[tokio::test]
    async fn waits_grow_to_a_day_and_only_with_evictions() {
        let (mut owners, mut now) = (Owners::default(), Instant::now());
        let mut waits = Vec::new();
        for round in 0..11 {
            let pods = [format!("pod-{round}"), format!("other-{round}")];
            owners.look(missed(&[&pods[0]]), now);
            // Another one that turns up after it is no second return.
            owners.look(missed(&[&pods[0], &pods[1]]), now);
            waits.extend(owners.left_alone("rs", now).map(|wait| wait.as_secs() / 60));
            now = owners.tried.get("rs").map_or(now, |tried| tried.next);
            assert!(owners.may("rs", now));
            owners.evicted("rs", now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440]);
    }

    #[tokio::test]
    async fn pods_that_were_missed_together_do_not_wait_for_each_other() {
        let (mut owners, now) = (Owners::default(), Instant::now());
        owners.look(missed(&["a", "b", "c"]), now);
        owners.evicted("rs", now);
        assert!(owners.may("rs", now));
        owners.look(missed(&["b", "c"]), now);
        owners.evicted("rs", now);
        assert!(owners.may("rs", now));
        assert_eq!(owners.left_alone("rs", now), None);
    }

    #[tokio::test]
    async fn after_a_return_one_pod_is_tried_and_what_becomes_of_it_is_waited_for() {
        let (mut owners, now) = (Owners::default(), Instant::now());
        owners.look(missed(&["a", "b"]), now);
        owners.evicted("rs", now);
        owners.look(missed(&["b", "a-again"]), now);
        assert!(!owners.may("rs", now + minutes(4)) && owners.may("rs", now + minutes(5)));
        owners.evicted("rs", now + minutes(5));
        assert!(!owners.may("rs", now + minutes(9)));
        owners.look(missed(&["b"]), now + minutes(10));
        assert!(owners.may("rs", now + minutes(10)), "it came back with its agent");
    }

    #[tokio::test]
    async fn an_owner_is_remembered_for_a_day_after_its_pods_were_missed() {
        let (mut owners, now) = (Owners::default(), Instant::now());
        owners.look(missed(&["a"]), now);
        owners.evicted("rs", now);
        owners.look(Pods::new(), now + minutes(60 * 23));
        assert_eq!(owners.tried.len(), 1, "a StatefulSet's pod comes when the one before it has gone");
        owners.look(Pods::new(), now + minutes(60 * 24));
        assert_eq!(owners.tried.len(), 0);
    }

    #[tokio::test]
    async fn a_refusal_is_waited_out_ever_longer_until_one_is_taken() {
        let (mut owners, now) = (Owners::default(), Instant::now());
        let waits: Vec<_> = (0..8).map(|_| owners.refused("rs", now).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!owners.may("rs", now + minutes(59)) && owners.may("rs", now + minutes(60)));
        owners.evicted("rs", now + minutes(60));
        assert_eq!(owners.refused("rs", now + minutes(60)), minutes(1));
        assert_eq!(owners.left_alone("rs", now), None, "nothing came back");
    }
}
