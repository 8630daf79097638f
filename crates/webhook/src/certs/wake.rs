//! A watch on one object whose only word is "look now": what changed is read by the look, which decides and bounds as ever.
//!
//! Events carry metadata alone, so that no key travels, and are dropped unread, so that nothing grows. A watch that cannot be
//! held costs speed and nothing else: the object is looked at each second for a minute, and every ten seconds after that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sidekey_cluster::api::{Api, ApiError, METADATA};
use sidekey_cluster::jitter;
use sidekey_core::Code;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::metrics::Metrics;

/// The API server ends a watch after this; below the client's own read timeout.
const SECONDS: u32 = 240;

/// A watch that lasted this long was a good one.
const GOOD: Duration = Duration::from_secs(5);

/// The first pause before a watch is begun again, doubled up to [`LONGEST`] while none is good.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Doublings while nobody answers, or an API server that is not itself yet (429, 5xx), to 1.6 s: one that starts again is away for
/// long enough to be given up for half a minute, and who replaces the configuration right after that would have pods wait for us.
const AILING: u32 = 4;

/// Looks that changes may bring about at once.
const BURST: u32 = 10;

/// Then one in this time: whoever writes against us all day makes no loop.
const REFILL: Duration = Duration::from_secs(1);

/// What watches tell.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Something changed, or may have.
    pub(super) changed: Notify,
    /// How many watches are held now.
    held: AtomicUsize,
}

impl Changes {
    /// Whether one of so many watches is not held.
    pub(super) fn lacks(&self, all: usize) -> bool {
        self.held.load(Ordering::Relaxed) < all
    }
}

/// Tells `changes` of each change of the object `name` of `collection`, and whenever some may have been overlooked, for ever.
pub(super) async fn follow(api: Api, collection: &str, name: &str, changes: &Changes, metrics: &Metrics) {
    let path = format!("{collection}?watch=true&fieldSelector=metadata.name%3D{name}&timeoutSeconds={SECONDS}");
    let (mut failures, mut said, mut ailing) = (0_u32, false, false);
    loop {
        let begun = Instant::now();
        let ended = listen(&api, &path, changes).await;
        let is_ailing =
            matches!(&ended, Err(error) if error.status().is_none_or(|status| status == 429 || status >= 500));
        // A refusal after an absence is a new matter: an API server that has just started refuses for a moment.
        let same = begun.elapsed() < GOOD && ailing == is_ailing;
        failures = if same { failures + 1 } else { u32::from(begun.elapsed() < GOOD) };
        failures = failures.min(if is_ailing { AILING } else { u32::MAX });
        ailing = is_ailing;
        match ended {
            Ok(()) => said = false,
            Err(error) => {
                metrics.api_failed();
                let cause = error.cause(Code::KubernetesApi);
                if std::mem::replace(&mut said, true) {
                    tracing::debug!(%cause, "still not watched");
                } else {
                    tracing::warn!(%cause, "not watched, looked at now and then instead");
                }
            }
        }
        sleep(jitter::around(pause(failures), 0.2)).await;
    }
}

/// Holds one watch to its end.
async fn listen(api: &Api, path: &str, changes: &Changes) -> Result<(), ApiError> {
    let mut lines = api.watch(path, METADATA).await?;
    changes.held.fetch_add(1, Ordering::Relaxed);
    changes.changed.notify_one();
    let ended = loop {
        match lines.next().await {
            Ok(Some(_)) => changes.changed.notify_one(),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    changes.held.fetch_sub(1, Ordering::Relaxed);
    changes.changed.notify_one();
    ended
}

fn pause(failures: u32) -> Duration {
    SHORTEST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

/// When the next look that a change asks for may begin.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the allowance would be whole again.
    whole: Instant,
}

impl Pace {
    /// With the whole allowance.
    pub(super) const fn new(now: Instant) -> Self {
        Self { whole: now }
    }

    /// Takes one look off the allowance; how long to wait for it.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.whole = self.whole.max(now) + REFILL;
        (self.whole - now).saturating_sub(REFILL * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_changes_are_looked_at_at_once_and_many_once_a_second() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        let waits: Vec<_> = (0..13).map(|_| pace.wait(begun).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        let later = begun + Duration::from_secs(60);
        assert_eq!(pace.wait(later), Duration::ZERO, "the allowance is whole again");
        assert_eq!(pace.whole, later + REFILL, "and no more than whole");
    }

    #[test]
    fn a_watch_that_cannot_be_held_is_begun_ever_later() {
        let pauses = [0, 1, 4, 9, 40].map(|failures| pause(failures).as_millis());
        assert_eq!(pauses, [100, 200, 1600, 30_000, 30_000]);
    }
}
