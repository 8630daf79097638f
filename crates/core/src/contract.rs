//! The contract between webhook and agent: written by `inject`, read by `agent`, shown by `sidekey explain`.
//!
//! It travels as JSON in the environment variable `SIDEKEY_CONFIG` (or `SIDEKEY_CONFIG_0…n`), and never holds a secret.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::path::RelPath;

/// The contract's version; an agent refuses any other.
pub const VERSION: u32 = 1;

/// Name of the variable, and the stem of its numbered parts.
pub const ENV: &str = "SIDEKEY_CONFIG";

/// Longest value of one variable, in bytes. Linux allows 128 KiB for `NAME=value` (`MAX_ARG_STRLEN`).
pub const MAX_ENV_BYTES: usize = 96 * 1024;

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
    /// What to write; order is the order of the files' names.
    pub outputs: Vec<Output>,
    /// Where to keep the token for readers who ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sink: Option<TokenSink>,
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

/// Vault's address and how to trust it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Server {
    /// URL, with scheme; a path prefix is kept.
    pub address: String,
    /// Vault namespace, sent as `X-Vault-Namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// CA certificates, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// CA certificates, PEM file in the agent container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Directory of PEM files in the agent container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_dir: Option<String>,
    /// Client certificate, PEM file; with `client_key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_file: Option<String>,
    /// Client key, PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<String>,
    /// Name to check in Vault's certificate, when it is not the address's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Accept any certificate.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_verify: bool,
    /// Proxy URL for CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Longest time for one request, seconds.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout_seconds: u32,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Auth {
    /// The method.
    pub method: AuthMethod,
    /// Mount path with `auth/`, such as `auth/kubernetes`, without slashes at its ends.
    pub mount: String,
    /// Vault role.
    pub role: String,
    /// Service account token; read again at every login.
    pub token_file: String,
    /// Shortest wait after a failed login, milliseconds.
    #[serde(default = "default_min_backoff")]
    pub min_backoff_ms: u64,
    /// Longest wait after a failed login, milliseconds.
    #[serde(default = "default_max_backoff")]
    pub max_backoff_ms: u64,
}

/// The auth methods that are served; others are refused by name at admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// Role and service account token, posted to `<mount>/login`.
    Kubernetes,
    /// The same body for a `jwt` mount.
    Jwt,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Output {
    /// The suffix of its annotations, for messages.
    pub name: String,
    /// Absolute directory: a volume's mount path in the agent and in the app.
    pub dir: String,
    /// Below `dir`.
    pub file: RelPath,
    /// What is in it.
    pub source: Source,
    /// Permission bits; `None` is the dialect's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Outputs of one group change together or not at all.
    pub group: String,
    /// How the group lies on disk.
    pub layout: Layout,
    /// Whether readiness waits for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
}

/// How a group lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// A regular file replaced by one rename.
    Plain,
    /// Links into a timestamped directory, as the kubelet lays out its own secret volumes.
    Linked,
}

/// Where an output's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Source {
    /// A user's template.
    #[serde(rename_all = "camelCase")]
    Template(Template),
    /// One secret in a stock format.
    Format(FormatSource),
}

/// A template and how to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Template {
    /// Its language.
    pub engine: Engine,
    /// Its text, unless `file` is given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// A file in the agent container to read the text from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Left delimiter; Go templates only.
    #[serde(default = "left", skip_serializing_if = "is_left")]
    pub left: String,
    /// Right delimiter; Go templates only.
    #[serde(default = "right", skip_serializing_if = "is_right")]
    pub right: String,
    /// Go templates: a missing key is an error in place of `<no value>`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub error_on_missing_key: bool,
}

impl Template {
    /// Inline text with the language's usual delimiters.
    pub fn inline(engine: Engine, text: impl Into<String>) -> Self {
        Self { engine, text: text.into(), file: None, left: left(), right: right(), error_on_missing_key: false }
    }
}

/// One secret in a stock format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FormatSource {
    /// The format.
    pub format: Format,
    /// Vault path.
    pub path: String,
    /// The one field of `raw`; without it the secret must have exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A template's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// consul-template's dialect of Go's text/template.
    Go,
    /// handlebars, strict, without HTML escapes.
    Handlebars,
}

