//! How a VaultConnection reaches its server: whom it believes, what it shows, and where it may go.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_fakevault::{Certificate, Options as VaultOptions, Standing};
use sidekey_operator::addresses::Addresses;
use sidekey_operator::proof::Cloud;
use sidekey_operator::run::Options;
use support::{HOUSE, World, condition, options, path};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: &str = "vaultconnections";
const VSS: &str = "vaultstaticsecrets";

impl World {
    fn connect(&self, name: &str, more: Value) {
        let mut spec = json!({ "address": self.vault.address(), "skipTLSVerify": false });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.apply(CONNECTIONS, "VaultConnection", "app", name, spec);
    }

    fn config_map(&self, namespace: &str, name: &str, data: Value) {
        let metadata = json!({ "name": name, "namespace": namespace });
        self.cluster.apply("configmaps", json!({ "apiVersion": "v1", "metadata": metadata, "data": data }));
    }

    fn kube_secret(&self, namespace: &str, name: &str, data: &[(&str, &str)]) {
        let metadata = json!({ "name": name, "namespace": namespace });
        let data: Value = data.iter().map(|(key, text)| ((*key).to_owned(), json!(STANDARD.encode(text)))).collect();
        self.cluster.apply("secrets", json!({ "apiVersion": "v1", "metadata": metadata, "data": data }));
    }

    /// Waits until its `Ready` is false with all of this in its message.
    async fn says(&self, plural: &str, name: &str, parts: &[&str]) {
        let wanted: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
        let told = move |object: &Value| {
            let message = condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned();
            condition(object, "Ready")["status"] == "False" && wanted.iter().all(|part| message.contains(part.as_str()))
        };
        self.cluster.until(&path(plural, name), told).await;
    }
}

/// Longer than a look takes, shorter than any timer of a test's operator or of the real one.
fn at_once(begun: Instant) {
    assert!(begun.elapsed() < Duration::from_secs(2), "it waits for no timer: {:?}", begun.elapsed());
}

/// Waits after a failure that no test lives to see: only a change can bring a look.
fn patient() -> Options {
    let mut options = options();
    (options.backoff.initial, options.backoff.longest) = (Duration::from_secs(600), Duration::from_secs(600));
    options
}

#[tokio::test]
async fn a_ca_is_read_from_a_config_map_and_taken_up_the_moment_it_appears() {
    let mut world = World::over_tls().await;
    world.connect("plain", json!({ "caCertConfigMapRef": { "name": "vault-ca" } }));
    world.connect("bundle", json!({ "caCertConfigMapRef": { "name": "bundle", "key": "ca-bundle.crt" } }));
    world.config_map("app", "bundle", json!({ "ca.crt": world.vault.ca_pem() }));
    world.start_with(patient());
    world.says(CONNECTIONS, "plain", &["SK7010", "ConfigMap app/vault-ca"]).await;
    world.says(CONNECTIONS, "bundle", &["SK7010", "ca-bundle.crt of ConfigMap app/bundle", "it has no key"]).await;
    let begun = Instant::now();
    world.config_map("app", "vault-ca", json!({ "ca.crt": world.vault.ca_pem() }));
    world.config_map("app", "bundle", json!({ "ca-bundle.crt": world.vault.ca_pem() }));
    for name in ["plain", "bundle"] {
        world.condition(CONNECTIONS, name, "Ready", "True").await;
    }
    at_once(begun);
    // It goes as it came, and so does one that is no CA.
    world.config_map("app", "bundle", json!({ "ca-bundle.crt": "none" }));
    world.says(CONNECTIONS, "bundle", &["SK5005"]).await;
    world.cluster.delete("/api/v1/namespaces/app/configmaps/vault-ca");
    world.says(CONNECTIONS, "plain", &["SK7010", "ConfigMap app/vault-ca"]).await;
    world.stop().await;
}

