//! The one task that owns the state: what exists, what is due, what is being looked at.
//!
//! watch events → cache → due times → a bounded number of looks at once → what they learnt → due times

mod schedule;
mod survey;
mod wake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sidekey_core::Cause;
use sidekey_runtime::drain::Drain;
use sidekey_runtime::readiness::Token;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cache::{Cache, Owned};
use crate::controllers::{self, Done, Job, Refers, Tools};
use crate::jitter::Backoff;
use crate::plan::auth::{self, Asking, House};
use crate::plan::destination::OWNER_UID;
use crate::plan::outcome::Trouble;
use crate::plan::transformation;
use crate::sessions::{Identity, Note, Surroundings};
use crate::types::Kind;
use crate::types::auth::VaultAuthSpec;
use crate::types::destination::Destination;
use crate::types::object::{Key, Object};
use crate::watch::{Change, Seen, Source};
use schedule::Schedule;

/// Time for looks under way when the operator ends.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// How the work is paced.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Most looks at once.
    pub looks: usize,
    /// Waits after failures.
    pub backoff: Backoff,
}

/// Everything that is known, and everything that is due.
pub struct Supervisor {
    tools: Tools,
    house: House,
    pace: Pace,
    cache: Cache,
    schedule: Schedule,
    /// Owners of Secrets, by uid.
    owners: BTreeMap<String, Key>,
    /// Logins that fail.
    troubles: BTreeMap<Identity, Trouble>,
    /// Sources whose first list has not come yet: until then a missing reference proves nothing.
    unlisted: BTreeSet<Source>,
    looks: JoinSet<Done>,
    ready: Option<Token>,
    /// What the logins are told of.
    surroundings: watch::Sender<Surroundings>,
    /// Why nothing encrypts what is to be kept, as last told.
    unkept: Option<Cause>,
}

impl Supervisor {
    /// Waits for the first list of each source, then begins.
    pub fn new(
        tools: Tools,
        house: House,
        pace: Pace,
        sources: impl IntoIterator<Item = Source>,
        ready: Token,
        surroundings: watch::Sender<Surroundings>,
    ) -> Self {
        Self {
            tools,
            house,
            pace,
            cache: Cache::default(),
            schedule: Schedule::default(),
            owners: BTreeMap::new(),
            troubles: BTreeMap::new(),
            unlisted: sources.into_iter().collect(),
            looks: JoinSet::new(),
            ready: Some(ready),
            surroundings,
            unkept: None,
        }
    }

