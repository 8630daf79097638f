//! signal → drain · directory → watch → reload · component → readiness token · event → log · number → metrics
//!
//! Small parts that every process of ours needs, without a framework, a command line parser or a web server. None of
//! them knows another; a program ties them together.
//!
//! | part | file |
//! |---|---|
//! | log lines and panics on stderr | `log` |
//! | SIGTERM and SIGINT | `drain` |
//! | an error with what it came from | `failure` |
//! | what start-up still waits for | `readiness` |
//! | files that change below us | `watch` |
//! | certificates and keys as rustls wants them | `tls`, `provider` |
//! | numbers for Prometheus | `metrics` |

pub mod drain;
pub mod failure;
pub mod log;
pub mod metrics;
pub mod provider;
pub mod readiness;
pub mod tls;
pub mod watch;
