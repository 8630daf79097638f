//! An object as a watch keeps it: what is not needed is dropped while it is read.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
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

/// The annotation that asks for a look.
pub const REFRESH: &str = "sidekey.dev/refresh";

/// The label of the VaultAuth whose key encrypts logins.
pub const ENCRYPTS: &str = "cacheStorageEncryption";

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
    /// Stands for the labels and annotations there were, of those that are not kept: a change of theirs is still a change.
    #[serde(skip)]
    pub aside: u64,
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

impl Metadata {
    /// Drops the labels and annotations that are of no use without a template.
    fn pack(&mut self) {
        self.annotations.remove(APPLIED);
        let mut all = DefaultHasher::new();
        (&self.labels, &self.annotations).hash(&mut all);
        self.aside = all.finish();
        self.labels.retain(|name, _| name == ENCRYPTS);
        self.annotations.retain(|name, _| name == REFRESH);
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

    /// Drops what nobody asks for, and shares what other objects have too. Templates see all labels and annotations.
    pub fn pack(&mut self, pool: &mut Pool<str>) {
        self.packed = self.status.as_deref().and_then(|text| Packed::new(text.get(), pool));
        if self.packed.is_some() {
            self.status = None;
        }
        if !self.spec.as_deref().is_some_and(|spec| spec.get().contains("\"transformation\"")) {
            self.metadata.pack();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn packed(team: &str, spec: &serde_json::Value) -> Object {
        let annotations = json!({ APPLIED: "x".repeat(200_000), "note": "y".repeat(1000), REFRESH: "1" });
        let labels = json!({ "team": team, ENCRYPTS: "true" });
        let metadata = json!({ "name": "web", "labels": labels, "annotations": annotations });
        let mut object: Object =
            serde_json::from_str(&json!({ "metadata": metadata, "spec": spec }).to_string()).unwrap();
        object.pack(&mut Pool::default());
        object
    }

    #[test]
    fn of_labels_and_annotations_is_kept_what_is_read_and_a_change_of_the_others_still_shows() {
        let (red, blue) = (packed("red", &json!({ "path": "web" })), packed("blue", &json!({ "path": "web" })));
        let metadata = &red.metadata;
        let names: Vec<_> = metadata.labels.keys().chain(metadata.annotations.keys()).map(String::as_str).collect();
        assert_eq!(names, [ENCRYPTS, REFRESH]);
        assert!(format!("{red:?}").len() < 1000, "nothing of the 200 kB is kept anywhere");
        assert_eq!(metadata.annotations, blue.metadata.annotations);
        assert_ne!(metadata.aside, blue.metadata.aside);
        assert_eq!(metadata.aside, packed("red", &json!({ "path": "web" })).metadata.aside);
    }

    #[test]
    fn templates_see_all_labels_and_annotations() {
        let seen = packed("red", &json!({ "destination": { "transformation": {} } })).metadata;
        assert_eq!((seen.labels.len(), seen.annotations.len()), (2, 3));
    }
}
