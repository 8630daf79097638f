//! A marker for every kind of secret, through every call and every explanation, with all logs on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sidekey_core::contract::{Auth, AuthMethod, Dialect, PodIdentity, Server};
use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Sensitive};
use sidekey_fakevault::{FakeVault, Fault, Matcher, Options, RoleSpec, Times};
use sidekey_vault::{Client, Credential, Mounts, diagnose};
use tracing_subscriber::fmt::MakeWriter;

const MARKER: &str = "MARKER-zQ9";

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn fake() -> FakeVault {
    let fake = FakeVault::start(Options::default()).await.unwrap();
    fake.enable_kubernetes("auth/kubernetes");
    fake.role("auth/kubernetes", "web", RoleSpec { policies: vec!["web".to_owned()], ..RoleSpec::default() });
    fake.kv2("secret");
    fake.put("secret/web", json!({ "password": MARKER }));
    fake.policy("web", &[("secret/data/*", &["read", "create", "update"])]);
    fake
}

#[tokio::test]
async fn no_secret_reaches_a_log_an_error_or_a_cause() {
    let sink = Sink::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(sink.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let fake = fake().await;
    let server = Server {
        address: fake.address(),
        ca_pem: Some(fake.ca_pem().to_owned()),
        timeout_seconds: 1,
        ..Server::default()
    };
    let client = Client::new(&server).unwrap();
    let (mount, role, token_file) = ("auth/kubernetes".to_owned(), "web".to_owned(), "/t".to_owned());
    let auth = Auth { method: AuthMethod::Kubernetes, mount, role, token_file, min_backoff_ms: 1, max_backoff_ms: 1 };
    let pod = PodIdentity { namespace: "shop".to_owned(), service_account: "default".to_owned() };
    let jwt = Sensitive::new(fake.jwt("shop", "default", "vault"));
    let grant = client.login(&auth, &Credential::Jwt(jwt.clone())).await.unwrap();
    let signature = jwt.expose().rsplit('.').next().unwrap().to_owned();
    let (mounts, mut told) = (Mounts::default(), Vec::new());

    let params = BTreeMap::from([("k".to_owned(), MARKER.to_owned())]);
    let lookups = [
        Lookup::read("secret/web"),
        Lookup::new(Verb::Write, "secret/data/w", params),
        Lookup::read("secret/data/none"),
    ];
    let faults = [
        None,
        Some(Fault::Status(400, vec![format!("bad token {} and jwt {}", grant.token.expose(), jwt.expose())])),
        Some(Fault::CutBody),
        Some(Fault::Garbage),
        Some(Fault::Reset),
        Some(Fault::Slow(Duration::from_secs(10))),
    ];
    for fault in faults {
        fake.clear_faults();
        if let Some(fault) = fault {
            fake.fault(Matcher::path("secret/"), fault.clone(), Times::Always);
            fake.fault(Matcher::path("auth/"), fault, Times::Always);
        }
        for lookup in &lookups {
            if let Err(error) = client.fetch(&grant.token, lookup, &mounts).await {
                let cause = diagnose::fetch(&client, &grant.token, lookup, Dialect::Native, &error).await;
                told.extend([error.to_string(), format!("{error:?}"), cause.to_string()]);
            }
        }
        if let Err(error) = client.login(&auth, &Credential::Jwt(jwt.clone())).await {
            let cause = diagnose::login(&client, &auth, &pod, Dialect::Native, Some(&jwt), &error).await;
            told.extend([error.to_string(), format!("{error:?}"), cause.to_string()]);
        }
    }
    fake.clear_faults();
    client.renew_token(&grant.token).await.unwrap();
    client.revoke_token(&grant.token).await.unwrap();

    let log = String::from_utf8_lossy(&sink.0.lock().unwrap()).into_owned();
    assert!(
        log.contains("vault answered") && told.len() > 20,
        "the test must see something: {} {}",
        log.len(),
        told.len()
    );
    for secret in [MARKER, grant.token.expose(), &signature, &jwt.expose()[..60]] {
        assert!(
            !log.contains(secret),
            "in the log: {}",
            log.lines().find(|line| line.contains(secret)).unwrap_or_default()
        );
        assert!(told.iter().all(|text| !text.contains(secret)), "in a text: {told:?}");
    }
}
