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

/// A second place for the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSink {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
}
