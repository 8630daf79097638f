//! What to do to the destination Secret, given what is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sidekey_core::{Cause, Code, Sensitive};

use super::data::Data;
use crate::types::destination::Destination;
use crate::types::object::{Key, Metadata};
use crate::types::{GROUP, VERSION};

/// Label with the uid of the owning custom resource.
pub const OWNER_UID: &str = "secrets.hashicorp.com/vso-ownerRefUID";

/// Annotation with the keys that are one owner's, in a Secret that others write to as well; the owner's uid follows.
pub const KEYS: &str = "sidekey.dev/keys-";

/// Annotation of a Secret that outlives its owner.
pub const RETAINED: &str = "sidekey.dev/retained";

/// Labels of every owned Secret; those of the Vault Secrets Operator, whose Secrets are ours to adopt.
pub const OWNED: [(&str, &str); 3] = [
    ("app.kubernetes.io/managed-by", "hashicorp-vso"),
    ("app.kubernetes.io/name", "vault-secrets-operator"),
    ("app.kubernetes.io/component", "secret-sync"),
];

/// A Secret as the API server has it. Its metadata stays whole, so that what others put there is never lost.
#[derive(Clone, Deserialize)]
pub struct Secret {
    /// Metadata.
    pub metadata: Value,
    /// Type.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Whether its data may never change.
    #[serde(default)]
    pub immutable: bool,
    /// Data.
    #[serde(default, deserialize_with = "decoded")]
    pub data: Data,
    /// Data that is none of the owner's, and stays.
    #[serde(skip)]
    pub others: Data,
}

fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
    let encoded: Option<BTreeMap<String, String>> = Option::deserialize(deserializer)?;
    let encoded = encoded.unwrap_or_default().into_iter().map(|(key, value)| (key, Sensitive::new(value)));
    Ok(Data::from_encoded(&encoded.collect()))
}

impl Secret {
    fn strings(&self, field: &str) -> BTreeMap<String, String> {
        let map = self.metadata[field].as_object();
        map.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// With only the owner's keys for its data, the rest set aside.
    #[must_use]
    pub fn divided(mut self, uid: &str) -> Self {
        let annotations = self.strings("annotations");
        let own: Vec<_> =
            annotations.get(&format!("{KEYS}{uid}")).into_iter().flat_map(|keys| keys.split(',')).collect();
        let is_own = |key: &String| own.contains(&key.as_str());
        let (data, others) = std::mem::take(&mut self.data).0.into_iter().partition(|(key, _)| is_own(key));
        (self.data, self.others) = (Data(data), Data(others));
        self
    }

    fn body(&self, metadata: Value) -> Body {
        Body { metadata, kind: self.kind.clone(), immutable: self.immutable }
    }

    /// Whether this resource owns it.
    pub fn is_of(&self, uid: &str) -> bool {
        self.strings("labels").get(OWNER_UID).is_some_and(|owner| owner == uid)
    }

    /// Whether what it holds is of this resource, whatever the resource's status says.
    pub fn is_filled_by(&self, uid: &str, destination: &Destination) -> bool {
        if destination.merge { !self.data.0.is_empty() } else { self.is_of(uid) }
    }

    /// Its version.
    pub fn resource_version(&self) -> &str {
        self.metadata["resourceVersion"].as_str().unwrap_or_default()
    }

    /// Its uid.
    pub fn uid(&self) -> &str {
        self.metadata["uid"].as_str().unwrap_or_default()
    }
}

/// Whose destination it is.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// The custom resource.
    pub key: &'a Key,
    /// Its metadata.
    pub metadata: &'a Metadata,
}

impl Owner<'_> {
    fn reference(&self) -> Value {
        json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": self.key.kind.name(),
            "name": &*self.key.name,
            "uid": self.metadata.uid,
        })
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let fixed = OWNED.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        fixed.chain([(OWNER_UID.to_owned(), self.metadata.uid.clone())]).collect()
    }
}

/// What to do. No `Debug`: metadata is harmless, but the habit is not.
pub enum Change {
    /// All is as it should be.
    Nothing,
    /// Make it.
    Create(Body),
    /// Put this in its place, if it is still what was seen.
    Replace(Body),
    /// Delete what is there, if it is still what was seen, and make it anew: a type cannot be changed.
    Recreate {
        /// Of the one to delete.
        uid: String,
        /// The new one.
        body: Body,
    },
}

/// A Secret but for its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Metadata.
    pub metadata: Value,
    /// Type.
    pub kind: String,
    /// Whether its data may never change; kept as it was.
    pub immutable: bool,
}

impl Body {
    /// The whole object. Only to be sent.
    pub fn with(&self, data: &Data) -> Value {
        let (metadata, kind, data) = (&self.metadata, &self.kind, data.encoded());
        let mut object =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data });
        if self.immutable {
            object["immutable"] = json!(true);
        }
        object
    }
}

/// What the spec wants of the Secret.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Whose it is.
    pub owner: Owner<'a>,
    /// The spec's part.
    pub destination: &'a Destination,
    /// The data it is to hold.
    pub data: &'a Data,
    /// Whether the spec has changed since the last success: then labels and annotations it no longer names go, and with
    /// them those of others. Otherwise those of others stay.
    pub respec: bool,
}

