//! The admin port, plain HTTP: `/live`, `/ready`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use prometheus_client::registry::Registry;
use sidekey_cluster::probes;
use sidekey_runtime::readiness::Readiness;

/// The router to give to [`crate::server::serve`].
pub fn router(readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/live", get(probes::live))
        .route("/ready", get(probes::ready).with_state(readiness))
        .route("/metrics", get(probes::numbers).with_state(registry))
}
