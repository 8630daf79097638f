//! The one task that owns the state: what exists, what is due, what is being looked at.
//!
//! watch events → cache → due times → a bounded number of looks at once → what they learnt → due times

mod census;
mod lanes;
mod news;
mod owned;
mod readers;
mod references;
mod schedule;
mod survey;
mod trust;
mod usage;
mod wake;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::Cause;
use sidekey_runtime::drain::Drain;
use sidekey_runtime::readiness::Token;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, sleep_until, timeout};

use crate::backoff::Backoff;
use crate::cache::Cache;
use crate::controllers::{self, Done, Job, Refers, Tools};
use crate::plan::auth::{House, Login};
use crate::plan::outcome::Trouble;
use crate::plan::transformation;
use crate::plan::vault_auth::About;
use crate::pool::Pool;
use crate::sessions::{Identity, Note, Surroundings};
use crate::types::Kind;
use crate::types::object::{Key, Metadata, Object};
use crate::watch::{Change, Of, Seen, Source};
use census::{Census, Facts};
use lanes::{Lane, Lanes};
use news::{is_news, is_older};
use readers::Readers;
use references::{destination, destination_of};
use schedule::Schedule;
use trust::Trust;

/// Time for looks under way when the operator ends.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// How the work is paced.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Most looks at once.
    pub looks: usize,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Between two looks at which logins are in use.
    pub usage: Duration,
}

/// Everything that is known, and everything that is due.
pub struct Supervisor {
    tools: Tools,
    house: House,
    pace: Pace,
    cache: Cache,
    schedule: Schedule,
    census: Census,
    /// Owners of Secrets, by uid.
    owners: BTreeMap<Arc<str>, Key>,
    /// The logins of all objects, and the namespaces.
    logins: Pool<Login>,
    names: Pool<str>,
    /// What statuses say.
    words: Pool<str>,
    readers: Readers,
    /// Looks under way that may share a read.
    sharing: HashSet<Id>,
    /// Logins that fail.
    troubles: BTreeMap<Identity, Trouble>,
    /// Sources whose first list has not come yet: until then a missing reference proves nothing.
    unlisted: BTreeSet<Source>,
    looks: JoinSet<Done>,
    /// Whose task is which: one that panics does not say.
    tasks: HashMap<Id, (Key, Lane)>,
    lanes: Lanes,
    ready: Option<Token>,
    /// What connections trust by.
    trust: Trust,
    /// What the logins are told of.
    surroundings: watch::Sender<Surroundings>,
    /// Why nothing encrypts what is to be kept, as last told.
    unkept: Option<Cause>,
}

impl Supervisor {
    /// Waits for the first list of each source, then begins. What is found to be followed beside them is told to `sink`.
    pub fn new(
        tools: Tools,
        house: House,
        pace: Pace,
        sources: impl IntoIterator<Item = Source>,
        sink: Sender<Seen>,
        ready: Token,
        surroundings: watch::Sender<Surroundings>,
    ) -> Self {
        let trust = Trust::new(tools.api.clone(), sink);
        Self {
            tools,
            house,
            pace,
            cache: Cache::default(),
            schedule: Schedule::default(),
            census: Census::default(),
            owners: BTreeMap::new(),
            logins: Pool::default(),
            names: Pool::default(),
            words: Pool::default(),
            readers: Readers::default(),
            sharing: HashSet::new(),
            troubles: BTreeMap::new(),
            unlisted: sources.into_iter().collect(),
            looks: JoinSet::new(),
            tasks: HashMap::new(),
            lanes: Lanes::new(pace.looks),
            ready: Some(ready),
            trust,
            surroundings,
            unkept: None,
        }
    }

