//! Leases: which the server gave, which were seen in a file, and what excuses the loss of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::watch::Wrong;

/// An answer whose loss is excused comes this long before the fault, or after it, at most.
const NEAR: Duration = Duration::from_secs(4);

/// A lease that has been in no file for so long never will be.
const LATEST: Duration = Duration::from_secs(60);

/// Two secrets have leases, and so has a killed agent two requests under way at most.
const MOST_IN_FLIGHT: usize = 2;

/// What may take an answer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The agent was killed.
    Kill,
    /// One answer did not come.
    Answer,
    /// No answer comes, or nothing can be written, or somebody takes away what was given.
    Outage,
}

/// A lease: when it was first heard of, what was going on, and what the agent had said by then.
pub(crate) struct Issued {
    pub(crate) at: Duration,
    pub(crate) scene: String,
    pub(crate) line: usize,
}

/// One occasion, and how many leases it may yet excuse.
struct Occasion {
    at: Duration,
    loss: Loss,
    left: usize,
}

#[derive(Default)]
pub(crate) struct Ledger {
    /// By user name.
    open: BTreeMap<String, Issued>,
    known: BTreeSet<String>,
    /// A set may be read before the server is asked what it gave.
    seen: BTreeSet<String>,
    occasions: Vec<Occasion>,
    pub(crate) lost_to_kill: usize,
    pub(crate) lost_to_fault: usize,
}

impl Ledger {
    /// How many leases there were.
    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn may_lose(&mut self, now: Duration, loss: Loss) {
        let left = match loss {
            Loss::Kill => MOST_IN_FLIGHT,
            Loss::Answer => 1,
            Loss::Outage => usize::MAX,
        };
        self.occasions.push(Occasion { at: now, loss, left });
    }

    pub(crate) fn issued(&mut self, user: String, issued: impl FnOnce() -> Issued) {
        if self.known.insert(user.clone()) && !self.seen.contains(&user) {
            self.open.insert(user, issued());
        }
    }

    pub(crate) fn seen(&mut self, user: String) {
        self.open.remove(&user);
        self.seen.insert(user);
    }

    /// Every lease that is old enough was seen in a file, or its loss is excused; at the end of a run all of them are.
    pub(crate) fn account(&mut self, now: Duration, at_end: bool) -> Result<(), (String, Issued)> {
        let old = |issued: &Issued| at_end || now.saturating_sub(issued.at) > LATEST;
        let users: Vec<String> = self.open.iter().filter(|(_, i)| old(i)).map(|(user, _)| user.clone()).collect();
        for user in users {
            let Some(issued) = self.open.remove(&user) else { continue };
            let close = |occasion: &&mut Occasion| occasion.left > 0 && issued.at.abs_diff(occasion.at) <= NEAR;
            // What excuses any number comes first, so that a kill's share is left to its own.
            let occasions = self.occasions.iter_mut().filter(close);
            let Some(occasion) = occasions.max_by_key(|occasion| occasion.left) else { return Err((user, issued)) };
            occasion.left = if occasion.left == usize::MAX { occasion.left } else { occasion.left - 1 };
            match occasion.loss {
                Loss::Kill => self.lost_to_kill += 1,
                Loss::Answer | Loss::Outage => self.lost_to_fault += 1,
            }
        }
        self.occasions.retain(|occasion| now.saturating_sub(occasion.at) < LATEST * 2);
        Ok(())
    }

    /// One lease for each kill at most, over the whole run.
    pub(crate) fn audit(&self, kills: usize) -> Result<(), Wrong> {
        if self.lost_to_kill > kills {
            return Err(format!("{} leases lost to {kills} kills", self.lost_to_kill));
        }
        Ok(())
    }
}