#[tokio::test]
async fn only_one_ca_can_be_named_and_a_proxy_must_be_one() {
    let mut world = World::new().await;
    let map = json!({ "name": "vault-ca" });
    world.connect("two", json!({ "caCertSecretRef": "vault-ca", "caCertConfigMapRef": map }));
    world.connect("path", json!({ "caCertPath": "/ca.crt", "caCertConfigMapRef": map }));
    world.connect("socks", json!({ "proxyURL": "socks5://proxy:1080" }));
    world.connect("password", json!({ "proxyURL": "http://user:hidden@proxy:3128" }));
    world.connect("metadata", json!({ "proxyURL": "http://169.254.169.254" }));
    world.start();
    for name in ["two", "path"] {
        world.says(CONNECTIONS, name, &["SK7001", "caCertSecretRef, caCertConfigMapRef and caCertPath exclude"]).await;
    }
    for name in ["socks", "password"] {
        world.says(CONNECTIONS, name, &["SK7001", "proxyURL must be"]).await;
        assert!(!world.cluster.get(&path(CONNECTIONS, name))["status"].to_string().contains("hidden"));
    }
    world.says(CONNECTIONS, "metadata", &["SK7012", "169.254.169.254"]).await;
    world.stop().await;
}

/// The DER within PEM.
fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_a_new_one_is_taken_up_without_a_new_login() {
    let options = VaultOptions { wants_certificate: true, ..VaultOptions::default() };
    let mut world = World::with(options).await;
    world.kube_secret("app", "vault-ca", &[("ca.crt", world.vault.ca_pem())]);
    let more = json!({ "caCertSecretRef": "vault-ca", "clientCertSecretRef": "mine" });
    world.connect("vault", json!({ "caCertSecretRef": "vault-ca" }));
    world.static_secret("app", "web", json!({}));
    world.start_with(patient());
    world.says(CONNECTIONS, "vault", &["SK3003"]).await;
    world.connect("vault", more);
    world.says(CONNECTIONS, "vault", &["SK7010", "Secret app/mine"]).await;
    let (first, second) =
        (world.vault.client_pair("one", true).unwrap(), world.vault.client_pair("two", true).unwrap());
    world.kube_secret("app", "mine", &[("tls.crt", &first.certificate)]);
    world.says(CONNECTIONS, "vault", &["SK7010", "tls.key of Secret app/mine"]).await;
    let begun = Instant::now();
    world.kube_secret("app", "mine", &[("tls.crt", &first.certificate), ("tls.key", &first.key)]);
    world.condition(CONNECTIONS, "vault", "Ready", "True").await;
    at_once(begun);
    world.condition(VSS, "web", "Ready", "True").await;
    let shown = |pem: &str| {
        let wanted = Some(der(pem));
        world.vault.requests().iter().any(|one| one.path == "secret/data/web" && one.certificate == wanted)
    };
    assert!(shown(&first.certificate) && !shown(&second.certificate));
    world.kube_secret("app", "mine", &[("tls.crt", &second.certificate), ("tls.key", &second.key)]);
    let begun = Instant::now();
    while !shown(&second.certificate) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the secret is read every second");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 1, "the token stays, and its leases with it");
    // A pair that cannot be used is told of, and the one in use stays.
    world.kube_secret("app", "mine", &[("tls.crt", &second.certificate), ("tls.key", "none")]);
    world.says(CONNECTIONS, "vault", &["SK5005"]).await;
    world.vault.put("secret/web", json!({ "user": "later" }));
    world.secret("web", "user", "later").await;
    let words = format!("{}", world.cluster.get(&path(CONNECTIONS, "vault")));
    assert!(!words.contains("PRIVATE"), "{words}");
    world.stop().await;
}

