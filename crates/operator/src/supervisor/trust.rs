//! The Secrets and ConfigMaps that connections name: each is followed by its name, and a change has its connections looked at.

use std::collections::{BTreeMap, BTreeSet};

use sidekey_cluster::api::Api;
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::Supervisor;
use crate::plan::refer;
use crate::types::connection::VaultConnectionSpec;
use crate::types::object::Key;
use crate::watch::{self, Change, Of, Seen, Source};

/// Most that are followed; a change of another is found by its connection's next look.
const MOST: usize = 500;

/// What is followed, and for whom.
pub(super) struct Trust {
    api: Api,
    sink: Sender<Seen>,
    followed: BTreeMap<Source, Followed>,
    tasks: JoinSet<()>,
}

struct Followed {
    by: BTreeSet<Key>,
    task: AbortHandle,
    /// Version of the object as last told, empty when it is not there; none before that.
    version: Option<String>,
}

impl Trust {
    pub(super) fn new(api: Api, sink: Sender<Seen>) -> Self {
        Self { api, sink, followed: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// A connection names these, and no others any more.
    fn follow(&mut self, key: &Key, named: BTreeSet<Source>) {
        for (source, followed) in &mut self.followed {
            if !named.contains(source) && followed.by.remove(key) && followed.by.is_empty() {
                followed.task.abort();
            }
        }
        self.followed.retain(|_, followed| !followed.by.is_empty());
        while self.tasks.try_join_next().is_some() {}
        for source in named {
            if let Some(followed) = self.followed.get_mut(&source) {
                followed.by.insert(key.clone());
            } else if self.followed.len() < MOST {
                let task = self.tasks.spawn(watch::follow(self.api.clone(), source.clone(), self.sink.clone()));
                let by = BTreeSet::from([key.clone()]);
                self.followed.insert(source, Followed { by, task, version: None });
            }
        }
    }

    /// Whom a change concerns. What was told last once more, as after a broken watch, is none.
    fn told(&mut self, source: &Source, change: &Change) -> Vec<Key> {
        let Some(followed) = self.followed.get_mut(source) else { return Vec::new() };
        let version = match change {
            Change::Present(object) => object.metadata.resource_version.as_str(),
            Change::Listed(names) if !names.is_empty() => return Vec::new(),
            Change::Gone(_) | Change::Listed(_) => "",
        };
        if followed.version.as_deref() == Some(version) {
            return Vec::new();
        }
        followed.version = Some(version.to_owned());
        followed.by.iter().cloned().collect()
    }
}

impl Supervisor {
    /// A connection came, went or changed.
    pub(super) fn follow_trust(&mut self, key: &Key) {
        if key.kind.is_connection() {
            let spec = self.cache.get(key).and_then(|object| object.spec::<VaultConnectionSpec>().ok());
            let home = refer::home(key, &self.house);
            self.trust.follow(key, spec.map(|spec| named(&spec, home)).unwrap_or_default());
        }
    }

    /// Something that connections name came, went or changed.
    pub(super) fn trusted(&mut self, source: &Source, change: &Change) {
        let now = Instant::now();
        for key in self.trust.told(source, change) {
            self.schedule.at(&key, now);
        }
    }
}

/// What a connection names, in this namespace.
fn named(spec: &VaultConnectionSpec, home: &str) -> BTreeSet<Source> {
    let map = spec.ca_cert_config_map_ref.as_ref().map(|map| &map.name);
    let all = [
        (Of::Secret, spec.ca_cert_secret_ref.as_ref()),
        (Of::Secret, spec.client_cert_secret_ref.as_ref()),
        (Of::ConfigMap, map),
    ];
    let filled = all.into_iter().filter_map(|(of, name)| Some((of, name.filter(|name| !name.is_empty())?)));
    let source =
        |(of, name): (Of, &String)| Source { of, namespace: Some(home.into()), name: Some(name.as_str().into()) };
    filled.map(source).collect()
}
