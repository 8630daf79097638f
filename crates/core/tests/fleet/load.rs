//! What the server sees: requests in buckets of time.

use std::ops::Range;

use sidekey_core::planner::{Step, Time};

use crate::pod::after;

/// Requests and, of them, logins, in each bucket.
pub struct Load {
    /// Seconds.
    pub bucket: u64,
    pub requests: Vec<u32>,
    pub logins: Vec<u32>,
}

/// Requests per second over some time.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub mean: f64,
    /// Of the fullest bucket.
    pub peak: f64,
}

impl Load {
    pub fn new(seconds: u64, bucket: u64) -> Self {
        let buckets = usize::try_from(seconds / bucket).unwrap();
        Self { bucket, requests: vec![0; buckets], logins: vec![0; buckets] }
    }

    pub fn count(&mut self, at: Time, step: &Step) {
        let bucket = usize::try_from(at.since(after(0)).as_secs() / self.bucket).unwrap();
        if let Some(count) = self.requests.get_mut(bucket) {
            *count += 1;
            self.logins[bucket] += u32::from(*step == Step::LogIn);
        }
    }

    /// Of these minutes.
    pub fn part(&self, minutes: Range<u64>) -> Part {
        let buckets = self.buckets(minutes);
        let sum: u32 = buckets.iter().sum();
        let length = f64::from(u32::try_from(buckets.len()).unwrap());
        Part { mean: self.rate(sum) / length, peak: self.rate(buckets.iter().copied().max().unwrap()) }
    }

    /// How long of these minutes more than `rate` requests a second came in.
    pub fn seconds_above(&self, minutes: Range<u64>, rate: f64) -> u64 {
        let above = self.buckets(minutes).iter().filter(|count| self.rate(**count) > rate).count();
        u64::try_from(above).unwrap() * self.bucket
    }

    /// The fullest bucket of each minute, per second.
    pub fn by_minute(&self) -> Vec<f64> {
        let length = usize::try_from(60 / self.bucket).unwrap();
        self.requests.chunks(length).map(|minute| self.rate(minute.iter().copied().max().unwrap())).collect()
    }

    fn buckets(&self, minutes: Range<u64>) -> &[u32] {
        let index = |minute: u64| usize::try_from(minute * 60 / self.bucket).unwrap();
        &self.requests[index(minutes.start)..index(minutes.end)]
    }

    fn rate(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(u32::try_from(self.bucket).unwrap())
    }
}