    /// Works until the drain starts.
    pub async fn run(mut self, mut seen: Receiver<Seen>, mut notes: Receiver<Note>, mut drain: Drain) {
        loop {
            self.start_due();
            let due = self.schedule.next().filter(|_| self.unlisted.is_empty() && self.looks.len() < self.pace.looks);
            tokio::select! {
                biased;
                () = drain.started() => break,
                Some(seen) = seen.recv() => self.see(seen),
                Some(note) = notes.recv() => self.note(note),
                Some(done) = self.looks.join_next() => match done {
                    Ok(done) => self.done(done),
                    // A look that panics has told so; its object is looked at again when it changes.
                    Err(error) => tracing::error!(%error, "a look ended early"),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
        let _ = timeout(LAST_WORDS, async { while self.looks.join_next().await.is_some() {} }).await;
    }

    fn see(&mut self, Seen { source, change }: Seen) {
        match (source, change) {
            (Source::Kind(kind), Change::Present(object)) => self.present(kind, *object),
            (Source::Kind(kind), Change::Gone(object)) => self.gone(&key_of(kind, &object)),
            (Source::Kind(kind), Change::Listed(names)) => {
                for key in self.cache.missing_from(kind, &names) {
                    self.gone(&key);
                }
                self.listed(source);
            }
            (Source::Secrets, Change::Present(object)) => self.secret(&object, true),
            (Source::Secrets, Change::Gone(object)) => self.secret(&object, false),
            (Source::Secrets, Change::Listed(names)) => {
                for (namespace, name) in self.cache.secrets_missing_from(&names) {
                    self.secret_gone(&namespace, &name);
                }
                self.listed(source);
            }
        }
    }

    fn listed(&mut self, source: Source) {
        if !self.unlisted.remove(&source) || !self.unlisted.is_empty() {
            return;
        }
        self.survey();
        if let Some(ready) = self.ready.take() {
            ready.ready();
        }
    }

    fn present(&mut self, kind: Kind, object: Object) {
        let key = key_of(kind, &object);
        let before = self.cache.get(&key);
        if before.is_some_and(|before| before.metadata.uid == object.metadata.uid && is_older(&object, before)) {
            return;
        }
        let changed = before.is_none_or(|before| is_news(before, &object));
        let is_new = before.is_none();
        if kind.is_secret() {
            self.owners.insert(object.metadata.uid.clone(), key.clone());
        }
        self.cache.put(key.clone(), Arc::new(object));
        if is_new {
            self.tools.metrics.counted(&key, true);
        }
        if changed {
            self.schedule.at(&key, Instant::now());
            self.wake_dependants(&key);
            self.survey_after(kind);
        }
    }

    fn gone(&mut self, key: &Key) {
        if let Some(object) = self.cache.remove(key) {
            self.owners.remove(&object.metadata.uid);
            self.schedule.forget(key);
            self.tools.metrics.counted(key, false);
            self.wake_dependants(key);
            self.survey_after(key.kind);
        }
    }

    fn secret(&mut self, object: &Object, there: bool) {
        let metadata = &object.metadata;
        if !there {
            return self.secret_gone(&metadata.namespace, &metadata.name);
        }
        let Some(owner) = metadata.labels.get(OWNER_UID) else { return };
        let owned = Owned { owner: owner.clone(), resource_version: metadata.resource_version.clone() };
        self.cache.put_secret(&metadata.namespace, &metadata.name, Some(owned));
        if let Some(key) = self.owners.get(owner) {
            self.schedule.secret_changed(key, &metadata.resource_version);
        }
    }

    fn secret_gone(&mut self, namespace: &str, name: &str) {
        let before = self.cache.put_secret(namespace, name, None);
        if let Some(key) = before.and_then(|owned| self.owners.get(&owned.owner)) {
            self.schedule.secret_changed(key, "");
        }
        // Whoever wanted it and could not have it.
        self.wake_failing_on(namespace, name);
    }

    fn start_due(&mut self) {
        while self.unlisted.is_empty() && self.looks.len() < self.pace.looks {
            let Some(key) = self.schedule.take_due(Instant::now()) else { return };
            let Some(object) = self.cache.get(&key).cloned() else { continue };
            let mut refers = self.refers(&key, &object);
            self.schedule.uses(&key, &refers);
            // A namespace goes in no order: what was made with a login is revoked with it, although its VaultAuth is gone.
            if let (true, Refers::Login(Err(_)), Some(login)) =
                (object.is_leaving(), &refers, self.schedule.login(&key))
            {
                refers = Refers::Login(Ok(login));
            }
            let shared = transformation::referred(&self.cache, &key, destination_of(&object).as_ref());
            let shared = shared.map_err(|cause| Trouble::new("TransformationError", cause));
            let destination = destination(&object);
            let known = destination.as_ref().and_then(|name| self.cache.secret(&key.namespace, name)).cloned();
            let strays = destination
                .map_or_else(Vec::new, |name| self.cache.strays(&key.namespace, &object.metadata.uid, &name));
            let memory = self.schedule.memory(&key);
            let remark = self.remark(&key, &object);
            let job = Job { key, object, refers, shared, known, strays, remark, memory };
            self.looks.spawn(controllers::look(self.tools.clone(), job));
        }
    }

    fn refers(&self, key: &Key, object: &Object) -> Refers {
        let trouble = |cause| Trouble::new("InvalidResourceRef", cause);
        match key.kind {
            Kind::VaultConnection => {
                let spec = object.spec().map_err(|words| auth::invalid(key, &words));
                Refers::Connection(spec.and_then(|spec| auth::known(key, spec)).map_err(trouble))
            }
            Kind::VaultAuth => {
                let spec = object.spec::<VaultAuthSpec>().map_err(|words| auth::invalid(key, &words));
                let login =
                    spec.and_then(|spec| auth::login(&self.cache, &self.house, key, object, spec, &key.namespace));
                let failing =
                    self.troubles.iter().find(|(identity, _)| identity.auth == *key).map(|(_, trouble)| trouble);
                match (login, failing) {
                    (Err(cause), _) => Refers::Login(Err(trouble(cause))),
                    (Ok(_), Some(failing)) => Refers::Login(Err(failing.clone())),
                    (Ok(login), None) => Refers::Login(Ok(Arc::new(login))),
                }
            }
            kind if kind.is_secret() => {
                let reference = reference(object);
                let asking = Asking { key, reference: reference.as_deref() };
                Refers::Login(auth::resolve(&self.cache, &self.house, asking).map_err(trouble))
            }
            _ => Refers::Nothing,
        }
    }

    fn done(&mut self, done: Done) {
        let Done { key, memory, next, well, object } = done;
        self.tools.metrics.looked(&key, well);
        let healed = self.schedule.finish(&key, memory, next, well, self.pace.backoff);
        // A status that was written upon a newer object brings that object, ahead of its watch event.
        if let Some(after) = object
            && self.cache.get(&key).is_some_and(|before| is_older(before, &after))
        {
            self.present(key.kind, after);
        }
        match key.kind {
            Kind::VaultConnection if healed => self.wake_failing(&key),
            kind if kind.is_secret() && !well => self.doubt_connection(&key),
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
        self.schedule.at(&key, Instant::now());
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

/// What a person changed, as against what a status write changed.
fn is_news(before: &Object, after: &Object) -> bool {
    let parts = |object: &Object| {
        let metadata = &object.metadata;
        (metadata.uid.clone(), metadata.generation, metadata.deletion_timestamp.clone(), metadata.finalizers.clone())
    };
    parts(before) != parts(after)
        || before.metadata.labels != after.metadata.labels
        || before.metadata.annotations != after.metadata.annotations
}

/// Versions are numbers of the store in every API server there is; where they are not, the newest told is believed.
fn is_older(one: &Object, other: &Object) -> bool {
    let number = |object: &Object| object.metadata.resource_version.parse::<u64>().ok();
    matches!((number(one), number(other)), (Some(one), Some(other)) if one < other)
}

/// The two fields that all objects with a destination share.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shared {
    #[serde(default)]
    vault_auth_ref: Option<String>,
    #[serde(default)]
    destination: Option<Destination>,
}

fn reference(object: &Object) -> Option<String> {
    object.spec::<Shared>().unwrap_or_default().vault_auth_ref
}

fn destination_of(object: &Object) -> Option<Destination> {
    object.spec::<Shared>().unwrap_or_default().destination
}

fn destination(object: &Object) -> Option<String> {
    destination_of(object).map(|destination| destination.name)
}
