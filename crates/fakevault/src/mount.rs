//! Secret engines by path.

use crate::answer::Answer;
use crate::ask::Ask;
use crate::database::Database;
use crate::kv::{Kv1, Kv2};
use crate::state::State;

pub(crate) enum Mount {
    Kv1(Kv1),
    Kv2(Kv2),
    Database(Database),
    Pki,
}

impl Mount {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Kv1(_) | Self::Kv2(_) => "kv",
            Self::Database(_) => "database",
            Self::Pki => "pki",
        }
    }
}

impl State {
    /// The mount a path belongs to, and the rest of the path.
    pub(crate) fn find_mount<'p>(&self, path: &'p str) -> Option<(String, &'p str)> {
        self.mounts.keys().rev().find_map(|mount| {
            let rest = path.strip_prefix(mount.as_str())?;
            if rest.is_empty() { Some((mount.clone(), "")) } else { Some((mount.clone(), rest.strip_prefix('/')?)) }
        })
    }

    /// A request to a secret engine; `token` will own its leases.
    pub(crate) fn mount_route(&mut self, token: &str, ask: &Ask) -> Answer {
        let Some((mount, rest)) = self.find_mount(&ask.path) else { return no_route(&ask.path) };
        match self.mounts.get(&mount) {
            Some(Mount::Kv1(_)) => self.kv1_route(&mount, rest, ask),
            Some(Mount::Kv2(_)) => self.kv2_route(&mount, rest, ask),
            Some(Mount::Database(_)) => self.database_route(&mount, rest, token, ask),
            Some(Mount::Pki) => self.pki_route(rest, ask),
            None => no_route(&ask.path),
        }
    }
}

pub(crate) fn no_route(path: &str) -> Answer {
    Answer::error(404, format!("no handler for route \"{path}\". route entry not found."))
}
