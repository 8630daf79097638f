//! Settings that are one word of a few.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidekey_core::contract::EnvSyntax;

use super::schema;

/// When the agent is one native sidecar, and when a classic init container and sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::switch)]
#[serde(rename_all = "lowercase")]
pub enum NativeSidecars {
    /// Native where every node has it (1.29).
    Auto,
    /// Native always.
    #[serde(alias = "true")]
    On,
    /// Classic always.
    #[serde(alias = "false")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::switch)]
#[serde(rename_all = "lowercase")]
pub enum EnvFiles {
    /// The kubelet where every one does it unasked (1.35).
    Auto,
    /// The kubelet also where all are 1.34; the cluster has the feature gate `EnvFiles` on.
    #[serde(alias = "true")]
    On,
    /// `exec` always.
    #[serde(alias = "false")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
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
