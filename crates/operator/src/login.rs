//! resolved login → address check → credential → Vault → grant, or a cause.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method as Http, Uri};
use serde_json::{Value, json};
use sidekey_core::contract::{AppRole, Auth, AuthMethod, PodIdentity, Server};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::{Client, Credential, Grant, diagnose};
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::api::{Api, ApiError, JSON};
use crate::plan::auth::{Account, Connection, Login, Method};
use crate::plan::destination::Secret;
use crate::plan::outcome::Trouble;

/// Longest credential file.
const LONGEST_FILE: u64 = 1024 * 1024;

/// A login that worked, and how to reach the server it worked at.
pub struct Granted {
    /// The token and its terms.
    pub grant: Grant,
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
        Some(name) => Some(text(api, &connection.key.namespace, name, "ca.crt").await?.expose().clone()),
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

/// Logs in.
///
/// # Errors
/// What failed at which stage, in Vault's own words where it has any.
pub async fn log_in(api: &Api, addresses: &Addresses, login: &Login) -> Result<Granted, Trouble> {
    let mut server = server(api, addresses, &login.connection).await?;
    server.namespace.clone_from(&login.namespace);
    let headers = login.connection.spec.headers.clone();
    let failed = |error| Trouble::new("VaultClientConfigError", diagnose::transport(&error, &server));
    let client = Client::with_headers(&server, &headers).map_err(failed)?;
    let mut at_login = headers.clone();
    at_login.extend(login.headers.clone());
    let door = Client::with_headers(&server, &at_login).map_err(failed)?;
    let grant = knock(api, &door, login).await?;
    Ok(Granted { grant, server, headers, client })
}

async fn knock(api: &Api, client: &Client, login: &Login) -> Result<Grant, Trouble> {
    let account = async |account: &Account, method| {
        let jwt = mint(api, &login.consumer, account).await?;
        show(client, login, method, &account.role, &account.service_account, Credential::Jwt(jwt)).await
    };
    let ids = async |role_id: &str, secret_id| {
        let credential = Credential::AppRole { role_id: Sensitive::from(role_id), secret_id: Some(secret_id) };
        show(client, login, AuthMethod::AppRole(AppRole::default()), "", "", credential).await
    };
    match &login.method {
        Method::Kubernetes(who) => account(who, AuthMethod::Kubernetes).await,
        Method::JwtAccount(who) => account(who, AuthMethod::Jwt).await,
        Method::JwtSecret { role, secret } => {
            let jwt = text(api, &login.consumer, secret, "jwt").await?;
            show(client, login, AuthMethod::Jwt, role, "", Credential::Jwt(jwt)).await
        }
        Method::AppRoleSecret { role_id, secret } => {
            ids(role_id, text(api, &login.consumer, secret, "id").await?).await
        }
        Method::AppRoleFile { role_id, path } => ids(role_id, file(path).await?).await,
    }
}

/// Shows the credential at the login's mount, and explains a refusal.
async fn show(
    client: &Client,
    login: &Login,
    method: AuthMethod,
    role: &str,
    service_account: &str,
    credential: Credential,
) -> Result<Grant, Trouble> {
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
    Ok(Sensitive::from(text.trim()))
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
