//! What the kubelet and Prometheus ask over plain HTTP. Each program gives these answers the paths it promises.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::registry::Registry;
use sidekey_runtime::metrics;
use sidekey_runtime::readiness::Readiness;

/// Liveness: answers as long as the runtime turns.
pub async fn live() -> &'static str {
    "alive\n"
}

/// Readiness: 503 with the names of what is awaited, or 200 with any notes.
pub async fn ready(State(readiness): State<Readiness>) -> Response {
    let (ready, text) = readiness.report();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

/// The numbers, in `OpenMetrics` text.
pub async fn numbers(State(registry): State<Arc<Registry>>) -> Response {
    match metrics::encode(&registry) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
