//! Looks that have begun and not ended, so that one that hangs shows before it ends; under the names of client-go's work queues.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tokio::time::Instant;

use super::labels::Queue;
use crate::types::Kind;
use crate::types::object::Key;

/// When each began; cheap to clone. No more than there are looks at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Underway(Arc<Mutex<BTreeMap<Key, Instant>>>);

impl Underway {
    pub(super) fn begun(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Instant::now());
    }

    pub(super) fn ended(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The sum of their times and the longest of them, for each kind.
    fn times(&self) -> [(Kind, Duration, Duration); Kind::ALL.len()] {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Kind::ALL.map(|kind| {
            let mut of = (kind, Duration::ZERO, Duration::ZERO);
            for (_, begun) in begun.iter().filter(|(key, _)| key.kind == kind) {
                of = (kind, of.1 + begun.elapsed(), of.2.max(begun.elapsed()));
            }
            of
        })
    }
}

impl Collector for Underway {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let times = self.times();
        let sum = "Time of the looks under way, together";
        gauges(&mut encoder, "workqueue_unfinished_work", sum, times.map(|(kind, sum, _)| (kind, sum)))?;
        let longest = "Time of the longest look under way";
        gauges(&mut encoder, "workqueue_longest_running_processor", longest, times.map(|(kind, _, most)| (kind, most)))
    }
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    about: &str,
    times: impl IntoIterator<Item = (Kind, Duration)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, about, Some(&Unit::Seconds), MetricType::Gauge)?;
    for (kind, time) in times {
        ConstGauge::new(time.as_secs_f64()).encode(family.encode_family(&Queue::of(kind))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_sum_and_the_longest_of_those_that_have_not_ended() {
        let (underway, of) = (Underway::default(), Kind::VaultStaticSecret);
        let key = |name: &str| Key::new(of, "app", name);
        underway.begun(&key("a"));
        tokio::time::advance(Duration::from_secs(3)).await;
        underway.begun(&key("b"));
        underway.begun(&Key::new(Kind::VaultAuth, "app", "a"));
        tokio::time::advance(Duration::from_secs(2)).await;
        let times = |kind| underway.times().into_iter().find(|(is, ..)| *is == kind).unwrap();
        assert_eq!(times(of), (of, Duration::from_secs(7), Duration::from_secs(5)));
        underway.ended(&key("a"));
        assert_eq!(times(of), (of, Duration::from_secs(2), Duration::from_secs(2)));
        underway.ended(&key("b"));
        assert_eq!(times(of), (of, Duration::ZERO, Duration::ZERO));
    }
}
