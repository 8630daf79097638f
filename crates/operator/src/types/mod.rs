//! The custom resources of `secrets.hashicorp.com/v1beta1`, field by field, as manifests on disk have them.
//!
//! What the API server checks (enums, patterns) is a string here: an object that an older CRD let in must still be read, and
//! be answered by a condition.

pub mod auth;
pub mod cluster;
pub mod condition;
pub mod connection;
pub mod crd;
pub mod destination;
pub mod dynamic_secret;
pub mod global;
pub mod methods;
pub mod object;
mod packed;
pub mod pki_secret;
pub mod selector;
pub mod static_secret;
pub mod transformation;
pub mod unserved;

/// The API group of the kinds that there are manifests of.
pub const GROUP: &str = "secrets.hashicorp.com";

/// Its one version.
pub const VERSION: &str = "v1beta1";

/// The group of our own kinds, which are the whole cluster's.
pub const OWN_GROUP: &str = "sidekey.dev";

/// Its one version.
pub const OWN_VERSION: &str = "v1alpha1";

/// The kinds of both groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Where a Vault is, for many namespaces.
    ClusterVaultConnection,
    /// How to log in, for many namespaces.
    ClusterVaultAuth,
    /// Where a Vault is.
    VaultConnection,
    /// How to log in.
    VaultAuth,
    /// What VaultAuths have in common.
    VaultAuthGlobal,
    /// A KV secret.
    VaultStaticSecret,
    /// A credential with a lease, or one that Vault rotates.
    VaultDynamicSecret,
    /// A certificate.
    VaultPkiSecret,
    /// Templates and filters to share.
    SecretTransformation,
    /// Not served.
    HcpAuth,
    /// Not served.
    HcpVaultSecretsApp,
    /// Not served.
    CsiSecrets,
}

impl Kind {
    /// All, in the order in which the CRDs are printed.
    pub const ALL: [Self; 12] = [
        Self::VaultConnection,
        Self::VaultAuth,
        Self::VaultAuthGlobal,
        Self::VaultStaticSecret,
        Self::VaultDynamicSecret,
        Self::VaultPkiSecret,
        Self::SecretTransformation,
        Self::HcpAuth,
        Self::HcpVaultSecretsApp,
        Self::CsiSecrets,
        Self::ClusterVaultConnection,
        Self::ClusterVaultAuth,
    ];

    /// As manifests write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClusterVaultConnection => "ClusterVaultConnection",
            Self::ClusterVaultAuth => "ClusterVaultAuth",
            Self::VaultConnection => "VaultConnection",
            Self::VaultAuth => "VaultAuth",
            Self::VaultAuthGlobal => "VaultAuthGlobal",
            Self::VaultStaticSecret => "VaultStaticSecret",
            Self::VaultDynamicSecret => "VaultDynamicSecret",
            Self::VaultPkiSecret => "VaultPKISecret",
            Self::SecretTransformation => "SecretTransformation",
            Self::HcpAuth => "HCPAuth",
            Self::HcpVaultSecretsApp => "HCPVaultSecretsApp",
            Self::CsiSecrets => "CSISecrets",
        }
    }

    /// As URLs write it.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::ClusterVaultConnection => "clustervaultconnections",
            Self::ClusterVaultAuth => "clustervaultauths",
            Self::VaultConnection => "vaultconnections",
            Self::VaultAuth => "vaultauths",
            Self::VaultAuthGlobal => "vaultauthglobals",
            Self::VaultStaticSecret => "vaultstaticsecrets",
            Self::VaultDynamicSecret => "vaultdynamicsecrets",
            Self::VaultPkiSecret => "vaultpkisecrets",
            Self::SecretTransformation => "secrettransformations",
            Self::HcpAuth => "hcpauths",
            Self::HcpVaultSecretsApp => "hcpvaultsecretsapps",
            Self::CsiSecrets => "csisecrets",
        }
    }

    /// Whether objects of this kind name a destination.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::VaultStaticSecret | Self::VaultDynamicSecret | Self::VaultPkiSecret)
    }

    /// Whether objects of this kind are of no namespace.
    pub const fn is_cluster(self) -> bool {
        matches!(self, Self::ClusterVaultConnection | Self::ClusterVaultAuth)
    }

    /// Whether objects of this kind say where a Vault is.
    pub const fn is_connection(self) -> bool {
        matches!(self, Self::VaultConnection | Self::ClusterVaultConnection)
    }

    /// Whether objects of this kind say how to log in.
    pub const fn is_auth(self) -> bool {
        matches!(self, Self::VaultAuth | Self::ClusterVaultAuth)
    }

    /// The group of the kind, and its version.
    pub const fn group(self) -> (&'static str, &'static str) {
        if self.is_cluster() { (OWN_GROUP, OWN_VERSION) } else { (GROUP, VERSION) }
    }

    /// The finalizer that the Vault Secrets Operator puts on objects of this kind, and that is ours to take away.
    pub const fn finalizer(self) -> Option<&'static str> {
        match self {
            Self::VaultConnection => Some("vaultconnection.secrets.hashicorp.com/finalizer"),
            Self::VaultAuth => Some("vaultauth.secrets.hashicorp.com/finalizer"),
            Self::VaultStaticSecret => Some("vaultstaticsecret.secrets.hashicorp.com/finalizer"),
            Self::VaultDynamicSecret => Some("vaultdynamicsecret.secrets.hashicorp.com/finalizer"),
            Self::VaultPkiSecret => Some("vaultpkisecrets.secrets.hashicorp.com/finalizer"),
            Self::HcpVaultSecretsApp => Some("hcpvaultsecretsapp.secrets.hashicorp.com/finalizer"),
            _ => None,
        }
    }

    /// The path of all objects of the kind, of one namespace or of all.
    pub fn collection(self, namespace: Option<&str>) -> String {
        let ((group, version), plural) = (self.group(), self.plural());
        match namespace {
            Some(namespace) => format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}"),
            None => format!("/apis/{group}/{version}/{plural}"),
        }
    }

    /// The path of one object.
    pub fn path_of(self, namespace: &str, name: &str) -> String {
        let namespace = Some(namespace).filter(|_| !self.is_cluster());
        format!("{}/{name}", self.collection(namespace))
    }
}
