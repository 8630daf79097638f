//! Logins in use after a change of how their server is reached: the token stays, and with it its leases.

use super::keeper::Keeper;
use super::slot::Live;
use crate::plan::auth::Connection;
use crate::reach::Reach;

impl Keeper {
    /// A server answers that is reached so. Logins over the connection as it was before a change of its spec are left alone: their
    /// tokens are for the server that it named then.
    pub(super) fn refit(&mut self, connection: &Connection, reach: &Reach) {
        for slot in self.slots.values_mut().filter(|slot| slot.login.connection == *connection) {
            if slot.busy {
                slot.reach = Some(reach.clone());
            }
            for live in slot.live.iter_mut().chain(&mut slot.candidate) {
                live.refit(reach);
            }
        }
    }
}

impl Live {
    /// Takes clients that reach the server so, if that is news.
    pub(super) fn refit(&mut self, reach: &Reach) {
        if self.reach.is_as(reach) {
            return;
        }
        let reach = reach.within(self.reach.server.namespace.clone());
        // One that answered a moment ago can be made a client of.
        let Ok(client) = reach.client() else { return };
        self.clients = [(reach.server.namespace.clone(), client)].into();
        self.reach = reach;
    }
}
