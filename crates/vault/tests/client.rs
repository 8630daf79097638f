//! Every call against the embedded server, in Vault's and in OpenBao's answer shapes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sidekey_core::contract::{Auth, AuthMethod, Server};
use sidekey_core::failure::FailureKind;
use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Response, Sensitive};
use sidekey_fakevault::{DatabaseRole, FakeVault, Fault, Flavour, Matcher, Options, RoleSpec, Times};
use sidekey_vault::{Class, Client, Credential, Mounts, VaultError};

const MOUNT: &str = "auth/kubernetes";

fn auth() -> Auth {
    Auth {
        method: AuthMethod::Kubernetes,
        mount: MOUNT.to_owned(),
        role: "web".to_owned(),
        token_file: "/token".to_owned(),
        min_backoff_ms: 1,
        max_backoff_ms: 1,
    }
}

fn role() -> RoleSpec {
    RoleSpec {
        audience: Some("vault".to_owned()),
        policies: vec!["web".to_owned()],
        ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(3600),
        ..RoleSpec::default()
    }
}

async fn fake(flavour: Flavour) -> FakeVault {
    let fake = FakeVault::start(Options { flavour, ..Options::default() }).await.unwrap();
    fake.enable_kubernetes(MOUNT);
    fake.role(MOUNT, "web", role());
    fake.kv2("secret");
    fake.kv1("kv1");
    fake.put("secret/web", json!({ "password": "s3cret" }));
    fake.put("kv1/web", json!({ "n": "one" }));
    fake.database("database", "app", DatabaseRole { ttl: Duration::from_secs(60), ..DatabaseRole::default() });
    let rules: [(&str, &[&str]); 4] = [
        ("secret/data/*", &["read", "create", "update"]),
        ("secret/metadata/*", &["list"]),
        ("kv1/*", &["read", "list"]),
        ("database/creds/app", &["read"]),
    ];
    fake.policy("web", &rules);
    fake
}

fn client(fake: &FakeVault) -> Client {
    let (address, ca_pem) = (fake.address(), Some(fake.ca_pem().to_owned()));
    Client::new(&Server { address, ca_pem, timeout_seconds: 5, ..Server::default() }).unwrap()
}

async fn logged_in(fake: &FakeVault) -> (Client, Sensitive<String>) {
    let client = client(fake);
    let jwt = Sensitive::new(fake.jwt("shop", "default", "vault"));
    let grant = client.login(&auth(), &Credential::Jwt(jwt.clone())).await.unwrap();
    fake.clear_requests();
    (client, grant.token)
}

fn write(path: &str) -> Lookup {
    Lookup::new(Verb::Write, path, BTreeMap::from([("k".to_owned(), "v".to_owned())]))
}

fn list(path: &str) -> Lookup {
    Lookup::new(Verb::List, path, BTreeMap::new())
}

fn user_json(response: &Response) -> String {
    response.user_data().to_json().expose().clone()
}

#[tokio::test]
async fn lives_a_tokens_life_in_both_flavours() {
    for flavour in [Flavour::Vault, Flavour::OpenBao] {
        let fake = fake(flavour).await;
        let client = client(&fake);
        let jwt = Sensitive::new(fake.jwt("shop", "default", "vault"));
        let grant = client.login(&auth(), &Credential::Jwt(jwt.clone())).await.unwrap();
        assert_eq!((grant.ttl, grant.renewable, grant.batch, grant.uses), (Duration::from_secs(60), true, false, None));
        fake.advance(Duration::from_secs(30));
        let info = client.lookup_token(&grant.token).await.unwrap();
        assert!((25..=30).contains(&info.ttl.as_secs()), "{flavour:?}: {:?}", info.ttl);
        assert_eq!(info.accessor, grant.accessor);
        assert!(info.policies.contains(&"web".to_owned()));
        let renewal = client.renew_token(&grant.token).await.unwrap();
        assert_eq!((renewal.ttl, renewal.renewable), (Duration::from_secs(60), true));
        let health = client.health().await.unwrap();
        assert!(health.initialized && !health.sealed && !health.standby, "{flavour:?} {health:?}");
        assert_eq!(client.capabilities(&grant.token, "database/creds/app").await.unwrap(), ["read"]);
        assert!(client.token_lives(&grant.token, grant.has_default()).await.unwrap());
        client.revoke_token(&grant.token).await.unwrap();
        assert!(!client.token_lives(&grant.token, grant.has_default()).await.unwrap(), "{flavour:?}");
        if flavour == Flavour::Vault {
            client.revoke_token(&grant.token).await.unwrap();
            let dead = client.lookup_token(&grant.token).await.unwrap_err();
            assert_eq!((dead.class, dead.failure().kind), (Class::InvalidToken, FailureKind::TokenDead));
        }
    }
}

