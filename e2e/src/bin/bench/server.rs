//! What the agents log in to: the Vault built for e2e where it is there, else fakevault.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::json;
use sidekey_e2e::setting;
use sidekey_e2e::wait::{seconds, until};
use sidekey_fakevault::{FakeVault, Options, RoleSpec};

use crate::review;

/// A running server with one KV secret and one lease to give.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) ca: PathBuf,
    pub(crate) token: String,
    /// Go template text that asks for the lease.
    pub(crate) lease: &'static str,
    /// `vault`, where there is one to compare with.
    pub(crate) vault: Option<PathBuf>,
    kind: Kind,
}

enum Kind {
    Real(Child, PathBuf),
    Fake(&'static FakeVault),
}

impl Server {
    /// Real where `bin` holds Vault and its Kubernetes plugin.
    pub(crate) fn start(bin: &Path, folder: &Path) -> Self {
        if bin.join("vault").exists() && bin.join("plugins/vault-plugin-auth-kubernetes").exists() {
            real(bin, folder)
        } else {
            fake(folder)
        }
    }

    /// The one without an audit log, which many requests would fill.
    pub(crate) fn start_fake(folder: &Path) -> Self {
        fake(folder)
    }

    /// Puts a new version of a KV secret that the agents may read.
    ///
    /// # Panics
    /// On the real server, where nobody needs it.
    pub(crate) fn put(&self, name: &str, data: serde_json::Value) {
        match &self.kind {
            Kind::Fake(fake) => fake.put(&format!("secret/many/{name}"), data),
            Kind::Real(..) => panic!("only on the fake"),
        }
    }

    /// Requests answered so far.
    pub(crate) fn requests(&self) -> usize {
        match &self.kind {
            Kind::Fake(fake) => fake.requests().len(),
            Kind::Real(_, audit) => {
                let log = fs::read_to_string(audit).unwrap_or_default();
                log.lines().filter(|line| line.contains("\"type\":\"response\"")).count()
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Kind::Real(child, _) = &mut self.kind {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn real(bin: &Path, folder: &Path) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).map_or(18_200, |it| it.port());
    let log = fs::File::create(folder.join("vault.log")).unwrap_or_else(|error| panic!("vault.log: {error}"));
    let child = Command::new(bin.join("vault"))
        .args(["server", "-dev-tls", "-dev-no-store-token", "-dev-root-token-id=root"])
        .arg(format!("-dev-tls-cert-dir={}", folder.display()))
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .arg(format!("-dev-plugin-dir={}", bin.join("plugins").display()))
        .env("VAULT_DISABLE_MLOCK", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_or_else(|_| Stdio::null(), Stdio::from))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("vault: {error}"));
    let ca = folder.join("vault-ca.pem");
    let audit = folder.join("audit.log");
    let api = setting::Server {
        address: format!("https://127.0.0.1:{port}"),
        ca: ca.to_string_lossy().into_owned(),
        token: "root".to_owned(),
    };
    until(seconds(30), "up: Vault", || match api.request("GET", "sys/auth", None).status {
        200 => Ok(()),
        status => Err(status),
    });
    api.write("sys/audit/file", &json!({"type": "file", "options": {"file_path": audit}}));
    api.write("sys/auth/kubernetes", &json!({"type": "vault-plugin-auth-kubernetes"}));
    let host = review::serve();
    api.write(
        "auth/kubernetes/config",
        &json!({"kubernetes_host": host, "token_reviewer_jwt": review::token(), "disable_local_ca_jwt": true}),
    );
    let role = json!({
        "bound_service_account_names": review::ACCOUNT, "bound_service_account_namespaces": review::NAMESPACE,
        "token_policies": "bench", "token_ttl": "1h", "audience": "vault",
    });
    api.write("auth/kubernetes/role/bench", &role);
    api.policy("bench", "path \"secret/data/web\" { capabilities = [\"read\"] } path \"ssh/creds/bench\" { capabilities = [\"update\"] }");
    api.put("web", &json!({"user": "app", "password": "of the bench"}));
    api.write("sys/mounts/ssh", &json!({"type": "ssh", "config": {"default_lease_ttl": "1h", "max_lease_ttl": "1h"}}));
    api.write("ssh/roles/bench", &json!({"key_type": "otp", "default_user": "app", "cidr_list": "127.0.0.0/8"}));
    Server {
        address: api.address,
        ca,
        token: review::token(),
        lease: r#"{{ with secret "ssh/creds/bench" "ip=127.0.0.1" }}{{ .Data.username }} {{ .Data.key }}{{ end }}"#,
        vault: Some(bin.join("vault")),
        kind: Kind::Real(child, audit),
    }
}

fn fake(folder: &Path) -> Server {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        runtime.block_on(async {
            let fake = FakeVault::start(Options::default()).await.unwrap_or_else(|error| panic!("fakevault: {error}"));
            // It serves for as long as the process lives.
            let _ = send.send(&*Box::leak(Box::new(fake)));
            std::future::pending::<()>().await;
        });
    });
    let fake = receive.recv().unwrap_or_else(|error| panic!("fakevault: {error}"));
    fake.enable_kubernetes("auth/kubernetes");
    fake.role("auth/kubernetes", "bench", RoleSpec { policies: vec!["bench".to_owned()], ..RoleSpec::default() });
    fake.policy("bench", &[("secret/data/*", &["read"]), ("database/creds/bench", &["read"])]);
    fake.kv2("secret");
    fake.put("secret/web", json!({"user": "app", "password": "of the bench"}));
    fake.database("database", "bench", sidekey_fakevault::DatabaseRole::default());
    let ca = folder.join("vault-ca.pem");
    fs::write(&ca, fake.ca_pem()).unwrap_or_else(|error| panic!("{}: {error}", ca.display()));
    Server {
        address: fake.address(),
        ca,
        token: fake.jwt(review::NAMESPACE, review::ACCOUNT, "vault"),
        lease: r#"{{ with secret "database/creds/bench" }}{{ .Data.username }} {{ .Data.password }}{{ end }}"#,
        vault: None,
        kind: Kind::Fake(fake),
    }
}
