//! `127.0.0.1`, for the pod's other containers: Vault's API sent on with the agent's token, and the way to end it.
//!
//! Bodies, time and callers at once are bounded. Nothing is cached, and nothing of a request is logged.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sidekey_core::contract::{Bearer, Listener, Server};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_vault::{Client, Forward, VaultError, diagnose};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

/// Callers at one time.
const CALLERS: usize = 16;

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// For a caller's head.
const HEAD: Duration = Duration::from_secs(10);

/// A caller that is slower than Vault's own time and this is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// The agent's token, as it changes.
pub(crate) type Token = Option<Sensitive<String>>;

/// What the listener and the supervisor share.
pub(crate) struct Listening {
    token: watch::Sender<Token>,
    quits: mpsc::Receiver<()>,
}

impl Listening {
    /// Opens the port and serves in a task of its own.
    ///
    /// # Errors
    /// `ListenFailed`.
    pub(crate) fn start(listener: &Listener, server: &Server) -> Result<Self, Cause> {
        let opened = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, listener.port))
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .and_then(TcpListener::from_std);
        let socket = opened.map_err(|error| {
            Cause::new(Code::ListenFailed, format!("listening on 127.0.0.1:{}", listener.port), error.to_string())
        })?;
        let (token, reader) = watch::channel(None);
        let (quit, quits) = mpsc::channel(1);
        let desk =
            Desk { listener: listener.clone(), server: server.clone(), token: reader, quit, client: Mutex::new(None) };
        tokio::spawn(accept(socket, Arc::new(desk)));
        Ok(Self { token, quits })
    }

    /// Another token, or none.
    pub(crate) fn follow(&self, token: Token) {
        self.token.send_if_modified(|known| {
            let changed = *known != token;
            *known = token;
            changed
        });
    }

    /// Somebody asks for the end.
    pub(crate) async fn quit(&mut self) -> Option<()> {
        self.quits.recv().await
    }
}

/// What answers.
struct Desk {
    listener: Listener,
    server: Server,
    token: watch::Receiver<Token>,
    quit: mpsc::Sender<()>,
    /// Made when needed, and again after a failure that a changed CA file may have mended. Never held over an await.
    client: Mutex<Option<Client>>,
}

type Answer = Response<Full<Bytes>>;

async fn accept(socket: TcpListener, desk: Arc<Desk>) {
    let callers = Arc::new(Semaphore::new(CALLERS));
    let longest = Duration::from_secs(desk.server.timeout_seconds.into()) + PATIENCE;
    loop {
        let Ok(permit) = callers.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = socket.accept().await else {
            // Out of descriptors, which passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            });
            let mut http = http1::Builder::new();
            // One request for each connection: an idle one would keep others out.
            let http = http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
            let connection = http.serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(longest, connection).await;
            drop(permit);
        });
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        match (path, self.listener.forward) {
            ("/agent/v1/quit", _) if self.listener.quit && request.method() == Method::POST => {
                // Asked twice is asked once.
                let _ = self.quit.try_send(());
                json(StatusCode::OK, Bytes::from_static(b"{}"))
            }
            ("/agent/v1/quit", _) if self.listener.quit => refused(StatusCode::METHOD_NOT_ALLOWED, "POST only"),
            (path, Some(bearer)) if path.starts_with("/v1/") && !climbs(path) => self.forward(request, bearer).await,
            (path, Some(_)) if path.starts_with("/v1/") => {
                refused(StatusCode::BAD_REQUEST, "path cannot contain parent references")
            }
            _ => refused(StatusCode::NOT_FOUND, "nothing is served here"),
        }
    }

    async fn forward(&self, request: Request<Incoming>, bearer: Bearer) -> Answer {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is cut, or longer than 4 MiB");
        };
        let shown = shown(&head.headers).filter(|_| bearer != Bearer::Force);
        let own = || self.token.borrow().clone().filter(|_| bearer != Bearer::Caller);
        let token = shown.or_else(own);
        if token.is_none() && bearer != Bearer::Caller {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "the agent has no token yet");
        }
        let forward = Forward {
            method: head.method,
            target: head.uri.path_and_query().map_or_else(String::new, |target| target.as_str().to_owned()),
            token,
            namespace: head.headers.get("x-vault-namespace").cloned(),
            wrap_ttl: head.headers.get("x-vault-wrap-ttl").cloned(),
            body: body.to_bytes(),
        };
        let answered = match self.client() {
            Ok(client) => client.forward(forward).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(reply) => {
                let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
                let mut answer = json(status, Bytes::from(reply.body.expose().clone()));
                set(&mut answer, CONTENT_TYPE, reply.content_type);
                set(&mut answer, RETRY_AFTER, reply.retry_after.map(HeaderValue::from));
                answer
            }
            Err(error) => self.unanswered(&error),
        }
    }

    fn client(&self) -> Result<Client, VaultError> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(client) => Ok(client.clone()),
            None => Client::new(&self.server).inspect(|client| *known = Some(client.clone())),
        }
    }

    fn unanswered(&self, error: &VaultError) -> Answer {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        refused(StatusCode::BAD_GATEWAY, &diagnose::transport(error, &self.server).to_string())
    }
}

/// The caller's own token.
fn shown(headers: &HeaderMap) -> Option<Sensitive<String>> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let bearer = || text(AUTHORIZATION)?.strip_prefix("Bearer ");
    text(HeaderName::from_static("x-vault-token"))
        .or_else(bearer)
        .filter(|token| !token.is_empty())
        .map(Sensitive::from)
}

/// What something between might clean into another path.
fn climbs(path: &str) -> bool {
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    plain.split('/').any(|part| part == "..")
}

fn refused(status: StatusCode, words: &str) -> Answer {
    json(status, Bytes::from(serde_json::json!({ "errors": [words] }).to_string()))
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, Some(HeaderValue::from_static("application/json")));
    answer
}

fn set(answer: &mut Answer, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        answer.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_path_that_climbs_however_it_is_written() {
        for path in ["/v1/a/../sys/seal", "/v1/a/%2e%2E/b", "/v1/a%2F..%2fb", "/v1/.%2e"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["/v1/secret/data/a..b", "/v1/secret/.../x", "/v1/secret/data/web"] {
            assert!(!climbs(path), "{path}");
        }
    }
}
