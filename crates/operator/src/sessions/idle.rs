//! Logins that wait, and those that nobody needs any more.

use tokio::time::Instant;

use super::Identity;
use super::keeper::{Done, Keeper, forget, store};
use super::slot::Live;
use crate::types::object::Key;

impl Keeper {
    /// Tries again now what failed to log in over this connection.
    pub(super) fn hurry(&mut self, connection: &Key) {
        let now = Instant::now();
        let failing = self.slots.iter_mut().filter(|(_, slot)| slot.login.connection.key == *connection);
        let failing = failing.filter_map(|(identity, slot)| {
            let (_, until, _) = slot.failed.as_mut()?;
            *until = now;
            Some(identity.clone())
        });
        for identity in failing.collect::<Vec<_>>() {
            self.start(&identity);
        }
    }

    /// What is used and what is not has changed: the time of what is not used any more runs.
    pub(super) fn watch_unused(&mut self) {
        let over = Instant::now() + self.means.idle;
        let unused: Vec<_> = self.slots.keys().filter(|identity| !self.is_used(identity)).cloned().collect();
        for identity in unused {
            if let Some(slot) = self.slots.get_mut(&identity) {
                slot.over.get_or_insert(over);
            }
        }
    }

    /// Objects use it, or the logins themselves do. While that is not known, it is.
    fn is_used(&self, identity: &Identity) -> bool {
        let surroundings = self.means.surroundings.borrow();
        let encrypts = surroundings.transit.as_ref().is_some_and(|transit| Identity::of(&transit.login) == *identity);
        encrypts || surroundings.used.as_ref().is_none_or(|used| used.contains(identity))
    }

    /// Ends logins that have not been used for their time: nothing hangs on them any more, neither lease nor object.
    pub(super) fn give_back(&mut self, now: Instant) {
        let due = self.slots.iter().filter(|(_, slot)| slot.over.is_some_and(|over| over <= now));
        let due: Vec<_> = due.map(|(identity, slot)| (identity.clone(), slot.asked + self.means.idle)).collect();
        for (identity, over) in due {
            let (used, known) = (self.is_used(&identity), self.means.surroundings.borrow().used.is_some());
            let Some(slot) = self.slots.get_mut(&identity) else { continue };
            if !known || slot.busy || over > now {
                slot.over = Some(over.max(now + self.means.idle / 2));
                continue;
            }
            if used {
                slot.over = None;
                continue;
            }
            let Some(slot) = self.slots.remove(&identity) else { continue };
            for live in slot.live.into_iter().chain(slot.candidate) {
                if let Some(store) = store(&self.means, &self.own).filter(|_| live.kept) {
                    self.tasks.spawn(forget(store, live.ticket.cache_key.clone()));
                }
                tracing::info!(auth = %identity.auth, namespace = identity.consumer, "a login that nothing uses is given back");
                self.revoke(live);
            }
            self.note(identity, None);
        }
    }

    /// Ends a token. One that may not end itself is left to its end.
    pub(super) fn revoke(&mut self, mut live: Live) {
        let Some((_, client)) = live.clients.pop_first() else { return };
        self.tasks.spawn(async move {
            let _ = client.revoke_token(&live.token).await;
            Done::Nothing
        });
    }
}
