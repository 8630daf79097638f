//! What came of a pod.

use sidekey_core::contract::EnvSyntax;
use sidekey_core::{AgentConfig, Cause};

use crate::explain::Trace;
use crate::operations::Patch;

/// What the pod itself does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Namespace of the request; the pod's own field may be empty at admission.
    pub namespace: String,
    /// Whether every node has native sidecars (kubelet 1.29 and later).
    pub native_sidecars: bool,
    /// The form of env files that every kubelet reads, if there is one.
    pub env_files: Option<EnvSyntax>,
}

/// The form of env files that kubelets of these minor versions of Kubernetes 1 read: 1.34 where its gate is on, 1.35 by itself, in
/// another form (k8s.io/kubernetes pkg/kubelet/util/env).
pub fn env_files(oldest: u32, newest: u32) -> Option<EnvSyntax> {
    match (oldest, newest) {
        (34, 34) => Some(EnvSyntax::Plain),
        (35.., _) => Some(EnvSyntax::Quoted),
        _ => None,
    }
}

/// What to do with a pod.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Let it in with these changes.
    Patch(Box<Injection>),
    /// Let it in as it is.
    Skip(SkipReason),
    /// Refuse it.
    Deny {
        /// Why; names the annotation, the shape of its value and the fix.
        cause: Cause,
        /// What else was found on the way.
        warnings: Vec<String>,
    },
}

/// The changes to a pod and how they came about.
#[derive(Clone, Debug)]
pub struct Injection {
    /// RFC 6902; the same pod gives the same bytes.
    pub patch: Patch,
    /// Admission warnings, one sentence each.
    pub warnings: Vec<String>,
    /// Which annotation led to what.
    pub trace: Trace,
    /// Name and contract of each container of ours, in the order in which they start; empty when nothing is added.
    pub agents: Vec<(String, AgentConfig)>,
}

/// Why a pod is let in as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// No switch annotation.
    NotAsked,
    /// The switch says no.
    SwitchedOff,
    /// It has all of ours already.
    AlreadyInjected,
    /// Its phase is set and is not `Pending`.
    NotPending,
    /// The kubelet's image of a static pod; a change to it has no effect.
    MirrorPod,
}

impl SkipReason {
    /// A short name for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::SwitchedOff => "switched_off",
            Self::AlreadyInjected => "already_injected",
            Self::NotPending => "not_pending",
            Self::MirrorPod => "mirror_pod",
        }
    }
}
