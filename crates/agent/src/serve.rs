//! `/live`, `/ready`, `/status` and `/metrics` on a unix socket of the private tmpfs, and on a port where asked for.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::metrics;
use crate::status::{Phase, Status};

/// Name of the socket in `state_dir`.
pub const SOCKET: &str = "agent.sock";

/// Readers at one time.
const READERS: usize = 8;

/// A reader that is slower is cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket's path.
pub fn path(state_dir: &str) -> PathBuf {
    Path::new(state_dir).join(SOCKET)
}

/// Serves in a task of its own. Without the socket the agent works all the same, so a failure is only said.
pub fn start(state_dir: &str, status: watch::Receiver<Arc<Status>>) {
    let path = path(state_dir);
    match listen(&path) {
        Ok(listener) => drop(tokio::spawn(accept(listener, status))),
        Err(error) => tracing::warn!(path = %path.display(), %error, "no status socket"),
    }
}

/// Serves the pod's network in a task of its own. Nothing of it is secret, and nothing can be changed by it.
pub fn start_port(port: u16, status: watch::Receiver<Arc<Status>>) {
    // The first takes IPv4 as well, where the node has IPv6 at all.
    let any = [SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
    let opened = std::net::TcpListener::bind(&any[..])
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .and_then(TcpListener::from_std);
    match opened {
        Ok(listener) => drop(tokio::spawn(accept_port(listener, status))),
        Err(error) => tracing::warn!(port, %error, "no metrics port"),
    }
}

async fn accept_port(listener: TcpListener, status: watch::Receiver<Arc<Status>>) {
    let readers = Arc::new(Semaphore::new(READERS));
    loop {
        let Ok(permit) = readers.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, status.clone(), permit))),
            // Out of descriptors, which passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve<S>(stream: S, status: watch::Receiver<Arc<Status>>, permit: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(&request, &status.borrow());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    let connection = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(PATIENCE, connection).await;
    drop(permit);
}

fn listen(path: &Path) -> std::io::Result<UnixListener> {
    crate::private::remove(path)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, status: watch::Receiver<Arc<Status>>) {
    let readers = Arc::new(Semaphore::new(READERS));
    loop {
        let Ok(permit) = readers.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, status.clone(), permit))),
            // Out of descriptors, which passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn answer(request: &Request<Incoming>, status: &Status) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned());
    }
    reply(request.uri().path(), status)
}

fn reply(path: &str, status: &Status) -> Response<Full<Bytes>> {
    match path {
        "/live" => text(StatusCode::OK, "text/plain", "live\n".to_owned()),
        "/ready" if status.phase == Phase::Starting => {
            text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", status.line() + "\n")
        }
        "/ready" => text(StatusCode::OK, "text/plain", status.line() + "\n"),
        "/status" => match serde_json::to_string(status) {
            Ok(json) => text(StatusCode::OK, "application/json", json),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()),
        },
        "/metrics" => text(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(status, crate::clock::unix_seconds())),
        _ => text(StatusCode::NOT_FOUND, "text/plain", "/live /ready /status /metrics\n".to_owned()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
