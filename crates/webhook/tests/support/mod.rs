//! A small API server in memory, and clients for the webhook.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use sidekey_cluster::api::Api;
use sidekey_inject::Settings;
use sidekey_runtime::{metrics as runtime_metrics, provider};
use sidekey_webhook::admit::Admission;
use sidekey_webhook::metrics::Metrics;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidekey-webhook";
pub const SECRET: &str = "/api/v1/namespaces/sidekey/secrets/sidekey-webhook-ca";
pub const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/sidekey/leases/sidekey-webhook";

/// In the place of a status: nobody answers.
pub const SILENT: u16 = 599;

type Meanwhile = Box<dyn FnOnce(&Cluster) + Send>;

/// Objects by path, with an API server's resourceVersion rules.
#[derive(Clone, Default)]
pub struct Cluster(Arc<State>);

#[derive(Default)]
struct State {
    objects: Mutex<(u64, BTreeMap<String, Value>)>,
    calls: Mutex<Vec<String>>,
    /// Every call fails with this status, or without an answer if it is [`SILENT`]; 0 means none does.
    broken: AtomicU16,
    /// The same of watches alone.
    unwatched: AtomicU16,
    /// The same of calls of one path.
    refused: Mutex<BTreeMap<String, u16>>,
    /// Done before the next patch is taken in.
    meanwhile: Mutex<Option<Meanwhile>>,
    /// Paths that changed, for watches. Dropping the sender ends them.
    changes: Mutex<Option<broadcast::Sender<String>>>,
}

impl Cluster {
    /// With a webhook configuration of these entries, none of which trusts anybody.
    pub fn with_hooks(names: &[&str]) -> Self {
        let cluster = Self::default();
        let hooks: Vec<_> = names
            .iter()
            .map(|name| {
                json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None",
                    "clientConfig": {"service": {"name": "sidekey-webhook", "namespace": "sidekey"}}})
            })
            .collect();
        cluster.put(CONFIGURATION, json!({"metadata": {"name": "sidekey-webhook"}, "webhooks": hooks}));
        cluster
    }

    pub fn api(&self) -> Api {
        let state = Arc::clone(&self.0);
        let service = tower::service_fn(move |request: Request<Body>| {
            let state = Arc::clone(&state);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let object = serde_json::from_slice(&body).unwrap_or(Value::Null);
                if parts.method == "PATCH" {
                    let meanwhile = state.meanwhile.lock().unwrap().take();
                    meanwhile.into_iter().for_each(|act| act(&Cluster(Arc::clone(&state))));
                }
                let (status, answer) = match parts.uri.query() {
                    Some(query) if query.starts_with("watch=true&") => state.watch(parts.uri.path(), query),
                    _ => {
                        let (status, answer) = state.answer(parts.method.as_str(), parts.uri.path(), object);
                        (status, Full::new(Bytes::from(answer.to_string())).boxed_unsync())
                    }
                };
                if state.broken.load(Ordering::SeqCst) == SILENT {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                }
                Ok(Response::builder().status(status).body(answer).unwrap())
            }
            .boxed()
        });
        Api::new(kube::Client::new(service, "sidekey"))
    }

    pub fn put(&self, path: &str, mut object: Value) {
        let mut objects = self.0.objects.lock().unwrap();
        objects.0 += 1;
        object["metadata"]["resourceVersion"] = json!(objects.0.to_string());
        objects.1.insert(path.to_owned(), object);
        self.0.tell(path);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.0.objects.lock().unwrap().1.get(path).cloned()
    }

    pub fn delete(&self, path: &str) {
        self.0.objects.lock().unwrap().1.remove(path);
        self.0.tell(path);
    }

    /// Ends every watch, as an API server does that restarts.
    pub fn end_watches(&self) {
        self.0.changes.lock().unwrap().take();
    }

    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap();
        change(&mut object);
        self.put(path, object);
    }

    pub fn fail(&self, status: u16) {
        self.0.broken.store(status, Ordering::SeqCst);
    }

    /// Like [`Cluster::fail`] for watches alone.
    pub fn refuse_watches(&self, status: u16) {
        self.0.unwatched.store(status, Ordering::SeqCst);
    }

    /// Like [`Cluster::fail`] for calls of this path.
    pub fn refuse(&self, path: &str, status: u16) {
        self.0.refused.lock().unwrap().insert(path.to_owned(), status);
    }

    /// Does this just before the next patch comes in: what the patch knows is out of date then.
    pub fn before_the_next_patch(&self, act: impl FnOnce(&Self) + Send + 'static) {
        *self.0.meanwhile.lock().unwrap() = Some(Box::new(act));
    }

    /// Calls so far, `VERB path`; forgets them.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.calls.lock().unwrap())
    }

    /// Certificates in the `caBundle` of each entry.
    pub fn bundles(&self) -> Vec<Vec<CertificateDer<'static>>> {
        let configuration = self.get(CONFIGURATION).unwrap();
        let decode = |hook: &Value| {
            let pem = STANDARD.decode(hook["clientConfig"]["caBundle"].as_str().unwrap_or_default()).unwrap();
            CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
        };
        configuration["webhooks"].as_array().unwrap().iter().map(decode).collect()
    }
}

impl State {
    fn tell(&self, path: &str) {
        if let Some(changes) = &*self.changes.lock().unwrap() {
            let _ = changes.send(path.to_owned());
        }
    }

