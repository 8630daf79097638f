//! The Secret that holds the CA: the one in service, and the certificates of those before it that are still trusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sidekey_cluster::api::{Api, ApiError, JSON};

use super::authority::{Authority, CaCertificate};

/// Annotation that asks for a new CA, whatever its value; it is gone once there is one.
pub const ROTATE: &str = "sidekey.dev/rotate";

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const PREVIOUS: &str = "previous.crt";

/// What the Secret says.
#[derive(Clone, Debug)]
pub struct Store {
    /// Signs leaves.
    pub current: Arc<Authority>,
    /// Trusted for a while longer, newest first.
    pub previous: Vec<CaCertificate>,
    /// Somebody asked for a new CA.
    pub rotate: bool,
}

/// The Secret as it was read.
#[derive(Debug)]
pub enum Stored {
    /// There is none.
    Absent,
    /// It is there and is no CA; `reason` quotes nothing of it.
    Unusable {
        /// What to put the next one into.
        object: Box<ObjectMeta>,
        /// Why not.
        reason: String,
    },
    /// It is there.
    Usable {
        /// What to put the next one into.
        object: Box<ObjectMeta>,
        /// What it says.
        store: Store,
    },
}

/// Where the Secret is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Our own namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Place {
    /// The collection it is in.
    pub(super) fn all(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    /// Reads the Secret.
    ///
    /// # Errors
    /// [`ApiError`]; an absent Secret is none.
    pub async fn read(&self, api: &Api) -> Result<Stored, ApiError> {
        match api.get::<Secret>(&format!("{}/{}", self.all(), self.name), JSON).await {
            Ok(secret) => Ok(decode(secret)),
            Err(error) if error.is_absent() => Ok(Stored::Absent),
            Err(error) => Err(error),
        }
    }

    /// Makes the Secret.
    ///
    /// # Errors
    /// [`ApiError::is_conflict`] when somebody was faster: then theirs is the CA.
    pub async fn create(&self, api: &Api, store: &Store) -> Result<(), ApiError> {
        let labels = BTreeMap::from([("app.kubernetes.io/part-of".to_owned(), "sidekey".to_owned())]);
        let metadata = ObjectMeta { name: Some(self.name.clone()), labels: Some(labels), ..ObjectMeta::default() };
        api.send::<Secret>(Method::POST, &self.all(), JSON, &encode(metadata, store)).await.map(drop)
    }

    /// Puts `store` in the place of what was read as `object`.
    ///
    /// # Errors
    /// [`ApiError::is_conflict`] when it changed since.
    pub async fn replace(&self, api: &Api, object: &ObjectMeta, store: &Store) -> Result<(), ApiError> {
        let mut metadata = object.clone();
        metadata.managed_fields = None;
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove(ROTATE);
        }
        let path = format!("{}/{}", self.all(), self.name);
        api.send::<Secret>(Method::PUT, &path, JSON, &encode(metadata, store)).await.map(drop)
    }
}

fn encode(metadata: ObjectMeta, store: &Store) -> Secret {
    let bytes = |text: String| ByteString(text.into_bytes());
    let previous: String = store.previous.iter().map(CaCertificate::pem).collect();
    let data = BTreeMap::from([
        (CERTIFICATE.to_owned(), bytes(store.current.certificate().pem())),
        (KEY.to_owned(), ByteString(store.current.key_pem().expose().as_bytes().to_vec())),
        (PREVIOUS.to_owned(), bytes(previous)),
    ]);
    Secret { metadata, data: Some(data), type_: Some("Opaque".to_owned()), ..Secret::default() }
}

fn decode(secret: Secret) -> Stored {
    let data = secret.data.unwrap_or_default();
    let part = |name: &str| data.get(name).map_or(&[][..], |bytes| &bytes.0);
    let rotate = secret.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(ROTATE));
    let object = Box::new(secret.metadata);
    match Authority::parse(part(CERTIFICATE), part(KEY)) {
        Ok(authority) => {
            let previous = CaCertificate::parse_all(part(PREVIOUS));
            Stored::Usable { object, store: Store { current: Arc::new(authority), previous, rotate } }
        }
        Err(error) => Stored::Unusable { object, reason: error.to_string() },
    }
}
