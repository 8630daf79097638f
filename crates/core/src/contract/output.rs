//! What to write where.

use serde::{Deserialize, Serialize};

use super::is_default;
use super::source::Source;
use crate::path::RelPath;

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
    /// Whose token reads it: 0 is the pod's own login, 1 the first of the others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub login: usize,
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
    /// The app sees the first version until its container starts again: what ends or rotates is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pinned: bool,
    /// How long Vault may fail to vouch for it before it is removed; `None` is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stale_seconds: Option<u32>,
}

/// How a group lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// A regular file replaced by one rename.
    Plain,
    /// Links into a timestamped directory, as the kubelet lays out its own secret volumes.
    Linked,
    /// No file: the bytes stay in memory, and go to whoever connects to the socket of this name.
    Served,
}

/// A second place for the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSink {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Write a wrapping token of this life in place of the token itself, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_ttl_seconds: Option<u64>,
    /// Encrypt what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// Encryption to a reader's Curve25519 key, as Vault Agent has it (`dh_type = "curve25519"`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Seal {
    /// JSON file with the reader's public key; read once, and trusted from then on.
    pub key_file: String,
    /// Derive the key with HKDF from the secret and both public keys.
    #[serde(default, skip_serializing_if = "is_default")]
    pub derive_key: bool,
    /// Authenticated with the token, and known to its reader.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub aad: String,
    /// Variable of the agent's environment that holds it instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aad_variable: Option<String>,
}
