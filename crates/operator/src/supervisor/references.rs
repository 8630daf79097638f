//! What the spec of an object refers to, and whether that is to be had.

use std::sync::Arc;

use sidekey_core::{Cause, Code};

use super::Supervisor;
use crate::controllers::Refers;
use crate::plan::auth::{self, Asking};
use crate::plan::outcome::Trouble;
use crate::plan::refer;
use crate::types::destination::Destination;
use crate::types::object::{Key, Object};

impl Supervisor {
    pub(super) fn refers(&self, key: &Key, object: &Object) -> Refers {
        let trouble = |cause| Trouble::new("InvalidResourceRef", cause);
        match key.kind {
            kind if kind.is_connection() => {
                let spec = object.spec().map_err(|words| auth::invalid(key, &words));
                let known = spec.and_then(|spec| auth::known(&self.house, key, spec));
                Refers::Connection(known.map(Box::new).map_err(trouble))
            }
            kind if kind.is_auth() => {
                let login = auth::login(&self.cache, &self.house, key, object, refer::home(key, &self.house));
                let failing =
                    self.troubles.iter().find(|(identity, _)| identity.auth == *key).map(|(_, trouble)| trouble);
                match (login, failing) {
                    (Err(cause), _) => Refers::Login(Err(trouble(cause))),
                    (Ok(_), Some(failing)) => Refers::Login(Err(failing.clone())),
                    (Ok(login), None) => Refers::Login(Ok(Arc::new(login))),
                }
            }
            kind if kind.is_secret() => {
                if let Some(trouble) = self.conflict(key, object) {
                    return Refers::Login(Err(trouble));
                }
                let reference = reference(object);
                let asking = Asking { key, reference: reference.as_deref() };
                let unready = |cause| Trouble::new("VaultClientConfigError", cause);
                Refers::Login(auth::resolve(&self.cache, &self.house, asking).map_err(unready))
            }
            _ => Refers::Nothing,
        }
    }

    /// Whether another object has the better right to the destination.
    fn conflict(&self, key: &Key, object: &Object) -> Option<Trouble> {
        let name = destination(object)?;
        let rival = self.cache.rival(key, &name)?;
        let merges = |object: &Object| destination_of(object).is_some_and(|destination| destination.merge);
        if merges(object) && self.cache.get(rival).is_some_and(|rival| merges(rival)) {
            return None;
        }
        let attempted = format!("filling Secret {}/{name} for {key}", key.namespace);
        let answer = format!("it is the destination of {rival}, too, which has the better right to it");
        let cause = Cause::new(Code::DestinationTaken, attempted, answer);
        let fix = "Give one of the two another destination.name, or delete one.";
        Some(Trouble::new("SecretSyncError", cause.with_fix(fix)))
    }
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

pub(super) fn destination_of(object: &Object) -> Option<Destination> {
    object.spec::<Shared>().unwrap_or_default().destination
}

pub(super) fn destination(object: &Object) -> Option<String> {
    destination_of(object).map(|destination| destination.name)
}
