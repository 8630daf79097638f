//! Logins that outlive the operator: the Secret that keeps one, in the form that the Vault Secrets Operator gives it, and the
//! transit key that encrypts it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::Grant;

use super::auth::{self, House, Login};
use super::data::MacKey;
use super::destination::Secret;
use crate::cache::Cache;
use crate::digest;
use crate::types::Kind;
use crate::types::auth::{StorageEncryption, VaultAuthSpec};
use crate::types::object::{Key, Object};

/// Labels of every such Secret.
pub const LABELS: [(&str, &str); 3] = [
    ("app.kubernetes.io/name", "vault-secrets-operator"),
    ("app.kubernetes.io/managed-by", "vso"),
    ("app.kubernetes.io/component", "client-cache-storage"),
];

/// Label with the uid of the VaultAuth.
pub const AUTH_UID: &str = "auth/UID";

/// Label with the generation of the VaultAuth.
pub const AUTH_GENERATION: &str = "auth/generation";

/// Label of ours with everything that led to the login: the name leaves a VaultAuthGlobal out.
const LED: &str = "sidekey.dev/login";

/// Label of the VaultAuth whose transit key encrypts.
const ENCRYPTS: (&str, &str) = (crate::types::object::ENCRYPTS, "true");

/// What is kept over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing; what was kept before is removed.
    #[default]
    None,
    /// Logins, as they are.
    Unencrypted,
    /// Logins, encrypted by Vault.
    Encrypted,
}

/// The service account or Secret that a login showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
}

/// A login that can be kept. No `Debug`: it holds the token.
#[derive(Clone)]
pub struct Ticket {
    /// Its name.
    pub cache_key: String,
    /// What it showed; none for a file.
    pub provider: Option<Provider>,
    /// What it was given.
    pub grant: Grant,
}

impl Ticket {
    /// Whether it is worth keeping: a token that cannot be renewed is replaced soon anyway.
    pub const fn lasts(&self) -> bool {
        self.grant.renewable && !self.grant.batch
    }
}

/// The transit key, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transit {
    /// The login for it.
    pub login: Arc<Login>,
    /// The transit mount, and the key's name.
    pub key: StorageEncryption,
}

/// Finds the one VaultAuth of the operator's namespace that says how to encrypt.
///
/// # Errors
/// There is none, there are several, or it does not resolve.
pub fn transit(cache: &Cache, house: &House) -> Result<Transit, Cause> {
    let place = format!("looking in namespace {} for the key that encrypts logins", house.namespace);
    let mut found = labelled(cache, house);
    let Some((key, object, storage)) = found.pop() else {
        let answer =
            format!("no VaultAuth there has spec.storageEncryption and the label {}={}", ENCRYPTS.0, ENCRYPTS.1);
        return Err(Cause::new(Code::ReferenceMissing, place, answer));
    };
    if let Some((other, ..)) = found.last() {
        let answer = format!("{} and {} both have the label {}={}", other.name, key.name, ENCRYPTS.0, ENCRYPTS.1);
        return Err(Cause::new(Code::ResourceInvalid, place, answer).with_fix("Leave it on one of them."));
    }
    let login = auth::login(cache, house, &key, object, &house.namespace)?;
    Ok(Transit { login: Arc::new(login), key: storage })
}

type Labelled<'c> = (Key, &'c Object, StorageEncryption);

fn labelled<'c>(cache: &'c Cache, house: &House) -> Vec<Labelled<'c>> {
    let own = cache.all(Kind::VaultAuth).filter(|(key, _)| *key.namespace == *house.namespace);
    let one = |(key, object): (&Key, &'c Arc<Object>)| {
        let spec: VaultAuthSpec = object.spec().ok()?;
        let storage = spec.storage_encryption.filter(|_| has_label(object))?;
        Some((key.clone(), &**object, storage))
    };
    own.filter_map(one).collect()
}

fn has_label(object: &Object) -> bool {
    object.metadata.labels.get(ENCRYPTS.0).is_some_and(|value| value == ENCRYPTS.1)
}

/// Why the `storageEncryption` of a VaultAuth is of no effect, if it has one and that is so. No fault of the object's: what it
/// is for works without.
pub fn remark(cache: &Cache, house: &House, persistence: Persistence, key: &Key, object: &Object) -> Option<String> {
    let spec: VaultAuthSpec = object.spec().ok()?;
    spec.storage_encryption?;
    let why = match () {
        () if persistence != Persistence::Encrypted => {
            "the operator does not run with --client-cache-persistence-model=direct-encrypted".to_owned()
        }
        () if *key.namespace != *house.namespace => {
            format!("this is not the operator's namespace, {}", house.namespace)
        }
        () if !has_label(object) => format!("it has not the label {}={}", ENCRYPTS.0, ENCRYPTS.1),
        () => match labelled(cache, house).iter().find(|(other, ..)| other != key) {
            Some((other, ..)) => format!("{} has the label {}={} too", other.name, ENCRYPTS.0, ENCRYPTS.1),
            None => return None,
        },
    };
    Some(format!("Its storageEncryption is not used: {why}."))
}

