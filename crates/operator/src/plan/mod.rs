//! Decisions, without I/O and without a clock of their own.

pub mod auth;
pub mod data;
pub mod destination;
pub mod duration;
pub mod dynamic_secret;
pub mod global;
pub mod method;
pub mod outcome;
pub mod pki_secret;
pub mod refer;
pub mod remark;
pub mod request;
pub mod respite;
pub mod static_secret;
pub mod storage;
pub mod transformation;
pub mod vault_auth;
pub mod version;
