//! The few calls to the Kubernetes API, each bounded in time and size. Bodies are never logged: one of them is a CA's key.

use std::fmt;
use std::time::Duration;

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

/// Longest time for one call.
const DEADLINE: Duration = Duration::from_secs(8);

/// Longest answer: a table of ten thousand nodes is some megabytes.
const LONGEST: usize = 32 * 1024 * 1024;

/// JSON, as most calls send and get it.
pub const JSON: &str = "application/json";

/// The metadata of what changed, in a watch.
const CHANGES: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Longest watch: longer than any caller asks the API server for.
const WATCH: Duration = Duration::from_secs(300);

/// Server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";

/// A client that asks and tells by path.
#[derive(Clone)]
pub struct Api(Client);

/// A call that did not do what it should.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{what}: {failure}")]
pub struct ApiError {
    /// Verb and path.
    pub what: String,
    /// What came back.
    pub failure: Failure,
}

/// What came back instead of an answer.
#[derive(Debug, PartialEq, Eq)]
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
    /// Somebody else was first: the name exists, or the object changed since it was read.
    pub fn is_conflict(&self) -> bool {
        matches!(self.failure, Failure::Status(409, _))
    }

    /// The object is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self.failure, Failure::Status(404, _))
    }

    /// As a person reads it.
    pub fn cause(&self, code: Code) -> Cause {
        Cause::new(code, format!("calling the Kubernetes API, {}", self.what), self.failure.to_string())
    }
}

impl Api {
    /// Over any client, also a mock's.
    pub const fn new(client: Client) -> Self {
        Self(client)
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
        Client::try_default().await.map(Self).map_err(failed)
    }

    /// One object.
    ///
    /// # Errors
    /// [`ApiError`]; an object that is not there is [`ApiError::is_absent`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, accept: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, accept, JSON, Vec::new()).await
    }

    /// Creates, replaces or patches, by `method`.
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
        self.call(method, path, JSON, kind, body).await
    }

    /// Holds a watch to its end. `changed` is called when it begins and at the end of each event; events are dropped unread.
    ///
    /// # Errors
    /// [`ApiError`], when it is refused or breaks off.
    pub async fn watch(&self, path: &str, changed: impl Fn()) -> Result<(), ApiError> {
        let failed = |failure| ApiError { what: format!("WATCH {path}"), failure };
        let response = timeout(DEADLINE, self.exchange(Method::GET, path, CHANGES, JSON, Vec::new())).await;
        let response = response.unwrap_or_else(|_| Err(late())).map_err(failed)?;
        if !response.status().is_success() {
            let refused = timeout(DEADLINE, answer::<serde_json::Value>(response)).await;
            return refused.unwrap_or_else(|_| Err(late())).map(drop).map_err(failed);
        }
        changed();
        let mut body = response.into_body();
        let events = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Failure::Transport(chain(&error)))?;
                if frame.data_ref().is_some_and(|bytes| bytes.contains(&b'\n')) {
                    changed();
                }
            }
            Ok(())
        };
        timeout(WATCH, events).await.unwrap_or(Ok(())).map_err(failed)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<T, ApiError> {
        let what = format!("{method} {path}");
        let done =
            timeout(DEADLINE, async { answer(self.exchange(method, path, accept, kind, body).await?).await }).await;
        done.unwrap_or_else(|_| Err(late())).map_err(|failure| ApiError { what, failure })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Response<Body>, Failure> {
        let request = Request::builder().method(method).uri(path).header(ACCEPT, accept).header(CONTENT_TYPE, kind);
        let request = request.body(Body::from(body)).map_err(|error| Failure::Transport(error.to_string()))?;
        self.0.send(request).await.map_err(|error| Failure::Transport(chain(&error)))
    }
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
    // serde's own words may quote the value at fault, which may be the CA's key.
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Failure::Transport(format!("the answer is not the expected object ({place})"))
    })
}
