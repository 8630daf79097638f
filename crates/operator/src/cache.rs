//! Everything the watches have told, and nothing else. Owned by the supervisor; readers get shared objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::types::Kind;
use crate::types::object::{Key, Object};
use crate::watch::Source;

/// Namespace and name. Clones share their text.
pub type Place = (Arc<str>, Arc<str>);

/// Custom resources by their key, and what is known of owned Secrets.
///
/// It is what the operator's memory grows by, so each table holds as little of an object as it can, and text only once.
#[derive(Debug, Default)]
pub struct Cache {
    objects: BTreeMap<Key, Arc<Object>>,
    secrets: BTreeMap<Place, Owned>,
    /// Labels of namespaces.
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Who has which Secret for a destination: one object, mostly.
    claims: BTreeMap<Place, Vec<Key>>,
}

/// An owned Secret, as its metadata tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Uid of the custom resource that owns it.
    pub owner: Arc<str>,
    /// Changes with the Secret.
    pub resource_version: String,
}

impl Cache {
    /// Keeps an object; what was there before.
    pub fn put(&mut self, key: Key, object: Arc<Object>) -> Option<Arc<Object>> {
        self.objects.insert(key, object)
    }

    /// Forgets an object.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        self.objects.remove(key)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// One object by its parts.
    pub fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&Key::new(kind, namespace, name))
    }

    /// All of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        self.objects.range(Key::new(kind, "", "")..).take_while(move |(key, _)| key.kind == kind)
    }

    /// Labels of a namespace; none of one that is not known.
    pub fn labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(namespace)
    }

    /// Keeps or forgets a namespace's labels; whether that is news.
    pub fn put_namespace(&mut self, name: &str, labels: Option<BTreeMap<String, String>>) -> bool {
        match labels {
            Some(labels) => {
                self.namespaces.insert(name.to_owned(), labels.clone()).is_none_or(|before| before != labels)
            }
            None => self.namespaces.remove(name).is_some(),
        }
    }

    /// Namespaces that a complete list did not name.
    pub fn namespaces_missing_from(&self, listed: &BTreeSet<Place>) -> Vec<String> {
        let named = |name: &&String| listed.contains(&(Arc::default(), name.as_str().into()));
        self.namespaces.keys().filter(|name| !named(name)).cloned().collect()
    }

    /// Notes that an object has this Secret of its namespace for a destination, or has it no more.
    pub fn claim(&mut self, key: &Key, secret: &str, claims: bool) {
        let at = (Arc::clone(&key.namespace), key.text(secret));
        if claims {
            let claimants = self.claims.entry(at).or_default();
            if !claimants.contains(key) {
                claimants.reserve_exact(1);
                claimants.push(key.clone());
            }
        } else if let Some(claimants) = self.claims.get_mut(&at) {
            claimants.retain(|other| other != key);
            if claimants.is_empty() {
                self.claims.remove(&at);
            }
        }
    }

    /// Another object that has the same destination and the better right to it: it owns the Secret; or nobody does, and it
    /// is older.
    pub fn rival(&self, key: &Key, secret: &str) -> Option<&Key> {
        let at = (Arc::clone(&key.namespace), secret.into());
        let claimants = self.claims.get(&at).filter(|claimants| claimants.len() > 1)?;
        let known = claimants.iter().filter_map(|key| Some((key, &self.get(key)?.metadata)));
        let owner = self.secrets.get(&at).map(|owned| &*owned.owner);
        let first = known.min_by_key(|(_, metadata)| {
            (Some(metadata.uid.as_str()) != owner, &metadata.creation_timestamp, &metadata.uid)
        });
        first.map(|(first, _)| first).filter(|first| *first != key)
    }

    /// Keys of a kind that a complete list of their source did not name.
    pub fn missing_from(&self, kind: Kind, source: &Source, listed: &BTreeSet<Place>) -> Vec<Key> {
        let named = |key: &Key| listed.contains(&(Arc::clone(&key.namespace), Arc::clone(&key.name)));
        let gone = |key: &&Key| source.covers(&key.namespace) && !named(key);
        self.all(kind).map(|(key, _)| key).filter(gone).cloned().collect()
    }

    /// A namespace, other than this one, that has an object of the kind and name: somebody may have meant it.
    pub fn namesake(&self, kind: Kind, namespace: &str, name: &str) -> Option<&str> {
        let other = |key: &&Key| &*key.name == name && &*key.namespace != namespace;
        self.all(kind).map(|(key, _)| key).find(other).map(|key| &*key.namespace)
    }

    /// What is known of a Secret, if a custom resource owns it.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Owned> {
        self.secrets.get(&(namespace.into(), name.into()))
    }

    /// Keeps or forgets what is known of a Secret; what was known before.
    pub fn put_secret(&mut self, at: Place, owned: Option<Owned>) -> Option<Owned> {
        match owned {
            Some(owned) => self.secrets.insert(at, owned),
            None => self.secrets.remove(&at),
        }
    }

    /// Known Secrets that a complete list of their source did not name.
    pub fn secrets_missing_from(&self, source: &Source, listed: &BTreeSet<Place>) -> Vec<Place> {
        self.secrets.keys().filter(|at| source.covers(&at.0) && !listed.contains(*at)).cloned().collect()
    }

    /// Secrets that this uid owns, under any name but this one.
    pub fn strays(&self, namespace: &Arc<str>, owner: &str, name: &str) -> Vec<String> {
        let here =
            self.secrets.range((Arc::clone(namespace), Arc::default())..).take_while(|((at, _), _)| at == namespace);
        let mine = |((_, secret), owned): &(&Place, &Owned)| &*owned.owner == owner && &**secret != name;
        here.filter(mine).map(|((_, secret), _)| secret.to_string()).collect()
    }
}
