//! Calls to the Kubernetes API by path, each bounded in time and size. Bodies hold secrets: they are wiped, never logged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sidekey_core::{Cause, Code};
use sidekey_runtime::failure::chain;
use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::lines::Lines;

/// Longest time for one call.
const DEADLINE: Duration = Duration::from_secs(10);

/// Longest answer: a page of 500 objects of the largest usual size.
pub(crate) const LONGEST: usize = 64 * 1024 * 1024;

/// JSON, as most calls send and get it.
pub const JSON: &str = "application/json";

/// A patch that replaces what it names.
pub const MERGE: &str = "application/merge-patch+json";

/// A patch that knows Kubernetes' lists.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";

/// Lists of nothing but metadata.
pub const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One object, or the events of a watch, of nothing but metadata.
pub const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Is told of every call, to count it.
pub trait Witness: Send + Sync {
    /// One call that was answered with this status; none when it was not answered.
    fn called(&self, method: &str, status: Option<u16>);

    /// One call that did not do what it should. An object that is not there and a lost race are answers, not failures.
    fn failed(&self);
}

/// A client that asks and tells by path. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
    witness: Option<Arc<dyn Witness>>,
}

/// A call that did not do what it should.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}: {failure}")]
pub struct ApiError {
    /// Verb and path.
    pub what: String,
    /// What came back.
    pub failure: Failure,
}

const TOKEN_REFUSED: &str = "The token of this pod's ServiceAccount is not taken: if that was deleted and made anew, delete the pod, \
    and the one in its place gets a token that is.";

/// What came back instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A refusal, with the API server's own words.
    Status(u16, String),
    /// No answer, or none that can be read.
    Transport(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code, message) => write!(f, "{code} {message}"),
            Self::Transport(message) => f.write_str(message),
        }
    }
}

impl ApiError {
    /// The status of a refusal.
    pub const fn status(&self) -> Option<u16> {
        match self.failure {
            Failure::Status(status, _) => Some(status),
            Failure::Transport(_) => None,
        }
    }

    /// Somebody else was first: the name exists, or the object changed since it was read.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// The object is not there.
    pub fn is_absent(&self) -> bool {
        self.status() == Some(404)
    }

    /// As a person reads it.
    pub fn cause(&self, code: Code) -> Cause {
        let cause = Cause::new(code, format!("calling the Kubernetes API, {}", self.what), self.failure.to_string());
        // A token lives and dies with its ServiceAccount, whose namesake is another.
        if self.status() == Some(401) { cause.with_fix(TOKEN_REFUSED) } else { cause }
    }
}

/// A request before it is sent.
struct Call<'a> {
    method: Method,
    path: &'a str,
    accept: &'a str,
    kind: &'a str,
    body: Vec<u8>,
}

impl Api {
    /// Over any client, also a mock's.
    pub const fn new(client: Client) -> Self {
        Self { client, witness: None }
    }

    /// From the pod's service account, or else the kubeconfig.
    ///
    /// # Errors
    /// Neither is there, or it cannot be read.
    pub async fn connect() -> Result<Self, ApiError> {
        let failed = |error: kube::Error| ApiError {
            what: "finding the cluster".to_owned(),
            failure: Failure::Transport(chain(&error)),
        };
        Client::try_default().await.map(Self::new).map_err(failed)
    }

    /// The same client, its calls counted by `witness`.
    #[must_use]
    pub fn witnessed(self, witness: impl Witness + 'static) -> Self {
        Self { witness: Some(Arc::new(witness)), ..self }
    }

