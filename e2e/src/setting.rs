//! What `e2e/run` brought up, or what a person's own cluster is: all from the environment.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Addresses and names; `e2e/README.md` lists the variables.
pub struct Setting {
    /// `kubectl proxy`'s address: `127.0.0.1:PORT`.
    pub api: String,
    /// The Vault that pods reach under the address of Sidekey's settings.
    pub vault: Server,
    /// A second Vault with a CA of its own, which tests may seal; absent where a cluster has none.
    pub spare: Option<Spare>,
    /// Vault's audit log on this host: how requests are counted on the server. Absent where Vault runs elsewhere.
    pub audit: Option<String>,
    /// `host:port` of PostgreSQL as pods reach it.
    pub postgres: String,
    /// The Kubernetes API as Vault reaches it.
    pub kubernetes: String,
    /// File with the CA of [`Self::kubernetes`].
    pub kubernetes_ca: String,
    /// Image of `e2e/probe`.
    pub probe: String,
    /// Image of the control plane.
    pub control: String,
    /// Image of the Vault Secrets Operator. Absent but with `E2E_VSO=1`.
    pub vso: Option<String>,
    /// Whether the operator finds the first Vault without TLS where manuals have it.
    pub plain: bool,
    /// Namespace of the webhook.
    pub system: String,
    /// The manifests that installed the webhook, as JSON or YAML. Absent where somebody else installed it.
    pub manifests: Option<String>,
    /// A program that starts the API server anew. Absent on clusters of others.
    pub restart_api: Option<String>,
}

/// One Vault as the tests reach it, with its root token.
#[derive(Clone)]
pub struct Server {
    /// URL; its host is an IP address, so that a test may make Services that lead to it.
    pub address: String,
    /// CA file.
    pub ca: String,
    /// Root token.
    pub token: String,
}

/// The Vault that may be sealed.
pub struct Spare {
    /// How to reach it.
    pub server: Server,
    /// Its one unseal key.
    pub unseal_key: String,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| Setting {
    api: need("E2E_API"),
    vault: Server { address: need("E2E_VAULT_ADDR"), ca: need("E2E_VAULT_CACERT"), token: need("E2E_VAULT_TOKEN") },
    spare: may("E2E_SPARE_ADDR").map(|address| Spare {
        server: Server { address, ca: need("E2E_SPARE_CACERT"), token: need("E2E_SPARE_TOKEN") },
        unseal_key: need("E2E_SPARE_UNSEAL_KEY"),
    }),
    audit: may("E2E_VAULT_AUDIT"),
    postgres: need("E2E_POSTGRES"),
    kubernetes: need("E2E_KUBERNETES"),
    kubernetes_ca: need("E2E_KUBERNETES_CACERT"),
    probe: may("E2E_PROBE_IMAGE").unwrap_or_else(|| "localhost/probe:dev".to_owned()),
    control: may("E2E_CONTROL_IMAGE").unwrap_or_else(|| "localhost/sidekey:dev".to_owned()),
    vso: may("E2E_VSO_IMAGE"),
    plain: may("E2E_PLAIN_VAULT").is_some(),
    system: may("E2E_NAMESPACE").unwrap_or_else(|| "sidekey".to_owned()),
    manifests: may("E2E_MANIFESTS"),
    restart_api: may("E2E_RESTART_API"),
});

/// The one setting of this run.
pub fn setting() -> &'static Setting {
    &SETTING
}

impl Setting {
    /// The spare Vault.
    ///
    /// # Panics
    /// Where there is none: a test that needs it is reported as not run, never as passed.
    pub fn spare(&self) -> &Spare {
        self.spare.as_ref().unwrap_or_else(|| panic!("not run: E2E_SPARE_ADDR names no Vault that may be sealed"))
    }
}

static SPARE: Mutex<()> = Mutex::new(());

impl Spare {
    /// For a test that seals it: no other such test meanwhile.
    pub fn alone(&self) -> MutexGuard<'static, ()> {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Its CA in PEM.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn pem(&self) -> String {
        std::fs::read_to_string(&self.ca).unwrap_or_else(|error| panic!("{}: {error}", self.ca))
    }

    /// Host and port of the address.
    pub fn host_port(&self) -> (&str, u16) {
        let authority = self.address.trim_start_matches("https://").trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
        (host, port.parse().unwrap_or_else(|_| panic!("{authority} has no port number")))
    }
}

fn may(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn need(name: &str) -> String {
    may(name).unwrap_or_else(|| panic!("{name} is not set: start these tests with `make e2e` (e2e/README.md)"))
}
