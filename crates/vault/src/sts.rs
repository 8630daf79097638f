//! Where AWS keys come from: variables, a web identity traded at STS, a credentials file. In that order, as AWS's own
//! clients have it; a cloud's metadata service is not asked, since pods share their node's.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use http::Method;
use sidekey_core::contract::{Aws, Server};
use sidekey_core::{Cause, Code, Sensitive};

use crate::address::encode_query;
use crate::ask::Ask;
use crate::aws::{self, Keys};
use crate::client::Client;
use crate::error::clean;
use crate::extras::{Extras, Guard};
use crate::login::Credential;
use crate::proxy::by_environment;

/// Longest credentials file or web identity token that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Content type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

type Env = BTreeMap<String, String>;

/// Signs a login with the keys that the pod's environment leads to; `now` in Unix seconds.
///
/// # Errors
/// `AuthCredential` without keys, `AuthAws` when STS does not give any.
pub async fn credential(method: &Aws, env: &Env, now: u64) -> Result<Credential, Cause> {
    let region = region(method, env)?;
    let keys = match (&method.credentials_file, of_variables(env), web_identity(env)) {
        (Some(path), ..) => of_file(path, env)?,
        (None, Some(keys), _) => keys,
        (None, None, Some(identity)) => {
            let token = read(identity.file, "reading the web identity token")?;
            let address = env.get("AWS_ENDPOINT_URL_STS").cloned().unwrap_or_else(|| public(region));
            let WebFile { role, session, .. } = identity;
            let guard = Guard::default();
            trade(&WebIdentity { role, session, token: &token, address: &address, guard }, env).await?
        }
        (None, None, None) => of_file(&usual_file(env)?, env)?,
    };
    Ok(Credential::Aws(aws::sign(&keys, region, method.header_value.as_deref(), now)))
}

/// Signs a login with these keys.
///
/// # Errors
/// `AuthCredential` when the region cannot be one.
pub fn of_keys(
    method: &Aws,
    id: String,
    secret: Sensitive<String>,
    session: Option<Sensitive<String>>,
    env: &Env,
    now: u64,
) -> Result<Credential, Cause> {
    let region = region(method, env)?;
    Ok(Credential::Aws(aws::sign(&Keys { id, secret, session }, region, method.header_value.as_deref(), now)))
}

/// A token that an IAM role trusts.
pub struct WebIdentity<'a> {
    /// ARN of the IAM role.
    pub role: &'a str,
    /// Name of the session, as AWS's logs show it.
    pub session: &'a str,
    /// The token.
    pub token: &'a Sensitive<String>,
    /// URL of STS, see [`address`].
    pub address: &'a str,
    /// Where the token may go.
    pub guard: Guard,
}

/// Signs a login with the keys that STS gives for a web identity.
///
/// # Errors
/// `AuthCredential` when the region cannot be one, `AuthAws` when STS gives no keys.
pub async fn of_identity(method: &Aws, identity: &WebIdentity<'_>, env: &Env, now: u64) -> Result<Credential, Cause> {
    let region = region(method, env)?;
    let keys = trade(identity, env).await?;
    Ok(Credential::Aws(aws::sign(&keys, region, method.header_value.as_deref(), now)))
}

/// Where STS is for the method's region.
///
/// # Errors
/// `AuthCredential` when the region cannot be one.
pub fn address(method: &Aws, env: &Env) -> Result<String, Cause> {
    region(method, env).map(public)
}

fn public(region: &str) -> String {
    format!("https://{}", aws::host(region))
}

fn region<'a>(method: &'a Aws, env: &'a Env) -> Result<&'a str, Cause> {
    let variable = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let region = method.region.as_deref().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or("us-east-1");
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if region.is_empty() || !region.chars().all(usable) {
        let answer = format!("`{}` is no region", clean(region));
        return Err(Cause::new(Code::AuthCredential, "reading the AWS region", answer));
    }
    Ok(region)
}

fn of_variables(env: &Env) -> Option<Keys> {
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
    Some(Keys {
        id: variable("AWS_ACCESS_KEY_ID")?.clone(),
        secret: Sensitive::new(variable("AWS_SECRET_ACCESS_KEY")?.clone()),
        session: variable("AWS_SESSION_TOKEN").map(|token| Sensitive::new(token.clone())),
    })
}

/// What EKS puts into pods for IAM roles of service accounts.
struct WebFile<'a> {
    role: &'a str,
    file: &'a str,
    session: &'a str,
}

fn web_identity(env: &Env) -> Option<WebFile<'_>> {
    let variable = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
    Some(WebFile {
        role: variable("AWS_ROLE_ARN")?,
        file: variable("AWS_WEB_IDENTITY_TOKEN_FILE")?,
        session: variable("AWS_ROLE_SESSION_NAME").unwrap_or("sidekey"),
    })
}

