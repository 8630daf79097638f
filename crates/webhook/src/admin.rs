//! The admin port, plain HTTP: `/live`, `/ready`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::registry::Registry;
use sidekey_runtime::metrics;
use sidekey_runtime::readiness::Readiness;

/// The router to give to [`crate::server::serve`]. `/live` answers as long as the runtime turns; `/ready` is 503 with the
/// names of what is awaited, or 200 with any notes.
pub fn router(readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/live", get(async || "alive\n"))
        .route("/ready", get(ready).with_state(readiness))
        .route("/metrics", get(numbers).with_state(registry))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let (ready, text) = readiness.report();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

async fn numbers(State(registry): State<Arc<Registry>>) -> Response {
    match metrics::encode(&registry) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
