//! Waiting for something to become so.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time for a pod to become Ready while many others start on the same two cores.
pub const START: Duration = seconds(180);

/// Asks again each half second until `look` says `Ok`; its last `Err` is what the panic shows.
///
/// # Panics
/// When `limit` has passed.
pub fn until<T, E: Display>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) if Instant::now() >= end => panic!("after {limit:?} still not {what}: {last}"),
            Err(_) => sleep(Duration::from_millis(500)),
        }
    }
}

/// Seconds, shortly.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