/// Name of the Secret that keeps a login.
pub fn name(cache_key: &str) -> String {
    format!("vso-cc-{cache_key}")
}

/// The Secret that keeps a login, whose bytes are `kept`: [`answer`], or what Vault made of it.
pub fn secret(login: &Login, ticket: &Ticket, transit: Option<&Transit>, kept: &[u8], mac_key: &MacKey) -> Value {
    let (name, cache_key) = (name(&ticket.cache_key), ticket.cache_key.as_str());
    let (auth, connection) = (&login.auth_stamp, &login.connection_stamp);
    let mut labels: BTreeMap<_, _> = LABELS.map(|(key, value)| (key, value.to_owned())).into();
    labels.extend([
        ("cacheKey", cache_key.to_owned()),
        ("auth/namespace", login.auth.namespace.to_string()),
        (AUTH_UID, auth.uid.clone()),
        (AUTH_GENERATION, auth.generation.to_string()),
        ("connection/namespace", login.connection.key.namespace.to_string()),
        ("connection/UID", connection.uid.clone()),
        ("connection/generation", connection.generation.to_string()),
        (LED, led(login)),
    ]);
    if let Some(Provider { uid, namespace }) = &ticket.provider {
        labels.extend([("provider/UID", uid.clone()), ("provider/namespace", namespace.clone())]);
    }
    if let Some(transit) = transit {
        labels.extend([("encrypted", "true".to_owned()), ("vaultTransitRef", transit.login.auth.name.to_string())]);
    }
    let mac = mac_key.sign(&[name.as_bytes(), cache_key.as_bytes(), kept]);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "labels": labels },
        "immutable": true,
        "type": "Opaque",
        "data": { "secret": STANDARD.encode(kept), "messageMAC": STANDARD.encode(mac) },
    })
}

fn led(login: &Login) -> String {
    digest::hex(login.fingerprint.as_bytes()).chars().take(16).collect()
}

/// What a Secret keeps.
pub struct Kept {
    /// The answer of the login, encrypted or not.
    pub bytes: Sensitive<Vec<u8>>,
    /// Whether a transit key encrypted it.
    pub encrypted: bool,
    /// When it was made, as the API server writes times.
    pub created: String,
}

/// Reads a Secret; none when somebody else wrote it, or for another login. A Vault Secrets Operator's has no label of ours.
pub fn read(secret: &Secret, login: &Login, cache_key: &str, mac_key: &MacKey) -> Option<Kept> {
    let bytes = secret.data.0.get("secret")?;
    let mac = secret.data.0.get("messageMAC")?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if secret.metadata["labels"][LED].as_str().is_some_and(|other| other != led(login)) {
        return None;
    }
    let parts = [name(cache_key), cache_key.to_owned()];
    if !mac_key.verifies(&[parts[0].as_bytes(), parts[1].as_bytes(), bytes.expose()], mac.expose()) {
        return None;
    }
    Some(Kept {
        bytes: bytes.clone(),
        encrypted: text(&secret.metadata["labels"]["vaultTransitRef"]).is_some(),
        created: text(&secret.metadata["creationTimestamp"]).unwrap_or_default(),
    })
}

#[derive(Serialize)]
struct Answer<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    lease_duration: u64,
    renewable: bool,
    data: Option<()>,
    warnings: Option<()>,
    auth: AnswerAuth<'a>,
}

#[derive(Serialize)]
struct AnswerAuth<'a> {
    client_token: &'a str,
    accessor: &'a str,
    policies: &'a [String],
    token_policies: &'a [String],
    lease_duration: u64,
    renewable: bool,
}

/// A login in the shape of the answer that Vault gave it.
pub fn answer(grant: &Grant) -> Sensitive<Vec<u8>> {
    let auth = AnswerAuth {
        client_token: grant.token.expose(),
        accessor: &grant.accessor,
        policies: &grant.policies,
        token_policies: &grant.policies,
        lease_duration: grant.ttl.as_secs(),
        renewable: grant.renewable,
    };
    let (request_id, lease_id) = ("", "");
    let answer = Answer { request_id, lease_id, lease_duration: 0, renewable: false, data: None, warnings: None, auth };
    Sensitive::new(serde_json::to_vec(&answer).unwrap_or_default())
}

/// What transit made of it, as it is kept.
pub fn encrypted(ciphertext: &str) -> Vec<u8> {
    json!({ "ciphertext": ciphertext }).to_string().into_bytes()
}

/// The ciphertext of what is kept.
pub fn ciphertext(kept: &[u8]) -> Option<String> {
    let kept: Value = serde_json::from_slice(kept).ok()?;
    kept["ciphertext"].as_str().map(str::to_owned)
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
