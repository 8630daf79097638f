//! What the webhook and the operator need of Kubernetes, in one place.
//!
//! | noun | file |
//! |---|---|
//! | calls to the API server, by path | `api` |
//! | a watch, line by line | `lines` |
//! | which labels are meant | `labels` |
//! | a Lease that one replica holds | `lease` |
//! | what the kubelet and Prometheus ask | `probes` |
//! | waits that replicas do not keep in step | `jitter` |

pub mod api;
pub mod jitter;
pub mod labels;
pub mod lease;
mod lines;
pub mod probes;

pub use lines::Lines;