    /// One object or list.
    ///
    /// # Errors
    /// [`ApiError`]; an object that is not there is [`ApiError::is_absent`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, accept: &str) -> Result<T, ApiError> {
        self.call(Call { method: Method::GET, path, accept, kind: JSON, body: Vec::new() }).await
    }

    /// Creates, replaces, patches or deletes, by `method`.
    ///
    /// # Errors
    /// [`ApiError`]; a lost race is [`ApiError::is_conflict`].
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        object: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(object).map_err(|error| ApiError {
            what: format!("{method} {path}"),
            failure: Failure::Transport(error.to_string()),
        })?;
        self.call(Call { method, path, accept: JSON, kind, body }).await
    }

    /// Opens a watch: lines of JSON, one event each.
    ///
    /// # Errors
    /// [`ApiError`]; status 410 means that the list must be read again.
    pub async fn watch(&self, path: &str, accept: &str) -> Result<Lines, ApiError> {
        let what = format!("WATCH {}", bare(path));
        let call = Call { method: Method::GET, path, accept, kind: JSON, body: Vec::new() };
        let opening = async {
            let response = self.open(call).await?;
            if response.status().is_success() {
                return Ok(response.into_body());
            }
            let status = response.status().as_u16();
            let refused = answer::<serde_json::Value>(response).await.err();
            Err(refused.unwrap_or_else(|| Failure::Status(status, String::new())))
        };
        let opened = timeout(DEADLINE, opening).await.unwrap_or_else(|_| Err(late()));
        let opened = opened.map_err(|failure| self.failed(what.clone(), failure));
        opened.map(|body| Lines::new(what, body))
    }

    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ApiError> {
        let what = format!("{} {}", call.method, bare(call.path));
        let done = timeout(DEADLINE, async { answer(self.open(call).await?).await }).await;
        done.unwrap_or_else(|_| Err(late())).map_err(|failure| self.failed(what, failure))
    }

    async fn open(&self, call: Call<'_>) -> Result<Response<Body>, Failure> {
        let Call { method, path, accept, kind, body } = call;
        let verb = method.clone();
        let request = Request::builder().method(method).uri(path).header(ACCEPT, accept).header(CONTENT_TYPE, kind);
        let body = if body.is_empty() { Bytes::new() } else { Bytes::from_owner(Zeroizing::new(body)) };
        let request = request.body(Body::from(body)).map_err(|error| Failure::Transport(error.to_string()))?;
        let sent = self.client.send(request).await;
        if let Some(witness) = &self.witness {
            witness.called(verb.as_str(), sent.as_ref().ok().map(|response| response.status().as_u16()));
        }
        sent.map_err(|error| Failure::Transport(chain(&error)))
    }

    fn failed(&self, what: String, failure: Failure) -> ApiError {
        let error = ApiError { what, failure };
        if let Some(witness) = self.witness.as_ref().filter(|_| !error.is_absent() && !error.is_conflict()) {
            witness.failed();
        }
        error
    }
}

/// A path without its query, which is noise in an error.
fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn late() -> Failure {
    Failure::Transport(format!("no answer within {} s", DEADLINE.as_secs()))
}

async fn answer<T: DeserializeOwned>(response: Response<Body>) -> Result<T, Failure> {
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST).collect().await;
    let bytes = body.map_err(|error| Failure::Transport(error.to_string()))?.to_bytes();
    read(status, &bytes)
}

fn read<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<T, Failure> {
    if !status.is_success() {
        let said: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let words = said["message"].as_str().or_else(|| status.canonical_reason()).unwrap_or_default();
        return Err(Failure::Status(status.as_u16(), words.chars().take(300).collect()));
    }
    // serde's own words may quote the value at fault, which may be a secret.
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Failure::Transport(format!("the answer is not the expected object ({place})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_servers_words_within_bounds() {
        let said = format!(r#"{{"message":"{}"}}"#, "x".repeat(1000));
        let refused = read::<u8>(StatusCode::FORBIDDEN, said.as_bytes());
        assert_eq!(refused, Err(Failure::Status(403, "x".repeat(300))));
        assert_eq!(read::<u8>(StatusCode::BAD_GATEWAY, b"<html>"), Err(Failure::Status(502, "Bad Gateway".to_owned())));
    }

    #[test]
    fn a_token_that_is_not_taken_is_told_from_a_right_that_lacks() {
        let told = |status, words: &str| {
            let failure = Failure::Status(status, words.to_owned());
            ApiError { what: "GET /api/v1/nodes".to_owned(), failure }.cause(Code::KubernetesApi).to_string()
        };
        assert!(told(401, "Unauthorized").contains("401 Unauthorized. The token of this pod's ServiceAccount"));
        assert!(told(403, "forbidden").contains(Code::KubernetesApi.advice()));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let Err(Failure::Transport(said)) = read::<u8>(StatusCode::OK, br#""MARKER""#) else { panic!("it was read") };
        assert!(said.contains("line 1 column") && !said.contains("MARKER"), "{said}");
    }
}
