//! An object as a watch keeps it: what is not needed is dropped while it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Kind;
use super::condition::Condition;
use super::packed::Packed;
use crate::pool::Pool;

/// Where `kubectl apply` keeps a second copy of the spec.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The parts of `metadata` that anybody here asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name.
    #[serde(deserialize_with = "shared")]
    pub name: Arc<str>,
    /// Namespace.
    #[serde(deserialize_with = "shared")]
    pub namespace: Arc<str>,
    /// Uid.
    pub uid: String,
    /// Changes with the spec.
    pub generation: i64,
    /// Changes with everything.
    pub resource_version: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// When it was made; RFC 3339, so that text order is time order.
    pub creation_timestamp: String,
    /// Set once the object is to go.
    pub deletion_timestamp: Option<String>,
    /// Whom the deletion waits for.
    pub finalizers: Vec<String>,
}

fn shared<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(from).map(Arc::from)
}

/// One custom resource. Spec and status stay text until their kind is known to be needed.
#[derive(Debug, Deserialize)]
pub struct Object {
    /// Metadata.
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default)]
    spec: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
    /// The same, once it is kept.
    #[serde(skip)]
    packed: Option<Packed>,
}

/// What names an object. Ordered by kind, so that what others refer to comes first. Clones share their text: an object's key
/// is in many tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Kind.
    pub kind: Kind,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// From its parts.
    pub fn new(kind: Kind, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// This text, or the name, where that is the same: most Secrets have the name of their object.
    pub fn text(&self, text: impl AsRef<str> + Into<Arc<str>>) -> Arc<str> {
        if *self.name == *text.as_ref() { Arc::clone(&self.name) } else { text.into() }
    }

    /// The object's URL path.
    pub fn path(&self) -> String {
        self.kind.path_of(&self.namespace, &self.name)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.kind.name(), self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind.name(), self.name),
        }
    }
}

impl Object {
    /// The spec as its type.
    ///
    /// # Errors
    /// One line that names the field at fault.
    pub fn spec<T: DeserializeOwned>(&self) -> Result<T, String> {
        let text = self.spec.as_deref().map_or("{}", RawValue::get);
        serde_json::from_str(text).map_err(|error| format!("the spec cannot be read: {error}"))
    }

    /// The status as its type; one that cannot be read is as none.
    pub fn status<T: DeserializeOwned + Default>(&self) -> T {
        let read = |text: &str| serde_json::from_str(text).ok();
        let status = match &self.packed {
            Some(packed) => read(&packed.text()),
            None => self.status.as_deref().and_then(|text| read(text.get())),
        };
        status.unwrap_or_default()
    }

    /// Drops what nobody asks for, and shares what other objects have too. Templates see all annotations.
    pub fn pack(&mut self, pool: &mut Pool<str>) {
        self.packed = self.status.as_deref().and_then(|text| Packed::new(text.get(), pool));
        if self.packed.is_some() {
            self.status = None;
        }
        if !self.spec.as_deref().is_some_and(|spec| spec.get().contains("\"transformation\"")) {
            self.metadata.annotations.remove(APPLIED);
        }
    }

    /// The status's conditions.
    pub fn conditions(&self) -> Vec<Condition> {
        #[derive(Default, Deserialize)]
        struct Conditions {
            #[serde(default)]
            conditions: Vec<Condition>,
        }
        self.status::<Conditions>().conditions
    }

    /// Whether the spec is the same text.
    pub fn same_spec(&self, other: &Self) -> bool {
        self.spec.as_deref().map(RawValue::get) == other.spec.as_deref().map(RawValue::get)
    }

    /// Whether the object is on its way out.
    pub const fn is_leaving(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
