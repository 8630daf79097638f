//! Plain HTTP on loopback, one connection per call: `kubectl proxy`, and a port with numbers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Whom to ask.
pub(crate) struct Kubernetes {
    address: String,
}

impl Kubernetes {
    /// `host:port`.
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// Creates an object; one that is there is left.
    pub(crate) fn create(&self, path: &str, object: &Value) {
        let (status, body) =
            self.call("POST", path, &object.to_string()).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(status == 201 || status == 409, "{path}: {status} {body}");
    }

    /// An object; null when it is not there.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.call("GET", path, "").ok().and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    /// A text; empty when nobody answers.
    pub(crate) fn text(&self, path: &str) -> String {
        self.call("GET", path, "").map(|(_, body)| body).unwrap_or_default()
    }

    /// HTTP/1.0: the answer ends with the connection, and is never chunked.
    fn call(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no end of headers"))?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        Ok((status.ok_or_else(|| io::Error::other("no status line"))?, body.to_owned()))
    }
}
