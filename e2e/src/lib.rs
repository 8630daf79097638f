//! The harness of the cluster tests.
//!
//! `Setting (what run brought up) → Sandbox (namespace, Vault role and policy of one test) → Pod → what it shows`
//!
//! A helper that cannot do its work panics with what it saw: the test fails there, and its sandbox prints the pods' states,
//! events and logs as it goes.
#![allow(clippy::panic, clippy::print_stdout, clippy::print_stderr, reason = "a test harness")]

pub mod api;
pub mod audit;
pub mod command;
pub mod fault;
pub mod guide;
pub mod kept;
pub mod legacy;
pub mod manuals;
pub mod operator;
pub mod pod;
pub mod rights;
pub mod sandbox;
pub mod setting;
pub mod stream;
pub mod vault;
pub mod vso;
pub mod wait;

pub use kept::Kept;
pub use pod::{Pod, Shape};
pub use sandbox::Sandbox;
pub use setting::setting;
