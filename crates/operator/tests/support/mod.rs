//! A cluster, a Vault and the operator between them, all in this process.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_cluster::api::Api;
use sidekey_fakevault::{FakeVault, Options as VaultOptions, RoleSpec};
use sidekey_operator::addresses::Addresses;
use sidekey_operator::backoff::Backoff;
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::proof::Cloud;
use sidekey_operator::run::{self, Options, RunError};
use sidekey_runtime::drain::{self, Trigger};
use sidekey_testkit::cluster::Cluster;
use tokio::task::JoinHandle;

pub const GROUP: &str = "/apis/secrets.hashicorp.com/v1beta1";
pub const HOUSE: &str = "vault-secrets-operator";

pub struct World {
    pub cluster: Cluster,
    pub vault: Arc<FakeVault>,
    running: Option<(Trigger, JoinHandle<Result<(), RunError>>)>,
}

/// Waits short enough for a test, of the shape of the real ones.
pub fn options() -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    Options {
        compat_namespace: HOUSE.to_owned(),
        identity: "operator-1".to_owned(),
        metrics: any,
        health: any,
        leader_elect: true,
        looks: 20,
        backoff: Backoff { initial: Duration::from_millis(300), longest: Duration::from_secs(2), ..Backoff::default() },
        addresses: Addresses::default(),
        cloud: Cloud::default(),
        exclude_raw: false,
        poll_metadata: false,
        default_globals: true,
        auth_methods: Vec::new(),
        open_references: false,
        watch_namespaces: Vec::new(),
        restart_debounce: Duration::from_millis(100),
        persistence: Persistence::None,
        idle_login: Duration::from_secs(600),
        cache_size: 4321,
        without_effect: Vec::new(),
    }
}

impl World {
    /// A Vault with KV engines and a role `web` for service account `web` of namespace `app`, who may read `secret/web`; a
    /// cluster with a connection and an auth `vault` in `app`; no operator yet.
    pub async fn new() -> Self {
        Self::with(VaultOptions { tls: false, ..VaultOptions::default() }).await
    }

    /// The same over TLS, with a CA of its own.
    pub async fn over_tls() -> Self {
        Self::with(VaultOptions::default()).await
    }

    pub async fn with(options: VaultOptions) -> Self {
        let vault = FakeVault::start(options).await.unwrap();
        vault.enable_kubernetes("auth/kubernetes");
        vault.policy(
            "web",
            &[
                ("secret/data/web", &["read"]),
                ("secret/data/two", &["read"]),
                ("kv1/web", &["read"]),
                ("database/creds/app", &["read"]),
            ],
        );
        vault.role("auth/kubernetes", "web", role());
        vault.kv2("secret");
        vault.kv1("kv1");
        vault.put("secret/web", json!({ "user": "app", "n": 7 }));
        vault.put("kv1/web", json!({ "user": "one" }));
        let (vault, cluster) = (Arc::new(vault), Cluster::new());
        let minter = Arc::clone(&vault);
        cluster.mint(move |namespace, account, audience| {
            (account == "web").then(|| minter.jwt(namespace, account, audience))
        });
        let world = Self { cluster, vault, running: None };
        world.connection("app", "vault");
        world.auth("app", "vault", json!({ "vaultConnectionRef": "vault" }));
        world
    }

    pub fn connection(&self, namespace: &str, name: &str) {
        self.apply("vaultconnections", "VaultConnection", namespace, name, json!({ "address": self.vault.address() }));
    }

    /// With the kubernetes method, the role `web` and its service account, unless told otherwise.
    pub fn auth(&self, namespace: &str, name: &str, more: Value) {
        let kubernetes = json!({ "role": "web", "serviceAccount": "web", "audiences": ["vault"] });
        let spec = json!({ "method": "kubernetes", "mount": "kubernetes", "kubernetes": kubernetes });
        self.apply("vaultauths", "VaultAuth", namespace, name, merged(spec, more));
    }

