//! The calls the agent makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use rustls_pki_types::ServerName;
use sidekey_core::contract::{Auth, Server};
use sidekey_core::{Lookup, Response, Sensitive, Value};
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest, RevokeTokenSelfRequest};

use crate::address::Address;
use crate::answer::{Answer, Reply};
use crate::ask::Ask;
use crate::connect::Connector;
use crate::error::{Class, VaultError};
use crate::extras::Extras;
use crate::grant::{Grant, Health, Renewal, TokenInfo, flag, seconds, texts};
use crate::login::{self, Credential};
use crate::mounts::{MountKind, Mounts, kind_of};
use crate::proxy::Proxy;
use crate::transport::Transport;
use crate::{fetch, tls};

/// One Vault or OpenBao. Cheap to clone; clones share connections. Holds no token.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
    server: Arc<Server>,
}

impl Client {
    /// Reads the CA and client certificate files now: to follow a change of theirs, make a new one.
    ///
    /// # Errors
    /// [`Class::Address`] and [`Class::Files`]; nothing is asked yet.
    pub fn new(server: &Server) -> Result<Self, VaultError> {
        Self::with(server, &Extras::default())
    }

    /// As [`Self::new`], with what the caller holds beside.
    ///
    /// # Errors
    /// Also [`Class::Address`] for what cannot be a header.
    pub fn with(server: &Server, extras: &Extras) -> Result<Self, VaultError> {
        let failed = |class| move |words: String| VaultError::new("GET", "sys/health", class).with_detail(words);
        let address = Address::parse(&server.address).map_err(failed(Class::Address))?;
        let proxy = server
            .proxy
            .as_deref()
            .map(|url| Proxy::parse(url, server.no_proxy.as_deref().unwrap_or_default()))
            .transpose()
            .map_err(failed(Class::Address))?;
        let server_name = server.server_name.clone().map(ServerName::try_from).transpose();
        let server_name =
            server_name.map_err(|_| failed(Class::Address)("the TLS server name is no name".to_owned()))?;
        let namespace =
            server.namespace.as_deref().filter(|namespace| !namespace.is_empty()).map(HeaderValue::from_str);
        let namespace =
            namespace.transpose().map_err(|_| failed(Class::Address)("the namespace is no header value".to_owned()))?;
        let tls = tls::config(server, extras.identity.as_ref()).map_err(failed(Class::Files))?;
        let headers = extras.headers.iter().map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
        let headers = headers.collect::<Option<HeaderMap>>();
        let transport = Transport {
            address,
            namespace,
            headers: headers.ok_or_else(|| failed(Class::Address)("a header cannot be sent".to_owned()))?,
            connector: Connector { tls, server_name, proxy, guard: extras.guard.clone() },
            timeout: Duration::from_secs(u64::from(server.timeout_seconds.max(1))),
            idle: Arc::default(),
        };
        Ok(Self { transport: Arc::new(transport), server: Arc::new(server.clone()) })
    }

    /// The configuration this client was made from.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The client that this login, and the renewal of its token, has to use: a certificate may be of the login's own.
    ///
    /// # Errors
    /// As [`Self::new`]; the files are read now.
    pub fn of_login(&self, auth: &Auth) -> Result<Self, VaultError> {
        login::server(&self.server, &auth.method).map_or_else(|| Ok(self.clone()), |server| Self::new(&server))
    }

    /// Opens one more connection in the background, for whoever knows that two questions will soon be asked at once.
    pub fn warm(&self) {
        let transport = self.transport.clone();
        tokio::spawn(async move { transport.warm().await });
    }

    /// Trades a credential for a Vault token: one request, by the client of [`Self::of_login`].
    ///
    /// # Errors
    /// [`VaultError`]; [`crate::diagnose::login`] tells its causes apart.
    pub async fn login(&self, auth: &Auth, credential: &Credential) -> Result<Grant, VaultError> {
        if let Credential::Token(token) = credential {
            let info = self.lookup_token(token).await?;
            return Ok(Grant::of_token(token, info));
        }
        let ask = login::ask(auth, credential)?;
        let answer = self.of_login(auth)?.ask(&ask).await?;
        let grant = answer.0.get("auth").and_then(Grant::read);
        grant.ok_or_else(|| {
            ask.error(Class::Shape).with_detail("the login gives no token; a second factor may be wanted")
        })
    }

