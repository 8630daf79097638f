//! TLS → admission review → `inject::mutate` → review answered; beside it: certificate kept, settings followed
//!
//! The webhook's process. It decides nothing about pods (that is `inject`) and never speaks to Vault. Tasks, each the only
//! owner of what it changes:
//!
//! | task | file | changes |
//! |---|---|---|
//! | accept loop and its connections | `server`, `app`, `admit`, `review` | nothing |
//! | settings file | `settings` | the settings in force |
//! | kubelet versions | `nodes` | whether native sidecars are used |
//! | certificate | `certs` | the pair in service; CA Secret and `caBundle`, under a Lease |
//! | pods that were missed | `missed` | which were told about, whose were evicted |
//! | admin port | `admin`, `metrics` | nothing |
//!
//! [`run()`] ties them together. [`server::serve`], [`app::router`] and [`certs::self_signed`] also work alone, without
//! Kubernetes.

pub mod admin;
pub mod admit;
pub mod app;
pub mod certs;
pub mod metrics;
pub mod missed;
pub mod nodes;
pub mod review;
pub mod run;
pub mod server;
pub mod settings;

mod lease;

/// Who the API server notes as the owner of what the webhook writes: not whoever applies the manifests, whose tools see no drift.
pub(crate) const MANAGER: &str = "sidekey-webhook";

pub use run::{Certificates, Options, RunError, run, run_with};
