//! Logins, shared: one per VaultAuth and consumer's namespace, whoever asks.
//!
//! acquire → live? → the session · failing? → the cause, at once · else one login for all that wait → session or cause
//!
//! One task owns it all. A failing login is tried again by the task itself, growing and capped, for as long as somebody has
//! asked lately; its success wakes whoever depends on it.

mod slot;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::{Client, Renewal, VaultError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::addresses::Addresses;
use crate::api::Api;
use crate::jitter::Backoff;
use crate::login::{self, Granted};
use crate::metrics::Metrics;
use crate::plan::auth::Login;
use crate::plan::outcome::Trouble;
use crate::types::object::Key;
use slot::{Live, Slot};

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
    /// Names the token without being it.
    pub id: String,
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
pub struct Sessions(mpsc::Sender<Ask>);

type Reply = oneshot::Sender<Result<Session, Trouble>>;

enum Ask {
    Acquire { login: Arc<Login>, namespace: Option<String>, reply: Reply },
    Doubt { login: Arc<Login>, namespace: Option<String>, serial: u64, reply: Reply },
    Adopt { serial: u64, identity: Identity },
    Discard { serial: u64, identity: Identity },
    Dead { serial: u64, identity: Identity },
}

impl Sessions {
    /// Starts the task; logins that begin to fail, and those that work again, are told to `notes`.
    pub fn start(
        api: Api,
        addresses: Addresses,
        metrics: Metrics,
        notes: mpsc::Sender<Note>,
    ) -> (Self, impl Future<Output = ()>) {
        let (sender, asks) = mpsc::channel(1024);
        let keeper = Keeper {
            api,
            addresses,
            metrics,
            notes,
            slots: BTreeMap::new(),
            tasks: JoinSet::new(),
            serial: 0,
            backoff: Backoff {
                initial: Duration::from_secs(2),
                longest: Duration::from_secs(30),
                ..Backoff::default()
            },
        };
        (Self(sender), keeper.run(asks))
    }

    /// A session, from an earlier login or a new one.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn acquire(&self, login: &Arc<Login>, namespace: Option<&str>) -> Result<Session, Trouble> {
        let (login, namespace) = (Arc::clone(login), namespace.map(str::to_owned));
        self.ask(|reply| Ask::Acquire { login, namespace, reply }).await
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
        let _ = self.0.send(ask).await;
    }

    /// The session of [`Self::doubt`] is no better: its token is revoked, unless it is the one in use by now.
    pub async fn discard(&self, session: &Session) {
        let ask = Ask::Discard { serial: session.serial, identity: session.identity.clone() };
        let _ = self.0.send(ask).await;
    }

    /// Vault does not know the session's token any more.
    pub async fn dead(&self, session: &Session) {
        let ask = Ask::Dead { serial: session.serial, identity: session.identity.clone() };
        let _ = self.0.send(ask).await;
    }