    /// Works until the drain starts.
    pub async fn run(mut self, mut seen: Receiver<Seen>, mut notes: Receiver<Note>, mut drain: Drain) {
        let mut usage = tokio::time::interval(self.pace.usage);
        usage.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.start_due();
            self.settle();
            self.schedule.count_waiting(&self.tools.metrics, &self.lanes);
            let due = self.schedule.next().filter(|_| self.unlisted.is_empty());
            tokio::select! {
                biased;
                () = drain.started() => break,
                Some(seen) = seen.recv() => self.see(seen),
                Some(note) = notes.recv() => self.note(note),
                Some(done) = self.looks.join_next_with_id() => match done {
                    Ok((id, done)) => self.ended(id, Some(done)),
                    Err(error) => {
                        tracing::error!(%error, "a look ended early");
                        self.ended(error.id(), None);
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                _ = usage.tick() => self.tell_usage(),
            }
        }
        let _ = timeout(LAST_WORDS, async { while self.looks.join_next().await.is_some() {} }).await;
    }

    fn see(&mut self, Seen { source, change }: Seen) {
        match (source.of, change) {
            (Of::Kind(kind), Change::Present(object)) => self.present(kind, *object),
            (Of::Kind(kind), Change::Gone(object)) => self.gone(&key_of(kind, &object)),
            (Of::Kind(kind), Change::Listed(names)) => {
                for key in self.cache.missing_from(kind, &source, &names) {
                    self.gone(&key);
                }
                self.listed(&source);
            }
            (Of::Secrets, Change::Present(object)) => self.secret(&object, true),
            (Of::Secrets, Change::Gone(object)) => self.secret(&object, false),
            (Of::Secrets, Change::Listed(names)) => {
                for at in self.cache.secrets_missing_from(&source, &names) {
                    self.secret_gone(&at);
                }
                self.listed(&source);
            }
            (Of::Namespaces, Change::Present(object)) => {
                let Metadata { name, labels, .. } = object.metadata;
                self.namespace(&name, Some(labels));
            }
            (Of::Namespaces, Change::Gone(object)) => self.namespace(&object.metadata.name, None),
            (Of::Namespaces, Change::Listed(names)) => {
                for name in self.cache.namespaces_missing_from(&names) {
                    self.namespace(&name, None);
                }
                self.listed(&source);
            }
            (Of::Secret | Of::ConfigMap, change) => self.trusted(&source, &change),
        }
    }

    fn namespace(&mut self, name: &str, labels: Option<BTreeMap<String, String>>) {
        if self.cache.put_namespace(name, labels) {
            self.wake_namespace(name);
        }
    }

    fn listed(&mut self, source: &Source) {
        if !self.unlisted.remove(source) || !self.unlisted.is_empty() {
            return;
        }
        self.survey();
        if let Some(ready) = self.ready.take() {
            ready.ready();
        }
    }

    fn present(&mut self, kind: Kind, object: Object) {
        let mut object = object;
        object.metadata.namespace = self.names.share(object.metadata.namespace);
        object.pack(&mut self.words);
        let key = key_of(kind, &object);
        let before = self.cache.get(&key);
        if before.is_some_and(|before| before.metadata.uid == object.metadata.uid && is_older(&object, before)) {
            return;
        }
        let changed = before.is_none_or(|before| is_news(before, &object));
        let is_new = before.is_none();
        if kind == Kind::VaultStaticSecret && changed {
            self.readers.change(before.map(|before| &**before), Some(&object));
        }
        if kind.is_secret() && changed {
            let (left, taken) = (before.and_then(|before| destination(before)), destination(&object));
            self.owners.insert(object.metadata.uid.as_str().into(), key.clone());
            self.claims(&key, left.as_deref(), taken.as_deref());
        }
        self.cache.put(key.clone(), Arc::new(object));
        if is_new {
            self.census.came(&self.tools.metrics, &key);
        }
        if changed {
            self.schedule.at(&key, Instant::now());
            self.wake_dependants(&key);
            self.follow_trust(&key);
            self.survey_after(kind);
        }
    }

    fn gone(&mut self, key: &Key) {
        if let Some(object) = self.cache.remove(key) {
            self.owners.remove(object.metadata.uid.as_str());
            if key.kind == Kind::VaultStaticSecret {
                self.readers.change(Some(&object), None);
            }
            self.schedule.forget(key);
            self.census.went(&self.tools.metrics, key);
            self.claims(key, destination(&object).as_deref(), None);
            self.wake_dependants(key);
            self.follow_trust(key);
            self.survey_after(key.kind);
        }
    }

    fn start_due(&mut self) {
        while self.unlisted.is_empty() {
            let Some(key) = self.schedule.take_due(Instant::now()) else { return };
            self.begin(key);
        }
    }

    /// Looks at an object, or parks it until its lane has a place.
    fn begin(&mut self, key: Key) {
        let Some(object) = self.cache.get(&key).cloned() else { return };
        let mut refers = self.refers(&key, &object);
        if let Refers::Login(Ok(login)) = &mut refers {
            *login = self.logins.share(Arc::clone(login));
        }
        self.schedule.uses(&key, &refers);
        // A namespace goes in no order: what was made with a login is revoked with it, although its VaultAuth is gone.
        if let (true, Refers::Login(Err(_)), Some(login)) = (object.is_leaving(), &refers, self.schedule.login(&key)) {
            refers = Refers::Login(Ok(login));
        }
        let lane = Lane::of(&key, &refers);
        if !self.lanes.enter(&key, &lane) {
            return;
        }
        let shared = transformation::referred(&self.cache, &self.house, &key, destination_of(&object).as_ref());
        let shared = shared.map_err(|cause| Trouble::new("TransformationError", cause));
        self.census.learnt(&self.tools.metrics, &key, Facts::of(key.kind, &refers, shared.as_ref().err()));
        let waited = self.schedule.since(&key).map(|since| since.elapsed()).unwrap_or_default();
        self.tools.metrics.begun(key.kind, waited);
        let destination = destination(&object);
        let known = destination.as_ref().and_then(|name| self.cache.secret(&key.namespace, name)).cloned();
        let strays =
            destination.map_or_else(Vec::new, |name| self.cache.strays(&key.namespace, &object.metadata.uid, &name));
        let memory = self.schedule.memory(&key);
        let remark = self.remark(&key, &object);
        let about = key.kind.is_auth().then(|| About::of(&self.cache, &self.house, &key, &object));
        let turn = self.turn(&key, &object);
        let job = Job { key: key.clone(), object, refers, shared, known, strays, remark, about, turn, memory };
        let task = self.looks.spawn(controllers::look(self.tools.clone(), job));
        if turn.is_some() {
            self.sharing.insert(task.id());
        }
        self.tasks.insert(task.id(), (key, lane));
    }

    /// A look has ended, one way or the other: its place is the next one's.
    fn ended(&mut self, id: Id, done: Option<Done>) {
        let Some((key, lane)) = self.tasks.remove(&id) else { return };
        self.sharing.remove(&id);
        self.done(done.unwrap_or_else(|| Done::early(key)));
        self.lanes.leave(&lane);
        while let Some(next) = self.lanes.next(&lane, |key| self.cache.get(key).is_some()) {
            self.begin(next);
        }
    }

    fn done(&mut self, done: Done) {
        let Done { key, memory, next, well, owes, object, took } = done;
        self.tools.metrics.looked(&key, well, took);
        if self.cache.get(&key).is_none() {
            // It went while it was looked at: nothing of it must stay behind.
            self.tools.metrics.forget(&key);
        }
        if next == controllers::Next::Retry || owes {
            self.tools.metrics.retried(key.kind);
        }
        let answered = memory.code.is_some_and(wake::is_answer);
        let healed = self.schedule.finish(&key, memory, next, (well, owes), self.pace.backoff);
        // A status that was written upon a newer object brings that object, ahead of its watch event.
        if let Some(after) = object
            && self.cache.get(&key).is_some_and(|before| is_older(before, &after))
        {
            self.present(key.kind, after);
        }
        match key.kind {
            kind if kind.is_connection() && healed => {
                self.tools.sessions.healed(&key);
                self.wake_failing(&key);
            }
            kind if kind.is_secret() && !well && !answered => self.doubt_connection(&key),
            _ => {}
        }
    }

    fn note(&mut self, Note { identity, trouble }: Note) {
        let key = identity.auth.clone();
        let mended = trouble.is_none();
        let before = match trouble {
            Some(trouble) => self.troubles.insert(identity, trouble),
            None => self.troubles.remove(&identity),
        };
        if self.cache.get(&key).is_some() {
            self.schedule.at(&key, Instant::now());
        }
        if mended && before.is_some() {
            self.wake_failing(&key);
        }
        if mended {
            self.wake_leases(&key);
        }
    }
}

fn key_of(kind: Kind, object: &Object) -> Key {
    Key::new(kind, object.metadata.namespace.clone(), object.metadata.name.clone())
}
