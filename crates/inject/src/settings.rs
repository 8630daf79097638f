//! What the platform engineer decides for all pods: one YAML file.

mod context;
mod policy;
mod prefix;

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use sidekey_core::contract::EnvSyntax;
use sidekey_core::goparse::parse_duration;
use sidekey_core::{Cause, Code};
use thiserror::Error as ThisError;

pub use self::context::SecurityContext;
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

/// Cluster-wide settings. A missing field has the default that [`Settings::default`] shows; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// Image of the agent; its entry point is `/sidekey-agent`.
    pub agent_image: String,
    /// Image of the agent with a shell and its programs, for pods whose commands need them.
    pub tools_image: String,
    /// `Always`, `IfNotPresent` or `Never`; unset leaves it to Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Vault's URL for pods that name none.
    pub vault_address: String,
    /// Vault namespace for pods that name none; empty is the root.
    pub vault_namespace: String,
    /// CA certificates (PEM) for pods that name none; empty is the public roots.
    pub ca_pem: String,
    /// Proxy URL for pods that name none.
    pub proxy_address: String,
    /// Auth mount for pods that name none.
    pub auth_path: String,
    /// Auth method for pods that name none: `kubernetes` or `jwt`.
    pub auth_type: String,
    /// Audience of the agent's token in the native dialect; empty is the API server's own.
    pub audience: String,
    /// Lifetime of the agent's projected token; at least 600.
    #[serde(deserialize_with = "expiration")]
    pub token_expiration_seconds: u32,
    /// Whose annotations are served; those of other injectors are not read.
    pub dialects: Vec<Prefix>,
    /// Shape of the injected agent.
    pub native_sidecars: NativeSidecars,
    /// Whether the kubelet sets the variables of `env-<VAR>` from a file (`fileKeyRef`).
    pub env_files: EnvFiles,
    /// Requests and limits of the agent.
    pub resources: Resources,
    /// Size limit of each volume of secrets; at least three times what it holds.
    pub secrets_size: Quantity,
    /// Size limit of the agent's private volume.
    pub state_size: Quantity,
    /// How often a secret without a lease is looked at, such as `5m`.
    #[serde(deserialize_with = "duration")]
    pub static_interval: String,
    /// Shortest wait after a failed login.
    #[serde(deserialize_with = "duration")]
    pub auth_min_backoff: String,
    /// Longest wait after a failed login.
    #[serde(deserialize_with = "duration")]
    pub auth_max_backoff: String,
    /// Vault dialect: `map` or `json` for secrets without a template.
    pub default_template: DefaultTemplate,
    /// Vault dialect: revoke the token at the end without being asked. The native dialect always does.
    pub revoke_on_shutdown: bool,
    /// How much of the agent's security context is written; the former name and its boolean are read as well.
    #[serde(alias = "setSecurityContext")]
    pub security_context: SecurityContext,
    /// Agent's uid for pods that name none; unset is the dialect's own rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// Agent's gid for pods that name none; unset is the dialect's own rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    #[serde(deserialize_with = "log_level")]
    pub log_level: String,
    /// `json` or `standard`.
    pub log_format: LogFormat,
    /// Names of a service mesh's containers. The native dialect's agent starts behind those that are native sidecars, as
    /// without them there is no network, and gives none of them secrets unless a pod names them.
    pub mesh_containers: Vec<String>,
    /// What to do about a pod that asks for an agent and has none, since the webhook was not asked when it was created.
    pub missed_pods: MissedPods,
    /// Defaults, forced values and limits for any annotation, for all pods.
    #[serde(skip_serializing_if = "Policy::is_empty")]
    pub policy: Policy,
    /// The same for pods of some namespaces.
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

/// When the agent is one native sidecar, and when a classic init container and sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NativeSidecars {
    /// Native where every node has it.
    Auto,
    /// Native always.
    On,
    /// Classic always.
    Off,
}

impl NativeSidecars {
    /// `cluster` says whether every node has native sidecars.
    pub(crate) const fn resolve(self, cluster: bool) -> bool {
        match self {
            Self::Auto => cluster,
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// When the kubelet reads the app's variables from a file, and when `sidekey-agent exec` sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvFiles {
    /// The kubelet where every one does it unasked: from 1.35 on.
    Auto,
    /// The kubelet also where all are 1.34; the cluster has the feature gate `EnvFiles` on.
    On,
    /// `exec` always.
    Off,
}

impl EnvFiles {
    /// `kubelets` is the form that all of them read.
    pub(crate) fn resolve(self, kubelets: Option<EnvSyntax>) -> Option<EnvSyntax> {
        match self {
            Self::Auto => kubelets.filter(|syntax| *syntax == EnvSyntax::Quoted),
            Self::On => kubelets,
            Self::Off => None,
        }
    }
}

/// What to do about a pod that asks for an agent and has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissedPods {
    /// Nobody looks.
    Ignore,
    /// An Event at the pod and a metric.
    Report,
    /// The same, and an eviction where a controller creates the pod again.
    Evict,
}

/// Kubernetes' `imagePullPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Kubernetes' own")]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// Reads an annotation; empty leaves it to Kubernetes.
    pub(crate) fn parse(text: &str) -> Option<Option<Self>> {
        Some(match text {
            "" => None,
            "Always" => Some(Self::Always),
            "IfNotPresent" => Some(Self::IfNotPresent),
            "Never" => Some(Self::Never),
            _ => return None,
        })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// What a Vault-dialect secret without a template looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultTemplate {
    /// `key: value` lines.
    Map,
    /// One JSON object.
    Json,
}

impl DefaultTemplate {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Json => "json",
        }
    }
}

/// The agent's log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Plain text.
    Standard,
}

impl LogFormat {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Standard => "standard",
        }
    }
}

/// Requests and limits for pods that name none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match parse_duration(&text) {
        Some(_) => Ok(text),
        None => Err(D::Error::custom(format!("`{text}` is not a duration such as 30s or 5m"))),
    }
}

fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match crate::value::log_level(&text) {
        Some(level) => Ok(level.to_owned()),
        None => Err(D::Error::custom(format!("`{text}` is none of trace, debug, info, warn, error"))),
    }
}

fn expiration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        ..600 => Err(D::Error::custom("Kubernetes refuses tokens of less than 600 seconds")),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests;
