//! Where a secret goes, and what is made of it on the way.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;

/// The Kubernetes Secret to fill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Name of the Secret, in the namespace of this object.
    pub name: String,
    /// Create and own the Secret. Otherwise it must be there, and only its data is replaced.
    #[serde(default)]
    pub create: bool,
    /// With `create`: take over a Secret that is there and that no such object owns.
    #[serde(default)]
    pub overwrite: bool,
    /// Labels of the Secret, with `create`. The owner's labels win.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret, with `create`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Type of the Secret, with `create`; Opaque when empty. Another type means a new Secret.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Write the keys of this object and leave all others of the Secret alone. Several objects may share a Secret so.
    #[serde(default)]
    pub merge: bool,
    /// With `create`: keep the Secret when this object is deleted. An object of the same destination takes it up again.
    #[serde(default)]
    pub retain: bool,
    /// What to do when the source is deleted in Vault: `keep` what the Secret holds, which is the default, or `delete` the Secret; with
    /// `merge`, or without `create`, its keys. Of a VaultStaticSecret without `sources`.
    #[serde(default)]
    #[schemars(extend("enum" = ["keep", "delete"]))]
    pub on_source_deleted: Option<String>,
    /// What to make of the data.
    #[serde(default)]
    pub transformation: Transformation,
}

impl Destination {
    /// The Secret's type.
    pub fn secret_type(&self) -> &str {
        self.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Opaque")
    }
}

/// Templates and filters between Vault's data and the Secret's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transformation {
    /// Templates by the key of the Secret that they fill.
    #[serde(default)]
    pub templates: BTreeMap<String, Template>,
    /// SecretTransformations whose templates and filters to use.
    #[serde(default)]
    pub transformation_refs: Vec<TransformationRef>,
    /// Regular expressions; only source fields that match one are kept.
    #[serde(default)]
    pub includes: Vec<String>,
    /// Regular expressions; source fields that match one are dropped.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Leave out `_raw`, the whole answer as JSON.
    #[serde(default)]
    pub exclude_raw: Option<bool>,
}

/// One template of Go's language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// A name for `template` actions; made from namespace, object and key when empty.
    #[serde(default)]
    pub name: Option<String>,
    /// The template.
    pub text: String,
}

/// A SecretTransformation to use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransformationRef {
    /// Its namespace; this object's when empty.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The templates to use; all when empty.
    #[serde(default)]
    pub template_refs: Vec<TemplateRef>,
    /// Take no `includes` from it.
    #[serde(default)]
    pub ignore_includes: Option<bool>,
    /// Take no `excludes` from it.
    #[serde(default)]
    pub ignore_excludes: Option<bool>,
}

/// One template of a SecretTransformation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRef {
    /// Its key there.
    pub name: String,
    /// The Secret's key, when it is to be another.
    #[serde(default)]
    pub key_override: Option<String>,
}

/// A workload to restart when the Secret has changed, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartTarget {
    /// Kind of the workload.
    #[schemars(extend("enum" = ["Deployment", "DaemonSet", "StatefulSet", "argo.Rollout"]))]
    pub kind: String,
    /// Its name, in the namespace of this object.
    #[serde(default)]
    pub name: String,
    /// In the place of a name: every workload of this kind in the namespace whose labels are so, a hundred at the most; `{}` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

impl RestartTarget {
    /// The workload of the same kind that has this name.
    pub fn named(&self, name: &str) -> Self {
        Self { kind: self.kind.clone(), name: name.to_owned(), selector: None }
    }
}

/// How changes are found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncConfig {
    /// Not served: Vault's events are not followed, and changes are found by looking again.
    #[serde(default)]
    pub instant_updates: Option<bool>,
    /// Of kv-v2: look at the metadata first, and read the data only when the version is another. Needs `read` on
    /// `MOUNT/metadata/PATH`; without that the data is read every time. The operator's setting when empty.
    #[serde(default)]
    pub poll_metadata: Option<bool>,
}
