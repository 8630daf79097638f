//! What a test says about the server, its roles and its engines.

use std::time::Duration;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// HTTPS with a certificate for `127.0.0.1` and `localhost`, else plain HTTP.
    pub tls: bool,
    /// Whose answers it gives.
    pub flavour: Flavour,
    /// What is wrong with its certificate.
    pub certificate: Certificate,
    /// Whether a client without a certificate is refused in the handshake.
    pub wants_certificate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { tls: true, flavour: Flavour::Vault, certificate: Certificate::Good, wants_certificate: false }
    }
}

/// Whose answer shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Vault 1.21.
    #[default]
    Vault,
    /// OpenBao 2: no `performance_standby` in health, no `mount_type`, empty `token_policies` left out.
    OpenBao,
}

/// The state of the server's own certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// In order.
    #[default]
    Good,
    /// Names only `vault.example`.
    WrongName,
    /// Ended in the year 2001.
    Expired,
    /// In order, but signed by an intermediate CA that ended in the year 2001.
    ExpiredAuthority,
}

/// The server's part in its cluster, as `sys/health` tells it by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// 200.
    #[default]
    Active,
    /// 429; requests are redirected (307) to the address set by [`crate::FakeVault::active_address`], or served when none is.
    Standby,
    /// 473; requests are served.
    PerformanceStandby,
    /// 472; requests are refused.
    DrSecondary,
    /// 501; requests are refused.
    Uninitialised,
    /// 503; requests are refused with `Vault is sealed`.
    Sealed,
}

/// A role of a login mount, and the terms of the tokens it gives
/// (developer.hashicorp.com/vault/api-docs/auth/kubernetes#create-update-role).
#[derive(Clone, Debug)]
pub struct RoleSpec {
    /// Service account names; `*` only as the sole entry is a wildcard for all, other entries may be globs.
    pub service_accounts: Vec<String>,
    /// Namespaces, read like `service_accounts`.
    pub namespaces: Vec<String>,
    /// The audience a token must have; `None` takes any.
    pub audience: Option<String>,
    /// Policies; `default` is added unless `no_default_policy`.
    pub policies: Vec<String>,
    /// First time to live; zero is the system's 768 h.
    pub ttl: Duration,
    /// Longest life over all renewals; zero is the system's 768 h.
    pub max_ttl: Duration,
    /// Periodic: each renewal gives this much, without a longest life.
    pub period: Duration,
    /// Longest life even of a periodic token; zero is none.
    pub explicit_max_ttl: Duration,
    /// Requests the token may make; zero is any number.
    pub num_uses: u64,
    /// Batch tokens: no accessor, no renewal, no revocation.
    pub batch: bool,
    /// Leaves `default` out: no renew-self, lookup-self, revoke-self, capabilities-self, sys/leases.
    pub no_default_policy: bool,
}

impl Default for RoleSpec {
    fn default() -> Self {
        Self {
            service_accounts: vec!["*".to_owned()],
            namespaces: vec!["*".to_owned()],
            audience: None,
            policies: Vec::new(),
            ttl: Duration::ZERO,
            max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            explicit_max_ttl: Duration::ZERO,
            num_uses: 0,
            batch: false,
            no_default_policy: false,
        }
    }
}

/// A role whose credentials are made per request: `<mount>/creds/<role>`.
#[derive(Clone, Debug)]
pub struct DatabaseRole {
    /// First time to live.
    pub ttl: Duration,
    /// Longest life over all renewals.
    pub max_ttl: Duration,
    /// Whether its leases may be renewed at all.
    pub renewable: bool,
}

impl Default for DatabaseRole {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(3600), max_ttl: Duration::from_secs(86_400), renewable: true }
    }
}

/// A role whose one user's password the server changes: `<mount>/static-creds/<role>`.
#[derive(Clone, Debug)]
pub struct StaticRole {
    /// The user.
    pub username: String,
    /// Time between two changes of the password.
    pub rotation_period: Duration,
}
