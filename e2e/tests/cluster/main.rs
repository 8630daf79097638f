//! What must hold on a real cluster, with real Vault and PostgreSQL; `make e2e` runs it, `e2e/README.md` lists the claims.
//!
//! Everything here runs side by side: a test touches nothing that another one needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod admission;
mod auth;
mod beside;
mod change;
mod database;
mod env;
mod faults;
mod golden;
mod identity;
mod keys;
mod kv;
mod lifecycle;
mod marker;
mod mesh;
mod missed;
mod operator;
mod operator_faults;
mod operator_fields;
mod operator_foreign;
mod operator_leases;
mod operator_logins;
mod operator_manuals;
mod operator_restarts;
mod operator_rights;
mod operator_scope;
mod operator_unserved;
mod rights;
mod rollout;
mod security;
mod stand_in;
mod vault_k8s;