#[tokio::test]
async fn reads_either_form_of_a_kv_path_and_asks_for_the_mount_once() {
    let fake = fake(Flavour::Vault).await;
    let (client, token) = logged_in(&fake).await;
    // (path, requests of the first fetch, requests of the second)
    for (path, first, second) in [("secret/data/web", 1, 1), ("secret/web", 3, 1), ("kv1/web", 1, 1)] {
        let mounts = Mounts::default();
        for want in [first, second] {
            fake.clear_requests();
            let response = client.fetch(&token, &Lookup::read(path), &mounts).await.unwrap();
            assert!(["{\"password\":\"s3cret\"}", "{\"n\":\"one\"}"].contains(&user_json(&response).as_str()));
            assert_eq!(fake.requests().len(), want, "{path}: {:?}", fake.requests());
        }
    }
}

#[tokio::test]
async fn knows_the_mount_again_after_a_restart() {
    let fake = fake(Flavour::Vault).await;
    let (client, token) = logged_in(&fake).await;
    let mounts = Mounts::default();
    client.fetch(&token, &Lookup::read("secret/web"), &mounts).await.unwrap();
    let kept: Mounts = serde_json::from_str(&serde_json::to_string(&mounts).unwrap()).unwrap();
    fake.clear_requests();
    client.fetch(&token, &Lookup::read("secret/web"), &kept).await.unwrap();
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn does_not_take_a_failed_mount_lookup_for_an_answer() {
    let fake = fake(Flavour::Vault).await;
    let (client, token) = logged_in(&fake).await;
    let mounts = Mounts::default();
    fake.fault(Matcher::path("sys/internal/ui/mounts"), Fault::Status(503, vec!["busy".to_owned()]), Times::Once);
    let first = client.fetch(&token, &Lookup::read("secret/web"), &mounts).await.err().unwrap();
    assert_eq!((first.class, first.path.as_str()), (Class::Denied, "secret/web"));
    assert!(client.fetch(&token, &Lookup::read("secret/web"), &mounts).await.is_ok());
}

#[tokio::test]
async fn works_with_a_token_that_may_only_read_its_data() {
    let fake = fake(Flavour::Vault).await;
    fake.policy("web", &[("secret/data/web", &["read"])]);
    fake.role(MOUNT, "web", RoleSpec { no_default_policy: true, ..role() });
    let (client, token) = logged_in(&fake).await;
    let response = client.fetch(&token, &Lookup::read("secret/web"), &Mounts::default()).await.unwrap();
    assert_eq!(user_json(&response), r#"{"password":"s3cret"}"#);
    assert_eq!(client.lookup_token(&token).await.unwrap_err().class, Class::Denied, "denied, not dead");
    assert!(client.token_lives(&token, false).await.is_err(), "not to be known");
}

#[tokio::test]
async fn writes_and_lists_as_each_mount_wants_it() {
    let fake = fake(Flavour::Vault).await;
    let (client, token) = logged_in(&fake).await;
    for path in ["secret/new", "secret/data/new2"] {
        client.fetch(&token, &write(path), &Mounts::default()).await.unwrap();
        let back = client.fetch(&token, &Lookup::read(path), &Mounts::default()).await.unwrap();
        assert_eq!(user_json(&back), r#"{"k":"v"}"#, "{path}");
    }
    for path in ["secret", "secret/metadata"] {
        let root = Sensitive::from(fake.root_token());
        let keys = client.fetch(&root, &list(path), &Mounts::default()).await.unwrap();
        assert_eq!(keys.data.to_json().expose(), r#"{"keys":["new","new2","web"]}"#, "{path}");
    }
    let keys = client.fetch(&token, &list("kv1"), &Mounts::default()).await.unwrap();
    assert_eq!(keys.data.to_json().expose(), r#"{"keys":["web"]}"#);
}

#[tokio::test]
async fn tells_deleted_versions_from_paths_without_a_secret() {
    let fake = fake(Flavour::Vault).await;
    let (client, token) = logged_in(&fake).await;
    let fetch = async |path: &str| client.fetch(&token, &Lookup::read(path), &Mounts::default()).await.err().unwrap();
    assert_eq!(fetch("secret/data/none").await.class, Class::Missing);
    fake.delete("secret/web");
    let deleted = fetch("secret/data/web").await;
    assert_eq!((deleted.class, deleted.failure().kind), (Class::Deleted, FailureKind::Missing));
    assert!(deleted.answer().starts_with("404 version 1 was deleted at "), "{deleted}");
    fake.put("secret/web", json!({ "a": "b" }));
    fake.destroy("secret/web");
    assert_eq!(fetch("secret/web").await.answer(), "404 version 2 was destroyed");
}

#[tokio::test]
async fn renews_and_revokes_leases() {
    let fake = fake(Flavour::Vault).await;
    fake.policy("web", &[("database/creds/app", &["read"]), ("sys/leases/revoke", &["update"])]);
    let (client, token) = logged_in(&fake).await;
    let lease = client.fetch(&token, &Lookup::read("database/creds/app"), &Mounts::default()).await.unwrap();
    assert_eq!((lease.lease_duration, lease.renewable), (60, true));
    fake.advance(Duration::from_secs(20));
    client.renew_token(&token).await.unwrap();
    let renewal = client.renew_lease(&token, &lease.lease_id, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!((renewal.ttl, renewal.renewable), (Duration::from_secs(60), true));
    fake.fault(Matcher::path("sys/leases/renew"), Fault::RenewToNothing, Times::Once);
    assert_eq!(client.renew_lease(&token, &lease.lease_id, None).await.unwrap().ttl, Duration::ZERO);
    client.revoke_lease(&token, &lease.lease_id).await.unwrap();
    let gone = client.renew_lease(&token, &lease.lease_id, None).await.unwrap_err();
    assert_eq!((gone.class, gone.failure().kind), (Class::Missing, FailureKind::Missing));
}

async fn under(fault: Fault) -> VaultError {
    let fake = fake(Flavour::Vault).await;
    let (client, token) = logged_in(&fake).await;
    fake.fault(Matcher::path("secret/"), fault, Times::Always);
    let error = client.fetch(&token, &Lookup::read("secret/data/web"), &Mounts::default()).await.err().unwrap();
    assert!(fake.requests().len() <= 3, "no loop: {:?}", fake.requests());
    error
}

#[tokio::test]
async fn gives_each_fault_its_own_kind() {
    let status = |code| Fault::Status(code, Vec::new());
    let cases = [
        (status(412), Class::Stale, FailureKind::Stale),
        (status(472), Class::StandbyRead, FailureKind::Stale),
        (status(473), Class::StandbyRead, FailureKind::Stale),
        (status(500), Class::Internal, FailureKind::Other),
        (Fault::RetryAfter(429, 7), Class::RateLimited, FailureKind::Limited),
        (Fault::Status(503, vec!["Vault is sealed".to_owned()]), Class::Sealed, FailureKind::Unreachable),
        (Fault::CutBody, Class::Tcp, FailureKind::Unreachable),
        (Fault::Reset, Class::Tcp, FailureKind::Unreachable),
        (Fault::Garbage, Class::Protocol, FailureKind::Unreachable),
        (Fault::Huge(5_000_000), Class::Protocol, FailureKind::Unreachable),
        (Fault::Redirect("http://127.0.0.1:1".to_owned()), Class::Standby, FailureKind::Unreachable),
        (Fault::Slow(Duration::from_secs(30)), Class::Timeout, FailureKind::Unreachable),
    ];
    for (fault, class, kind) in cases {
        let name = format!("{fault:?}");
        let error = under(fault).await;
        assert_eq!((error.class, error.failure().kind), (class, kind), "{name}: {error}");
        let after = (class == Class::RateLimited).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after, after, "{name}");
    }
}

#[tokio::test]
async fn reports_health_whatever_its_status() {
    let fake = fake(Flavour::Vault).await;
    let client = client(&fake);
    fake.seal(true);
    assert!(client.health().await.unwrap().sealed);
    let jwt = Sensitive::new(fake.jwt("shop", "default", "vault"));
    assert_eq!(client.login(&auth(), &Credential::Jwt(jwt.clone())).await.err().unwrap().class, Class::Sealed);
}
