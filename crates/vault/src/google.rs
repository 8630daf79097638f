//! A Google identity without Google's SDK: Kubernetes token → STS → access token → IAM → the JWT that a `gcp` mount takes
//! (cloud.google.com/kubernetes-engine/docs/concepts/workload-identity; RFC 8693).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sidekey_core::contract::Server;
use sidekey_core::{Cause, Code, Sensitive};

use crate::address::encode_query;
use crate::answer::Reply;
use crate::ask::Ask;
use crate::client::Client;
use crate::error::{VaultError, clean};
use crate::extras::{Extras, Guard};
use crate::login::Credential;
use crate::proxy::by_environment;
use crate::sts::FORM;

const JSON: &str = "application/json";

/// Google's own servers.
pub const STS: &str = "https://sts.googleapis.com";
/// As above.
pub const IAM: &str = "https://iamcredentials.googleapis.com";

/// Who logs in as whom.
pub struct Workload<'a> {
    /// Project of the cluster.
    pub project: &'a str,
    /// Region or zone of the cluster.
    pub location: &'a str,
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Email of the Google service account.
    pub account: &'a str,
    /// Vault role: the JWT is for it alone.
    pub role: &'a str,
    /// Where tokens may go.
    pub guard: Guard,
}

/// Audience of the Kubernetes token that Google's STS takes for a cluster of the project.
pub fn audience(project: &str) -> String {
    format!("{project}.svc.id.goog")
}

/// Trades the Kubernetes token; `env` names proxies.
///
/// # Errors
/// `AuthGoogle` with the stage and Google's words; `AuthCredential` when a name cannot be one.
pub async fn credential(
    workload: &Workload<'_>,
    (sts, iam): (&str, &str),
    token: &Sensitive<String>,
    env: &BTreeMap<String, String>,
) -> Result<Credential, Cause> {
    let Workload { project, location, cluster, account, role, guard } = workload;
    for (what, name) in [("project", project), ("location", location), ("cluster", cluster), ("account", account)] {
        let usable = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
        if name.is_empty() || !name.chars().all(usable) {
            let answer = format!("`{}` cannot be one", clean(name));
            return Err(Cause::new(Code::AuthCredential, format!("reading the Google {what}"), answer));
        }
    }
    let provider = format!(
        "identitynamespace:{}:https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{cluster}",
        audience(project)
    );
    let pairs = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", provider.as_str()),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", token.expose().trim()),
    ];
    let body = pairs.map(|(key, value)| format!("{key}={}", encode_query(value))).join("&");
    let attempted = format!("asking {sts} for an access token of cluster {cluster} in project {project}");
    let reply = client(sts, None, guard, env)?.post("/v1/token", Ask::foreign(FORM, body.into_bytes())).await;
    let access = field(reply, "access_token", &attempted)?;

    let attempted = format!("asking {iam} for a token of {account} for vault/{role}");
    let body = json!({ "audience": format!("https://vault/{role}"), "includeEmail": true }).to_string();
    let path = format!("/v1/projects/-/serviceAccounts/{}:generateIdToken", encode_query(account));
    let reply = client(iam, Some(&access), guard, env)?.post(&path, Ask::foreign(JSON, body.into_bytes())).await;
    field(reply, "token", &attempted).map(Credential::Jwt)
}

fn client(
    address: &str,
    bearer: Option<&Sensitive<String>>,
    guard: &Guard,
    env: &BTreeMap<String, String>,
) -> Result<Client, Cause> {
    let mut server = Server { address: address.to_owned(), timeout_seconds: 15, ..Server::default() };
    by_environment(&mut server, |name| env.get(name).cloned());
    let bearer = bearer.map(|token| ("authorization".to_owned(), format!("Bearer {}", token.expose())));
    let extras = Extras { headers: bearer.into_iter().collect(), guard: guard.clone(), identity: None };
    Client::with(&server, &extras)
        .map_err(|error| Cause::new(Code::AuthGoogle, format!("reaching {address}"), error.answer()))
}

/// A field of an answer that went well; Google's own words of one that did not.
fn field(reply: Result<Reply, VaultError>, name: &str, attempted: &str) -> Result<Sensitive<String>, Cause> {
    let failed = |answer: String| Cause::new(Code::AuthGoogle, attempted, answer);
    let reply = reply.map_err(|error| failed(error.answer()))?;
    let body: Value = serde_json::from_slice(reply.body.expose()).unwrap_or_default();
    match (reply.status, body) {
        (200, Value::Object(mut fields)) => match fields.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(Sensitive::new(text)),
            _ => Err(failed(format!("the answer has no {name}"))),
        },
        (status, body) => {
            // STS has `error` and `error_description` as text, IAM an object.
            let words = body["error"]["message"].as_str().or_else(|| body["error_description"].as_str());
            let words = words.or_else(|| body["error"].as_str()).unwrap_or_default();
            Err(failed(format!("{status} {}", clean(words)).trim_end().to_owned()))
        }
    }
}
