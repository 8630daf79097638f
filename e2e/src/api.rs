//! The Kubernetes API through `kubectl proxy`: plain HTTP on loopback, so that looking costs nothing and creating pods by
//! the thousand costs little. `exec` alone goes through kubectl.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::setting;

/// Status and body of one answer.
pub struct Answer {
    /// HTTP status; 0 when the API server could not be reached.
    pub status: u16,
    /// The body, or why there is none.
    pub body: String,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// `message` of the `Status` that the API server answers refusals with.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().map_or_else(|| self.body.clone(), str::to_owned)
    }

    /// The object.
    ///
    /// # Panics
    /// When it was refused, with the API server's words.
    pub fn expect(self, what: &str) -> Value {
        assert!(self.ok(), "{what}: {} {}", self.status, self.message());
        self.json()
    }
}

/// One request; `path` begins with `/api`.
pub fn request(method: &str, path: &str, body: Option<&Value>) -> Answer {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    exchange(method, path, kind, &body.map(Value::to_string).unwrap_or_default())
        .unwrap_or_else(|error| Answer { status: 0, body: error.to_string() })
}

/// Reads an object or a list.
pub fn get(path: &str) -> Answer {
    request("GET", path, None)
}

/// Creates an object in the collection `path`.
pub fn create(path: &str, object: &Value) -> Answer {
    request("POST", path, Some(object))
}

/// Merges a change into an object.
pub fn patch(path: &str, change: &Value) -> Answer {
    request("PATCH", path, Some(change))
}

/// Deletes an object.
pub fn delete(path: &str) -> Answer {
    request("DELETE", path, None)
}

/// What events say of the objects of a name, in one namespace.
pub fn events(namespace: &str, name: &str) -> Vec<String> {
    let list = get(&format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3D{name}")).json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().into_iter().flatten();
    items.map(|it| format!("{}: {}", text(&it["reason"]), text(&it["message"]))).collect()
}

/// HTTP/1.0: the answer ends with the connection, and is never chunked.
fn exchange(method: &str, path: &str, kind: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(&setting().api)?;
    stream.set_read_timeout(Some(Duration::from_secs(40)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("the answer has no end of headers"))?;
    let status =
        head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(|| io::Error::other("no status line"))?;
    Ok(Answer { status, body: body.to_owned() })
}
