//! When each object is looked at next, and what the last look learnt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sidekey_cluster::jitter;
use tokio::time::Instant;

use super::lanes::Lanes;
use super::readers::beat;
use crate::backoff::Backoff;
use crate::controllers::{Memory, Next, Refers};
use crate::metrics::Metrics;
use crate::plan::auth::Login;
use crate::types::Kind;
use crate::types::object::Key;

/// Shortest time between two looks that only a changed Secret has asked for: two programs that write the same Secret must
/// not chase each other.
const SPACING: Duration = Duration::from_secs(5);

/// Longest wait between two looks at a connection that fails: all that use it wait for its success.
const CONNECTION: Duration = Duration::from_secs(10);

/// The share of their period after which objects are looked at that read the same: in the middle of all others'.
const COMMON: f64 = 0.85;

#[derive(Default)]
struct Entry {
    memory: Memory,
    due: Option<Instant>,
    /// When somebody last asked for a look, as against its time having come.
    asked: Option<Instant>,
    /// What the look under way reads is to be no older.
    since: Option<Instant>,
    running: bool,
    /// Asked for while it ran.
    again: bool,
    /// Version of the Secret told while it ran; empty when it was deleted.
    secret: Option<String>,
    failures: u32,
    /// Tries in a row after which workloads were owed a restart.
    owing: u32,
    looked: Option<Instant>,
    mended: Option<Instant>,
    /// The login of the last look that had one.
    login: Option<Arc<Login>>,
}

impl Entry {
    fn used(&self) -> Used<'_> {
        Used(self.login.as_deref())
    }
}

/// What an object's last look used.
#[derive(Clone, Copy)]
pub(super) struct Used<'a>(Option<&'a Login>);

impl Used<'_> {
    /// Whether this VaultAuth or connection was among it.
    pub(super) fn has(self, key: &Key) -> bool {
        self.0.is_some_and(|login| login.auth == *key || login.connection.key == *key)
    }
}

/// Due times of all objects.
pub(super) struct Schedule {
    /// What common due times are counted from.
    begun: Instant,
    // Boxed, since a tree's leaves are hardly more than half full.
    entries: BTreeMap<Key, Box<Entry>>,
    due: BTreeSet<(Instant, Key)>,
    /// When the waiting ones were last counted, if there were any.
    counted: Option<Instant>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { begun: Instant::now(), entries: BTreeMap::new(), due: BTreeSet::new(), counted: None }
    }
}

impl Schedule {
    /// The first due time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Tells how many objects are due and wait, once a second at the most: many looks end within one.
    pub(super) fn count_waiting(&mut self, metrics: &Metrics, lanes: &Lanes) {
        let now = Instant::now();
        let any = lanes.any() || self.next().is_some_and(|at| at <= now);
        let lately = self.counted.is_some_and(|counted| now.duration_since(counted) < Duration::from_secs(1));
        if any && lately || !any && self.counted.is_none() {
            return;
        }
        self.counted = any.then_some(now);
        let mut counts = Kind::ALL.map(|kind| (kind, lanes.waiting(kind)));
        for (_, key) in self.due.iter().take_while(|(at, _)| *at <= now) {
            counts.iter_mut().filter(|(kind, _)| *kind == key.kind).for_each(|(_, count)| *count += 1);
        }
        counts.into_iter().for_each(|(kind, count)| metrics.waiting(kind, count));
    }

    /// Looks at this time, or sooner if it is due sooner.
    pub(super) fn at(&mut self, key: &Key, at: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.asked = Some(Instant::now());
        if entry.running {
            entry.again = true;
            return;
        }
        self.set(key, at);
    }

    fn set(&mut self, key: &Key, at: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(before) = entry.due.replace(at) {
            self.due.remove(&(before, key.clone()));
        }
        self.due.insert((at, key.clone()));
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(due) = self.entries.remove(key).and_then(|entry| entry.due) {
            self.due.remove(&(due, key.clone()));
        }
    }

