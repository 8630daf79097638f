//! What a cluster has around the pod: a Vault with secrets and a role, and the webhook.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{DatabaseRole, FakeVault, Options, RoleSpec};
use sidekey_inject::Settings;
use sidekey_inject::settings::NativeSidecars;
use sidekey_runtime::{drain, metrics as runtime_metrics, provider, tls};
use sidekey_webhook::admit::Admission;
use sidekey_webhook::app::{self, Limits};
use sidekey_webhook::certs;
use sidekey_webhook::metrics::Metrics;
use sidekey_webhook::server::{Timing, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::failure::{Doing as _, Failure};

/// First life of a database user; short, so that renewal and replacement are seen.
pub(crate) const LEASE: Duration = Duration::from_secs(4);
/// Longest life of a database user.
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(8);
/// How often the agents look at secrets without a lease.
pub(crate) const STATIC_INTERVAL: &str = "2s";

/// The KV secret of the samples.
pub(crate) const SECRET: &str = "secret/web";

/// Vault and webhook; both end with it.
pub(crate) struct World {
    pub vault: FakeVault,
    pub webhook: SocketAddr,
    pub webhook_ca: String,
    task: JoinHandle<()>,
    /// Dropping it would not end the server.
    _trigger: drain::Trigger,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// # Errors
    /// A port or a certificate.
    pub(crate) async fn start() -> Result<Self, Failure> {
        provider::install();
        let vault = FakeVault::start(Options::default()).await.doing("starting the embedded Vault")?;
        furnish(&vault);
        let settings = Settings {
            vault_address: vault.address(),
            ca_pem: vault.ca_pem().to_owned(),
            static_interval: STATIC_INTERVAL.to_owned(),
            native_sidecars: NativeSidecars::On,
            ..Settings::default()
        };

        let pair = certs::self_signed(&["127.0.0.1".to_owned()]).doing("making the webhook's certificate")?;
        let tls = tls::server_config(pair.served).doing("setting up the webhook's TLS")?;
        let metrics = Metrics::register(&mut runtime_metrics::registry("sidekey_webhook", env!("CARGO_PKG_VERSION")));
        let admission = Arc::new(Admission::new(settings, true, metrics.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.doing("finding a port for the webhook")?;
        let webhook = listener.local_addr().doing("finding a port for the webhook")?;
        let (trigger, drain) = drain::channel();
        let app = app::router(admission, metrics.clone(), Limits::default());
        let task = tokio::spawn(serve(listener, Some(tls), app, drain, Timing::default(), metrics.connections));
        Ok(Self { vault, webhook, webhook_ca: pair.ca_pem, task, _trigger: trigger })
    }

    /// Requests to Vault so far.
    pub(crate) fn mark(&self) -> usize {
        self.vault.requests().len()
    }

    /// Requests since a mark, as `METHOD path`.
    pub(crate) fn since(&self, mark: usize) -> Vec<String> {
        let requests = self.vault.requests().into_iter().skip(mark);
        requests.map(|request| format!("{} {}", request.method, request.path)).collect()
    }
}

/// What an operator does once, by the README.
fn furnish(vault: &FakeVault) {
    vault.kv2("secret");
    vault.put(SECRET, json!({ "username": "shop", "password": "not-a-real-one", "url": "https://shop.example" }));
    vault.database("database", "web", DatabaseRole { ttl: LEASE, max_ttl: LONGEST_LEASE, renewable: true });
    vault.policy("web", &[("secret/data/web", &["read"]), ("database/creds/web", &["read"])]);
    vault.enable_kubernetes("auth/kubernetes");
    let role = RoleSpec {
        service_accounts: vec!["default".to_owned()],
        namespaces: vec!["default".to_owned()],
        audience: Some("vault".to_owned()),
        policies: vec!["web".to_owned()],
        ttl: Duration::from_secs(3600),
        ..RoleSpec::default()
    };
    vault.role("auth/kubernetes", "web", role);
}
