//! Keeps logins in Secrets, and takes them up again: reads → checks → decrypts → asks Vault whether the token lives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sidekey_cluster::api::{Api, ApiError, JSON, METADATA_LIST};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::{Class, Client, Grant, VaultError, diagnose};

use crate::MANAGER;
use crate::metrics::Metrics;
use crate::plan::auth::Login;
use crate::plan::data::MacKey;
use crate::plan::destination::Secret;
use crate::plan::outcome::Trouble;
use crate::plan::storage::{self, Kept, Persistence, Ticket, Transit};
use crate::sessions::{Session, Sessions};
use crate::types::object::Object;

/// Where and how logins are kept.
#[derive(Clone)]
pub struct Keeping {
    /// What is kept.
    pub persistence: Persistence,
    /// The operator's namespace.
    pub namespace: String,
    /// Key of the digests.
    pub mac_key: MacKey,
}

/// What one login needs to be kept. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) api: Api,
    pub(crate) keeping: Keeping,
    pub(crate) transit: Option<Arc<Transit>>,
    pub(crate) sessions: Sessions,
    pub(crate) metrics: Metrics,
}

impl Store {
    /// Whether anything is kept.
    pub(crate) fn works(&self) -> bool {
        match self.keeping.persistence {
            Persistence::None => false,
            Persistence::Unencrypted => true,
            Persistence::Encrypted => self.transit.is_some(),
        }
    }

    /// Whether this login is kept: that of the transit key itself cannot be, since it opens the others.
    fn keeps(&self, login: &Login) -> bool {
        let opens = |transit: &Arc<Transit>| transit.login.auth == login.auth;
        self.works()
            && !(self.keeping.persistence == Persistence::Encrypted && self.transit.as_ref().is_some_and(opens))
    }