    async fn ask(&self, ask: impl FnOnce(Reply) -> Ask) -> Result<Session, Trouble> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            let cause = Cause::new(Code::AuthDenied, "asking for a login", "the operator is ending");
            Trouble::new("VaultClientError", cause)
        };
        self.0.send(ask(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

enum Done {
    Login { identity: Identity, fingerprint: String, result: Box<Result<Granted, Trouble>> },
    Renewal { identity: Identity, serial: u64, result: Result<Renewal, VaultError> },
    Nothing,
}

struct Keeper {
    api: Api,
    addresses: Addresses,
    metrics: Metrics,
    notes: mpsc::Sender<Note>,
    slots: BTreeMap<Identity, Slot>,
    tasks: JoinSet<Done>,
    serial: u64,
    backoff: Backoff,
}

impl Keeper {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        loop {
            let due = self.next_due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.serve(ask),
                    None => return,
                },
                Some(done) = self.tasks.join_next() => if let Ok(done) = done { self.finish(done) },
                () = sleep_until(due) => self.tick(),
            }
        }
    }

    fn serve(&mut self, ask: Ask) {
        match ask {
            Ask::Acquire { login, namespace, reply } => self.acquire(&login, namespace, reply),
            Ask::Doubt { login, namespace, serial, reply } => self.doubt(&login, namespace, serial, reply),
            Ask::Adopt { serial, identity } => {
                if let Some(slot) = self.slots.get_mut(&identity)
                    && let Some(candidate) = slot.candidate.take_if(|candidate| candidate.serial == serial)
                {
                    slot.live = Some(candidate);
                    self.note(identity, None);
                }
            }
            Ask::Discard { serial, identity } => {
                if let Some(slot) = self.slots.get_mut(&identity)
                    && let Some(mut candidate) = slot.candidate.take_if(|candidate| candidate.serial == serial)
                    && let Some((_, client)) = candidate.clients.pop_first()
                {
                    let token = candidate.token;
                    self.tasks.spawn(async move {
                        let _ = client.revoke_token(&token).await;
                        Done::Nothing
                    });
                }
            }
            Ask::Dead { serial, identity } => {
                if let Some(slot) = self.slots.get_mut(&identity)
                    && slot.live.take_if(|live| live.serial == serial).is_some()
                {
                    self.note(identity, None);
                }
            }
        }
    }

    fn slot(&mut self, login: &Arc<Login>) -> (Identity, &mut Slot) {
        let identity = Identity { auth: login.auth.clone(), consumer: login.consumer.clone() };
        let slot = self.slots.entry(identity.clone()).or_insert_with(|| Slot::new(login));
        if slot.login.fingerprint != login.fingerprint {
            // A login of before the change may still be on its way; its answer will not fit and be dropped.
            let (waiting, doubting) = (std::mem::take(&mut slot.waiting), std::mem::take(&mut slot.doubting));
            *slot = Slot::new(login);
            slot.waiting = waiting;
            slot.doubting = doubting;
        }
        slot.asked = Instant::now();
        (identity, slot)
    }

    fn acquire(&mut self, login: &Arc<Login>, namespace: Option<String>, reply: Reply) {
        let now = Instant::now();
        let (identity, slot) = self.slot(login);
        if slot.live.as_ref().is_some_and(|live| live.is_worn(now)) {
            slot.live = None;
        }
        if let Some(live) = &mut slot.live {
            let _ = reply.send(live.session(&identity, namespace, login));
            return;
        }
        match &slot.failed {
            Some((trouble, until, _)) if *until > now => drop(reply.send(Err(trouble.clone()))),
            _ => {
                slot.waiting.push((namespace, reply));
                self.start(&identity);
            }
        }
    }

    fn doubt(&mut self, login: &Arc<Login>, namespace: Option<String>, serial: u64, reply: Reply) {
        let now = Instant::now();
        let (identity, slot) = self.slot(login);
        if let Some(live) = slot.live.as_mut().filter(|live| live.serial > serial) {
            let _ = reply.send(live.session(&identity, namespace, login));
            return;
        }
        let lately = slot.doubted.is_some_and(|doubted| now.duration_since(doubted) < DOUBT);
        if lately && !slot.busy {
            let cause = Cause::new(Code::PolicyDenied, "logging in again", "that was tried a moment ago");
            let _ = reply.send(Err(Trouble::new("VaultClientError", cause)));
            return;
        }
        slot.doubted = Some(now);
        slot.doubting.push((namespace, reply));
        self.start(&identity);
    }

    fn start(&mut self, identity: &Identity) {
        let Some(slot) = self.slots.get_mut(identity).filter(|slot| !slot.busy) else { return };
        slot.busy = true;
        let (login, identity) = (Arc::clone(&slot.login), identity.clone());
        let (api, addresses, metrics) = (self.api.clone(), self.addresses.clone(), self.metrics.clone());
        self.tasks.spawn(async move {
            let begun = std::time::Instant::now();
            let result = login::log_in(&api, &addresses, &login).await;
            metrics.client("login", &login.connection.key, begun.elapsed(), result.is_ok());
            Done::Login { identity, fingerprint: login.fingerprint.clone(), result: Box::new(result) }
        });
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Login { identity, fingerprint, result } => self.logged_in(&identity, &fingerprint, *result),
            Done::Renewal { identity, serial, result } => {
                let Some(slot) = self.slots.get_mut(&identity) else { return };
                let Some(live) = slot.live.as_mut().filter(|live| live.serial == serial) else { return };
                if live.renewed(&result) {
                    return;
                }
                slot.live = None;
                self.note(identity, None);
            }
            Done::Nothing => {}
        }
    }

    fn logged_in(&mut self, identity: &Identity, fingerprint: &str, result: Result<Granted, Trouble>) {
        self.serial += 1;
        let (serial, backoff, now) = (self.serial, self.backoff, Instant::now());
        let Some(slot) = self.slots.get_mut(identity) else { return };
        slot.busy = false;
        if slot.login.fingerprint != fingerprint {
            if !slot.waiting.is_empty() || !slot.doubting.is_empty() {
                self.start(identity);
            }
            return;
        }
        let login = Arc::clone(&slot.login);
        match result {
            Ok(granted) => {
                let was_failing = slot.failed.take().is_some();
                tracing::info!(auth = %login.auth, namespace = login.consumer, role = login.method.role(), "logged in");
                let live = slot.live.take();
                let (keep, candidate) = match live {
                    Some(live) => (Some(live), Some(Live::new(serial, granted, now))),
                    None => (Some(Live::new(serial, granted, now)), None),
                };
                (slot.live, slot.candidate) = (keep, candidate);
                slot.answer(identity, &login);
                if was_failing {
                    self.note(identity.clone(), None);
                }
            }
            Err(trouble) => {
                let failures = slot.failed.as_ref().map_or(1, |(_, _, failures)| failures.saturating_add(1));
                let news = slot.failed.as_ref().is_none_or(|(before, ..)| *before != trouble);
                for (_, reply) in slot.waiting.drain(..).chain(slot.doubting.drain(..)) {
                    let _ = reply.send(Err(trouble.clone()));
                }
                if slot.live.is_some() {
                    return;
                }
                slot.failed = Some((trouble.clone(), now + backoff.after(failures), failures));
                if news {
                    tracing::warn!(auth = %login.auth, namespace = login.consumer, cause = %trouble.cause, "cannot log in");
                    self.note(identity.clone(), Some(trouble));
                }
            }
        }
    }

    /// A note that finds no room is only a later look.
    fn note(&self, identity: Identity, trouble: Option<Trouble>) {
        let _ = self.notes.try_send(Note { identity, trouble });
    }

    fn next_due(&self) -> Option<Instant> {
        self.slots.values().filter_map(Slot::due).min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = self.slots.iter().filter(|(_, slot)| slot.due().is_some_and(|due| due <= now));
        let due: Vec<_> = due.map(|(identity, _)| identity.clone()).collect();
        for identity in due {
            let Some(slot) = self.slots.get_mut(&identity) else { continue };
            match &mut slot.live {
                Some(live) if live.is_worn(now) => {
                    slot.live = None;
                    self.note(identity, None);
                }
                Some(live) => {
                    live.renew = None;
                    let (serial, token) = (live.serial, Arc::clone(&live.token));
                    let Some(client) = live.clients.values().next().cloned() else { continue };
                    let (metrics, connection) = (self.metrics.clone(), slot.login.connection.key.clone());
                    self.tasks.spawn(async move {
                        let begun = std::time::Instant::now();
                        let result = client.renew_token(&token).await;
                        metrics.client("renew", &connection, begun.elapsed(), result.is_ok());
                        Done::Renewal { identity, serial, result }
                    });
                }
                None => self.start(&identity),
            }
        }
    }
}
