//! resolved login → reach → credential → a login that was kept, or Vault → grant, or a cause.

use sidekey_cluster::api::Api;
use sidekey_core::contract::{Auth, PodIdentity};
use sidekey_vault::{Client, Credential, Grant, diagnose};

use crate::addresses::Addresses;
use crate::plan::auth::Login;
use crate::plan::outcome::Trouble;
use crate::plan::storage::Ticket;
use crate::proof::{self, Cloud, Proof};
use crate::reach::Reach;
use crate::storage::Store;

/// A login that worked, and how to reach the server it worked at.
pub struct Granted {
    /// The token and its terms, and how to keep it.
    pub ticket: Ticket,
    /// Whether it is of an earlier login.
    pub restored: bool,
    /// How the server is reached, in the Vault namespace of the login.
    pub reach: Reach,
    /// A client of it.
    pub client: Client,
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
    let reach = Reach::read(api, addresses, &cloud.env, &login.connection).await?.within(login.namespace.clone());
    let client = reach.client()?;
    let mut at_login = reach.clone();
    at_login.extras.headers.extend(login.headers.clone());
    let door = at_login.client()?;
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
    Ok(Granted { ticket: Ticket { cache_key, provider, grant }, restored, reach, client })
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