    fn all(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.keeping.namespace)
    }

    /// The login that was kept under this name, if its token lives; it is renewed then, or as old as it is.
    ///
    /// # Errors
    /// It is there and cannot be used now; that may be a matter of time.
    pub(crate) async fn restore(
        &self,
        login: &Login,
        cache_key: &str,
        client: &Client,
    ) -> Result<Option<Grant>, Trouble> {
        if !self.keeps(login) {
            return Ok(None);
        }
        let restored = self.take_up(login, cache_key, client).await;
        self.metrics.store_asked("restore", restored.is_ok());
        restored
    }

    async fn take_up(&self, login: &Login, cache_key: &str, client: &Client) -> Result<Option<Grant>, Trouble> {
        let path = format!("{}/{}", self.all(), storage::name(cache_key));
        let found = self.api.get::<Secret>(&path, JSON).await;
        self.metrics.store_called("get", is_answer(&found));
        let secret = match found {
            Ok(secret) => secret,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(Trouble::new("K8sClientError", error.cause(Code::KubernetesApi))),
        };
        let Some(kept) = storage::read(&secret, login, cache_key, &self.keeping.mac_key) else {
            tracing::warn!(cache_key, "a kept login is of another state of things, or was changed; logging in anew");
            return Ok(None);
        };
        let Some(grant) = self.open(&kept).await? else { return Ok(None) };
        let alive = alive(client, grant, &kept.created).await?;
        if alive.is_some() {
            tracing::info!(auth = %login.auth, namespace = login.consumer, "a kept login is taken up again");
        }
        Ok(alive)
    }

    async fn open(&self, kept: &Kept) -> Result<Option<Grant>, Trouble> {
        let plain = match (kept.encrypted, &self.transit) {
            (false, _) => kept.bytes.clone(),
            // Whatever the VaultAuth was called that encrypted it: Vault knows whether it is the same key.
            (true, Some(transit)) => {
                let Some(ciphertext) = storage::ciphertext(kept.bytes.expose()) else { return Ok(None) };
                match self.with(transit, Work::Decrypt(&ciphertext)).await? {
                    Ok(plain) => plain,
                    Err(error) => {
                        tracing::warn!(%error, "a kept login cannot be decrypted; logging in anew");
                        return Ok(None);
                    }
                }
            }
            (true, None) => return Ok(None),
        };
        Ok(std::str::from_utf8(plain.expose()).ok().and_then(Grant::of_answer))
    }

    /// Keeps a login, in the place of what was kept under its name.
    ///
    /// # Errors
    /// It is not kept. That costs a new login after the next restart, and nothing before.
    pub(crate) async fn save(&self, login: &Login, ticket: &Ticket) -> Result<(), Cause> {
        if !self.keeps(login) || !ticket.lasts() {
            return Ok(());
        }
        let kept = self.write(login, ticket).await;
        self.metrics.store_asked("store", kept.is_ok());
        kept
    }

    async fn write(&self, login: &Login, ticket: &Ticket) -> Result<(), Cause> {
        let plain = storage::answer(&ticket.grant);
        let transit = self.transit.as_deref().filter(|_| self.keeping.persistence == Persistence::Encrypted);
        let kept = match transit {
            Some(transit) => self.encrypt(transit, &plain).await?.expose().clone(),
            None => plain.expose().clone(),
        };
        let body = storage::secret(login, ticket, transit, &kept, &self.keeping.mac_key);
        let path = format!("{}?fieldManager={MANAGER}", self.all());
        let mut made = self.api.send::<IgnoredAny>(Method::POST, &path, JSON, &body).await;
        self.metrics.store_called("create", made.is_ok());
        // It is immutable: what was there goes first.
        if made.as_ref().is_err_and(ApiError::is_conflict) {
            self.forget(&ticket.cache_key).await;
            made = self.api.send::<IgnoredAny>(Method::POST, &path, JSON, &body).await;
            self.metrics.store_called("create", made.is_ok());
        }
        self.metrics.wrote("login", made.is_ok());
        made.map(drop).map_err(|error| error.cause(Code::KubernetesApi))
    }

    async fn encrypt(&self, transit: &Transit, plain: &Sensitive<Vec<u8>>) -> Result<Sensitive<Vec<u8>>, Cause> {
        let done = self.with(transit, Work::Encrypt(plain)).await.map_err(|trouble| trouble.cause)?;
        done.map_err(|error| {
            let path = format!("{}/encrypt/{}", transit.key.mount, transit.key.key_name);
            let attempted = format!("encrypting a login at {path} ({})", transit.login.auth);
            Cause::new(Code::PolicyDenied, attempted, error.to_string())
                .with_fix("Grant update on that path, and on its decrypt, to the role of this VaultAuth.")
        })
    }

    /// Asks as the transit key's user, and once more under a new login when the token is dead. What time may mend is the outer
    /// error.
    async fn with(&self, transit: &Transit, work: Work<'_>) -> Result<Result<Sensitive<Vec<u8>>, VaultError>, Trouble> {
        let mut session = self.sessions.acquire(&transit.login, None).await?;
        let mut done = work.ask(&session, transit).await;
        if done.as_ref().is_err_and(|error| error.class == Class::InvalidToken) {
            self.sessions.dead(&session).await;
            session = self.sessions.acquire(&transit.login, None).await?;
            done = work.ask(&session, transit).await;
        }
        match done {
            Err(error) if !is_final(&error) => {
                Err(Trouble::new("VaultClientError", diagnose::transport(&error, session.client.server())))
            }
            done => Ok(done),
        }
    }

    /// Removes a kept login.
    pub(crate) async fn forget(&self, cache_key: &str) {
        let gone = remove(&self.api, &self.metrics, &self.all(), &storage::name(cache_key)).await;
        self.metrics.store_asked("delete", gone);
    }

    /// Removes the logins of VaultAuths that are not there any more, or not as they were.
    pub(crate) async fn sweep(&self, auths: &BTreeSet<String>) {
        purge(&self.api, &self.metrics, &self.keeping.namespace, |object| {
            let label = |name| object.metadata.labels.get(name).map_or("", String::as_str);
            !auths.contains(&format!("{}-{}", label(storage::AUTH_UID), label(storage::AUTH_GENERATION)))
        })
        .await;
    }
}

