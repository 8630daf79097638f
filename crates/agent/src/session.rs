//! One login and all that hangs on it: its token, and what was fetched with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sidekey_core::contract::Server;
use sidekey_core::planner::{Planner, Policy, Time, TokenId};
use sidekey_core::{AgentConfig, Lookup, Response, Sensitive};
use sidekey_vault::{Client, Mounts, VaultError};

use crate::backoff::random;
use crate::suspects::Suspects;

/// Everything fetched, by what asked for it.
pub(crate) type Answers = BTreeMap<Lookup, Arc<Response>>;

/// A token of ours. No `Debug`.
#[derive(Clone)]
pub(crate) struct Held {
    /// Itself.
    pub(crate) token: Sensitive<String>,
    /// Its name in Vault's audit log.
    pub(crate) accessor: String,
    /// When it was issued, seconds since 1970.
    pub(crate) issued: i64,
    /// Whether it has the policy that lets it look itself up.
    pub(crate) has_default: bool,
}

/// A login's part of the state. Which login it is, is its place in the list.
pub(crate) struct Session {
    /// Leases, times, back-offs.
    pub(crate) planner: Planner,
    /// The token in use and those before it that are not revoked yet.
    pub(crate) tokens: BTreeMap<TokenId, Held>,
    /// The last good answers.
    pub(crate) answers: Answers,
    /// Shapes of mounts that had to be asked for.
    pub(crate) mounts: Arc<Mounts>,
    /// The connections; not kept over a restart, as nothing below.
    pub(crate) client: Option<Client>,
    /// Steps that were denied, and a look-up is under way.
    pub(crate) suspects: Suspects,
    /// A login is under way.
    pub(crate) logging_in: bool,
}

impl Session {
    /// Knows nothing.
    pub(crate) fn fresh(config: &AgentConfig, login: usize) -> Self {
        Self::of(
            Planner::new(Policy::of_login(config, login), random()),
            BTreeMap::new(),
            Answers::new(),
            Mounts::default(),
        )
    }

    /// Of what was kept.
    pub(crate) fn of(planner: Planner, tokens: BTreeMap<TokenId, Held>, answers: Answers, mounts: Mounts) -> Self {
        Self {
            planner,
            tokens,
            answers,
            mounts: Arc::new(mounts),
            client: None,
            suspects: Suspects::default(),
            logging_in: false,
        }
    }

    /// The token in use.
    pub(crate) fn held(&self) -> Option<&Held> {
        self.tokens.get(&self.planner.token()?)
    }

    /// The same, to show to Vault.
    pub(crate) fn token(&self) -> Option<Sensitive<String>> {
        self.held().map(|held| held.token.clone())
    }

    /// Made when needed, and again after a failure that a changed CA file may have mended.
    pub(crate) fn client(&mut self, server: &Server) -> Result<Client, VaultError> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => Client::new(server).inspect(|client| self.client = Some(client.clone())),
        }
    }

    /// All that is needed now; answers that nobody needs are forgotten.
    pub(crate) fn want(&mut self, wanted: &BTreeSet<Lookup>) {
        self.planner.want(wanted);
        self.answers.retain(|lookup, _| wanted.contains(lookup));
    }

    /// Tokens that the planner has no use for are forgotten.
    pub(crate) fn forget_tokens(&mut self, now: Time) {
        let needed = self.planner.tokens(now);
        self.tokens.retain(|id, _| needed.contains(id));
    }
}
