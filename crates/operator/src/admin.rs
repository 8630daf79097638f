//! Plain HTTP: `/metrics`, and `/healthz`, `/readyz` with our own names for them, `/live` and `/ready`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use prometheus_client::registry::Registry;
use sidekey_cluster::probes;
use sidekey_core::{Cause, Code};
use sidekey_runtime::readiness::Readiness;
use tokio::net::TcpListener;

/// Liveness and readiness.
pub fn health(readiness: Readiness) -> Router {
    Router::new()
        .route("/live", get(probes::live))
        .route("/healthz", get(probes::live))
        .route("/ready", get(probes::ready))
        .route("/readyz", get(probes::ready))
        .with_state(readiness)
}

/// The numbers.
pub fn numbers(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(probes::numbers).with_state(registry))
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