/// `AssumeRoleWithWebIdentity`, which needs no keys.
async fn trade(identity: &WebIdentity<'_>, env: &Env) -> Result<Keys, Cause> {
    let address = identity.address.to_owned();
    let attempted = format!("asking {address} for keys of {} by web identity", identity.role);
    let failed = |answer: String| Cause::new(Code::AuthAws, attempted.clone(), answer);
    let mut server =
        Server { address, ca_file: env.get("AWS_CA_BUNDLE").cloned(), timeout_seconds: 15, ..Server::default() };
    by_environment(&mut server, |name| env.get(name).cloned());
    let extras = Extras { guard: identity.guard.clone(), ..Extras::default() };
    let client = Client::with(&server, &extras).map_err(|error| failed(error.answer()))?;
    let pairs = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", identity.role),
        ("RoleSessionName", identity.session),
        ("WebIdentityToken", identity.token.expose().trim()),
    ];
    let body = pairs.map(|(key, value)| format!("{key}={}", encode_query(value))).join("&");
    let reply =
        client.post("/", Ask::foreign(FORM, body.into_bytes())).await.map_err(|error| failed(error.answer()))?;
    let text = Sensitive::new(String::from_utf8_lossy(reply.body.expose()).into_owned());
    let element = |name: &str| element(text.expose(), name).map(Sensitive::new);
    match (reply.status, element("AccessKeyId"), element("SecretAccessKey"), element("SessionToken")) {
        (200, Some(id), Some(secret), Some(session)) => {
            Ok(Keys { id: id.expose().clone(), secret, session: Some(session) })
        }
        (status, ..) => {
            let said = |name: &str| element(name).map(|text| clean(text.expose())).unwrap_or_default();
            Err(failed(format!("{status} {} {}", said("Code"), said("Message")).trim_end().to_owned()))
        }
    }
}

/// The text of the first element of a name; STS nests none of those that are looked for.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    (!text.is_empty()).then(|| {
        let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
        plain.replace("&amp;", "&")
    })
}

const FIX: &str = "Give the agent AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE (IAM roles for service accounts), a \
                   credentials file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";

fn missing(answer: String) -> Cause {
    Cause::new(Code::AuthCredential, "looking for AWS keys", answer).with_fix(FIX)
}

/// Where AWS's own clients look, if there is something.
fn usual_file(env: &Env) -> Result<String, Cause> {
    let home = || env.get("HOME").map(|home| format!("{home}/.aws/credentials"));
    let path = env.get("AWS_SHARED_CREDENTIALS_FILE").cloned().or_else(home);
    let path = path.filter(|path| Path::new(path).exists());
    path.ok_or_else(|| missing("there are neither variables, nor a web identity, nor a file".to_owned()))
}

/// Sections in brackets, `name = value` lines.
fn of_file(path: &str, env: &Env) -> Result<Keys, Cause> {
    let profile = env.get("AWS_PROFILE").map_or("default", String::as_str);
    let text = read(path, "reading the AWS credentials file")?;
    profile_keys(text.expose(), profile).ok_or_else(|| missing(format!("{path} has no keys of profile {profile}")))
}

fn profile_keys(text: &str, profile: &str) -> Option<Keys> {
    let (mut inside, mut found) = (false, BTreeMap::new());
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = section.trim() == profile;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| inside) {
            found.insert(name.trim(), value.trim());
        }
    }
    Some(Keys {
        id: (*found.get("aws_access_key_id")?).to_owned(),
        secret: Sensitive::from(*found.get("aws_secret_access_key")?),
        session: found.get("aws_session_token").map(|token| Sensitive::from(*token)),
    })
}

fn read(path: &str, attempted: &str) -> Result<Sensitive<String>, Cause> {
    let failed = |answer: String| Cause::new(Code::AuthCredential, format!("{attempted} {path}"), answer);
    let length = std::fs::metadata(path).map_err(|error| failed(error.kind().to_string()))?.len();
    if length > MAX_FILE {
        return Err(failed("it is longer than 64 KiB".to_owned()));
    }
    std::fs::read_to_string(path).map(Sensitive::new).map_err(|error| failed(error.kind().to_string()))
}

impl Ask {
    /// A body of this content type for a server that is not Vault.
    pub(crate) fn foreign(kind: &'static str, body: Vec<u8>) -> Self {
        let body = Bytes::from_owner(zeroize::Zeroizing::new(body));
        Self { method: Method::POST, body, foreign: Some(kind), ..Self::put("sts", Vec::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_profile() {
        let text = "[default]\naws_access_key_id=A\naws_secret_access_key = B\n\n[ other ]\naws_access_key_id = C\n\
                    aws_secret_access_key = D=\naws_session_token = E\n";
        let keys = profile_keys(text, "other").unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.expose().as_str()), ("C", "D="));
        assert_eq!(keys.session.unwrap().expose(), "E");
        assert!(profile_keys(text, "default").unwrap().session.is_none());
        assert!(profile_keys(text, "third").is_none());
    }

    #[test]
    fn reads_elements() {
        let xml = "<A><Code> x&amp;lt;y </Code><Empty></Empty></A>";
        assert_eq!(element(xml, "Code").as_deref(), Some("x&lt;y"));
        assert_eq!((element(xml, "Empty"), element(xml, "Gone"), element("<Code>", "Code")), (None, None, None));
    }
}