/// The stock formats; each structured one is a template of `templates/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `KEY="value"` lines, quoted for shells and dotenv readers.
    Env,
    /// One JSON object.
    Json,
    /// One YAML mapping.
    Yaml,
    /// Java properties.
    Properties,
    /// One field's bytes, nothing added.
    Raw,
    /// `key: value` lines.
    Map,
}

/// A second place for the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSink {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
}

/// How often to look again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Refresh {
    /// Interval for secrets without a lease, milliseconds.
    pub static_interval_ms: u64,
    /// Share of a non-renewable lease after which it is replaced, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_renewal_threshold: Option<f64>,
}

impl Default for Refresh {
    fn default() -> Self {
        Self { static_interval_ms: 300_000, lease_renewal_threshold: None }
    }
}

/// How the agent begins and ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lifecycle {
    /// What container this is.
    pub shape: Shape,
    /// Revoke the own token at the end.
    pub revoke: bool,
    /// Classic sidecar: seconds to go on renewing after SIGTERM before revoking.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revoke_grace_seconds: u32,
    /// Give up when the first set is not written by then, seconds; `None` waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<u32>,
}

/// What container the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// Native sidecar: the app is gone when SIGTERM comes.
    Native,
    /// Classic one-shot init container that a sidecar follows: hands token, leases and data over through `state_dir`.
    Init,
    /// Classic sidecar: the app may still be draining when SIGTERM comes.
    Sidecar,
    /// One-shot init container that nothing follows.
    InitOnly,
}

/// What to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Log {
    /// `trace`, `debug`, `info`, `warn`, `error`.
    pub level: String,
    /// JSON lines, or plain text.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), json: true }
    }
}

/// Why a contract could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ContractError {
    /// No variable is set.
    #[error("neither {ENV} nor {ENV}_0 is set")]
    Absent,
    /// Not the JSON of this version.
    #[error("{ENV} cannot be read: {0}")]
    Malformed(String),
    /// Another version.
    #[error("{ENV} has version {0}, this agent reads version {VERSION}")]
    Version(u32),
}

impl AgentConfig {
    /// The variables that carry it, in order. The kubelet expands `$(NAME)` and `$$` in values
    /// (Kubernetes API, `EnvVar.value`), so every `$` is written as its JSON escape.
    ///
    /// # Errors
    /// [`ContractError::Malformed`] when a number is not finite.
    pub fn to_env(&self) -> Result<Vec<(String, String)>, ContractError> {
        let json = serde_json::to_string(self).map_err(|error| ContractError::Malformed(error.to_string()))?;
        let json = json.replace('$', "\\u0024");
        if json.len() <= MAX_ENV_BYTES {
            return Ok(vec![(ENV.to_owned(), json)]);
        }
        Ok(split(&json).into_iter().enumerate().map(|(index, part)| (format!("{ENV}_{index}"), part.to_owned())).collect())
    }

    /// Reads what [`Self::to_env`] wrote; `variable` looks one name up.
    ///
    /// # Errors
    /// [`ContractError`]; a message may quote a field's name, never a value of ours that is secret, as there is none.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ContractError> {
        let json = match variable(ENV) {
            Some(json) => json,
            None => (0..).map_while(|index| variable(&format!("{ENV}_{index}"))).collect(),
        };
        if json.is_empty() { Err(ContractError::Absent) } else { Self::from_json(&json) }
    }

    /// Reads the JSON itself; a wrong version is reported before an unknown field.
    ///
    /// # Errors
    /// [`ContractError`].
    pub fn from_json(json: &str) -> Result<Self, ContractError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: serde_json::Error| ContractError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_str(json).map_err(malformed)?;
        if version != VERSION {
            return Err(ContractError::Version(version));
        }
        serde_json::from_str(json).map_err(malformed)
    }
}

/// Parts of at most [`MAX_ENV_BYTES`], cut between characters.
fn split(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while text.len() > MAX_ENV_BYTES {
        let cut = text.floor_char_boundary(MAX_ENV_BYTES);
        let (part, rest) = text.split_at(cut);
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn default_timeout() -> u32 {
    60
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_default_timeout(seconds: &u32) -> bool {
    *seconds == default_timeout()
}

const fn default_min_backoff() -> u64 {
    1_000
}

const fn default_max_backoff() -> u64 {
    300_000
}

fn left() -> String {
    "{{".to_owned()
}

fn right() -> String {
    "}}".to_owned()
}

fn is_left(text: &str) -> bool {
    text == "{{"
}

fn is_right(text: &str) -> bool {
    text == "}}"
}

