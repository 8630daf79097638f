//! contract::Server → transport → ask → answer → Grant | Renewal | Response | VaultError → diagnose → Cause
//!
//! The only crate that speaks to Vault and OpenBao. A [`Client`] asks once and answers once: when to ask again is the
//! planner's business, not this crate's. What it sends and receives is wiped after use and never logged.
//!
//! | noun | file |
//! |---|---|
//! | where Vault is | `address`, `files`, `extras` |
//! | whom to believe | `tls`, `verifier` |
//! | how bytes get there | `connect`, `proxy`, `bypass`, `transport` |
//! | one question, one answer | `ask`, `answer`, `forward` |
//! | what a login shows | `login`, `wrapping`, `aws`, `sts`, `google` |
//! | what a login gives | `grant`, `claims` |
//! | what is kept elsewhere, encrypted | `transit` |
//! | which form a KV path takes | `mounts`, `fetch` |
//! | what went wrong | `error`, `diagnose` |

mod address;
mod answer;
mod ask;
mod aws;
mod bypass;
mod claims;
mod client;
mod connect;
mod date;
pub mod diagnose;
mod error;
mod extras;
mod fetch;
mod files;
mod forward;
pub mod google;
mod grant;
mod login;
mod mounts;
mod proxy;
pub mod sts;
mod tls;
mod transit;
mod transport;
mod verifier;
mod wrapping;

pub use aws::Signed;
pub use claims::account_uid;
pub use client::Client;
pub use error::{Class, TlsFault, VaultError};
pub use extras::{Extras, Guard};
pub use forward::{Forward, Forwarded};
pub use grant::{Grant, Health, Renewal, TokenInfo};
pub use login::{Credential, Unready};
pub use mounts::{MountKind, Mounts};
pub use proxy::by_environment;
