//! resolved login → address check → credential → a login that was kept, or Vault → grant, or a cause.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method as Http, Uri};
use serde_json::{Value, json};
use sidekey_cluster::api::{Api, ApiError, JSON};
use sidekey_core::contract::{AppRole, Auth, AuthMethod, PodIdentity, Server};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::{Client, Credential, Grant, diagnose};
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::plan::auth::{Account, Connection, Login, Method};
use crate::plan::destination::Secret;
use crate::plan::outcome::Trouble;
use crate::plan::storage::{Provider, Ticket};
use crate::storage::Store;

/// Longest credential file.
const LONGEST_FILE: u64 = 1024 * 1024;

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
    addresses.check(&connection.key, &spec.address).map_err(refused)?;
    resolved(addresses, connection).await?;
    let ca_pem = match spec.ca_cert_secret_ref.as_deref().filter(|name| !name.is_empty() && !spec.skip_tls_verify) {
        Some(name) => Some(text(api, &connection.home, name, "ca.crt").await?.expose().clone()),
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

/// What the name resolves to now. A name that does not resolve is left to the connection, which says so better.
async fn resolved(addresses: &Addresses, connection: &Connection) -> Result<(), Trouble> {
    let Ok(uri) = connection.spec.address.parse::<Uri>() else { return Ok(()) };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let looked_up = timeout(Duration::from_secs(5), tokio::net::lookup_host((host.as_str(), 0))).await;
    for found in looked_up.ok().and_then(Result::ok).into_iter().flatten() {
        addresses.check_resolved(&connection.key, &host, found.ip()).map_err(refused)?;
    }
    Ok(())
}

/// What a login shows, and who that is.
struct Proof<'a> {
    credential: Credential,
    method: AuthMethod,
    role: &'a str,
    service_account: &'a str,
    /// The service account or Secret.
    provider: Option<Provider>,
}

/// Logs in, or takes up again what `kept` has of an earlier login.
///
/// # Errors
/// What failed at which stage, in Vault's own words where it has any.
pub(crate) async fn log_in(
    api: &Api,
    addresses: &Addresses,
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
    let proof = proof(api, login).await?;
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

async fn proof<'a>(api: &Api, login: &'a Login) -> Result<Proof<'a>, Trouble> {
    let account = async |who: &'a Account, method| {
        let jwt = mint(api, &login.consumer, who).await?;
        let uid = sidekey_vault::account_uid(&jwt);
        let provider = uid.map(|uid| Provider { uid, namespace: login.consumer.clone() });
        let (role, service_account) = (who.role.as_str(), who.service_account.as_str());
        Ok(Proof { credential: Credential::Jwt(jwt), method, role, service_account, provider })
    };
    let ids = |role_id: &str, secret_id, provider| {
        let credential = Credential::AppRole { role_id: Sensitive::from(role_id), secret_id: Some(secret_id) };
        let method = AuthMethod::AppRole(AppRole::default());
        Proof { credential, method, role: "", service_account: "", provider }
    };
    match &login.method {
        Method::Kubernetes(who) => account(who, AuthMethod::Kubernetes).await,
        Method::JwtAccount(who) => account(who, AuthMethod::Jwt).await,
        Method::JwtSecret { role, secret } => {
            let (jwt, uid) = key_of(api, &login.consumer, secret, "jwt").await?;
            let provider = Some(Provider { uid, namespace: login.consumer.clone() });
            let credential = Credential::Jwt(jwt);
            Ok(Proof { credential, method: AuthMethod::Jwt, role, service_account: "", provider })
        }
        Method::AppRoleSecret { role_id, secret } => {
            let (id, uid) = key_of(api, &login.consumer, secret, "id").await?;
            Ok(ids(role_id, id, Some(Provider { uid, namespace: login.consumer.clone() })))
        }
        Method::AppRoleFile { role_id, path } => Ok(ids(role_id, file(path).await?, None)),
    }
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

/// Asks for a short-lived token of the service account.
async fn mint(api: &Api, namespace: &str, account: &Account) -> Result<Sensitive<String>, Trouble> {
    let mut spec = json!({ "expirationSeconds": account.expiration });
    if !account.audiences.is_empty() {
        spec["audiences"] = json!(account.audiences);
    }
    let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{}/token", account.service_account);
    let failed = |answer: String| {
        let attempted = format!("asking for a token of service account {namespace}/{}", account.service_account);
        Trouble::new("Unrecoverable", Cause::new(Code::ServiceAccountToken, attempted, answer))
    };
    let mut answer: Value =
        api.send(Http::POST, &path, JSON, &body).await.map_err(|error| failed(error.failure.to_string()))?;
    match answer["status"]["token"].take() {
        Value::String(token) if !token.is_empty() => Ok(Sensitive::new(token)),
        _ => Err(failed("the answer has no token".to_owned())),
    }
}

/// One key of a Secret, as text.
async fn text(api: &Api, namespace: &str, name: &str, key: &str) -> Result<Sensitive<String>, Trouble> {
    key_of(api, namespace, name, key).await.map(|(text, _)| text)
}

/// The same, and the Secret's uid.
async fn key_of(api: &Api, namespace: &str, name: &str, key: &str) -> Result<(Sensitive<String>, String), Trouble> {
    let failed = |answer: String| {
        let attempted = format!("reading {key} of Secret {namespace}/{name}");
        Trouble::new("InvalidResourceRef", Cause::new(Code::CredentialSecret, attempted, answer))
    };
    let secret: Secret = api
        .get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}"), JSON)
        .await
        .map_err(|error: ApiError| failed(error.failure.to_string()))?;
    let value = secret.data.0.get(key).ok_or_else(|| failed(format!("it has no key {key}")))?;
    let text = std::str::from_utf8(value.expose()).map_err(|_| failed(format!("{key} is not text")))?;
    Ok((Sensitive::from(text.trim()), secret.uid().to_owned()))
}

async fn file(path: &str) -> Result<Sensitive<String>, Trouble> {
    let failed = |answer: &str| {
        let cause = Cause::new(Code::CredentialSecret, format!("reading the secret id of {path}"), answer);
        Trouble::new("InvalidConfiguration", cause.with_fix("Name a regular file of the operator's container."))
    };
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(failed("the path is not absolute, or has .. in it"));
    }
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let about = std::fs::metadata(&path).ok()?;
        (about.is_file() && about.len() <= LONGEST_FILE).then(|| std::fs::read_to_string(&path).ok()).flatten()
    });
    let text = read.await.ok().flatten().map(Sensitive::new);
    text.map(|text| Sensitive::from(text.expose().trim()))
        .ok_or_else(|| failed("it is no readable file of at most 1 MiB"))
}
