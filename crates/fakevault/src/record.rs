//! What was asked of the server, for tests that count.

use std::collections::VecDeque;
use std::time::Duration;

/// Requests kept; the oldest go first.
const CAPACITY: usize = 65_536;

/// One request. Neither its token nor its body is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// As sent: `GET`, `PUT`, `LIST`, …
    pub method: String,
    /// Without `/v1/` and the query.
    pub path: String,
    /// `X-Vault-Namespace`, without slashes at its ends.
    pub namespace: Option<String>,
    /// The client's certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// The answer's status; 0 while there is none, or when the connection was reset in its place.
    pub status: u16,
    /// When it came, on the server's clock since its start.
    pub at: Duration,
}

#[derive(Default)]
pub(crate) struct Log {
    entries: VecDeque<Recorded>,
    /// Entries dropped at the front.
    dropped: usize,
}

impl Log {
    /// Keeps a request that has no answer yet; the number is for [`Self::finish`].
    pub(crate) fn begin(&mut self, entry: Recorded) -> usize {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(entry);
        self.dropped + self.entries.len() - 1
    }

    pub(crate) fn finish(&mut self, number: usize, status: u16) {
        if let Some(entry) = number.checked_sub(self.dropped).and_then(|index| self.entries.get_mut(index)) {
            entry.status = status;
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Recorded> {
        self.entries.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.dropped += self.entries.len();
        self.entries.clear();
    }
}

/// Whether two method names mean the same to Vault.
pub(crate) fn same_method(asked: &str, seen: &str) -> bool {
    let name = |method: &str| if method == "PUT" { "POST".to_owned() } else { method.to_owned() };
    asked.is_empty() || name(asked) == name(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_requests_and_finds_them_again() {
        let entry = |path: String| Recorded {
            method: "GET".into(),
            path,
            namespace: None,
            certificate: None,
            status: 0,
            at: Duration::ZERO,
        };
        let mut log = Log::default();
        let first = log.begin(entry("first".into()));
        for number in 0..CAPACITY {
            log.begin(entry(number.to_string()));
        }
        log.finish(first, 200);
        let last = log.begin(entry("last".into()));
        log.finish(last, 204);
        assert_eq!(log.entries().count(), CAPACITY);
        assert_eq!(log.entries().last().map(|entry| (entry.path.as_str(), entry.status)), Some(("last", 204)));
        assert!(log.entries().all(|entry| entry.status != 200));
    }
}
