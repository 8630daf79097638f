//! Logins, shared: one per VaultAuth and consumer's namespace, whoever asks.
//!
//! acquire → live? → the session · failing? → the cause, at once · else one login for all that wait → session or cause
//!
//! One task owns it all. A failing login is tried again by the task itself, growing and capped, for as long as somebody has
//! asked lately; its success wakes whoever depends on it.

mod idle;
mod keeper;
mod refit;
mod slot;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidekey_cluster::api::Api;
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::Client;
use tokio::sync::{mpsc, oneshot, watch};

use crate::addresses::Addresses;
use crate::metrics::Metrics;
use crate::plan::auth::{Connection, Login};
use crate::plan::outcome::Trouble;
use crate::plan::storage::Transit;
use crate::proof::Cloud;
use crate::reach::Reach;
use crate::storage::Keeping;
use crate::types::object::Key;
use keeper::Keeper;

/// Failing logins nobody has asked for in this time are left alone.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Shortest time between two logins that only doubt a session.
const DOUBT: Duration = Duration::from_secs(15);

/// Whose login it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The VaultAuth.
    pub auth: Key,
    /// Namespace of the service account or Secret.
    pub consumer: String,
}

impl Identity {
    /// Whose login this is.
    pub fn of(login: &Login) -> Self {
        Self { auth: login.auth.clone(), consumer: login.consumer.clone() }
    }
}

/// A token and a client that reaches where it is good. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    /// Whose.
    pub identity: Identity,
    /// Counts logins of this process.
    pub serial: u64,
    /// In the Vault namespace that was asked for.
    pub client: Client,
    /// The token.
    pub token: Arc<Sensitive<String>>,
    /// How long the token was given for; nothing for one without an end.
    pub ttl: Duration,
    /// Names the token without being it.
    pub id: String,
    /// Those whose place this took when its VaultAuth or its connection was edited.
    pub before: Former,
    /// Names the login in statuses.
    pub cache_key: String,
}

/// Ids of logins that an edit has ended the use of, and the times that they were given for: they live to their end.
pub type Former = Arc<[(Arc<str>, Duration)]>;

/// What the supervisor knows and the logins depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The key that encrypts what is kept, if there is one.
    pub transit: Option<Arc<Transit>>,
    /// All VaultAuths, as [`Stamp`](crate::plan::auth::Stamp)s; none before they have been listed.
    pub auths: Option<Arc<BTreeSet<String>>>,
    /// Logins that objects use; none before that is known.
    pub used: Option<Arc<BTreeSet<Identity>>>,
}

/// What the logins need of the process.
pub struct Means {
    /// The Kubernetes API.
    pub api: Api,
    /// Where tokens may be sent.
    pub addresses: Addresses,
    /// How to reach clouds whose identities log in.
    pub cloud: Arc<Cloud>,
    /// Numbers.
    pub metrics: Metrics,
    /// How logins outlive the process.
    pub keeping: Keeping,
    /// What the supervisor knows.
    pub surroundings: watch::Receiver<Surroundings>,
    /// A login that no object uses is given back after this time.
    pub idle: Duration,
}

/// A login began to fail, or works again.
#[derive(Clone, Debug)]
pub struct Note {
    /// Whose.
    pub identity: Identity,
    /// Why it fails; none when it works.
    pub trouble: Option<Trouble>,
}

/// Asks the task that owns the logins. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    asks: mpsc::Sender<Ask>,
    metrics: Metrics,
}

type Reply = oneshot::Sender<Result<Session, Trouble>>;

enum Ask {
    Acquire { login: Arc<Login>, namespace: Option<String>, reply: Reply },
    Doubt { login: Arc<Login>, namespace: Option<String>, serial: u64, reply: Reply },
    Adopt { serial: u64, identity: Identity },
    Discard { serial: u64, identity: Identity },
    Dead { serial: u64, identity: Identity },
    Healed { connection: Key },
    Reached { connection: Box<Connection>, reach: Box<Reach> },
}

impl Sessions {
    /// Starts the task; logins that begin to fail, and those that work again, are told to `notes`.
    pub fn start(means: Means, notes: mpsc::Sender<Note>) -> (Self, impl Future<Output = ()>) {
        let (sender, asks) = mpsc::channel(1024);
        let metrics = means.metrics.clone();
        let keeper = Keeper::new(means, notes, sender.downgrade());
        (Self { asks: sender, metrics }, keeper.run(asks))
    }

    /// A session, from an earlier login or a new one.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn acquire(&self, login: &Arc<Login>, namespace: Option<&str>) -> Result<Session, Trouble> {
        let (login, namespace) = (Arc::clone(login), namespace.map(str::to_owned));
        let begun = Instant::now();
        let session = self.ask(|reply| Ask::Acquire { login, namespace, reply }).await;
        self.metrics.login_took(begun.elapsed());
        session
    }

    /// A second login beside a session that Vault has refused something, to learn whether a new token is allowed more. An
    /// error when that was tried a moment ago.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn doubt(
        &self,
        login: &Arc<Login>,
        session: &Session,
        namespace: Option<&str>,
    ) -> Result<Session, Trouble> {
        let (login, namespace, serial) = (Arc::clone(login), namespace.map(str::to_owned), session.serial);
        self.ask(|reply| Ask::Doubt { login, namespace, serial, reply }).await
    }

    /// The session of [`Self::doubt`] is the better one: everybody gets it from now on.
    pub async fn adopt(&self, session: &Session) {
        let ask = Ask::Adopt { serial: session.serial, identity: session.identity.clone() };
        let _ = self.asks.send(ask).await;
    }

    /// The session of [`Self::doubt`] is no better: its token is revoked, unless it is the one in use by now.
    pub async fn discard(&self, session: &Session) {
        let ask = Ask::Discard { serial: session.serial, identity: session.identity.clone() };
        let _ = self.asks.send(ask).await;
    }

    /// Vault does not know the session's token any more.
    pub async fn dead(&self, session: &Session) {
        let ask = Ask::Dead { serial: session.serial, identity: session.identity.clone() };
        let _ = self.asks.send(ask).await;
    }

    /// A Vault answers again: logins there that wait after a failure are tried at once. Where there is no room to say so, they
    /// wait to the end.
    pub fn healed(&self, connection: &Key) {
        let _ = self.asks.try_send(Ask::Healed { connection: connection.clone() });
    }

    /// A Vault answers that is reached so: logins there are to go the same way. Where there is no room to say so, the connection's next
    /// look says it again.
    pub fn reached(&self, connection: &Connection, reach: Reach) {
        let ask = Ask::Reached { connection: Box::new(connection.clone()), reach: Box::new(reach) };
        let _ = self.asks.try_send(ask);
    }

    async fn ask(&self, ask: impl FnOnce(Reply) -> Ask) -> Result<Session, Trouble> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            let cause = Cause::new(Code::AuthDenied, "asking for a login", "the operator is ending");
            Trouble::new("VaultClientError", cause)
        };
        self.asks.send(ask(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
