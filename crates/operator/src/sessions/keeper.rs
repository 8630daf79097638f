//! The task that owns the logins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::{Cause, Code};
use sidekey_vault::{Renewal, VaultError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::slot::{Live, Slot};
use super::{Ask, DOUBT, Identity, Means, Note, Reply, Sessions};
use crate::backoff::Backoff;
use crate::login::{self, Granted};
use crate::plan::auth::Login;
use crate::plan::outcome::Trouble;
use crate::plan::storage::Ticket;
use crate::storage::Store;

/// Longest wait for a login to be kept before it is used. Kept late, it costs a new login after a kill in between.
const KEEPING: Duration = Duration::from_secs(5);

/// A kept login that cannot be taken up now is waited for so many times, before another one takes its place.
const PATIENCE: u32 = 3;

/// So many logins of before edits are remembered: a lease may not have been replaced yet since the last but one.
const FORMER: usize = 4;

pub(super) enum Done {
    Login { identity: Identity, fingerprint: String, kept: bool, result: Box<Result<Granted, Trouble>> },
    Kept { identity: Identity, serial: u64, result: Result<(), Cause> },
    Renewal { identity: Identity, serial: u64, result: Result<Renewal, VaultError> },
    Nothing,
}

pub(super) struct Keeper {
    pub(super) means: Means,
    notes: mpsc::Sender<Note>,
    /// The way to this task, for logins that need another one.
    pub(super) own: mpsc::WeakSender<Ask>,
    pub(super) slots: BTreeMap<Identity, Slot>,
    /// The VaultAuths whose kept logins were left when the others were swept away.
    swept: Option<Arc<BTreeSet<String>>>,
    pub(super) tasks: JoinSet<Done>,
    serial: u64,
    backoff: Backoff,
}

impl Keeper {
    pub(super) fn new(means: Means, notes: mpsc::Sender<Note>, own: mpsc::WeakSender<Ask>) -> Self {
        let backoff =
            Backoff { initial: Duration::from_secs(2), longest: Duration::from_secs(10), ..Backoff::default() };
        Self { means, notes, own, slots: BTreeMap::new(), swept: None, tasks: JoinSet::new(), serial: 0, backoff }
    }

    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        loop {
            let due = self.next_due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.serve(ask),
                    None => return,
                },
                Some(done) = self.tasks.join_next() => if let Ok(done) = done { self.finish(done) },
                Ok(()) = self.means.surroundings.changed() => self.look_around(),
                () = sleep_until(due) => self.tick(),
            }
            self.count();
        }
    }

    fn count(&self) {
        let live = || self.slots.values().filter_map(|slot| slot.live.as_ref());
        self.means.metrics.logins(live().count());
        self.means.metrics.copies(live().map(Live::copies).sum(), live().filter(|live| live.kept).count());
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
                    self.keep(&identity);
                    self.note(identity, None);
                }
            }
            Ask::Discard { serial, identity } => {
                if let Some(slot) = self.slots.get_mut(&identity)
                    && let Some(candidate) = slot.candidate.take_if(|candidate| candidate.serial == serial)
                {
                    self.revoke(candidate);
                }
            }
            Ask::Dead { serial, identity } => {
                if let Some(slot) = self.slots.get_mut(&identity)
                    && slot.live.take_if(|live| live.serial == serial).is_some()
                {
                    self.note(identity, None);
                }
            }
            Ask::Healed { connection } => self.hurry(&connection),
            Ask::Reached { connection, reach } => self.refit(&connection, &reach),
        }
    }

    fn slot(&mut self, login: &Arc<Login>) -> (Identity, &mut Slot) {
        let identity = Identity::of(login);
        let over = Instant::now() + self.means.idle;
        let slot = self.slots.entry(identity.clone()).or_insert_with(|| Slot { over: Some(over), ..Slot::new(login) });
        let mut old = None;
        if slot.login.fingerprint != login.fingerprint {
            // A login of before the change may still be on its way; its answer will not fit and be dropped.
            let (waiting, doubting) = (std::mem::take(&mut slot.waiting), std::mem::take(&mut slot.doubting));
            // What was kept is of before the change; where it has the same name, it is written over.
            let before = std::mem::replace(slot, Slot { tried: true, over: slot.over, ..Slot::new(login) });
            let renamed = (&before.login.auth_stamp, &before.login.connection_stamp)
                != (&login.auth_stamp, &login.connection_stamp);
            let live = before.live.as_ref().filter(|live| !live.id.is_empty() && !live.is_worn(Instant::now()));
            let former = live.map(|live| (live.id.as_str().into(), live.ttl)).into_iter();
            let former = former.chain(before.before.iter().cloned()).take(FORMER).collect();
            old = before.live.filter(|_| renamed).map(|live| live.ticket.cache_key);
            slot.before = former;
            slot.waiting = waiting;
            slot.doubting = doubting;
            // What was told of the login before stays told until the new one is known: its success has to be told too.
            slot.failed = before.failed.map(|(trouble, ..)| (trouble, Instant::now(), 0));
        }
        slot.asked = Instant::now();
        if let (Some(cache_key), Some(store)) = (old, store(&self.means, &self.own)) {
            self.tasks.spawn(forget(store, cache_key));
        }
        (identity, slot)
    }

    /// The VaultAuths or the key that encrypts logins changed.
    fn look_around(&mut self) {
        let auths = self.means.surroundings.borrow().auths.clone();
        for slot in self.slots.values_mut() {
            // What goes together with its VaultAuth may still have a lease to revoke: the token is left to its end.
            slot.gone = auths.as_ref().is_some_and(|auths| !auths.contains(&slot.login.auth_stamp.to_string()));
        }
        let unkept: Vec<_> = self.slots.iter().filter(|(_, slot)| slot.is_unkept()).map(|(id, _)| id.clone()).collect();
        for identity in unkept {
            self.keep(&identity);
        }
        self.watch_unused();
        let Some(auths) = auths else { return };
        let fewer = self.swept.replace(Arc::clone(&auths)).is_none_or(|before| !before.is_subset(&auths));
        if let Some(store) = store(&self.means, &self.own).filter(|_| fewer) {
            self.tasks.spawn(async move {
                store.sweep(&auths).await;
                Done::Nothing
            });
        }
    }

    /// Keeps the login in use.
    fn keep(&mut self, identity: &Identity) {
        let Some(store) = store(&self.means, &self.own) else { return };
        let Some(slot) = self.slots.get_mut(identity) else { return };
        let (login, identity) = (Arc::clone(&slot.login), identity.clone());
        let Some(live) = slot.live.as_mut().filter(|live| live.ticket.lasts()) else { return };
        let (serial, ticket) = (live.serial, live.ticket.clone());
        self.tasks.spawn(async move {
            let result = store.save(&login, &ticket).await;
            Done::Kept { identity, serial, result }
        });
    }

    fn acquire(&mut self, login: &Arc<Login>, namespace: Option<String>, reply: Reply) {
        let now = Instant::now();
        let (identity, slot) = self.slot(login);
        if slot.live.as_ref().is_some_and(|live| live.is_worn(now)) {
            slot.live = None;
        }
        if let Some(live) = &mut slot.live {
            let _ = reply.send(live.session(&identity, namespace, login));
            self.means.metrics.login_asked(true);
            return;
        }
        self.means.metrics.login_asked(false);
        let Some(slot) = self.slots.get_mut(&identity) else { return };
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

    pub(super) fn start(&mut self, identity: &Identity) {
        let Some(slot) = self.slots.get_mut(identity).filter(|slot| !slot.busy) else { return };
        (slot.busy, slot.reach) = (true, None);
        // A second opinion is kept when it is adopted, and one that failed a few times is not waited for any longer.
        let first = slot.live.is_none();
        let patient = !slot.tried && slot.failed.as_ref().is_none_or(|(_, _, failures)| *failures < PATIENCE);
        let (login, identity) = (Arc::clone(&slot.login), identity.clone());
        let Means { api, addresses, cloud, metrics, .. } = &self.means;
        let (api, addresses, cloud, metrics) = (api.clone(), addresses.clone(), Arc::clone(cloud), metrics.clone());
        let store = store(&self.means, &self.own).filter(|_| first);
        self.tasks.spawn(async move {
            let begun = std::time::Instant::now();
            let kept = store.as_ref().filter(|_| patient);
            let result = login::log_in(&api, &addresses, &cloud, &login, kept).await;
            metrics.client("login", &login.connection.key, begun.elapsed(), result.is_ok());
            if let Err(trouble) = &result {
                metrics.login_failed(&login.connection.key, login.method.name(), trouble.cause.code);
            }
            let kept = match (&store, &result) {
                (Some(store), Ok(granted)) if !granted.restored => keep_soon(store, &login, &granted.ticket).await,
                (_, Ok(granted)) => granted.restored,
                _ => false,
            };
            Done::Login { identity, fingerprint: login.fingerprint.clone(), kept, result: Box::new(result) }
        });
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Login { identity, fingerprint, kept, result } => {
                self.logged_in(&identity, &fingerprint, kept, *result);
            }
            Done::Kept { identity, serial, result } => {
                let live = self.slots.get_mut(&identity).and_then(|slot| slot.live.as_mut());
                match (live.filter(|live| live.serial == serial), result) {
                    (Some(live), Ok(())) => live.kept = true,
                    (_, Err(cause)) => tracing::warn!(auth = %identity.auth, %cause, "a login is not kept"),
                    _ => {}
                }
            }
            Done::Renewal { identity, serial, result } => {
                let Some(slot) = self.slots.get_mut(&identity) else { return };
                let Some(live) = slot.live.as_mut().filter(|live| live.serial == serial) else { return };
                if live.renewed(&result) {
                    if slot.is_unkept() {
                        self.keep(&identity);
                    }
                    return;
                }
                slot.live = None;
                self.note(identity, None);
            }
            Done::Nothing => {}
        }
    }

    fn logged_in(&mut self, identity: &Identity, fingerprint: &str, kept: bool, result: Result<Granted, Trouble>) {
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
                slot.tried = true;
                if !granted.restored {
                    let role = login.method.role();
                    tracing::info!(auth = %login.auth, namespace = login.consumer, role, "logged in");
                }
                let before = Arc::clone(&slot.before);
                let mut new = Live { kept, before, ..Live::new(serial, granted, now, self.means.metrics.clone()) };
                slot.reach.take().iter().for_each(|reach| new.refit(reach));
                (slot.live, slot.candidate) = match slot.live.take() {
                    Some(live) => (Some(live), Some(new)),
                    None => (Some(new), None),
                };
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
    pub(super) fn note(&self, identity: Identity, trouble: Option<Trouble>) {
        let _ = self.notes.try_send(Note { identity, trouble });
    }

    fn next_due(&self) -> Option<Instant> {
        self.slots.values().flat_map(|slot| [slot.due(), slot.over]).flatten().min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.give_back(now);
        let due = self.slots.iter().filter(|(_, slot)| slot.due().is_some_and(|due| due <= now));
        let due: Vec<_> = due.map(|(identity, _)| identity.clone()).collect();
        for identity in due {
            let Some(slot) = self.slots.get_mut(&identity) else { continue };
            if slot.gone && !slot.busy {
                self.slots.remove(&identity);
                self.note(identity, None);
                continue;
            }
            match &mut slot.live {
                Some(live) if live.is_worn(now) => {
                    slot.live = None;
                    self.note(identity, None);
                }
                Some(live) => {
                    live.renew = None;
                    let (serial, token) = (live.serial, Arc::clone(&live.token));
                    let Some(client) = live.clients.values().next().cloned() else { continue };
                    let (metrics, connection) = (self.means.metrics.clone(), slot.login.connection.key.clone());
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

/// How logins are kept, when they are.
pub(super) fn store(means: &Means, own: &mpsc::WeakSender<Ask>) -> Option<Store> {
    let sessions = Sessions { asks: own.upgrade()?, metrics: means.metrics.clone() };
    let transit = means.surroundings.borrow().transit.clone();
    let store = Store {
        api: means.api.clone(),
        keeping: means.keeping.clone(),
        transit,
        sessions,
        metrics: means.metrics.clone(),
    };
    store.works().then_some(store)
}

/// Keeps a login before it is used, unless that takes too long.
async fn keep_soon(store: &Store, login: &Login, ticket: &Ticket) -> bool {
    match timeout(KEEPING, store.save(login, ticket)).await {
        Ok(Ok(())) => true,
        Ok(Err(cause)) => {
            tracing::warn!(auth = %login.auth, %cause, "a login is not kept");
            false
        }
        Err(_) => {
            tracing::warn!(auth = %login.auth, "a login is not kept yet");
            false
        }
    }
}

pub(super) async fn forget(store: Store, cache_key: String) -> Done {
    store.forget(&cache_key).await;
    Done::Nothing
}
