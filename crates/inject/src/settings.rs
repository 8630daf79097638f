//! What the platform engineer decides for all pods: one YAML file.

mod checks;
mod choices;
mod context;
mod page;
mod policy;
mod prefix;
mod schema;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidekey_core::{Cause, Code};
use thiserror::Error as ThisError;

pub use self::choices::{DefaultTemplate, EnvFiles, LogFormat, MissedPods, NativeSidecars, PullPolicy};
pub use self::context::SecurityContext;
pub use self::page::page;
pub use self::policy::{Allowed, NamespacePolicy, Policy};
pub(crate) use self::policy::{matches, matches_within, parse};
pub use self::prefix::Prefix;
use crate::quantity::Quantity;
use crate::registry::Field;

/// Containers of the meshes that are known.
const MESH: [&str; 10] = [
    "istio-init",
    "istio-proxy",
    "istio-validation",
    "linkerd-init",
    "linkerd-network-validator",
    "linkerd-proxy",
    "kuma-init",
    "kuma-sidecar",
    "consul-connect-inject-init",
    "consul-dataplane",
];

/// What holds for all pods. A missing field has its default; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = schema::alias)]
pub struct Settings {
    /// Image of the agent; its entry point is `/sidekey-agent`.
    pub agent_image: String,
    /// Image of the agent with a shell and its programs, for pods whose commands need them.
    pub tools_image: String,
    /// When the agent's image is pulled; unset leaves it to Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Vault's URL for pods that name none.
    #[serde(deserialize_with = "checks::url")]
    #[schemars(schema_with = "checks::url_schema")]
    pub vault_address: String,
    /// Vault namespace for pods that name none; empty is the root.
    pub vault_namespace: String,
    /// CA certificates (PEM) for pods that name none; empty is the public roots.
    #[serde(deserialize_with = "checks::pem")]
    #[schemars(schema_with = "checks::pem_schema")]
    pub ca_pem: String,
    /// Proxy for pods that name none.
    #[serde(deserialize_with = "checks::url")]
    #[schemars(schema_with = "checks::url_schema")]
    pub proxy_address: String,
    /// Auth mount for pods that name none.
    pub auth_path: String,
    /// Auth method for pods that name none.
    #[serde(deserialize_with = "checks::method")]
    #[schemars(schema_with = "checks::method_schema")]
    pub auth_type: String,
    /// Audience of the agent's own token in the native dialect; empty is the API server's, which the Vault dialect has always had.
    pub audience: String,
    /// Lifetime of the agent's own token.
    #[serde(deserialize_with = "checks::expiration")]
    #[schemars(range(min = 600, max = 4_294_967_295_u32))]
    pub token_expiration_seconds: u32,
    /// Whose annotations are served. Those of a dialect that is not listed are not read at all: another injector's affair.
    pub dialects: Vec<Prefix>,
    /// Shape of the injected agent.
    pub native_sidecars: NativeSidecars,
    /// Whether the kubelet sets the variables of `env-<VAR>` from a file (`fileKeyRef`), or `sidekey-agent exec` does.
    pub env_files: EnvFiles,
    /// Requests and limits of the agent.
    pub resources: Resources,
    /// Size limit of each volume of secrets; at least three times what it holds.
    pub secrets_size: Quantity,
    /// Size limit of the agent's private volume.
    pub state_size: Quantity,
    /// How often a secret without a lease is looked at.
    #[serde(deserialize_with = "checks::duration")]
    #[schemars(schema_with = "checks::duration_schema")]
    pub static_interval: String,
    /// Shortest wait after a failed login.
    #[serde(deserialize_with = "checks::duration")]
    #[schemars(schema_with = "checks::duration_schema")]
    pub auth_min_backoff: String,
    /// Longest wait after a failed login.
    #[serde(deserialize_with = "checks::duration")]
    #[schemars(schema_with = "checks::duration_schema")]
    pub auth_max_backoff: String,
    /// Vault dialect: what a secret without a template looks like.
    pub default_template: DefaultTemplate,
    /// Vault dialect: revoke the token at the end of a pod that does not say. The native dialect always does.
    pub revoke_on_shutdown: bool,
    /// How much of the agent's security context is written. `full`: all that pod security *restricted* asks for, and the ids below.
    /// `platformUser`: the same without the ids, which OpenShift gives out of the namespace's range. `none`: nothing. The former
    /// boolean is read as well.
    #[serde(alias = "setSecurityContext")]
    pub security_context: SecurityContext,
    /// Agent's uid for pods that name none; unset is the dialect's own rule.
    #[serde(deserialize_with = "checks::id", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
    /// Agent's gid for pods that name none; unset is the dialect's own rule.
    #[serde(deserialize_with = "checks::id", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub run_as_group: Option<i64>,
    /// The agent's log level; Vault's spellings, such as `WARNING`, are read too.
    #[serde(deserialize_with = "checks::log_level")]
    #[schemars(schema_with = "checks::log_level_schema")]
    pub log_level: String,
    /// The agent's log lines.
    pub log_format: LogFormat,
    /// Names of a service mesh's containers. The native dialect's agent starts behind those that are native sidecars, as
    /// without them there is no network, and gives none of them secrets unless a pod names them.
    pub mesh_containers: Vec<String>,
    /// What to do about a pod that asks for an agent and has none, since the webhook was not asked when it was created.
    pub missed_pods: MissedPods,
    /// Defaults, forced values and limits for any annotation, for all pods.
    #[serde(skip_serializing_if = "Policy::is_empty")]
    pub policy: Policy,
    /// The same for pods of some namespaces; see below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<NamespacePolicy>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agent_image: concat!("sidekey-agent:", env!("CARGO_PKG_VERSION")).to_owned(),
            tools_image: concat!("sidekey-agent-tools:", env!("CARGO_PKG_VERSION")).to_owned(),
            image_pull_policy: None,
            vault_address: "https://vault.vault.svc:8200".to_owned(),
            vault_namespace: String::new(),
            ca_pem: String::new(),
            proxy_address: String::new(),
            auth_path: "auth/kubernetes".to_owned(),
            auth_type: "kubernetes".to_owned(),
            audience: "vault".to_owned(),
            token_expiration_seconds: 3600,
            dialects: Prefix::ALL.to_vec(),
            native_sidecars: NativeSidecars::Auto,
            env_files: EnvFiles::Auto,
            resources: Resources::default(),
            secrets_size: Quantity::mebibytes(16),
            state_size: Quantity::mebibytes(16),
            static_interval: "5m".to_owned(),
            auth_min_backoff: "1s".to_owned(),
            auth_max_backoff: "5m".to_owned(),
            default_template: DefaultTemplate::Map,
            revoke_on_shutdown: false,
            security_context: SecurityContext::Full,
            run_as_user: None,
            run_as_group: None,
            log_level: "info".to_owned(),
            log_format: LogFormat::Json,
            mesh_containers: MESH.map(str::to_owned).to_vec(),
            missed_pods: MissedPods::Report,
            policy: Policy::default(),
            namespaces: Vec::new(),
        }
    }
}

