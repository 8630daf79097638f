//! The one call that Vault's Kubernetes auth method makes to an API server: every token is the app's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

pub(crate) const NAMESPACE: &str = "bench";
pub(crate) const ACCOUNT: &str = "app";

/// Answers TokenReviews on loopback for as long as the process lives; the URL.
pub(crate) fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("loopback: {error}"));
    let address = listener.local_addr().map(|it| it.to_string()).unwrap_or_default();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(move || answer(stream)))));
    format!("http://{address}")
}

/// One request on a connection is enough: the answer closes it.
fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read) = stream.read(&mut part) {
        request.extend_from_slice(&part[..read]);
        if read == 0 || is_whole(&request) {
            break;
        }
    }
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "status": {
            "authenticated": true, "audiences": ["vault"],
            "user": {"username": format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}"), "uid": "1"},
        },
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close",
        body.len()
    );
    let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0_usize)
}

/// A service account token with the claims that Vault reads before it asks; nobody here checks its signature.
pub(crate) fn token() -> String {
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "aud": ["vault"], "iss": "https://kubernetes.default.svc.cluster.local",
        "iat": 1_700_000_000_u64, "nbf": 1_700_000_000_u64, "exp": 4_000_000_000_u64,
        "sub": format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}"),
        "kubernetes.io": {"namespace": NAMESPACE, "serviceaccount": {"name": ACCOUNT, "uid": "1"}},
    });
    format!(
        "{}.{}.{}",
        encode(&json!({"alg": "RS256", "kid": "bench"})),
        encode(&claims),
        URL_SAFE_NO_PAD.encode([0; 256])
    )
}
