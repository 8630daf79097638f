//! A plain HTTP client and the server most tests use.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_fakevault::{DatabaseRole, FakeVault, Flavour, Options, RoleSpec};

pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub async fn plain() -> FakeVault {
    FakeVault::start(Options { tls: false, ..Options::default() }).await.unwrap()
}

/// A role, a policy, KV 1 and 2 and a database, for service account `web` in namespace `default`.
pub async fn furnished(flavour: Flavour) -> FakeVault {
    let fake = FakeVault::start(Options { tls: false, flavour, ..Options::default() }).await.unwrap();
    fake.policy(
        "web",
        &[("secret/data/web", &["read"]), ("kv1/*", &["read", "list"]), ("database/creds/app", &["read"])],
    );
    fake.role("auth/kubernetes", "web", web());
    fake.kv2("secret");
    fake.kv1("kv1");
    fake.put("secret/web", json!({ "user": "app", "n": 7 }));
    fake.put("kv1/web", json!({ "user": "one" }));
    fake.database("database", "app", DatabaseRole { ttl: s(60), max_ttl: s(180), renewable: true });
    fake
}

pub fn web() -> RoleSpec {
    RoleSpec {
        service_accounts: vec!["web".into()],
        namespaces: vec!["default".into()],
        audience: Some("vault".into()),
        policies: vec!["web".into()],
        ttl: s(60),
        max_ttl: s(120),
        ..RoleSpec::default()
    }
}

pub struct Http(reqwest::Client, String);

impl Http {
    pub fn to(fake: &FakeVault) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(fake.ca_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([ca])
            .redirect(reqwest::redirect::Policy::none())
            .timeout(s(10))
            .build()
            .unwrap();
        Self(client, fake.address())
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Value,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let url = format!("{}/v1/{path}", self.1);
        let mut request = self.0.request(method.parse().unwrap(), url);
        if !token.is_empty() {
            request = request.header("x-vault-token", token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        request.send().await
    }

    /// Status and body; `Null` when there is none.
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        let answer = self.send(method, path, token, body).await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.call("GET", path, token, Value::Null).await
    }

    pub async fn login(&self, role: &str, jwt: &str) -> (u16, Value) {
        self.call("PUT", "auth/kubernetes/login", "", json!({ "role": role, "jwt": jwt })).await
    }

    /// A token by login as `web` in `default`.
    pub async fn token(&self, fake: &FakeVault, role: &str) -> String {
        let (status, body) = self.login(role, &fake.jwt("default", "web", "vault")).await;
        assert_eq!(status, 200, "{body}");
        body["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

/// The one error of a body.
pub fn error(body: &Value) -> &str {
    body["errors"][0].as_str().unwrap_or_default()
}
