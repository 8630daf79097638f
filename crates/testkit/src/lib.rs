//! `fixture -> code under test -> golden file or script`: helpers for tests, never a normal dependency.
//!
//! - [`golden`] compares text with a file of the repository and rewrites it on `UPDATE_GOLDEN=1`.
//! - [`pod`] builds pods as the API server shows them to a webhook.
//! - [`cluster`] is an API server that keeps objects, for controllers.
//! - [`prometheus`] is a real one, for dashboards and alerts.
//! - [`api`] is an API server of a fixed script, for [`kube::Client`].
//!
//! These are assertions: they panic with what a person needs to see.

pub mod api;
pub mod cluster;
pub mod golden;
pub mod pod;
pub mod prometheus;