    /// The first object that is due; it counts as running from now on.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Key> {
        if self.next()? > now {
            return None;
        }
        let (due, key) = self.due.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.since = Some(entry.asked.take().unwrap_or(due));
            (entry.due, entry.running, entry.again, entry.secret) = (None, true, false, None);
            entry.looked = Some(now);
        }
        Some(key)
    }

    /// Keeps what a look uses, to know whom a change concerns.
    pub(super) fn uses(&mut self, key: &Key, refers: &Refers) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Refers::Login(Ok(login)) = refers {
            entry.login = Some(Arc::clone(login));
        }
    }

    /// The login of the last look that had one.
    pub(super) fn login(&self, key: &Key) -> Option<Arc<Login>> {
        self.entries.get(key)?.login.clone()
    }

    /// What the look under way reads is to be asked for no earlier.
    pub(super) fn since(&self, key: &Key) -> Option<Instant> {
        self.entries.get(key)?.since
    }

    /// The logins of the last looks at objects that are filled from Vault.
    pub(super) fn logins(&self) -> impl Iterator<Item = &Arc<Login>> {
        self.entries.iter().filter(|(key, _)| key.kind.is_secret()).filter_map(|(_, entry)| entry.login.as_ref())
    }

    pub(super) fn memory(&self, key: &Key) -> Memory {
        self.entries.get(key).map(|entry| entry.memory.clone()).unwrap_or_default()
    }

    /// A Secret of this object changed: a look is due, unless it is the version that the last look left behind.
    pub(super) fn secret_changed(&mut self, key: &Key, version: &str) {
        let now = Instant::now();
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.running {
            entry.secret = Some(version.to_owned());
            return;
        }
        if entry.memory.verified.as_ref().is_some_and(|verified| verified.resource_version == version) {
            return;
        }
        let at = entry.mended.map_or(now, |mended| now.max(mended + SPACING));
        entry.mended = Some(at);
        self.at(key, at);
    }

    /// A look has ended, and may have left workloads owed a restart. Whether the object is well after it was not.
    pub(super) fn finish(
        &mut self,
        key: &Key,
        memory: Memory,
        next: Next,
        (well, owes): (bool, bool),
        backoff: Backoff,
    ) -> bool {
        let now = Instant::now();
        let Some(entry) = self.entries.get_mut(key) else { return false };
        let healed = well && entry.failures > 0;
        entry.running = false;
        entry.memory = memory;
        entry.failures = if well && next != Next::Retry { 0 } else { entry.failures.saturating_add(1) };
        let untried = entry.memory.restart.filter(|at| owes && *at > now);
        entry.owing = if owes { entry.owing.saturating_add(u32::from(untried.is_none())) } else { 0 };
        let restart = owes.then(|| untried.unwrap_or_else(|| now + backoff.after(entry.owing)));
        entry.memory.restart = restart;
        let (again, secret, failures) = (entry.again, entry.secret.take(), entry.failures.max(1));
        let wait = match next {
            Next::Never => None,
            Next::After(period, spread) => Some(jitter::within(period, spread)),
            Next::Together(period, of) => Some(beat(now.duration_since(self.begun), period.mul_f64(COMMON), of)),
            Next::Retry if key.kind.is_connection() => Some(backoff.after(failures).min(CONNECTION)),
            Next::Retry => Some(backoff.after(failures)),
        };
        // What is due for its own sake, a lease say, does not wait for a workload.
        if let Some(at) = wait.map(|wait| now + wait).into_iter().chain(restart).min() {
            self.set(key, at);
        }
        if again {
            self.at(key, now);
        }
        if let Some(version) = secret {
            self.secret_changed(key, &version);
        }
        healed
    }

    /// Objects whose last look failed.
    pub(super) fn failing(&self) -> impl Iterator<Item = (&Key, Used<'_>)> {
        self.all_entries().filter(|(_, entry)| entry.failures > 0).map(|(key, entry)| (key, entry.used()))
    }

    /// All objects, and what their last look used.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, Used<'_>)> {
        self.all_entries().map(|(key, entry)| (key, entry.used()))
    }

    fn all_entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key, &**entry))
    }

    /// Whether an object has been looked at within this time.
    pub(super) fn looked_within(&self, key: &Key, time: Duration) -> bool {
        self.entries.get(key).and_then(|entry| entry.looked).is_some_and(|looked| looked.elapsed() < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::Verified;

    fn key(name: &str) -> Key {
        Key::new(Kind::VaultStaticSecret, "app", name)
    }

    fn done(schedule: &mut Schedule, key: &Key, version: &str, next: Next, well: bool) {
        let verified = Some(Verified { resource_version: version.to_owned(), mac: String::new() });
        schedule.finish(key, Memory { verified, ..Memory::default() }, next, (well, false), Backoff::default());
    }

    #[tokio::test(start_paused = true)]
    async fn an_own_write_that_comes_back_is_no_news_and_a_foreign_one_is() {
        let (mut schedule, web) = (Schedule::default(), key("web"));
        schedule.at(&web, Instant::now());
        assert_eq!(schedule.take_due(Instant::now()), Some(web.clone()));
        schedule.secret_changed(&web, "5");
        done(&mut schedule, &web, "5", Next::Never, true);
        assert_eq!(schedule.next(), None);
        schedule.secret_changed(&web, "5");
        assert_eq!(schedule.next(), None);
        schedule.secret_changed(&web, "6");
        assert_eq!(schedule.take_due(Instant::now()), Some(web.clone()));
        done(&mut schedule, &web, "7", Next::Never, true);
        schedule.secret_changed(&web, "8");
        assert!(schedule.next().unwrap() >= Instant::now() + SPACING / 2, "two writers must not chase each other");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_while_it_runs_comes_right_after() {
        let (mut schedule, web) = (Schedule::default(), key("web"));
        schedule.at(&web, Instant::now());
        schedule.take_due(Instant::now());
        schedule.at(&web, Instant::now());
        assert_eq!(schedule.take_due(Instant::now()), None);
        done(&mut schedule, &web, "1", Next::After(Duration::from_secs(60), (1.0, 1.0)), true);
        assert_eq!(schedule.take_due(Instant::now()), Some(web));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time_and_for_ever() {
        let (mut schedule, web) = (Schedule::default(), key("web"));
        let mut waits = Vec::new();
        schedule.at(&web, Instant::now());
        for _ in 0..20 {
            schedule.take_due(Instant::now()).unwrap();
            done(&mut schedule, &web, "1", Next::Retry, false);
            let due = schedule.next().unwrap();
            waits.push((due - Instant::now()).as_secs_f64());
            tokio::time::advance(due - Instant::now()).await;
        }
        assert!(waits[0] <= 7.5 && waits.iter().all(|wait| (2.5..=90.0).contains(wait)), "{waits:?}");
        assert!(waits[10..].iter().all(|wait| *wait >= 30.0), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_owes_a_restart_looks_ever_later_and_never_later_than_it_would_have() {
        let (mut schedule, web) = (Schedule::default(), key("web"));
        let backoff = Backoff { randomization: 0.0, ..Backoff::default() };
        let (begun, mut waits) = (Instant::now(), Vec::new());
        schedule.at(&web, begun);
        for _ in 0..9 {
            let now = Instant::now();
            schedule.take_due(now).unwrap();
            schedule.finish(&web, schedule.memory(&web), Next::Never, (true, true), backoff);
            assert_eq!(schedule.failing().count(), 0, "it is well");
            waits.push((schedule.next().unwrap() - now).as_secs());
            tokio::time::advance(schedule.next().unwrap() - now).await;
        }
        assert_eq!((&waits[..3], waits[8]), (&[5, 7, 11][..], 60));
        // Its own time comes first, and is no try.
        let mut look = |next, owes| {
            schedule.take_due(Instant::now()).unwrap();
            schedule.finish(&web, schedule.memory(&web), next, (true, owes), backoff);
            schedule.next().map(|due| (due - Instant::now()).as_secs())
        };
        let own = Next::After(Duration::from_secs(50), (1.0, 1.0));
        assert_eq!(look(own, true), Some(50));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(look(own, true), Some(10), "the rest of a minute");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(look(Next::Never, false), None);
    }

    #[tokio::test]
    async fn what_is_gone_is_not_looked_at() {
        let (mut schedule, web) = (Schedule::default(), key("web"));
        schedule.at(&web, Instant::now());
        schedule.forget(&web);
        assert_eq!(schedule.take_due(Instant::now()), None);
    }
}