#[tokio::test]
async fn a_cluster_wide_connection_takes_its_trust_from_the_operators_namespace() {
    let options = VaultOptions { wants_certificate: true, ..VaultOptions::default() };
    let mut world = World::with(options).await;
    let pair = world.vault.client_pair("one", true).unwrap();
    world.config_map(HOUSE, "vault-ca", json!({ "ca.crt": world.vault.ca_pem() }));
    let spec = json!({ "address": world.vault.address(), "caCertConfigMapRef": { "name": "vault-ca" }, "clientCertSecretRef": "mine" });
    let metadata = json!({ "name": "shared" });
    let kind = "ClusterVaultConnection";
    world.cluster.apply(
        "clustervaultconnections",
        json!({ "apiVersion": "sidekey.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec }),
    );
    world.start_with(patient());
    let at = "/apis/sidekey.dev/v1alpha1/clustervaultconnections/shared";
    let ready = |status: &'static str| move |object: &Value| condition(object, "Ready")["status"] == status;
    let object = world.cluster.until(at, ready("False")).await;
    assert!(condition(&object, "Ready")["message"].as_str().unwrap().contains(&format!("Secret {HOUSE}/mine")));
    let begun = Instant::now();
    world.kube_secret(HOUSE, "mine", &[("tls.crt", &pair.certificate), ("tls.key", &pair.key)]);
    world.cluster.until(at, ready("True")).await;
    at_once(begun);
    world.stop().await;
}

#[tokio::test]
async fn what_no_connection_names_any_more_is_not_followed() {
    let mut world = World::new().await;
    world.connect("vault", json!({ "caCertConfigMapRef": { "name": "vault-ca" } }));
    world.config_map("app", "vault-ca", json!({ "ca.crt": world.vault.ca_pem() }));
    world.start();
    let object = world.condition(CONNECTIONS, "vault", "Ready", "True").await;
    world.connect("vault", json!({}));
    let renewed = move |after: &Value| {
        condition(after, "Ready")["observedGeneration"] != condition(&object, "Ready")["observedGeneration"]
    };
    world.cluster.until(&path(CONNECTIONS, "vault"), renewed).await;
    world.cluster.end_watches();
    world.cluster.forget_calls();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.cluster.count("WATCH", "configmaps"), 0);
    assert!(world.cluster.count("WATCH", CONNECTIONS) > 0, "the others go on");
    world.stop().await;
}

/// A proxy that leads every tunnel to `target`, and what went into it.
struct Proxy {
    address: String,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
        let log = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, target.clone(), Arc::clone(&log)));
            }
        });
        Self { address, sent }
    }

    fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned()
    }
}

async fn tunnel(mut stream: TcpStream, target: String, log: Arc<Mutex<Vec<u8>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    log.lock().unwrap().extend(&head);
    let Ok(server) = TcpStream::connect(target).await else { return };
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let ((mut from, mut to), (mut back, mut there)) = (stream.split(), { server.into_split() });
    let answers = async { drop(tokio::io::copy(&mut back, &mut to).await) };
    let questions = async {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            log.lock().unwrap().extend(&bytes[..length]);
            there.write_all(&bytes[..length]).await.unwrap();
        }
    };
    tokio::select! { () = answers => {}, () = questions => {} }
}