    /// Of `secret/web` into the Secret `web`, looked at every second, unless told otherwise.
    pub fn static_secret(&self, namespace: &str, name: &str, more: Value) {
        let destination = json!({ "name": name, "create": true });
        let spec = json!({ "vaultAuthRef": "vault", "mount": "secret", "path": "web", "type": "kv-v2", "refreshAfter": "1s", "destination": destination });
        self.apply("vaultstaticsecrets", "VaultStaticSecret", namespace, name, merged(spec, more));
    }

    pub fn apply(&self, plural: &str, kind: &str, namespace: &str, name: &str, spec: Value) {
        let metadata = json!({ "name": name, "namespace": namespace });
        let object =
            json!({ "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": kind, "metadata": metadata, "spec": spec });
        self.cluster.apply(plural, object);
    }

    /// The reasons of all events of namespace `app`.
    pub async fn events(&self) -> Vec<String> {
        let api = Api::new(self.cluster.client());
        let list = api.get::<Value>("/api/v1/namespaces/app/events", "application/json");
        let all = list.await.unwrap()["items"].as_array().cloned().unwrap_or_default();
        all.iter().map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Puts a status in the place of the object's, as no person can: an edit leaves it alone.
    pub async fn set_status(&self, path: &str, status: Value) {
        let patch = json!([{ "op": "add", "path": "/status", "value": status }]);
        let (api, path) = (Api::new(self.cluster.client()), format!("{path}/status"));
        api.send::<Value>(http::Method::PATCH, &path, "application/json-patch+json", &patch).await.unwrap();
    }

    pub fn deployment(&self, name: &str) {
        let metadata = json!({ "name": name, "namespace": "app" });
        let spec = json!({ "template": { "metadata": {}, "spec": {} } });
        self.cluster.apply(
            "deployments",
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec }),
        );
    }

    pub fn start(&mut self) {
        self.start_with(options());
    }

    pub fn start_with(&mut self, options: Options) {
        let (trigger, drain) = drain::channel();
        let api = Api::new(self.cluster.client());
        self.running = Some((trigger, tokio::spawn(run::run_with(options, api, drain))));
    }

    /// Starts it with its numbers at a port of this machine; the port.
    pub fn start_with_numbers(&mut self) -> std::net::SocketAddr {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        self.start_with(Options { metrics: free, ..options() });
        free
    }

    /// Ends the operator as SIGTERM does.
    pub async fn stop(&mut self) {
        let (trigger, task) = self.running.take().unwrap();
        trigger.start();
        task.await.unwrap().unwrap();
    }

    /// Waits until the object's condition has this status; the object.
    #[track_caller]
    pub fn condition(&self, plural: &str, name: &str, kind: &str, status: &str) -> impl Future<Output = Value> {
        let (kind, status) = (kind.to_owned(), status.to_owned());
        self.cluster.until(&path(plural, name), move |object| condition(object, &kind)["status"] == status.as_str())
    }

    /// Waits until the Secret of namespace `app` holds this text.
    #[track_caller]
    pub fn secret(&self, name: &str, key: &str, text: &str) -> impl Future<Output = Value> {
        let (key, encoded) = (key.to_owned(), STANDARD.encode(text));
        self.cluster.until(&secret(name), move |object| object["data"][&key] == encoded.as_str())
    }
}

/// What a scrape gets.
pub async fn scrape(port: std::net::SocketAddr) -> String {
    let mut stream = tokio::net::TcpStream::connect(port).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    text
}

pub fn role() -> RoleSpec {
    RoleSpec {
        service_accounts: vec!["web".into()],
        namespaces: vec!["app".into()],
        audience: Some("vault".into()),
        policies: vec!["web".into()],
        ttl: Duration::from_secs(3600),
        ..RoleSpec::default()
    }
}

pub fn secret(name: &str) -> String {
    format!("/api/v1/namespaces/app/secrets/{name}")
}

/// Of namespace `app`.
pub fn path(plural: &str, name: &str) -> String {
    format!("{GROUP}/namespaces/app/{plural}/{name}")
}

pub fn condition(object: &Value, kind: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

pub fn decoded(object: &Value, key: &str) -> String {
    String::from_utf8(STANDARD.decode(object["data"][key].as_str().unwrap_or_default()).unwrap()).unwrap()
}

fn merged(mut spec: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}
