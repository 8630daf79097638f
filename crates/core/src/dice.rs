//! Jitter from a seed, so that a day of it can be replayed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform between two shares of a duration; callers keep `high` small enough not to overflow.
    pub(crate) fn part(&mut self, of: Duration, (low, high): (f64, f64)) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are a float's own precision")]
        let unit = (self.roll() >> 11) as f64 / (1_u64 << 53) as f64;
        of.mul_f64(unit.mul_add(high - low, low))
    }
}
