//! What a login shows: a token that is minted for it, a Secret's credentials, or what a cloud makes of either.

use std::collections::BTreeMap;

use http::Method as Http;
use serde::Deserialize;
use serde_json::{Value, json};
use sidekey_cluster::api::{Api, ApiError, JSON};
use sidekey_core::contract::{AppRole, AuthMethod, Aws};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::sts::{self, WebIdentity};
use sidekey_vault::{Credential, google};

use crate::addresses::Addresses;
use crate::plan::auth::Login;
use crate::plan::destination::Secret;
use crate::plan::method::{Account, Amazon, AmazonKeys, Google, Method};
use crate::plan::outcome::Trouble;
use crate::plan::storage::Provider;
use crate::reach;
use crate::types::object::Metadata;

/// Longest credential file.
const LONGEST_FILE: u64 = 1024 * 1024;

/// The clouds as the operator reaches them.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Variables of the operator's environment that AWS's clients read, and those of proxies.
    pub env: BTreeMap<String, String>,
    /// URL of Google's STS.
    pub google_sts: String,
    /// URL of Google's IAM.
    pub google_iam: String,
}

impl Default for Cloud {
    /// Google's own servers, and an empty environment.
    fn default() -> Self {
        Self { env: BTreeMap::new(), google_sts: google::STS.to_owned(), google_iam: google::IAM.to_owned() }
    }
}

/// What a login shows, and who that is.
pub(crate) struct Proof<'a> {
    pub(crate) credential: Credential,
    pub(crate) method: AuthMethod,
    pub(crate) role: &'a str,
    pub(crate) service_account: &'a str,
    /// The service account or Secret.
    pub(crate) provider: Option<Provider>,
}

/// Gathers it.
///
/// # Errors
/// What could not be read, or who did not give it.
pub(crate) async fn gather<'a>(
    api: &Api,
    addresses: &Addresses,
    cloud: &Cloud,
    login: &'a Login,
) -> Result<Proof<'a>, Trouble> {
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
        Method::Aws(aws) => amazon(api, addresses, cloud, login, aws).await,
        Method::Gcp(google) => self::google(api, addresses, cloud, login, google).await,
    }
}

const fn unready(cause: Cause) -> Trouble {
    Trouble::new("VaultClientConfigError", cause)
}

fn unix() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default()
}

async fn amazon<'a>(
    api: &Api,
    addresses: &Addresses,
    cloud: &Cloud,
    login: &'a Login,
    who: &'a Amazon,
) -> Result<Proof<'a>, Trouble> {
    let method = Aws { region: who.region.clone(), header_value: who.header_value.clone(), credentials_file: None };
    let mut service_account = "";
    let (credential, uid) = match &who.keys {
        AmazonKeys::Own => (sts::credential(&method, &cloud.env, unix()).await.map_err(unready)?, None),
        AmazonKeys::Secret(name) => {
            let secret = Credentials::read(api, &login.consumer, name).await?;
            let id = secret.need("access_key_id")?.expose().clone();
            let (key, session) = (secret.need("secret_access_key")?, secret.may_have("session_token")?);
            let credential = sts::of_keys(&method, id, key, session, &cloud.env, unix()).map_err(unready)?;
            (credential, Some(secret.secret.uid().to_owned()))
        }
        AmazonKeys::Account(name) => {
            service_account = name;
            let known = ServiceAccount::read(api, &login.consumer, name).await?;
            let address = who.sts.clone().map_or_else(|| sts::address(&method, &cloud.env).map_err(unready), Ok)?;
            reach::admitted(addresses, &login.auth, &address).await?;
            let audience = known.may_have("eks.amazonaws.com/audience").unwrap_or("sts.amazonaws.com");
            let seconds = known.may_have("eks.amazonaws.com/token-expiration").and_then(|text| text.parse().ok());
            let asked = Account {
                role: String::new(),
                service_account: name.clone(),
                audiences: vec![audience.to_owned()],
                expiration: seconds.unwrap_or(86_400),
            };
            let (role, token) = (known.need("eks.amazonaws.com/role-arn")?, mint(api, &login.consumer, &asked).await?);
            let session = who.session.as_deref().unwrap_or("sidekey-operator");
            let identity = WebIdentity { role, session, token: &token, address: &address, guard: addresses.guard() };
            let credential = sts::of_identity(&method, &identity, &cloud.env, unix()).await.map_err(unready)?;
            (credential, Some(known.metadata.uid))
        }
    };
    let provider = uid.map(|uid| Provider { uid, namespace: login.consumer.clone() });
    Ok(Proof { credential, method: AuthMethod::Aws(method), role: &who.role, service_account, provider })
}

