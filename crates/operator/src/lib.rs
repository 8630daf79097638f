//! watch → cache → due → gather (login, Vault, destination) → plan → apply (Secret, restart, status, event)
//!
//! The drop-in for the Vault Secrets Operator: controllers for `secrets.hashicorp.com/v1beta1`.
//!
//! | noun | file |
//! |---|---|
//! | the custom resources, and their CRDs | `types` |
//! | what exists | `watch` → `cache`, `pool` |
//! | who is looked at when | `supervisor` |
//! | one look at one object | `controllers` |
//! | what it comes to, decided without I/O | `plan` |
//! | what is asked once for many, and what not again and again | `reads`, `explained` |
//! | how Vault is reached | `reach`, `addresses` |
//! | who we are to Vault, also after a restart | `sessions`, `login`, `proof`, `storage` |
//! | what else it keeps in Kubernetes | `keys`, `leader`, `restart` |
//! | the process, and its end for good | `run`, `admin`, `metrics`, `install`, `uninstall` |
//!
//! One task (`supervisor`) owns what exists and what is due, another (`sessions`) owns the logins. A look is a task of its
//! own: it gets copies, and hands back what it learnt.

pub mod addresses;
pub mod admin;
pub mod backoff;
pub mod cache;
pub mod controllers;
mod digest;
pub mod explained;
pub mod install;
pub mod keys;
pub mod leader;
pub mod login;
pub mod metrics;
pub mod plan;
pub mod pool;
pub mod proof;
pub mod reach;
pub mod reads;
pub mod restart;
pub mod run;
pub mod sessions;
pub mod storage;
pub mod supervisor;
pub mod types;
pub mod uninstall;
pub mod watch;

/// Who the API server notes as the writer of what the operator writes.
pub(crate) const MANAGER: &str = "sidekey-operator";