    /// A line for the object if it is there, and one for each change; what a line says is read by nobody.
    fn watch(&self, collection: &str, query: &str) -> (StatusCode, UnsyncBoxBody<Bytes, Infallible>) {
        self.calls.lock().unwrap().push(format!("WATCH {collection}"));
        let broken = self.broken.load(Ordering::SeqCst).max(self.unwatched.load(Ordering::SeqCst));
        if broken != 0 {
            let (status, body) = failure(broken, "the API server has a bad day");
            return (status, Full::new(Bytes::from(body.to_string())).boxed_unsync());
        }
        let name = query.split('&').find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D")).unwrap();
        let path = format!("{collection}/{name}");
        let changes = self.changes.lock().unwrap().get_or_insert_with(|| broadcast::channel(64).0).subscribe();
        let there = self.objects.lock().unwrap().1.contains_key(&path);
        let line = || Ok(Frame::data(Bytes::from_static(b"{}\n")));
        let later = futures::stream::unfold((changes, path), move |(mut changes, path)| async move {
            while let Ok(changed) = changes.recv().await {
                if changed == path {
                    return Some((line(), (changes, path)));
                }
            }
            None
        });
        let first = futures::stream::iter(there.then(line));
        (StatusCode::OK, StreamBody::new(first.chain(later)).boxed_unsync())
    }

    fn answer(&self, verb: &str, path: &str, object: Value) -> (StatusCode, Value) {
        self.calls.lock().unwrap().push(format!("{verb} {path}"));
        let refused = self.refused.lock().unwrap().get(path).copied().unwrap_or_default();
        let broken = self.broken.load(Ordering::SeqCst).max(refused);
        if broken != 0 {
            return failure(broken, "the API server has a bad day");
        }
        let mut objects = self.objects.lock().unwrap();
        let version = objects.0 + 1;
        let known = objects.1.get(path).cloned();
        let stored = match (verb, known) {
            ("GET", Some(found)) => return (StatusCode::OK, found),
            ("POST", _) => {
                let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
                if objects.1.contains_key(&path) {
                    return failure(409, "already exists");
                }
                (path, object)
            }
            ("PUT", Some(found)) => {
                if found["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                    return failure(409, "the object has been modified");
                }
                (path.to_owned(), object)
            }
            ("PATCH", Some(mut found)) => {
                let wanted = &object["metadata"]["resourceVersion"];
                if !wanted.is_null() && *wanted != found["metadata"]["resourceVersion"] {
                    return failure(409, "the object has been modified");
                }
                for applied in object["webhooks"].as_array().unwrap() {
                    let hooks = found["webhooks"].as_array_mut().unwrap();
                    let hook = hooks.iter_mut().find(|hook| hook["name"] == applied["name"]).unwrap();
                    hook["clientConfig"]["caBundle"] = applied["clientConfig"]["caBundle"].clone();
                }
                (path.to_owned(), found)
            }
            _ => return failure(404, "not found"),
        };
        let (path, mut object) = stored;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        *objects = (version, {
            let mut all = std::mem::take(&mut objects.1);
            all.insert(path.clone(), object.clone());
            all
        });
        self.tell(&path);
        (StatusCode::OK, object)
    }
}

fn failure(code: u16, message: &str) -> (StatusCode, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message});
    (StatusCode::from_u16(code).unwrap(), body)
}

pub fn metrics() -> Metrics {
    Metrics::register(&mut runtime_metrics::registry("sidekey_webhook", "0"))
}

pub fn admission(settings: &str) -> Arc<Admission> {
    Arc::new(Admission::new(Settings::from_yaml(settings).unwrap(), true, metrics()))
}

/// A pod that asks for one secret.
pub fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "annotations": {
            "sidekey.dev/inject": "true",
            "sidekey.dev/role": "web",
            "sidekey.dev/secret-app.env": "secret/data/web",
        }},
        "spec": {
            "serviceAccountName": "web",
            "containers": [{"name": "app", "image": "app:1"}],
        },
    })
}

pub fn review(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "admin"},
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}

/// The patch of an answered review, decoded; none where there is none.
pub fn patch(answer: &Value) -> Option<Value> {
    let encoded = answer["response"]["patch"].as_str()?;
    Some(serde_json::from_slice(&STANDARD.decode(encoded).unwrap()).unwrap())
}

/// One keep-alive connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
    /// The server's leaf.
    pub leaf: Vec<u8>,
}

pub async fn tls(
    address: SocketAddr,
    ca: &[CertificateDer<'static>],
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for ca in ca {
        roots.add(ca.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(provider::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

impl Client {
    pub async fn connect(address: SocketAddr, ca_pem: &str) -> std::io::Result<Self> {
        let ca: Vec<_> = CertificateDer::pem_slice_iter(ca_pem.as_bytes()).map(Result::unwrap).collect();
        Self::trusting(address, &ca, "localhost").await
    }

    pub async fn trusting(address: SocketAddr, ca: &[CertificateDer<'static>], name: &str) -> std::io::Result<Self> {
        let stream = tls(address, ca, name).await?;
        let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        Ok(Self { sender, connection: tokio::spawn(connection), leaf })
    }

    pub async fn post(&mut self, body: impl Into<Bytes>) -> hyper::Result<Response<Bytes>> {
        let request = Request::post("/mutate")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }

    /// Waits for the server to close the connection.
    pub async fn closed(&mut self) {
        let _ = (&mut self.connection).await;
    }
}
