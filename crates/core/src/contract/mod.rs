//! The contract between webhook and agent: written by `inject`, read by `agent`, shown by `sidekey explain`.
//!
//! It travels as JSON in the environment variable `SIDEKEY_CONFIG` (or `SIDEKEY_CONFIG_0…n`), and never holds a secret.

mod auth;
mod env;
mod lifecycle;
mod listener;
mod login;
mod notify;
mod output;
mod server;
mod source;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::auth::{AppRole, Auth, AuthMethod, Aws, Cert, METHODS, Service};
pub use self::env::{ContractError, ENV, MAX_ENV_BYTES};
pub use self::lifecycle::{Lifecycle, Log, Refresh, Shape};
pub use self::listener::{Bearer, Listener};
pub use self::login::Login;
pub use self::notify::{Action, Notify, Process, Signal};
pub use self::output::{Layout, Output, Seal, TokenSink};
pub use self::server::Server;
pub use self::source::{Engine, EnvSource, EnvSyntax, Format, FormatSource, Source, Template, Variable};

/// The contract's version; an agent refuses any other.
pub const VERSION: u32 = 1;

/// Everything the agent needs to know. Unknown fields are refused: both sides are of one release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AgentConfig {
    /// [`VERSION`].
    pub version: u32,
    /// Whose annotations asked for this; messages name that dialect's keys.
    pub dialect: Dialect,
    /// Who the pod is, for messages.
    pub pod: PodIdentity,
    /// Where Vault is.
    pub server: Server,
    /// How to log in.
    pub auth: Auth,
    /// Logins beside that one, for files that name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<Login>,
    /// What to write; order is the order of the files' names.
    pub outputs: Vec<Output>,
    /// What to do after outputs have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
    /// Where to keep the token for readers who ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_sinks: Vec<TokenSink>,
    /// What to serve to the pod's other containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
    /// TCP port for `/live`, `/ready`, `/status` and `/metrics`, beside the socket in `state_dir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_port: Option<u16>,
    /// How often to look again.
    #[serde(default)]
    pub refresh: Refresh,
    /// How the agent begins and ends.
    pub lifecycle: Lifecycle,
    /// Private tmpfs of the agent: token, leases, answers, status. Never mounted into the app.
    pub state_dir: String,
    /// What to say.
    #[serde(default)]
    pub log: Log,
}

/// The family of annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `vault.hashicorp.com/*` and its alias `openbao.org/*`.
    Vault,
    /// `sidekey.dev/*`.
    Native,
}

/// The pod as Vault sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PodIdentity {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Service account's name.
    pub service_account: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
