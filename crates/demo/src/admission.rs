//! The API server's part: post a review to the webhook over TLS, apply the patch.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use json_patch::Patch;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::failure::{Doing as _, Failure};

/// More than any patch of ours.
const MAX_ANSWER: usize = 4 << 20;

/// An allowed admission.
pub(crate) struct Admitted {
    pub patch: Patch,
    pub warnings: Vec<String>,
    /// The pod with the patch applied.
    pub pod: Value,
}

/// Asks the webhook about creating `pod`.
///
/// # Errors
/// The connection, the answer's form, or a denial with the webhook's message.
pub(crate) async fn admit(webhook: SocketAddr, ca_pem: &str, pod: &Value) -> Result<Admitted, Failure> {
    let body = serde_json::to_vec(&review(pod)).doing("writing the review")?;
    let answer = post(webhook, ca_pem, body).await?;
    let answer: Value = serde_json::from_slice(&answer).doing("reading the webhook's answer")?;
    let response = answer.get("response").doing("reading the webhook's answer")?;
    if response["allowed"] != true {
        let message = response.pointer("/status/message").and_then(Value::as_str).unwrap_or("no message");
        return Err(Failure::of("admitting the pod", &message));
    }
    let patch = match response["patch"].as_str() {
        Some(text) => {
            serde_json::from_slice(&STANDARD.decode(text).doing("decoding the patch")?).doing("reading the patch")?
        }
        None => Patch(Vec::new()),
    };
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).doing("applying the patch")?;
    let warnings =
        response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect();
    Ok(Admitted { patch, warnings, pod: patched })
}

fn review(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "6f0c1c4e-6f3b-4f0e-9b0e-0b6a3d1f5f11",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
            "requestResource": { "group": "", "version": "v1", "resource": "pods" },
            "name": pod["metadata"]["name"],
            "namespace": pod["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": { "username": "demo" },
            "object": pod,
            "oldObject": null,
            "dryRun": false,
        },
    })
}

async fn post(webhook: SocketAddr, ca_pem: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.doing("reading the webhook's CA")?).doing("trusting the webhook's CA")?;
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(webhook).await.doing("connecting to the webhook")?;
    let name = ServerName::IpAddress(webhook.ip().into());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.doing("TLS with the webhook")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.doing("HTTP with the webhook")?;
    let connection = tokio::spawn(connection);
    let request = Request::post("/mutate?timeout=5s")
        .header(HOST, webhook.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .doing("writing the request")?;
    let response = sender.send_request(request).await.doing("asking the webhook")?;
    let status = response.status();
    let bytes = Limited::new(response.into_body(), MAX_ANSWER).collect().await.doing("reading the webhook's answer")?;
    connection.abort();
    if status.is_success() { Ok(bytes.to_bytes()) } else { Err(Failure::of("asking the webhook", &status)) }
}
