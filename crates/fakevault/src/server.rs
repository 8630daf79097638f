//! HTTP/1.1 over TCP or TLS, one task per connection, all of them ended with the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State as Extract};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::answer::Answer;
use crate::ask::{self, Ask};
use crate::dispatch::redirect;
use crate::fault::{Fault, LONGEST_DELAY};
use crate::record::Recorded;
use crate::spec::Options;
use crate::state::State;
use crate::tls::Authority;
use crate::wire::{CutBody, ResetSwitch, Resettable};

/// The largest body that is read; Vault's own is 32 MiB.
const MAX_BODY: usize = 1 << 20;

/// Connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// No port on loopback.
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(#[from] io::Error),
    /// No certificate.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate does not serve.
    #[error("cannot use the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// The state as the server's task and the test's handle share it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that runs.
pub(crate) struct Running {
    pub shared: Shared,
    pub address: SocketAddr,
    pub ca_pem: String,
    pub task: JoinHandle<()>,
}

pub(crate) async fn start(options: &Options) -> Result<Running, StartError> {
    let authority = Authority::new()?;
    let ca_pem = authority.ca_pem();
    let tls = options.tls.then(|| authority.server(options.certificate, options.wants_certificate)).transpose()?;
    let shared = Shared(Arc::new(Mutex::new(State::new(options.flavour, authority))));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(respond).with_state(shared.clone());
    let task = tokio::spawn(accept(listener, tls.map(|config| TlsAcceptor::from(Arc::new(config))), app));
    Ok(Running { shared, address, ca_pem, task })
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, app: Router) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), app.clone()));
                }
                // Out of files, or a peer that is gone already: neither is cured by asking at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, app: Router) {
    // Without it Nagle's algorithm holds answers back for 40 ms.
    let _ = stream.set_nodelay(true);
    let switch = ResetSwitch::default();
    let stream = Resettable::new(stream, switch.clone());
    match tls {
        None => serve(stream, switch, Peer::default(), app).await,
        Some(acceptor) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await {
                let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let peer = Peer(certificate.map(|certificate| certificate.to_vec()));
                serve(stream, switch, peer, app).await;
            }
        }
    }
}

/// The client's certificate, DER.
#[derive(Clone, Default)]
struct Peer(Option<Vec<u8>>);

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, switch: ResetSwitch, peer: Peer, app: Router) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(switch.clone());
        request.extensions_mut().insert(peer.clone());
        let (app, switch) = (app.clone(), switch.clone());
        async move {
            let answer = app.oneshot(request).await;
            match answer {
                Ok(_) if switch.is_on() => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        }
    });
    // The client's going away is none of our errors.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Records, applies the fault that waits for this request, and answers.
async fn respond(
    Extract(shared): Extract<Shared>,
    Extension(switch): Extension<ResetSwitch>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = ask::logical_path(&parts.uri);
    let (number, fault) = {
        let mut state = shared.lock();
        let entry = Recorded {
            method: parts.method.to_string(),
            path: path.clone(),
            namespace: ask::namespace(&parts.headers),
            certificate: peer.0.clone(),
            status: 0,
            at: state.clock.now(),
        };
        (state.log.begin(entry), state.faults.take(parts.method.as_str(), &path))
    };
    let body = to_bytes(body, MAX_BODY).await;
    if let Some(Fault::Slow(delay)) = &fault {
        tokio::time::sleep((*delay).min(LONGEST_DELAY)).await;
    }
    let answer = match body {
        Ok(body) => decide(&shared, &parts, &body, fault.as_ref()),
        Err(_) => Answer::error(413, "request body too large"),
    };
    if matches!(fault, Some(Fault::Reset | Fault::LoseAnswer)) {
        switch.on();
    } else {
        shared.lock().log.finish(number, answer.status);
    }
    render(answer, fault.as_ref())
}

/// The answer with its fault, where the fault is one of answers.
fn decide(shared: &Shared, parts: &Parts, body: &Bytes, fault: Option<&Fault>) -> Answer {
    let mut ask = match Ask::read(&parts.method, &parts.uri, &parts.headers, body) {
        Ok(ask) => ask,
        Err(text) => return Answer::error(500, text),
    };
    ask.certificate = parts.extensions.get::<Peer>().and_then(|peer| peer.0.clone());
    ask.renew_to_nothing = fault == Some(&Fault::RenewToNothing);
    match fault {
        Some(Fault::Status(status, errors)) => Answer::errors(*status, errors.iter().cloned()),
        Some(Fault::RetryAfter(status, seconds)) => {
            let text = format!("request path \"{}\": rate limit quota exceeded", ask.path);
            Answer::error(*status, text).header("retry-after", seconds.to_string())
        }
        Some(Fault::Redirect(address)) => redirect(address, &ask),
        Some(Fault::Reset) => Answer::no_content(),
        _ => shared.lock().answer(&ask),
    }
}

fn render(answer: Answer, fault: Option<&Fault>) -> Response {
    let json = answer.body.map(|body| Bytes::from(body.to_string() + "\n")).unwrap_or_default();
    let mut builder = Response::builder().status(answer.status).header("cache-control", "no-store");
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    let built = match fault {
        Some(Fault::Garbage) => Response::builder()
            .header(CONTENT_TYPE, "text/html")
            .body(Body::from("<html><body>It works!</body></html>\n")),
        Some(Fault::Huge(bytes)) => {
            let filler = "x".repeat(bytes.saturating_sub(r#"{"data":{"x":""}}"#.len()));
            Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(format!("{{\"data\":{{\"x\":\"{filler}\"}}}}")))
        }
        Some(Fault::CutBody) => builder
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, json.len())
            .body(Body::new(CutBody::new(&json))),
        _ => builder.header(CONTENT_TYPE, "application/json").body(Body::from(json)),
    };
    built.unwrap_or_default()
}
