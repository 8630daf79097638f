//! Plain HTTP: `/metrics`, and `/healthz`, `/readyz` with our own names for them, `/live` and `/ready`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::registry::Registry;
use sidekey_core::{Cause, Code};
use sidekey_runtime::metrics;
use sidekey_runtime::readiness::Readiness;
use tokio::net::TcpListener;

/// Liveness answers as long as the runtime turns; readiness is 503 with the names of what is awaited.
pub fn health(readiness: Readiness) -> Router {
    Router::new()
        .route("/live", get(async || "alive\n"))
        .route("/healthz", get(async || "alive\n"))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

/// The numbers.
pub fn numbers(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(encoded).with_state(registry))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let (ready, text) = readiness.report();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

async fn encoded(State(registry): State<Arc<Registry>>) -> Response {
    match metrics::encode(&registry) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Opens a port. `[::]` also serves IPv4, and falls back to it.
///
/// # Errors
/// It cannot be opened.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Cause> {
    let bound = match TcpListener::bind(address).await {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.map_err(|error| Cause::new(Code::ListenFailed, format!("listening on {address}"), error.to_string()))
}

/// Serves for as long as the process lives.
pub async fn serve(listener: TcpListener, router: Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin port ended");
    }
}
