//! `request -> record -> fault? -> token and policy -> engine -> answer`: a server with Vault's API for tests and the demo.
//!
//! It keeps state as a real server does: tokens end, leases die with their token, policies deny, KV keeps versions. The
//! texts and shapes are those of Vault 1.21 (recorded from one) or, with [`Flavour::OpenBao`], of OpenBao. What a real
//! server cannot be told to do, it does on demand: see [`Fault`]. Its clock is its own and can be moved ([`FakeVault::advance`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), sidekey_fakevault::StartError> {
//! use sidekey_fakevault::{FakeVault, Fault, Matcher, Options, RoleSpec, Times};
//!
//! let fake = FakeVault::start(Options::default()).await?;
//! fake.enable_kubernetes("auth/kubernetes");
//! fake.policy("web", &[("secret/data/web", &["read"])]);
//! fake.role("auth/kubernetes", "web", RoleSpec { policies: vec!["web".into()], ..RoleSpec::default() });
//! fake.kv2("secret");
//! fake.put("secret/web", serde_json::json!({ "user": "app" }));
//! let jwt = fake.jwt("default", "web", "vault");
//! fake.fault(Matcher::path("secret/data"), Fault::Status(412, Vec::new()), Times::N(2));
//! # let _ = jwt;
//! # Ok(())
//! # }
//! ```
//!
//! It is served over HTTP/1.1 on 127.0.0.1 at a port the system picks, by a task of its own that ends with the [`FakeVault`].
//! Request parameters are never printed; this crate logs nothing.

mod answer;
mod approle;
mod ask;
mod auth;
mod clock;
mod database;
mod dispatch;
mod fault;
mod handle;
mod jwt;
mod kv;
mod lease;
mod logins;
mod methods;
mod mount;
mod pki;
mod policy;
mod record;
mod server;
mod spec;
mod state;
mod sys;
mod tls;
mod token;
mod ttl;
mod wire;

pub use fault::{Fault, Matcher, Times};
pub use handle::{FakeVault, LeaseInfo, TokenInfo};
pub use logins::ClientPair;
pub use record::Recorded;
pub use server::StartError;
pub use spec::{Certificate, DatabaseRole, Flavour, Options, RoleSpec, Standing, StaticRole};
