//! resolved login → address check → credential → a login that was kept, or Vault → grant, or a cause.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use sidekey_cluster::api::Api;
use sidekey_core::Cause;
use sidekey_core::contract::{Auth, PodIdentity, Server};
use sidekey_vault::{Client, Credential, Grant, diagnose};
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::plan::auth::{Connection, Login};
use crate::plan::outcome::Trouble;
use crate::plan::storage::Ticket;
use crate::proof::{self, Cloud, Proof};
use crate::storage::Store;
use crate::types::object::Key;

/// A login that worked, and how to reach the server it worked at.
pub struct Granted {
    /// The token and its terms, and how to keep it.
    pub ticket: Ticket,
    /// Whether it is of an earlier login.
    pub restored: bool,
    /// The server, in the Vault namespace of the login.
    pub server: Server,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// A client of it.
    pub client: Client,
}

/// Where a connection leads, with its CA read.
///
/// # Errors
/// The address is refused, or the CA's Secret cannot be used.
pub async fn server(api: &Api, addresses: &Addresses, connection: &Connection) -> Result<Server, Trouble> {
    let spec = &connection.spec;
    admitted(addresses, &connection.key, &spec.address).await?;
    let ca_pem = match spec.ca_cert_secret_ref.as_deref().filter(|name| !name.is_empty() && !spec.skip_tls_verify) {
        Some(name) => Some(proof::text(api, &connection.home, name, "ca.crt").await?.expose().clone()),
        None => None,
    };
    Ok(Server {
        address: spec.address.clone(),
        ca_pem,
        ca_file: spec.ca_cert_path.clone().filter(|path| !path.is_empty()),
        server_name: spec.tls_server_name.clone().filter(|name| !name.is_empty()),
        skip_verify: spec.skip_tls_verify,
        timeout_seconds: u32::try_from(connection.timeout.as_secs().max(1)).unwrap_or(u32::MAX),
        ..Server::default()
    })
}

const fn refused(cause: Cause) -> Trouble {
    Trouble::new("InvalidConfiguration", cause)
}

/// Whether tokens may go to this URL, as it is written and as it resolves now. A name that does not resolve is left to the
/// connection, which says so better.
///
/// # Errors
/// They may not.
pub(crate) async fn admitted(addresses: &Addresses, key: &Key, address: &str) -> Result<(), Trouble> {
    addresses.check(key, address).map_err(refused)?;
    let Ok(uri) = address.parse::<Uri>() else { return Ok(()) };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let looked_up = timeout(Duration::from_secs(5), tokio::net::lookup_host((host.as_str(), 0))).await;
    for found in looked_up.ok().and_then(Result::ok).into_iter().flatten() {
        addresses.check_resolved(key, &host, found.ip()).map_err(refused)?;
    }
    Ok(())
}

/// Logs in, or takes up again what `kept` has of an earlier login.
///
/// # Errors
/// What failed at which stage, in Vault's own words where it has any.
pub(crate) async fn log_in(
    api: &Api,
    addresses: &Addresses,
    cloud: &Cloud,
    login: &Login,
    kept: Option<&Store>,
) -> Result<Granted, Trouble> {
    let mut server = server(api, addresses, &login.connection).await?;
    server.namespace.clone_from(&login.namespace);
    let headers = login.connection.spec.headers.clone();
    let failed = |error| Trouble::new("VaultClientConfigError", diagnose::transport(&error, &server));
    let client = Client::with_headers(&server, &headers).map_err(failed)?;
    let mut at_login = headers.clone();
    at_login.extend(login.headers.clone());
    let door = Client::with_headers(&server, &at_login).map_err(failed)?;
    let proof = proof::gather(api, addresses, cloud, login).await?;
    let provider = proof.provider.clone();
    let cache_key = login.cache_key(provider.as_ref().map(|provider| provider.uid.as_str()));
    let restored = match kept {
        Some(kept) => kept.restore(login, &cache_key, &client).await?,
        None => None,
    };
    let (grant, restored) = match restored {
        Some(grant) => (grant, true),
        None => (show(&door, login, proof).await?, false),
    };
    Ok(Granted { ticket: Ticket { cache_key, provider, grant }, restored, server, headers, client })
}

/// Shows the proof at the login's mount, and explains a refusal.
async fn show(client: &Client, login: &Login, proof: Proof<'_>) -> Result<Grant, Trouble> {
    let Proof { credential, method, role, service_account, .. } = proof;
    let auth = Auth {
        method,
        mount: format!("auth/{}", login.mount),
        role: role.to_owned(),
        token_file: "the token".to_owned(),
        min_backoff_ms: 0,
        max_backoff_ms: 0,
    };
    let error = match client.login(&auth, &credential).await {
        Ok(grant) => return Ok(grant),
        Err(error) => error,
    };
    let pod = PodIdentity { namespace: login.consumer.clone(), service_account: service_account.to_owned() };
    let jwt = match &credential {
        Credential::Jwt(jwt) => Some(jwt),
        _ => None,
    };
    let cause = diagnose::login(client, &auth, &pod, None, jwt, &error).await;
    Err(Trouble::new("VaultClientConfigError", cause))
}
