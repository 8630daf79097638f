//! socket → handshake → connection → router, each with a bound in number and time; and the way out.

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use rustls::ServerConfig;
use sidekey_runtime::drain::Drain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::metrics::Counted;

/// Between two lines of the log about connections that are turned away.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How many connections, and how long each part of one may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Open connections that are served. One more is turned away: its first request comes with [`Crowded`].
    pub connections: usize,
    /// Open connections that are being turned away; one more is closed at once, without a word.
    pub turned_away: usize,
    /// Longest life of a connection that is turned away, from handshake to answer.
    pub refusal: Duration,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// A new connection says something by then.
    pub first_request: Duration,
    /// Longest silence between requests. Longer than the 90 s after which Go's HTTP client, an API server's, gives a
    /// connection up: whoever closes an idle connection first must be the client, else a request may meet the closing.
    pub idle: Duration,
    /// After this time the connection ends with its next answer: load finds new replicas, and nothing is for ever.
    pub lifetime: Duration,
    /// From the drain's start to the closing of the port: Endpoints spread, and each answer ends its connection.
    pub lame_duck: Duration,
    /// Longest wait for the requests that are left after that.
    pub drain: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // Together with what else the process opens below 1024, the usual limit of open files: beyond that the kernel
            // lets nobody be turned away.
            connections: 768,
            turned_away: 128,
            refusal: Duration::from_secs(2),
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            lifetime: Duration::from_secs(600),
            lame_duck: Duration::from_secs(5),
            drain: Duration::from_secs(15),
        }
    }
}

/// Marks a request of a connection that is one too many: it wants a quick refusal, and its connection ends with the answer.
/// Nobody waits in the kernel's queue: an API server's failure policy decides at once, not after its timeout.
#[derive(Clone, Copy, Debug)]
pub struct Crowded;

/// Everything a connection shares with the others.
struct Shared {
    tls: Option<TlsAcceptor>,
    app: Router,
    timing: Timing,
    drain: Drain,
    open: Gauge,
}

/// What is counted of connections.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    /// Those open now.
    pub open: Gauge,
    /// Those closed at once, without an answer, since too many were open.
    pub closed: Counter<u64, AtomicU64>,
}

/// Serves `app` until the drain has started and all is answered. Without `tls` it is plain HTTP.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    app: Router,
    drain: Drain,
    timing: Timing,
    connections: Connections,
) {
    let Connections { open, closed } = connections;
    let shared = Arc::new(Shared { tls: tls.map(TlsAcceptor::from), app, timing, drain: drain.clone(), open });
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &shared, &graceful, &closed) => {}
        () = lame(drain, timing.lame_duck) => {}
    }
    drop(listener);
    if timeout(timing.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections left unanswered at the end of the drain");
    }
}

async fn lame(mut drain: Drain, wait: Duration) {
    drain.started().await;
    sleep(wait).await;
}

async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    graceful: &GracefulShutdown,
    closed: &Counter<u64, AtomicU64>,
) {
    let mut house = House::new(&shared.timing);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(place) = house.place() else {
                    closed.inc();
                    continue;
                };
                let (shared, watcher) = (Arc::clone(shared), graceful.watcher());
                tokio::spawn(async move {
                    let _counted = Counted::on(&shared.open);
                    let longest = if place.crowded { shared.timing.refusal } else { Duration::MAX };
                    let connection = connection(stream, &shared, place.crowded, watcher);
                    if let Err(late) = timeout(longest, connection).await {
                        ended("took too long to be turned away", &late);
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: what is open goes on, and ends.
                tracing::warn!(%error, "cannot accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Who has a place, and when it was last said that there was none.
struct House {
    served: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    said: Option<Instant>,
}

/// Held for as long as a connection is open.
struct Place {
    _permit: OwnedSemaphorePermit,
    crowded: bool,
}

impl House {
    fn new(timing: &Timing) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { served: places(timing.connections), turned_away: places(timing.turned_away), said: None }
    }

    /// None when there are too many even to be told so.
    fn place(&mut self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.served).try_acquire_owned() {
            return Some(Place { _permit: permit, crowded: false });
        }
        if self.said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!("more connections than are served; new ones are turned away");
        }
        let permit = Arc::clone(&self.turned_away).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, crowded: true })
    }
}

async fn connection(stream: TcpStream, shared: &Shared, crowded: bool, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        return ended("peer gone", &error);
    }
    let Some(tls) = &shared.tls else { return http(stream, shared, crowded, watcher).await };
    match timeout(shared.timing.handshake, tls.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, shared, crowded, watcher).await,
        Ok(Err(error)) => ended("handshake failed", &error),
        Err(late) => ended("handshake took too long", &late),
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, shared: &Shared, crowded: bool, watcher: Watcher) {
    let begun = Instant::now();
    let (timing, spoke) = (shared.timing, AtomicBool::new(false));
    let service = service_fn(|mut request: Request<Incoming>| {
        spoke.store(true, Ordering::Relaxed);
        if crowded {
            request.extensions_mut().insert(Crowded);
        }
        let app = shared.app.clone();
        async move {
            let mut response = match app.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if crowded || shared.drain.is_started() || begun.elapsed() > timing.lifetime {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timing.idle)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        done = watcher.watch(connection) => if let Err(error) = done { ended("connection failed", &error) },
        () = silent(begun + timing.first_request, &spoke) => ended("connection said nothing", &"closed"),
        // The peer reads no answers, or asks nothing: its last answer is long overdue.
        () = sleep_until(begun + timing.lifetime + timing.idle) => ended("connection outlived its time", &"closed"),
    }
}

/// Peers come and go: nothing an operator can mend.
fn ended(how: &'static str, error: &dyn Display) {
    tracing::debug!(%error, "{how}");
}

/// Returns at `deadline` if nothing was said by then, else never.
async fn silent(deadline: Instant, spoke: &AtomicBool) {
    sleep_until(deadline).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
