//! `SecretTransformation`: templates and filters to share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::destination::Template;

/// Templates and filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretTransformationSpec {
    /// Templates by the key of the Secret that they fill.
    #[serde(default)]
    pub templates: BTreeMap<String, Template>,
    /// Templates that others include by name; they fill nothing themselves.
    #[serde(default)]
    pub source_templates: Vec<SourceTemplate>,
    /// Namespaces whose secrets may use this, beside its own; `*` is all. Those of the operator's own namespace are everybody's.
    #[serde(default)]
    pub allowed_namespaces: Vec<String>,
    /// Regular expressions; only source fields that match one are kept.
    #[serde(default)]
    pub includes: Vec<String>,
    /// Regular expressions; source fields that match one are dropped.
    #[serde(default)]
    pub excludes: Vec<String>,
}

/// A template to include.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceTemplate {
    /// Its name for `template` actions.
    #[serde(default)]
    pub name: Option<String>,
    /// The template.
    pub text: String,
}

/// Whether it can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["error", "valid"]))]
pub struct SecretTransformationStatus {
    /// Whether templates parse and expressions compile.
    #[serde(default)]
    pub valid: bool,
    /// Why not.
    #[serde(default)]
    pub error: String,
    /// The details.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
