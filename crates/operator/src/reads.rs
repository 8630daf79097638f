//! Answers of Vault, shared: objects that read the same secret under the same login, and are due together, ask once.
//!
//! due since t → an answer that was asked for at t or later? that one · one on its way? after it · else ask, for all that come
//!
//! Nobody gets an answer that was asked for before it was due itself, so sharing makes nothing staler. Answers are secrets:
//! they are kept while objects wait for their turn to use them, and no longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sidekey_core::{Lookup, Response};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::plan::auth::Login;
use crate::plan::outcome::Trouble;
use crate::sessions::Session;

/// Oldest answer that is handed out, however long the queue of those who are due.
const LONGEST: Duration = Duration::from_secs(10);

/// What is read, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct What {
    login: Arc<Login>,
    namespace: Option<String>,
    path: String,
    query: BTreeMap<String, String>,
}

impl What {
    /// Of a plain read, in a Vault namespace or the login's own.
    pub fn new(login: &Arc<Login>, namespace: Option<&str>, lookup: &Lookup) -> Self {
        let (path, query) = (lookup.path.clone(), lookup.query.clone());
        Self { login: Arc::clone(login), namespace: namespace.map(str::to_owned), path, query }
    }
}

/// An answer, and the session that got it.
pub type Answer = Result<Arc<(Session, Response)>, Trouble>;

struct Flight<A> {
    begun: Instant,
    answer: OnceCell<A>,
}

/// The reads on their way and the answers not yet used by all. Clones are the same.
pub struct Reads<W = What, A = Answer>(Arc<Mutex<Flights<W, A>>>);

type Flights<W, A> = BTreeMap<W, Arc<Flight<A>>>;

impl<W, A> Clone for Reads<W, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W, A> Default for Reads<W, A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<W: Ord + Clone, A: Clone> Reads<W, A> {
    /// The answer to `read`, by this caller or another one, asked for no earlier than `since`.
    pub async fn ask<F: Future<Output = A>>(&self, what: &W, since: Instant, read: impl Fn() -> F) -> A {
        loop {
            let (flight, mine) = self.board(what, since);
            // Who started it may be gone: then the next in line reads.
            let answer = flight.answer.get_or_init(&read).await;
            if mine {
                return answer.clone();
            }
        }
    }

    /// A read to wait for, and whether its answer is new enough.
    fn board(&self, what: &W, since: Instant) -> (Arc<Flight<A>>, bool) {
        let now = Instant::now();
        let mut flights = self.flights();
        if let Some(flight) = flights.get(what) {
            let open = !flight.answer.initialized();
            let mine = flight.begun >= since && (open || now.duration_since(flight.begun) < LONGEST);
            if mine || open {
                return (Arc::clone(flight), mine);
            }
        }
        let flight = Arc::new(Flight { begun: now, answer: OnceCell::new() });
        flights.insert(what.clone(), Arc::clone(&flight));
        (flight, true)
    }

    /// Nobody is due who could use an answer that is there.
    pub fn settle(&self) {
        let mut flights = self.flights();
        if !flights.is_empty() {
            flights.retain(|_, flight| !flight.answer.initialized());
        }
    }

    fn flights(&self) -> MutexGuard<'_, Flights<W, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