/// A `gcp` mount takes a JWT as a `jwt` mount does.
async fn google<'a>(
    api: &Api,
    addresses: &Addresses,
    cloud: &Cloud,
    login: &'a Login,
    who: &'a Google,
) -> Result<Proof<'a>, Trouble> {
    for address in [&cloud.google_sts, &cloud.google_iam] {
        reach::admitted(addresses, &login.auth, address).await?;
    }
    let known = ServiceAccount::read(api, &login.consumer, &who.service_account).await?;
    let account = known.need("iam.gke.io/gcp-service-account")?;
    let asked = Account {
        role: String::new(),
        service_account: who.service_account.clone(),
        audiences: vec![google::audience(&who.project)],
        expiration: 600,
    };
    let token = mint(api, &login.consumer, &asked).await?;
    let Google { role, project, location, cluster, service_account } = who;
    let workload = google::Workload { project, location, cluster, account, role, guard: addresses.guard() };
    let servers = (cloud.google_sts.as_str(), cloud.google_iam.as_str());
    let credential = google::credential(&workload, servers, &token, &cloud.env).await.map_err(unready)?;
    let provider = Some(Provider { uid: known.metadata.uid.clone(), namespace: login.consumer.clone() });
    Ok(Proof { credential, method: AuthMethod::Jwt, role, service_account, provider })
}

/// A service account, whose annotations bind it to a cloud's identity.
#[derive(Deserialize)]
struct ServiceAccount {
    metadata: Metadata,
}

impl ServiceAccount {
    async fn read(api: &Api, namespace: &str, name: &str) -> Result<Self, Trouble> {
        let read = api.get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}"), JSON).await;
        read.map_err(|error: ApiError| {
            let attempted = format!("reading service account {namespace}/{name}");
            Trouble::new("InvalidResourceRef", Cause::new(Code::CloudAccount, attempted, error.failure.to_string()))
        })
    }

    fn may_have(&self, annotation: &str) -> Option<&str> {
        self.metadata.annotations.get(annotation).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn need(&self, annotation: &str) -> Result<&str, Trouble> {
        self.may_have(annotation).ok_or_else(|| {
            let Metadata { namespace, name, .. } = &self.metadata;
            let attempted = format!("reading service account {namespace}/{name}");
            let cause = Cause::new(Code::CloudAccount, attempted, format!("it has no annotation {annotation}"));
            Trouble::new("InvalidResourceRef", cause)
        })
    }
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
///
/// # Errors
/// The Secret or the key is not there, or is no text.
pub(crate) async fn text(api: &Api, namespace: &str, name: &str, key: &str) -> Result<Sensitive<String>, Trouble> {
    key_of(api, namespace, name, key).await.map(|(text, _)| text)
}

/// A client certificate and its key, in PEM one after the other, of a Secret of the type `kubernetes.io/tls`.
///
/// # Errors
/// The Secret or one of the keys is not there.
pub(crate) async fn pair(api: &Api, namespace: &str, name: &str) -> Result<Sensitive<String>, Trouble> {
    let secret = Credentials::read(api, namespace, name).await?;
    let (certificate, key) = (secret.need("tls.crt")?, secret.need("tls.key")?);
    Ok(Sensitive::new([certificate.expose().as_str(), key.expose().as_str(), ""].join("\n")))
}

/// One key of a ConfigMap.
///
/// # Errors
/// The ConfigMap or the key is not there.
pub(crate) async fn public(api: &Api, namespace: &str, name: &str, key: &str) -> Result<String, Trouble> {
    #[derive(Deserialize)]
    struct ConfigMap {
        #[serde(default)]
        data: BTreeMap<String, String>,
    }
    let failed =
        |attempted, answer| Trouble::new("InvalidResourceRef", Cause::new(Code::CredentialSecret, attempted, answer));
    let read = api.get(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}"), JSON).await;
    let mut map: ConfigMap = read.map_err(|error: ApiError| {
        failed(format!("reading ConfigMap {namespace}/{name}"), error.failure.to_string())
    })?;
    let absent = || failed(format!("reading {key} of ConfigMap {namespace}/{name}"), format!("it has no key {key}"));
    map.data.remove(key).ok_or_else(absent)
}

/// The same, and the Secret's uid.
async fn key_of(api: &Api, namespace: &str, name: &str, key: &str) -> Result<(Sensitive<String>, String), Trouble> {
    let secret = Credentials::read(api, namespace, name).await?;
    Ok((secret.need(key)?, secret.secret.uid().to_owned()))
}

/// A Secret that holds credentials.
struct Credentials<'a> {
    namespace: &'a str,
    name: &'a str,
    secret: Secret,
}

impl<'a> Credentials<'a> {
    async fn read(api: &Api, namespace: &'a str, name: &'a str) -> Result<Self, Trouble> {
        let read = api.get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}"), JSON).await;
        let secret = read.map_err(|error: ApiError| {
            let attempted = format!("reading Secret {namespace}/{name}");
            let cause = Cause::new(Code::CredentialSecret, attempted, error.failure.to_string());
            Trouble::new("InvalidResourceRef", cause)
        })?;
        Ok(Self { namespace, name, secret })
    }

    fn need(&self, key: &str) -> Result<Sensitive<String>, Trouble> {
        let failed = |answer: String| {
            let attempted = format!("reading {key} of Secret {}/{}", self.namespace, self.name);
            Trouble::new("InvalidResourceRef", Cause::new(Code::CredentialSecret, attempted, answer))
        };
        let value = self.secret.data.0.get(key).ok_or_else(|| failed(format!("it has no key {key}")))?;
        let text = std::str::from_utf8(value.expose()).map_err(|_| failed(format!("{key} is not text")))?;
        Ok(Sensitive::from(text.trim()))
    }

    fn may_have(&self, key: &str) -> Result<Option<Sensitive<String>>, Trouble> {
        self.secret.data.0.contains_key(key).then(|| self.need(key)).transpose()
    }
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
