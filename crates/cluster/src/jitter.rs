//! Waits that replicas do not keep in step.

use std::time::Duration;

/// `base` times a random factor of `1 ± spread`.
pub fn around(base: Duration, spread: f64) -> Duration {
    within(base, (1.0 - spread, 1.0 + spread))
}

/// `base` times a random factor between the two.
pub fn within(base: Duration, (least, most): (f64, f64)) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness everybody waits the middle: worse spread, still a wait.
    let dice = getrandom::fill(&mut bytes).map_or(0.5, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX));
    base.mul_f64((most - least).mul_add(dice, least).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_and_stay_within() {
        let waits: Vec<_> = (0..200).map(|_| around(Duration::from_secs(10), 0.2).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (8.0..=12.0).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 9.5) && waits.iter().any(|wait| *wait > 10.5));
    }
}
