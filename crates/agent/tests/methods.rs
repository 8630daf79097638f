//! Logins that show no service account token, from files to a published set, over restarts and to the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use sidekey_fakevault::RoleSpec;
use support::{Bench, exists, role};

const APPROLE: &str = "auth/approle";

fn files(bench: &Bench, more: &Value) -> Value {
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let mut files = json!({"roleIdFile": path("role-id"), "secretIdFile": path("secret-id")});
    files.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"auth": {"method": {"approle": files}, "mount": APPROLE, "role": ""}})
}

async fn approle(secret_id: impl Fn(&Bench) -> String, more: Value) -> Bench {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    bench.fake.enable_approle(APPROLE);
    bench.fake.role(APPROLE, "web", role());
    std::fs::write(bench.path("role-id"), format!("{}\n", bench.fake.role_id(APPROLE, "web"))).unwrap();
    std::fs::write(bench.path("secret-id"), format!("{}\n", secret_id(&bench))).unwrap();
    let changes = files(&bench, &more);
    bench.set(changes)
}

fn logins(bench: &Bench) -> usize {
    bench.fake.count("POST", "auth/approle/login")
}

#[tokio::test]
async fn keeps_a_secret_id_whose_file_it_removed() {
    let bench = approle(|bench| bench.fake.secret_id(APPROLE, "web"), json!({"removeSecretIdFile": true})).await;
    let agent = bench.start();
    bench.ready().await;
    assert!(!exists(&bench.path("secret-id")), "it was to be removed");
    agent.kill().await;
    bench.fake.revoke_all_tokens();
    let agent = bench.start();
    bench.idle(Duration::from_secs(90)).await;
    bench.until("a second login", |bench| logins(bench) == 2).await;
    let again = bench.fake.secret_id(APPROLE, "web");
    std::fs::write(bench.path("secret-id"), &again).unwrap();
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    bench.until("a third login", |bench| logins(bench) == 3).await;
    assert!(!exists(&bench.path("secret-id")), "a new one is taken in");
    assert!(std::fs::read_to_string(bench.path("state/credential")).unwrap().contains(&again));
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(!exists(&bench.path("state/credential")), "nothing is kept after the end");
}

#[tokio::test]
async fn opens_a_wrapping_once_and_goes_on_with_what_was_in_it() {
    let made_by = json!({"wrappingPath": "auth/approle/role/web/secret-id"});
    let bench = approle(|bench| bench.fake.wrapped_secret_id(APPROLE, "web"), made_by).await;
    let agent = bench.start();
    bench.ready().await;
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    bench.until("a second login", |bench| logins(bench) == 2).await;
    assert_eq!(bench.fake.count("POST", "sys/wrapping/unwrap"), 1);
    agent.stop().await;
}

#[tokio::test]
async fn says_that_somebody_opened_the_wrapping_before() {
    let made_by = json!({"wrappingPath": "auth/approle/role/web/secret-id"});
    let bench = approle(|bench| bench.fake.wrapped_secret_id(APPROLE, "web"), made_by).await;
    let wrapping = std::fs::read_to_string(bench.path("secret-id")).unwrap();
    bench.fake.intercept(wrapping.trim());
    let agent = bench.start();
    bench.until("the cause", |bench| bench.line().contains("SK3116")).await;
    assert!(bench.line().contains("possible interception"), "{}", bench.line());
    bench.idle(Duration::from_secs(600)).await;
    let asked = bench.fake.requests().len();
    assert!(asked < 40, "{asked} requests in ten minutes of a refused login");
    let issued = bench.fake.wrapped_secret_id(APPROLE, "web");
    std::fs::write(bench.path("secret-id"), issued).unwrap();
    bench.idle(Duration::from_secs(400)).await;
    bench.ready().await;
    agent.stop().await;
}

#[tokio::test]
async fn names_the_file_that_is_missing_and_goes_on_once_it_is_there() {
    let bench = approle(|bench| bench.fake.secret_id(APPROLE, "web"), json!({})).await;
    let role_id = std::fs::read_to_string(bench.path("role-id")).unwrap();
    std::fs::remove_file(bench.path("role-id")).unwrap();
    let agent = bench.start();
    bench.until("the cause", |bench| bench.line().contains("SK3114 reading the role id")).await;
    assert_eq!(logins(&bench), 0);
    std::fs::write(bench.path("role-id"), role_id).unwrap();
    bench.idle(Duration::from_secs(30)).await;
    bench.ready().await;
    agent.stop().await;
}

#[tokio::test]
async fn logs_in_by_a_certificate_of_the_logins_own_and_renews_with_it() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    bench.fake.enable_cert("auth/cert");
    bench.fake.role("auth/cert", "web", RoleSpec { ttl: Duration::from_secs(120), ..role() });
    let pair = bench.fake.client_pair("web", true).unwrap();
    std::fs::write(bench.path("crt"), pair.certificate).unwrap();
    std::fs::write(bench.path("key"), pair.key).unwrap();
    let path = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let method = json!({"cert": {"name": "web", "certFile": path("crt"), "keyFile": path("key")}});
    let bench = bench.set(json!({"auth": {"method": method, "mount": "auth/cert", "role": ""}}));
    let agent = bench.start();
    bench.ready().await;
    bench.pass(Duration::from_secs(130)).await;
    assert!(bench.fake.count("POST", "auth/token/renew-self") > 0);
    assert_eq!(bench.fake.count("POST", "auth/cert/login"), 1);
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(bench.fake.tokens().is_empty(), "its own token is revoked");
}

#[tokio::test]
async fn signs_with_a_credentials_file() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    bench.fake.enable_aws("auth/aws");
    bench.fake.role("auth/aws", "web", role());
    bench.fake.aws_key("AKIAWEB", "arn:aws:iam::1:role/web");
    std::fs::write(bench.path("aws"), "[default]\naws_access_key_id = AKIAWEB\naws_secret_access_key = k\n").unwrap();
    let file = bench.path("aws").to_str().unwrap().to_owned();
    let method = json!({"aws": {"region": "eu-west-1", "credentialsFile": file}});
    let bench = bench.set(json!({"auth": {"method": method, "mount": "auth/aws", "role": "web"}}));
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(agent.stop().await, Exit::Done);
}

#[tokio::test]
async fn follows_a_borrowed_token_and_never_revokes_it() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let spec = RoleSpec { ttl: Duration::from_secs(60), max_ttl: Duration::from_secs(60), ..role() };
    let first = bench.fake.token(&spec);
    std::fs::write(bench.path("token"), &first).unwrap();
    let file = bench.path("token").to_str().unwrap().to_owned();
    let bench = bench.set(json!({"auth": {"method": "token_file", "mount": "", "role": "", "tokenFile": file}}));
    let agent = bench.start();
    bench.ready().await;
    bench.fake.clear_requests();
    bench.idle(Duration::from_secs(600)).await;
    let asked = bench.fake.requests().len();
    assert!(asked < 120, "{asked} requests in ten minutes with a token that has ended");
    assert!(bench.line().contains("SK3113"), "{}", bench.line());
    let second = bench.fake.token(&role());
    std::fs::write(bench.path("token"), &second).unwrap();
    bench.idle(Duration::from_secs(400)).await;
    bench.until("the second token", |bench| !bench.line().contains("SK")).await;
    assert_eq!(agent.stop().await, Exit::Done);
    assert_eq!(bench.fake.count("POST", "auth/token/revoke-self"), 0);
    assert_eq!(bench.fake.tokens().len(), 1, "the borrowed token lives on");
}
