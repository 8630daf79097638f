//! An API server that knows one script: each call is checked against the next line and answered from it.
//!
//! ```
//! use sidekey_testkit::api::{Call, script};
//! use serde_json::json;
//!
//! # async fn test() -> Result<(), kube::Error> {
//! let (client, script) = script([
//!     Call::get("/api/v1/nodes").answers(200, json!({ "kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": [] })),
//!     Call::post("/api/v1/namespaces/default/secrets").with("/metadata/name", "ca").fails(409, "AlreadyExists"),
//! ]);
//! // … code under test uses `client` …
//! script.finish();
//! # drop(client); Ok(())
//! # }
//! ```
//!
//! A call that the script does not expect is answered with 500 and makes [`Script::finish`] panic, as do calls that never came.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::{Value, json};

/// One expected call and its answer.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    path: String,
    query: Vec<String>,
    fields: Vec<(String, Value)>,
    status: u16,
    answer: Vec<Value>,
}

impl Call {
    /// `GET`, also for lists and watches.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST`.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// `PUT`.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new("PUT", path)
    }

    /// `PATCH`.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new("PATCH", path)
    }

    /// `DELETE`.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// A call with any query and body, answered by an empty object.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), fields: Vec::new(), status: 200, answer: vec![json!({})] }
    }

    /// The query must contain this text, such as `fieldManager=sidekey`.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query.push(part.to_owned());
        self
    }

    /// The body's value at a JSON pointer must be this.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        self.fields.push((pointer.to_owned(), value.into()));
        self
    }

    /// Answers with an object.
    #[must_use]
    pub fn answers(mut self, status: u16, object: Value) -> Self {
        (self.status, self.answer) = (status, vec![object]);
        self
    }

    /// Answers a watch with these events, one line each, and ends it.
    #[must_use]
    pub fn watches(mut self, events: impl IntoIterator<Item = Value>) -> Self {
        (self.status, self.answer) = (200, events.into_iter().collect());
        self
    }

    /// Answers with a `Status` of kind failure.
    #[must_use]
    pub fn fails(self, status: u16, reason: &str) -> Self {
        self.answers(status, failure(status, reason, reason))
    }

    /// What is wrong with a call, if anything.
    fn check(&self, method: &str, path: &str, query: &str, body: &Value) -> Result<(), String> {
        if (self.method, self.path.as_str()) != (method, path) {
            return Err(format!("expected {} {}, got {method} {path}", self.method, self.path));
        }
        if let Some(part) = self.query.iter().find(|part| !query.contains(part.as_str())) {
            return Err(format!("{method} {path}: the query {query:?} lacks {part:?}"));
        }
        for (pointer, want) in &self.fields {
            if body.pointer(pointer) != Some(want) {
                return Err(format!("{method} {path}: {pointer} is {:?}, expected {want}", body.pointer(pointer)));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct State {
    left: VecDeque<Call>,
    problems: Vec<String>,
}

/// The script of a client; ask it at the test's end.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

/// A client of an API server that follows the script; its default namespace is `default`.
pub fn script(calls: impl IntoIterator<Item = Call>) -> (kube::Client, Script) {
    let script = Script(Arc::new(Mutex::new(State { left: calls.into_iter().collect(), problems: Vec::new() })));
    let server = script.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    (kube::Client::new(service, "default"), script)
}

impl Script {
    /// Calls that are still expected.
    pub fn left(&self) -> usize {
        self.with(|state| state.left.len())
    }

    /// Asserts that every call came, in order, and no other.
    ///
    /// # Panics
    /// With each call that was not as expected, and those that never came.
    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn finish(&self) {
        let problems = self.with(|state| {
            let missing = state.left.iter().map(|call| format!("never called: {} {}", call.method, call.path));
            state.problems.iter().cloned().chain(missing).collect::<Vec<_>>()
        });
        if !problems.is_empty() {
            panic!("the API server was not called as expected:\n  {}", problems.join("\n  "));
        }
    }

    async fn answer(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let query = parts.uri.query().unwrap_or_default();
        let (status, lines) = self.with(|state| state.step(parts.method.as_str(), parts.uri.path(), query, &body));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(Full::from(text)).unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn step(&mut self, method: &str, path: &str, query: &str, body: &Value) -> (u16, Vec<Value>) {
        let checked = match self.left.pop_front() {
            Some(call) => call.check(method, path, query, body).map(|()| (call.status, call.answer)),
            None => Err(format!("nothing expected any more, got {method} {path}")),
        };
        checked.unwrap_or_else(|problem| {
            let answer = failure(500, "InternalError", &problem);
            self.problems.push(problem);
            (500, vec![answer])
        })
    }
}

fn failure(status: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": status })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, PostParams};

    use super::*;

    fn object(name: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } })
    }

    #[tokio::test]
    async fn answers_the_expected_calls_in_their_order() {
        let folder = "/api/v1/namespaces/default/configmaps";
        let (client, script) = script([
            Call::get(format!("{folder}/a")).fails(404, "NotFound"),
            Call::post(folder).query("fieldManager=me").with("/metadata/name", "a").answers(201, object("a")),
        ]);
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        assert_eq!(maps.get_opt("a").await.unwrap(), None);
        assert_eq!(script.left(), 1);
        let wanted: ConfigMap = serde_json::from_value(object("a")).unwrap();
        let params = PostParams { field_manager: Some("me".into()), ..PostParams::default() };
        assert_eq!(maps.create(&params, &wanted).await.unwrap(), wanted);
        script.finish();
    }

    #[tokio::test]
    #[should_panic(expected = "expected GET /api/v1/nodes, got GET /api/v1/namespaces/default/configmaps/a")]
    async fn reports_a_call_out_of_order() {
        let (client, script) = script([Call::get("/api/v1/nodes")]);
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        assert!(maps.get("a").await.is_err());
        script.finish();
    }

    #[tokio::test]
    #[should_panic(expected = "never called: GET /api/v1/nodes")]
    async fn reports_a_call_that_never_came() {
        let (_client, script) = script([Call::get("/api/v1/nodes")]);
        script.finish();
    }
}
