//! An API server that keeps objects: for controllers, whose calls come in no fixed order.
//!
//! It knows lists and watches (also of mere metadata), selectors by label and by name, optimistic concurrency, the status
//! subresource, generations, finalizers, owner references, and token requests. Objects are JSON; nothing is validated.

mod path;
mod state;
mod stream;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use path::Place;
use state::State;
use stream::Lines;

/// One call, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// `GET`, `PUT`, …; a watch is `WATCH`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The status it was answered with.
    pub status: u16,
}

/// The cluster; clones are the same one.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Mutex<State>>);

impl Cluster {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client of it; its default namespace is `default`.
    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Tokens for `namespace`, service account and first audience; without it, and where it gives none, requests fail with 404.
    pub fn mint(&self, mint: impl Fn(&str, &str, &str) -> Option<String> + Send + 'static) {
        self.with(|state| state.mint = Some(Box::new(mint)));
    }

    /// Creates or replaces an object, as a person does: its path is made of its kind's plural and its metadata. What is there
    /// of its status stays.
    pub fn apply(&self, plural: &str, object: Value) {
        self.with(|state| state.apply(plural, object));
    }

    /// Deletes an object, as a person does.
    pub fn delete(&self, path: &str) {
        self.with(|state| drop(state.delete(&Place::parse(path))));
    }

    /// Changes an object in place, as a person does; false when it is not there.
    pub fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.with(|state| state.edit(path, change))
    }

    /// An object, or null.
    pub fn get(&self, path: &str) -> Value {
        self.with(|state| state.objects.get(path).cloned().unwrap_or_default())
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Called> {
        self.with(|state| state.calls.clone())
    }

    /// How many calls of this method were for a path with this in it.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.calls().iter().filter(|call| call.method == method && call.path.contains(part)).count()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.with(|state| state.calls.clear());
    }

    /// Answers the next calls of this method and path with a failure.
    pub fn refuse(&self, method: &str, part: &str, status: u16, times: usize) {
        self.with(|state| state.refusals.push((method.to_owned(), part.to_owned(), status, times)));
    }

    /// Ends every watch, as an API server does that restarts.
    pub fn end_watches(&self) {
        self.with(|state| state.watches.clear());
    }

    /// Waits until the object is as it should be; the object then.
    ///
    /// # Panics
    /// It does not become so in time.
    #[track_caller]
    pub fn until<F: Fn(&Value) -> bool>(&self, path: &str, wanted: F) -> impl Future<Output = Value> + use<F> {
        let (cluster, path, caller) = (self.clone(), path.to_owned(), std::panic::Location::caller());
        async move { cluster.wait(&path, wanted, caller).await }
    }

    #[expect(clippy::panic, reason = "an assertion")]
    async fn wait(&self, path: &str, wanted: impl Fn(&Value) -> bool, caller: &std::panic::Location<'_>) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let object = self.get(path);
            if wanted(&object) {
                return object;
            }
            if Instant::now() >= end {
                panic!("{caller}: {path} never became as wanted: {object:#}\ncalls: {:#?}", self.calls());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn answer(&self, request: Request<Body>) -> Response<Lines> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let watch = query.contains("watch=true");
        let method = if watch { "WATCH" } else { parts.method.as_str() };
        let metadata = header("accept").contains("PartialObjectMetadata");
        let (status, lines) = self.with(|state| {
            let place = Place::parse(parts.uri.path());
            let answer = match state.refused(method, parts.uri.path()) {
                Some(status) => (status, Lines::of(&failure(status, "told to fail"))),
                None if watch => state.watch(&place, query, metadata),
                None => {
                    let (status, object) = state.answer(method, &place, query, header("content-type"), body, metadata);
                    (status, Lines::of(&object))
                }
            };
            let called = Called { method: method.to_owned(), path: parts.uri.path().to_owned(), status: answer.0 };
            state.calls.push(called);
            answer
        });
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(lines).unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn failure(status: u16, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": status })
}

#[cfg(test)]
#[path = "cluster/tests.rs"]
mod tests;