#[tokio::test]
async fn a_proxy_and_headers_are_those_of_the_connection() {
    let mut world = World::new().await;
    // A name that only the proxy knows.
    let proxy = Proxy::start(world.vault.address().trim_start_matches("http://").to_owned()).await;
    let address = "http://vault.invalid:8200";
    world.connect("vault", json!({ "address": address, "proxyURL": proxy.address, "headers": { "X-Team": "shop" } }));
    world.auth("app", "vault", json!({ "vaultConnectionRef": "vault", "headers": { "X-Door": "open" } }));
    world.static_secret("app", "web", json!({}));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition(CONNECTIONS, "vault", "Ready", "True").await;
    let sent = proxy.sent();
    assert!(sent.contains("CONNECT vault.invalid:8200 HTTP/1.1"), "{sent}");
    for asked in ["/v1/auth/kubernetes/login", "/v1/secret/data/web", "/v1/sys/health"] {
        let (_, after) = sent.split_once(&format!("{asked} HTTP/1.1\r\n")).unwrap_or_else(|| panic!("{asked}: {sent}"));
        let (head, _) = after.split_once("\r\n\r\n").unwrap();
        assert!(head.to_ascii_lowercase().contains("x-team: shop"), "{asked}: {head}");
        let login = asked.ends_with("login");
        assert_eq!(head.to_ascii_lowercase().contains("x-door: open"), login, "of the login alone: {asked}: {head}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_connection_without_a_proxy_takes_that_of_the_environment() {
    let mut world = World::new().await;
    let [general, own] = [0, 1].map(|_| Proxy::start(world.vault.address().trim_start_matches("http://").to_owned()));
    let (general, own) = tokio::join!(general, own);
    world.connect("vault", json!({ "address": "http://vault.invalid:8200" }));
    world.connect("own", json!({ "address": "http://own.invalid:8200", "proxyURL": own.address }));
    world.connect("left-out", json!({ "address": "http://out.invalid:8200" }));
    world.auth("app", "vault", json!({ "vaultConnectionRef": "vault" }));
    world.static_secret("app", "web", json!({}));
    let env = [("HTTP_PROXY", general.address.as_str()), ("NO_PROXY", "out.invalid")];
    let cloud = Cloud { env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), ..Cloud::default() };
    world.start_with(Options { cloud, ..options() });
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition(CONNECTIONS, "own", "Ready", "True").await;
    world.says(CONNECTIONS, "left-out", &["SK3001", "out.invalid"]).await;
    assert!(general.sent().contains("/v1/auth/kubernetes/login HTTP/1.1"), "{}", general.sent());
    assert!(!general.sent().contains("own.invalid") && !general.sent().contains("out.invalid"), "{}", general.sent());
    assert!(own.sent().contains("CONNECT own.invalid:8200"), "{}", own.sent());
    world.stop().await;
}

#[tokio::test]
async fn a_redirect_to_a_metadata_service_is_not_followed() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.vault.active_address("http://169.254.169.254");
    world.vault.standing(Standing::Standby);
    world.says(VSS, "web", &["SK7012", "169.254.169.254 is not an address that tokens may be sent to"]).await;
    world.vault.seal(false);
    world.condition(VSS, "web", "Ready", "True").await;
    world.stop().await;
}

#[tokio::test]
async fn a_redirect_is_held_to_the_allowed_addresses() {
    let (mut world, other) = (World::new().await, World::new().await);
    world.vault.active_address(&other.vault.address().replace("127.0.0.1", "localhost"));
    world.vault.standing(Standing::Standby);
    world.static_secret("app", "web", json!({}));
    let addresses = Addresses { allowed: vec!["127.0.0.1".to_owned()], only: true };
    world.start_with(Options { addresses, ..options() });
    world.says(VSS, "web", &["SK7012", "localhost is not an address that tokens may be sent to"]).await;
    assert!(other.vault.requests().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn trust_is_as_the_connection_says() {
    let options = VaultOptions { certificate: Certificate::WrongName, ..VaultOptions::default() };
    let mut world = World::with(options).await;
    let file = std::env::temp_dir().join(format!("sidekey-ca-{}", std::process::id()));
    std::fs::write(&file, world.vault.ca_pem()).unwrap();
    let ca = |more: Value| {
        let mut spec = json!({ "caCertPath": file });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    world.connect("own-name", ca(json!({})));
    world.connect("told-name", ca(json!({ "tlsServerName": "vault.example" })));
    world.connect("other-name", ca(json!({ "tlsServerName": "other.example" })));
    world.connect("no-file", json!({ "caCertPath": "/nowhere/ca.crt" }));
    world.connect("no-ca", json!({ "tlsServerName": "vault.example" }));
    // What would verify is not even read.
    world.connect("blind", json!({ "skipTLSVerify": true, "caCertSecretRef": "none" }));
    world.start();
    for name in ["told-name", "blind"] {
        world.condition(CONNECTIONS, name, "Ready", "True").await;
    }
    world.says(CONNECTIONS, "own-name", &["SK3003", "certificate is valid for other names"]).await;
    world.says(CONNECTIONS, "other-name", &["SK3003", "certificate is valid for other names"]).await;
    world.says(CONNECTIONS, "no-file", &["SK5005", "/nowhere/ca.crt"]).await;
    world.says(CONNECTIONS, "no-ca", &["SK3003", "unknown authority"]).await;
    world.stop().await;
    std::fs::remove_file(&file).unwrap();
}
