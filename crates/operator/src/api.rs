//! Calls to the Kubernetes API by path, each bounded in time and size. Bodies hold secrets: they are wiped, never logged.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
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

use crate::metrics::Calls;

/// Longest time for one call.
const DEADLINE: Duration = Duration::from_secs(10);

/// Longest answer: a page of 500 objects of the largest usual size.
const LONGEST: usize = 64 * 1024 * 1024;

/// JSON, as most calls send and get it.
pub const JSON: &str = "application/json";

/// A patch that replaces what it names.
pub const MERGE: &str = "application/merge-patch+json";

/// A patch that knows Kubernetes' lists.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Lists and watches of nothing but metadata.
pub const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// One such event of a watch.
pub const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Who the API server notes as the writer.
pub const MANAGER: &str = "fieldManager=sidekey-operator";

/// A client that asks and tells by path. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
    calls: Calls,
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
        Cause::new(code, format!("calling the Kubernetes API, {}", self.what), self.failure.to_string())
    }
}

impl Api {
    /// Over any client, also a mock's.
    pub fn new(client: Client) -> Self {
        Self { client, calls: Calls::default() }
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

    /// The count of its calls.
    pub const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// One object or list.
    ///
    /// # Errors
    /// [`ApiError`]; an object that is not there is [`ApiError::is_absent`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, accept: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, accept, JSON, Vec::new()).await
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
        self.call(method, path, JSON, kind, body).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<T, ApiError> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let exchange = async {
            let response = self.open(method, path, accept, kind, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            let bytes = body.map_err(|error| Failure::Transport(error.to_string()))?.to_bytes();
            read(status, &bytes)
        };
        let done = timeout(DEADLINE, exchange).await;
        let done =
            done.unwrap_or_else(|_| Err(Failure::Transport(format!("no answer within {} s", DEADLINE.as_secs()))));
        done.map_err(|failure| self.failed(what, failure))
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<http::Response<Body>, Failure> {
        let verb = method.clone();
        let request = Request::builder().method(method).uri(path).header(ACCEPT, accept).header(CONTENT_TYPE, kind);
        let body = if body.is_empty() { Bytes::new() } else { Bytes::from_owner(Zeroizing::new(body)) };
        let request = request.body(Body::from(body)).map_err(|error| Failure::Transport(error.to_string()))?;
        let sent = self.client.send(request).await;
        self.calls.called(verb.as_str(), sent.as_ref().ok().map(|response| response.status().as_u16()));
        sent.map_err(|error| Failure::Transport(chain(&error)))
    }

    fn failed(&self, what: String, failure: Failure) -> ApiError {
        let error = ApiError { what, failure };
        if !error.is_absent() && !error.is_conflict() {
            self.calls.failed();
        }
        error
    }

    /// Opens a watch: lines of JSON, one event each.
    ///
    /// # Errors
    /// [`ApiError`]; status 410 means that the list must be read again.
    pub async fn watch(&self, path: &str, accept: &str) -> Result<Lines, ApiError> {
        let what = format!("WATCH {}", path.split('?').next().unwrap_or_default());
        let opened = timeout(DEADLINE, self.open(Method::GET, path, accept, JSON, Vec::new())).await;
        let opened = opened.unwrap_or_else(|_| Err(Failure::Transport("no answer in time".to_owned())));
        let response = opened.map_err(|failure| self.failed(what.clone(), failure))?;
        if !response.status().is_success() {
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let failure = read::<serde_json::Value>(status, &bytes).err();
            return Err(self.failed(what, failure.unwrap_or_else(|| Failure::Status(status.as_u16(), String::new()))));
        }
        Ok(Lines { body: response.into_body(), read: Vec::new() })
    }
}

/// The lines of a watch.
pub struct Lines {
    body: Body,
    read: Vec<u8>,
}

impl Lines {
    /// The next line; none when the watch has ended or broken, or a line grows beyond all bounds.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.pop();
                return Some(line);
            }
            if self.read.len() > LONGEST {
                return None;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
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