    /// `auth/token/renew-self`, for as long as the server's default.
    ///
    /// # Errors
    /// [`VaultError`]; [`Class::InvalidToken`] means a new login.
    pub async fn renew_token(&self, token: &Sensitive<String>) -> Result<Renewal, VaultError> {
        let ask = Ask::of(&RenewTokenSelfRequest { increment: None })?.with_token(token).repeatable();
        let answer = self.ask(&ask).await?;
        let auth = answer.0.get("auth").ok_or_else(|| ask.error(Class::Shape))?;
        Ok(Renewal { ttl: seconds(auth, "lease_duration"), renewable: flag(auth, "renewable") })
    }

    /// `auth/token/lookup-self`: whether the token lives.
    ///
    /// # Errors
    /// [`VaultError`]; [`Class::Denied`] says nothing of the token, only that its policies lack `default`.
    pub async fn lookup_token(&self, token: &Sensitive<String>) -> Result<TokenInfo, VaultError> {
        let ask = Ask::of(&LookupTokenSelfRequest {})?.with_token(token);
        let answer = self.ask(&ask).await?;
        answer.0.get("data").map(TokenInfo::read).ok_or_else(|| ask.error(Class::Shape))
    }

    /// Whether the token lives. Vault says `invalid token` of a dead one; OpenBao says `permission denied`, which then means
    /// the same of a token that [`has_default`](Grant::has_default), as that allows the question.
    ///
    /// # Errors
    /// [`VaultError`] when it cannot be known: no answer, or [`Class::Denied`] without `default`.
    pub async fn token_lives(&self, token: &Sensitive<String>, has_default: bool) -> Result<bool, VaultError> {
        match self.lookup_token(token).await {
            Ok(_) => Ok(true),
            Err(error) if error.class == Class::InvalidToken => Ok(false),
            Err(error) if error.class == Class::Denied && has_default => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `auth/token/revoke-self`: the token and every lease made with it end. A token that is dead already is no error.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn revoke_token(&self, token: &Sensitive<String>) -> Result<(), VaultError> {
        let ask = Ask::of(&RevokeTokenSelfRequest {})?.with_token(token).repeatable();
        match self.ask(&ask).await {
            Err(error) if error.class != Class::InvalidToken => Err(error),
            _ => Ok(()),
        }
    }

    /// One lookup. KV v2 paths may be written with or without `data/` (`metadata/` for lists): the path is tried as
    /// written; when Vault's answer leaves its form open, the mount is looked up once and remembered in `mounts`.
    ///
    /// # Errors
    /// [`VaultError`] of the last form tried; [`crate::diagnose::fetch`] tells its causes apart.
    pub async fn fetch(
        &self,
        token: &Sensitive<String>,
        lookup: &Lookup,
        mounts: &Mounts,
    ) -> Result<Response, VaultError> {
        fetch::fetch(self, token, lookup, mounts).await
    }

    /// `sys/leases/renew`.
    ///
    /// # Errors
    /// [`VaultError`]; [`Class::Missing`] when the lease is gone.
    pub async fn renew_lease(
        &self,
        token: &Sensitive<String>,
        lease_id: &str,
        increment: Option<Duration>,
    ) -> Result<Renewal, VaultError> {
        let mut body = serde_json::json!({ "lease_id": lease_id });
        if let Some(increment) = increment {
            body["increment"] = increment.as_secs().into();
        }
        let ask = Ask::put("sys/leases/renew", body.to_string().into_bytes()).with_token(token).repeatable();
        let answer = self.ask(&ask).await?.into_response(&ask)?;
        Ok(Renewal { ttl: Duration::from_secs(answer.lease_duration), renewable: answer.renewable })
    }

    /// `sys/leases/revoke`. Not in Vault's `default` policy: [`Class::Denied`] is usual.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn revoke_lease(&self, token: &Sensitive<String>, lease_id: &str) -> Result<(), VaultError> {
        let body = serde_json::json!({ "lease_id": lease_id }).to_string();
        let ask = Ask::put("sys/leases/revoke", body.into_bytes()).with_token(token).repeatable();
        self.ask(&ask).await.map(drop)
    }

    /// What the token may do on `path`: `["read"]`, `["deny"]`, `["root"]`.
    ///
    /// # Errors
    /// [`VaultError`]; [`Class::Denied`] when the token lacks the `default` policy.
    pub async fn capabilities(&self, token: &Sensitive<String>, path: &str) -> Result<Vec<String>, VaultError> {
        let mut all = self.capabilities_of(token, &[path]).await?;
        Ok(all.remove(path).unwrap_or_default())
    }

    /// The same for several paths, in one request.
    pub(crate) async fn capabilities_of(
        &self,
        token: &Sensitive<String>,
        paths: &[&str],
    ) -> Result<BTreeMap<String, Vec<String>>, VaultError> {
        let body = serde_json::json!({ "paths": paths }).to_string();
        let ask = Ask::put("sys/capabilities-self", body.into_bytes()).with_token(token).repeatable();
        let answer = self.ask(&ask).await?;
        let data = answer.0.get("data").unwrap_or(&answer.0);
        Ok(paths.iter().filter_map(|path| Some(((*path).to_owned(), texts(data, path)?))).collect())
    }

    /// `sys/health`, whatever status it comes with.
    ///
    /// # Errors
    /// [`VaultError`] when no Vault answers.
    pub async fn health(&self) -> Result<Health, VaultError> {
        let ask = Ask::get("sys/health");
        let reply = self.transport.send(&ask).await?;
        match reply.object().filter(|body| body.get("initialized").is_some()) {
            Some(body) => Ok(Health::read(&body)),
            None => Err(reply.read(&ask).err().unwrap_or_else(|| ask.error(Class::Protocol))),
        }
    }

    /// The mount that holds `path`, from `sys/internal/ui/mounts/<path>`. Any policy on a path below it suffices.
    pub(crate) async fn mount_of(
        &self,
        token: &Sensitive<String>,
        path: &str,
    ) -> Result<(String, MountKind), VaultError> {
        let ask = Ask::get(format!("sys/internal/ui/mounts/{path}")).with_token(token);
        let answer = self.ask(&ask).await?;
        let data = answer.0.get("data").ok_or_else(|| ask.error(Class::Shape))?;
        let mount = data.get("path").and_then(Value::as_text).ok_or_else(|| ask.error(Class::Shape))?;
        Ok((mount.to_owned(), kind_of(data)))
    }

    /// Secrets mounts that some policy of the token touches, with a slash at their ends.
    pub(crate) async fn visible_mounts(
        &self,
        token: &Sensitive<String>,
    ) -> Result<BTreeMap<String, MountKind>, VaultError> {
        let ask = Ask::get("sys/internal/ui/mounts").with_token(token);
        let answer = self.ask(&ask).await?;
        let mounts = answer.0.get("data").and_then(|data| data.get("secret")).and_then(Value::as_map);
        Ok(mounts.into_iter().flatten().map(|(mount, about)| (mount.clone(), kind_of(about))).collect())
    }

    pub(crate) async fn send(&self, ask: &Ask) -> Result<Reply, VaultError> {
        self.transport.send(ask).await
    }

    pub(crate) async fn post(&self, path: &str, ask: Ask) -> Result<Reply, VaultError> {
        self.transport.post(path, &ask).await
    }

    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, VaultError> {
        let reply: Reply = self.transport.send(ask).await?;
        let answer = reply.read(ask);
        tracing::trace!(verb = ask.method.as_str(), path = ask.path, status = reply.status, "vault answered");
        answer
    }
}
