//! The kinds of `sidekey.dev/v1alpha1`: one connection, one login, for many namespaces.

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::VaultAuthSpec;
use super::connection::VaultConnectionSpec;
use super::selector::Selector;

/// A VaultConnection for the namespaces that it admits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["address"]))]
pub struct ClusterVaultConnectionSpec {
    /// As of a VaultConnection. Its Secrets and ConfigMap are those of the operator's namespace.
    #[serde(flatten)]
    pub connection: VaultConnectionSpec,
    /// Namespaces that are admitted by their labels, beside those that are by name; `{}` is all.
    #[serde(default)]
    pub namespace_selector: Option<Selector>,
}

/// A VaultAuth for the namespaces that it admits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterVaultAuthSpec {
    /// As of a VaultAuth. A reference without a namespace is one to the operator's namespace, or to a cluster-wide object.
    #[serde(flatten)]
    pub auth: VaultAuthSpec,
    /// Namespaces that are admitted by their labels, beside those that are by name; `{}` is all.
    #[serde(default)]
    pub namespace_selector: Option<Selector>,
    /// Namespace of the service account or Secret to log in with, for all consumers; each consumer's own when empty.
    #[serde(default)]
    pub credentials_namespace: Option<String>,
}
