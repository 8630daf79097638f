//! An independent witness: the stock vaultrs client, over TLS, takes this server for a Vault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;

use common::{s, web};
use serde::Deserialize;
use serde_json::json;
use sidekey_fakevault::{DatabaseRole, FakeVault, Flavour, Options, RoleSpec, StaticRole};
use vaultrs::client::{Client as _, VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;

#[derive(Debug, Deserialize, PartialEq)]
struct Secret {
    user: String,
}

fn client(fake: &FakeVault) -> VaultClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(fake.ca_pem().as_bytes()).unwrap();
    let settings = VaultClientSettingsBuilder::default()
        .address(fake.address())
        .ca_certs(vec![ca.path().to_str().unwrap().to_owned()])
        .token("")
        .verify(true)
        .namespace(Some("team".to_owned()))
        .build()
        .unwrap();
    VaultClient::new(settings).unwrap()
}

async fn furnished(flavour: Flavour) -> FakeVault {
    let fake = FakeVault::start(Options { flavour, ..Options::default() }).await.unwrap();
    fake.policy(
        "web",
        &[("secret/*", &["read", "list"]), ("kv1/*", &["read"]), ("database/*", &["read"]), ("pki/*", &["update"])],
    );
    fake.role("auth/kubernetes", "web", web());
    fake.kv1("kv1");
    fake.put("secret/web", json!({ "user": "app" }));
    fake.put("kv1/web", json!({ "user": "one" }));
    fake.database("database", "app", DatabaseRole { ttl: s(60), max_ttl: s(180), renewable: true });
    fake.static_database("database", "fixed", StaticRole { username: "fixed".into(), rotation_period: s(60) });
    fake
}

#[tokio::test]
async fn vaultrs_logs_in_reads_renews_and_revokes() {
    let fake = furnished(Flavour::Vault).await;
    let mut vault = client(&fake);
    let jwt = fake.jwt("default", "web", "vault");

    let auth = vaultrs::auth::kubernetes::login(&vault, "kubernetes", "web", &jwt).await.unwrap();
    assert_eq!(
        (auth.lease_duration, auth.renewable, auth.token_policies),
        (60, true, vec!["default".to_owned(), "web".into()])
    );
    vault.set_token(&auth.client_token);

    let two: Secret = vaultrs::kv2::read(&vault, "secret", "web").await.unwrap();
    let one: BTreeMap<String, String> = vaultrs::kv1::get(&vault, "kv1", "web").await.unwrap();
    assert_eq!((two.user.as_str(), one["user"].as_str()), ("app", "one"));
    assert_eq!(vaultrs::kv2::list(&vault, "secret", "").await.unwrap(), ["web"]);
    assert_eq!(vaultrs::kv2::read_metadata(&vault, "secret", "web").await.unwrap().current_version, 1);

    let user = vaultrs::database::role::creds(&vault, "database", "app").await.unwrap();
    assert!(fake.honours(&user.username, &user.password));
    let fixed = vaultrs::database::static_role::creds(&vault, "database", "fixed").await.unwrap();
    assert!(fake.honours(&fixed.username, &fixed.password));

    let info = vault.lookup().await.unwrap();
    assert_eq!((info.display_name.as_str(), info.renewable), ("kubernetes-default-web", Some(true)));
    assert_eq!(vault.renew(Some("30s")).await.unwrap().lease_duration, 30);
    vault.revoke().await.unwrap();
    assert!(matches!(vault.lookup().await, Err(ClientError::APIError { code: 403, .. })));
    assert!(fake.tokens().is_empty() && fake.leases().is_empty() && !fake.honours(&user.username, &user.password));
    assert!(fake.requests().iter().all(|request| request.namespace.as_deref() == Some("team")));
}

#[tokio::test]
async fn vaultrs_reads_health_and_the_errors_of_a_login() {
    let fake = furnished(Flavour::Vault).await;
    let vault = client(&fake);
    let health = vaultrs::sys::health(&vault).await.unwrap();
    assert_eq!((health.version.as_str(), health.sealed), ("1.21.0", false));

    let refused = vaultrs::auth::kubernetes::login(&vault, "kubernetes", "absent", "x.y.z").await;
    let Err(ClientError::APIError { code: 400, errors }) = refused else { panic!("{refused:?}") };
    assert_eq!(errors, ["invalid role name \"absent\""]);
}

/// Its types ask for fields that OpenBao leaves out: this is why our own client has tolerant ones.
#[tokio::test]
async fn vaultrs_cannot_read_openbaos_health_nor_a_login_without_policies() {
    let fake = furnished(Flavour::OpenBao).await;
    fake.role("auth/kubernetes", "bare", RoleSpec { no_default_policy: true, policies: Vec::new(), ..web() });
    let vault = client(&fake);
    assert!(vaultrs::sys::health(&vault).await.is_err());
    let jwt = fake.jwt("default", "web", "vault");
    assert!(vaultrs::auth::kubernetes::login(&vault, "kubernetes", "web", &jwt).await.is_ok());
    assert!(vaultrs::auth::kubernetes::login(&vault, "kubernetes", "bare", &jwt).await.is_err());
}