/// Requests and limits for pods that name none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Resources {
    /// CPU the scheduler sets aside.
    pub cpu_request: Quantity,
    /// CPU ceiling; a start needs a moment of it for TLS.
    pub cpu_limit: Quantity,
    /// CPU request and limit in a pod of class Guaranteed.
    pub cpu_guaranteed: Quantity,
    /// Memory the scheduler sets aside.
    pub memory_request: Quantity,
    /// Memory of the process alone; the limit is this and the sizes of its memory volumes.
    pub memory_base: Quantity,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu_request: quantity("10m"),
            cpu_limit: quantity("500m"),
            cpu_guaranteed: quantity("100m"),
            memory_request: Quantity::mebibytes(16),
            memory_base: Quantity::mebibytes(32),
        }
    }
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_else(|| Quantity::mebibytes(0))
}

/// A settings file that cannot be used; names the line.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
#[error("{message}")]
pub struct SettingsError {
    /// 1-based.
    pub line: Option<u64>,
    /// What is wrong there, in one line.
    pub message: String,
}

impl From<SettingsError> for Cause {
    fn from(error: SettingsError) -> Self {
        let place = error.line.map_or_else(String::new, |line| format!(" at line {line}"));
        Self::new(Code::SettingsMalformed, format!("reading the settings{place}"), error.message)
    }
}

impl Settings {
    /// Reads the settings file; an empty one is all defaults.
    ///
    /// # Errors
    /// [`SettingsError`]: not YAML, an unknown field, or a value that cannot be read.
    pub fn from_yaml(text: &str) -> Result<Self, SettingsError> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map_err(|error| SettingsError {
            line: error.location().map(|location| location.line()),
            message: error.without_snippet().to_string().replace('\n', " "),
        })
    }
}

impl Settings {
    /// Whether every annotation is the pods' own affair.
    pub(crate) fn has_no_policy(&self) -> bool {
        self.namespaces.is_empty() && self.policy.is_empty()
    }

    /// The default of an annotation whose row points here.
    pub(crate) fn value(&self, field: Field) -> Option<&str> {
        const fn word(flag: bool) -> &'static str {
            if flag { "true" } else { "false" }
        }
        Some(match field {
            Field::Image => &self.agent_image,
            Field::PullPolicy => self.image_pull_policy?.as_str(),
            Field::DefaultTemplate => self.default_template.as_str(),
            Field::Revoke => word(self.revoke_on_shutdown),
            Field::SetSecurityContext => self.security_context.as_str(),
            Field::Address => &self.vault_address,
            Field::AuthType => &self.auth_type,
            Field::AuthPath => &self.auth_path,
            Field::Namespace => &self.vault_namespace,
            Field::AuthMinBackoff => &self.auth_min_backoff,
            Field::AuthMaxBackoff => &self.auth_max_backoff,
            Field::Proxy => &self.proxy_address,
            Field::LogLevel => &self.log_level,
            Field::LogFormat => self.log_format.as_str(),
            Field::StaticInterval => &self.static_interval,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
