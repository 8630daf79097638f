//! Everything the watches have told, and nothing else. Owned by the supervisor; readers get shared objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::types::Kind;
use crate::types::object::{Key, Object};

/// Custom resources by their key, and what is known of owned Secrets.
#[derive(Debug, Default)]
pub struct Cache {
    objects: BTreeMap<Key, Arc<Object>>,
    secrets: BTreeMap<(String, String), Owned>,
}

/// An owned Secret, as its metadata tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Uid of the custom resource that owns it.
    pub owner: String,
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

    /// Keys of a kind that a complete list did not name.
    pub fn missing_from(&self, kind: Kind, listed: &BTreeSet<(String, String)>) -> Vec<Key> {
        let named = |key: &Key| listed.contains(&(key.namespace.clone(), key.name.clone()));
        self.all(kind).map(|(key, _)| key).filter(|key| !named(key)).cloned().collect()
    }

    /// A namespace, other than this one, that has an object of the kind and name: somebody may have meant it.
    pub fn namesake(&self, kind: Kind, namespace: &str, name: &str) -> Option<&str> {
        let other = |key: &&Key| key.name == name && key.namespace != namespace;
        self.all(kind).map(|(key, _)| key).find(other).map(|key| key.namespace.as_str())
    }

    /// What is known of a Secret, if a custom resource owns it.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Owned> {
        self.secrets.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Keeps or forgets what is known of a Secret; what was known before.
    pub fn put_secret(&mut self, namespace: &str, name: &str, owned: Option<Owned>) -> Option<Owned> {
        let at = (namespace.to_owned(), name.to_owned());
        match owned {
            Some(owned) => self.secrets.insert(at, owned),
            None => self.secrets.remove(&at),
        }
    }

    /// Known Secrets that a complete list did not name.
    pub fn secrets_missing_from(&self, listed: &BTreeSet<(String, String)>) -> Vec<(String, String)> {
        self.secrets.keys().filter(|at| !listed.contains(*at)).cloned().collect()
    }

    /// Secrets that this uid owns, under any name but this one.
    pub fn strays(&self, namespace: &str, owner: &str, name: &str) -> Vec<String> {
        let mine = |((at, secret), owned): &(&(String, String), &Owned)| {
            at == namespace && owned.owner == owner && secret != name
        };
        self.secrets.iter().filter(mine).map(|((_, secret), _)| secret.clone()).collect()
    }
}