/// What the transit key is for.
#[derive(Clone, Copy)]
enum Work<'a> {
    Encrypt(&'a Sensitive<Vec<u8>>),
    Decrypt(&'a str),
}

impl Work<'_> {
    /// What is to be kept, or what was.
    async fn ask(self, session: &Session, transit: &Transit) -> Result<Sensitive<Vec<u8>>, VaultError> {
        let (client, token, key) = (&session.client, &session.token, &transit.key);
        match self {
            Self::Encrypt(plain) => {
                let ciphertext = client.encrypt(token, &key.mount, &key.key_name, plain).await?;
                Ok(Sensitive::new(storage::encrypted(&ciphertext)))
            }
            Self::Decrypt(ciphertext) => client.decrypt(token, &key.mount, &key.key_name, ciphertext).await,
        }
    }
}

/// An error that time does not mend.
const fn is_final(error: &VaultError) -> bool {
    matches!(error.class, Class::Denied | Class::BadRequest | Class::Missing | Class::Shape | Class::InvalidToken)
}

/// The grant with what is left of it; none when the token is dead.
async fn alive(client: &Client, grant: Grant, created: &str) -> Result<Option<Grant>, Trouble> {
    match client.renew_token(&grant.token).await {
        Ok(renewal) if renewal.ttl.is_zero() => Ok(None),
        Ok(renewal) => Ok(Some(Grant { ttl: renewal.ttl, renewable: renewal.renewable, ..grant })),
        Err(error) if error.class == Class::Denied => Ok(left(grant, created)),
        Err(error) if matches!(error.class, Class::InvalidToken | Class::BadRequest | Class::Missing) => Ok(None),
        Err(error) => {
            let cause = diagnose::transport(&error, client.server());
            Err(Trouble::new("VaultClientError", cause))
        }
    }
}

/// A policy that does not even allow a renewal leaves the token with what it was given, less its age.
fn left(grant: Grant, created: &str) -> Option<Grant> {
    let created: jiff::Timestamp = created.parse().ok()?;
    let age = u64::try_from(jiff::Timestamp::now().as_second().saturating_sub(created.as_second())).unwrap_or(0);
    let left = grant.ttl.checked_sub(Duration::from_secs(age))?;
    (left > grant.ttl.mul_f64(0.1)).then_some(Grant { ttl: left, renewable: false, ..grant })
}

#[derive(Deserialize)]
struct List {
    // `null` where there are none.
    items: Option<Vec<Object>>,
}

/// Removes the kept logins that `which` names.
pub(crate) async fn purge(api: &Api, metrics: &Metrics, namespace: &str, which: impl Fn(&Object) -> bool) {
    let all = format!("/api/v1/namespaces/{namespace}/secrets");
    let labels = storage::LABELS.map(|(key, value)| format!("{}%3D{value}", key.replace('/', "%2F"))).join("%2C");
    let found: Result<List, _> = api.get(&format!("{all}?labelSelector={labels}"), METADATA_LIST).await;
    metrics.store_called("list", found.is_ok());
    let mut well = found.is_ok();
    let items = found.map(|found| found.items.unwrap_or_default()).unwrap_or_else(|error| {
        tracing::warn!(%error, "kept logins are not looked through");
        Vec::new()
    });
    for object in items.iter().filter(|object| which(object)) {
        well &= remove(api, metrics, &all, &object.metadata.name).await;
    }
    metrics.store_asked("prune", well);
}

/// An answer, if only that there is no such thing.
fn is_answer<T>(answer: &Result<T, ApiError>) -> bool {
    answer.as_ref().err().is_none_or(ApiError::is_absent)
}

/// Whether it is gone.
async fn remove(api: &Api, metrics: &Metrics, all: &str, name: &str) -> bool {
    let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    let gone = api.send::<IgnoredAny>(Method::DELETE, &format!("{all}/{name}"), JSON, &options).await;
    let done = is_answer(&gone);
    metrics.store_called("delete", done);
    if let Err(error) = gone.map(drop)
        && !done
    {
        tracing::warn!(%error, "a kept login is not removed");
    }
    done
}
