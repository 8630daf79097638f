//! reference → VaultAuth → VaultAuthGlobal → VaultConnection → one login, or a cause that names what is missing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use sidekey_core::{Cause, Code};

use super::method::Method;
use super::{duration, global, method, refer};
use crate::cache::Cache;
use crate::digest;
use crate::types::Kind;
use crate::types::cluster::ClusterVaultAuthSpec;
use crate::types::connection::VaultConnectionSpec;
use crate::types::object::{Key, Object};

/// What holds for the whole operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct House {
    /// Where `default` objects are looked up.
    pub namespace: String,
    /// Whether a VaultAuthGlobal `default` may be used by those that ask for it.
    pub default_globals: bool,
    /// Methods that VaultAuths may use; all that are served when empty.
    pub methods: Vec<String>,
    /// Whether connections and transformations may be used from every namespace, whatever they say.
    pub open_references: bool,
}

/// Everything that a login needs, resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    /// The VaultAuth.
    pub auth: Key,
    /// Namespace whose service accounts and Secrets are used.
    pub consumer: String,
    /// Where Vault is.
    pub connection: Connection,
    /// How to prove who we are.
    pub method: Method,
    /// Auth mount, without `auth/`.
    pub mount: String,
    /// Vault namespace of the mount.
    pub namespace: Option<String>,
    /// Headers of the login request, beside the connection's.
    pub headers: BTreeMap<String, String>,
    /// Changes with each object that led here: a login of another fingerprint is another login.
    pub fingerprint: String,
    /// The VaultAuth as it was.
    pub auth_stamp: Stamp,
    /// The VaultConnection as it was.
    pub connection_stamp: Stamp,
}

/// One state of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Uid.
    pub uid: String,
    /// Generation of the spec.
    pub generation: i64,
}

impl Stamp {
    /// Of an object as it is.
    pub fn of(object: &Object) -> Self {
        Self { uid: object.metadata.uid.clone(), generation: object.metadata.generation }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.uid, self.generation)
    }
}

/// A VaultConnection, resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// The object.
    pub key: Key,
    /// Its spec.
    pub spec: VaultConnectionSpec,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Namespace of its Secrets and ConfigMap.
    pub home: String,
}

impl Login {
    /// Names the login in statuses and among the kept ones, byte for byte as the Vault Secrets Operator does: method, and a
    /// digest of what led here. `provider` is the uid of the service account or Secret; the consumer's namespace stands in
    /// where there is none.
    pub fn cache_key(&self, provider: Option<&str>) -> String {
        let provider = provider.unwrap_or(&self.consumer);
        let led = format!("{}.{}.{provider}", self.auth_stamp, self.connection_stamp);
        let digest = digest::hex(led.as_bytes());
        let method = self.method.name().to_ascii_lowercase();
        format!("{method}-{}{}", &digest[..14], &digest[digest.len() - 8..])
    }
}

/// Who asks: what errors are told of.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The object with the reference.
    pub key: &'a Key,
    /// What it says, `name` or `namespace/name`.
    pub reference: Option<&'a str>,
}

/// Resolves a consumer's reference to a login.
///
/// # Errors
/// A cause that names the object that is missing, or that does not admit the consumer.
pub fn resolve(cache: &Cache, house: &House, asking: Asking<'_>) -> Result<Arc<Login>, Cause> {
    let (key, auth) = refer::to(cache, house, asking, Kind::VaultAuth)?;
    refer::admit(cache, house, &key, auth, &asking.key.namespace, asking.key)?;
    login(cache, house, &key, auth, &asking.key.namespace).map(Arc::new)
}

/// Resolves a VaultAuth for a consumer's namespace, whoever that is.
///
/// # Errors
/// As [`resolve`].
pub fn login(cache: &Cache, house: &House, key: &Key, auth: &Object, consumer: &str) -> Result<Login, Cause> {
    let ClusterVaultAuthSpec { auth: spec, credentials_namespace, .. } =
        auth.spec().map_err(|words| invalid(key, &words))?;
    let (spec, from) = global::merge(cache, house, key, spec)?;
    let asks = if key.kind.is_cluster() { consumer } else { &key.namespace };
    let connection = connection(cache, house, key, spec.vault_connection_ref.as_deref(), asks)?;
    let lent = credentials_namespace.filter(|namespace| key.kind.is_cluster() && !namespace.is_empty());
    let mount = spec.mount.as_deref().map(|mount| mount.trim_matches('/')).filter(|mount| !mount.is_empty());
    let mount = mount.ok_or_else(|| invalid(key, "mount is empty, and so is that of a VaultAuthGlobal"))?;
    let origin = cache.get(&connection.key);
    let stamp = |object: Option<&Object>| object.map(Stamp::of).unwrap_or_default();
    let (auth_stamp, connection_stamp) = (Stamp::of(auth), stamp(origin.map(|object| &**object)));
    let fingerprint = format!("{auth_stamp}.{}.{connection_stamp}", stamp(from.as_deref()));
    Ok(Login {
        auth: key.clone(),
        consumer: lent.unwrap_or_else(|| consumer.to_owned()),
        method: method::read(house, key, &spec)?,
        mount: mount.strip_prefix("auth/").unwrap_or(mount).to_owned(),
        namespace: spec.namespace.filter(|namespace| !namespace.is_empty()),
        headers: spec.headers,
        fingerprint,
        auth_stamp,
        connection_stamp,
        connection,
    })
}

/// Resolves a VaultAuth's connection, which is used from this namespace.
fn connection(
    cache: &Cache,
    house: &House,
    auth: &Key,
    reference: Option<&str>,
    from: &str,
) -> Result<Connection, Cause> {
    let (key, object) = refer::to(cache, house, Asking { key: auth, reference }, Kind::VaultConnection)?;
    refer::admit(cache, house, &key, object, from, auth)?;
    let spec: VaultConnectionSpec = object.spec().map_err(|words| invalid(&key, &words))?;
    known(house, &key, spec)
}

/// A connection whose object is at hand.
///
/// # Errors
/// What of its spec cannot be served.
pub fn known(house: &House, key: &Key, spec: VaultConnectionSpec) -> Result<Connection, Cause> {
    if spec.headers.keys().any(|name| name.eq_ignore_ascii_case("x-vault-namespace")) {
        return Err(invalid(
            key,
            "headers must not set X-Vault-Namespace; set namespace of the VaultAuth or the secret",
        ));
    }
    let map = spec.ca_cert_config_map_ref.as_ref().map(|map| &map.name);
    let cas = [spec.ca_cert_secret_ref.as_ref(), spec.ca_cert_path.as_ref(), map];
    if cas.into_iter().filter(|ca| filled(*ca)).count() > 1 {
        return Err(invalid(key, "caCertSecretRef, caCertConfigMapRef and caCertPath exclude each other"));
    }
    if spec.proxy_url.as_ref().is_some_and(|url| !url.is_empty() && !is_proxy(url)) {
        return Err(invalid(
            key,
            "proxyURL must be http://HOST:PORT or https://HOST:PORT, without a user and password",
        ));
    }
    let timeout = duration::read(spec.timeout.as_deref()).unwrap_or(Duration::from_secs(60));
    let home = refer::home(key, house).to_owned();
    Ok(Connection { key: key.clone(), spec, timeout, home })
}

fn is_proxy(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    uri.and_then(|uri| uri.into_parts().authority).is_some_and(|authority| !authority.as_str().contains('@'))
}

fn filled(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

pub(crate) fn invalid(key: &Key, words: &str) -> Cause {
    Cause::new(Code::ResourceInvalid, format!("reading {key}"), words)
}
