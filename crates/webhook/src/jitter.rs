//! Pauses that replicas do not keep in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Within a fifth to either side of `pause`.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 400;
    pause.mul_f64(0.8 + f64::from(u32::try_from(random).unwrap_or(200)) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_a_fifth() {
        let pauses: Vec<_> = (0..200).map(|_| jittered(Duration::from_secs(10)).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (8.0..=12.0).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < 9.5) && pauses.iter().any(|pause| *pause > 10.5));
    }
}