/// Decides.
///
/// # Errors
/// The Secret is missing, somebody else's, or immutable.
pub fn decide(wish: Wish<'_>, observed: Option<&Secret>) -> Result<Change, Cause> {
    let Wish { owner, destination, data, .. } = wish;
    let failed = |code, answer: &str| {
        let attempted = format!("writing Secret {}/{}", owner.key.namespace, destination.name);
        Err(Cause::new(code, attempted, answer))
    };
    let Some(secret) = observed else {
        return match destination.create {
            true => Ok(Change::Create(fresh(wish))),
            false => failed(Code::DestinationMissing, "it is not there, and destination.create is false"),
        };
    };
    let labels = secret.strings("labels");
    let owned = OWNED.iter().all(|(key, value)| labels.get(*key).is_some_and(|has| has == value));
    let mine = labels.get(OWNER_UID).is_some_and(|uid| *uid == owner.metadata.uid);
    let left = owned && secret.strings("annotations").get(RETAINED).is_some_and(|retained| retained == "true");
    if owned && !mine && !left && !destination.merge {
        let uid = labels.get(OWNER_UID).map_or("?", String::as_str);
        return failed(Code::DestinationTaken, &format!("it belongs to the resource with the uid {uid}"));
    }
    let frozen = secret.immutable && secret.data != *data;
    if !destination.create {
        let metadata = shared(wish, secret);
        return match (secret.data == *data && metadata == secret.metadata, frozen) {
            (true, _) => Ok(Change::Nothing),
            (false, true) => failed(Code::DestinationRefused, "it is immutable and its data is another"),
            (false, false) => Ok(Change::Replace(secret.body(metadata))),
        };
    }
    if !mine && !left && !destination.overwrite {
        return failed(
            Code::DestinationTaken,
            "it is there, no such resource owns it, and destination.overwrite is false",
        );
    }
    if frozen {
        return failed(Code::DestinationRefused, "it is immutable and its data is another");
    }
    if secret.kind != destination.secret_type() {
        return Ok(Change::Recreate { uid: secret.uid().to_owned(), body: fresh(wish) });
    }
    let metadata = replaced(wish, secret);
    if metadata == secret.metadata && secret.data == *data {
        return Ok(Change::Nothing);
    }
    Ok(Change::Replace(secret.body(metadata)))
}

fn fresh(wish: Wish<'_>) -> Body {
    let Wish { owner, destination, .. } = wish;
    let mut labels = destination.labels.clone();
    labels.extend(owner.labels());
    let references = if destination.retain { vec![] } else { vec![owner.reference()] };
    let metadata = json!({
        "name": destination.name,
        "namespace": &*owner.key.namespace,
        "labels": labels,
        "annotations": annotations(wish, BTreeMap::new()),
        "ownerReferences": references,
    });
    Body { metadata, kind: destination.secret_type().to_owned(), immutable: false }
}

/// The observed metadata with our labels, annotations and reference in it; equal to it when they are there already.
fn replaced(wish: Wish<'_>, secret: &Secret) -> Value {
    let Wish { owner, destination, respec, .. } = wish;
    let mut metadata = secret.metadata.clone();
    let keep = |field: &str| if respec && !destination.merge { BTreeMap::new() } else { secret.strings(field) };
    let mut labels = keep("labels");
    labels.extend(destination.labels.clone());
    labels.extend(owner.labels());
    let annotations = annotations(wish, keep("annotations"));
    for (field, wanted) in [("labels", labels), ("annotations", annotations)] {
        if secret.strings(field) != wanted {
            metadata[field] = json!(wanted);
        }
    }
    let references = secret.metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
    let ours = |reference: &Value| reference["uid"] == owner.metadata.uid.as_str();
    if references.iter().any(ours) == destination.retain {
        let others = references.into_iter().filter(|reference| !ours(reference));
        let own = (!destination.retain).then(|| owner.reference());
        metadata["ownerReferences"] = others.chain(own).collect::<Vec<_>>().into();
    }
    metadata
}

/// The metadata of a Secret that is not owned: as it is, but for the note of our keys where others have theirs.
fn shared(wish: Wish<'_>, secret: &Secret) -> Value {
    let mut metadata = secret.metadata.clone();
    if wish.destination.merge {
        let mut annotations = secret.strings("annotations");
        annotations.extend(keys(wish));
        if annotations != secret.strings("annotations") {
            metadata["annotations"] = json!(annotations);
        }
    }
    metadata
}

/// Annotations of an owned Secret, of those that it is to keep.
fn annotations(wish: Wish<'_>, mut kept: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let destination = wish.destination;
    kept.remove(RETAINED);
    kept.extend(destination.annotations.clone());
    kept.extend(destination.retain.then(|| (RETAINED.to_owned(), "true".to_owned())));
    kept.extend(keys(wish));
    kept
}

/// The note of our keys, where others have theirs.
fn keys(wish: Wish<'_>) -> Option<(String, String)> {
    let Wish { owner, destination, data, .. } = wish;
    let keys = || data.0.keys().map(String::as_str).collect::<Vec<_>>().join(",");
    destination.merge.then(|| (format!("{KEYS}{}", owner.metadata.uid), keys()))
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
#[path = "destination_tests.rs"]
mod tests;
