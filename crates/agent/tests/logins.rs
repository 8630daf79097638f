//! Several roles and servers in one pod: one login each, and none stands in another's way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use sidekey_core::Code;
use sidekey_fakevault::{FakeVault, Options};
use support::{Bench, MOUNT, role};

const ELSEWHERE: &str = "auth/elsewhere";

/// `web` by the pod's own role; `db` and its twin by a role of one server that may read the database alone.
async fn two_roles() -> Bench {
    let bench = Bench::new()
        .await
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("db.json", "json", "database/creds/app", json!({"login": 1}))
        .format("db.env", "env", "database/creds/app", json!({"login": 1}))
        .format("own.json", "json", "database/creds/app", json!({}));
    bench.fake.policy("db", &[("database/creds/*", &["read"])]);
    bench.fake.role(MOUNT, "db", sidekey_fakevault::RoleSpec { policies: vec!["db".to_owned()], ..role() });
    let mut login = json!({"auth": bench.config["auth"]});
    login["auth"]["role"] = json!("db");
    bench.set(json!({"logins": [login]}))
}

/// A second server with a mount of its own name; its file is `far.json`, and `web.json` comes from the first.
async fn two_servers(optional: bool) -> (Bench, FakeVault) {
    let far = FakeVault::start(Options::default()).await.unwrap();
    far.enable_kubernetes(ELSEWHERE);
    far.policy("web", &[("secret/data/*", &["read"]), ("database/creds/*", &["read"])]);
    far.role(ELSEWHERE, "far", role());
    far.kv2("secret");
    far.put("secret/web", json!({"place": "far"}));
    far.database("database", "app", sidekey_fakevault::DatabaseRole::default());
    let bench = Bench::new()
        .await
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("far.json", "json", "secret/data/web", json!({"login": 1, "optional": optional}))
        .format("far-db.json", "json", "database/creds/app", json!({"login": 1, "optional": optional}));
    std::fs::write(bench.path("far-jwt"), far.jwt("shop", "web", "far")).unwrap();
    let jwt = bench.path("far-jwt").to_str().unwrap().to_owned();
    let server = json!({"address": far.address(), "caPem": far.ca_pem(), "timeoutSeconds": 5});
    let auth = json!({"method": "kubernetes", "mount": ELSEWHERE, "role": "far", "tokenFile": jwt});
    (bench.set(json!({"logins": [{"server": server, "auth": auth}]})), far)
}

fn far_logins(far: &FakeVault) -> usize {
    far.count("POST", &format!("{ELSEWHERE}/login"))
}

fn read(bench: &Bench, file: &str) -> Value {
    serde_json::from_str(&bench.read(file).unwrap_or_default()).unwrap_or_default()
}

/// The servers' clocks and the agent's.
async fn idle(bench: &Bench, far: &FakeVault, seconds: u64) {
    for _ in 0..seconds / 5 {
        far.advance(Duration::from_secs(5));
        bench.idle(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn logs_in_once_for_each_role_and_asks_once_for_each_secret_of_it() {
    let bench = two_roles().await;
    let agent = bench.start();
    bench.ready().await;
    assert_eq!((bench.logins(), bench.fake.count("GET", "database/creds/app")), (2, 2));
    assert_eq!(bench.fake.requests().len(), 2 + 3, "{:?}", bench.fake.requests());
    let (own, db) = (read(&bench, "own.json"), read(&bench, "db.json"));
    assert_ne!(own["username"], db["username"], "two roles shared one lease");
    let env = bench.read("db.env").unwrap();
    assert!(env.contains(db["username"].as_str().unwrap()), "one role has two leases for one path");
    let status = bench.status().unwrap();
    assert_eq!(status.others.len(), 1);
    assert!(status.others[0].login.contains("as db at https://"), "{}", status.others[0].login);
    let by: BTreeMap<_, _> = status.secrets.iter().map(|one| ((one.path.clone(), one.login.is_some()), ())).collect();
    assert_eq!(by.len(), 3);
    let text = status.text(status.updated);
    assert_eq!(text.matches("\nlogin    ").count(), 2, "{text}");
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(bench.fake.tokens().is_empty() && bench.fake.leases().is_empty(), "something is left");
}

#[tokio::test]
async fn a_dead_token_is_replaced_without_the_other_logins_notice() {
    let bench = two_roles().await;
    let agent = bench.start();
    bench.ready().await;
    let before = (read(&bench, "own.json"), bench.status().unwrap());
    let other = before.1.others[0].token.clone().unwrap().accessor;
    // The state's lines are in the order of the logins.
    let state = std::fs::read_to_string(bench.path("state/state")).unwrap();
    let token = state.lines().rfind(|line| line.starts_with("\"hvs.")).unwrap().trim_matches('"').to_owned();
    bench.fake.revoke_token(&token);
    bench.idle(Duration::from_secs(3_600)).await;
    bench
        .until("another token", |bench| bench.status().unwrap().others[0].token.clone().unwrap().accessor != other)
        .await;
    bench.until("another lease", |bench| read(bench, "db.json")["username"] != Value::Null).await;
    let after = bench.status().unwrap();
    assert!(after.secrets.iter().all(|secret| secret.cause.is_none()), "{:?}", after.secrets);
    agent.stop().await;
    assert!(bench.fake.tokens().is_empty());
}

#[tokio::test]
async fn a_server_that_is_down_stops_no_file_of_another() {
    let (bench, far) = two_servers(false).await;
    let agent = bench.start();
    bench.ready().await;
    assert_eq!(read(&bench, "far.json"), json!({"place": "far"}));
    far.seal(true);
    bench.fake.put("secret/web", json!({"user": "app", "password": "two"}));
    idle(&bench, &far, 120).await;
    bench.until("the new password", |bench| read(bench, "web.json")["password"] == "two").await;
    assert_eq!(read(&bench, "far.json"), json!({"place": "far"}), "the last good one is gone");
    bench.until("the cause", |bench| bench.line().contains(&Code::VaultSealed.to_string())).await;
    let status = bench.status().unwrap();
    let file = |name: &str| status.files.iter().find(|file| file.name == name).unwrap();
    assert!(file("web.json").cause.is_none() && file("far.json").cause.is_some(), "{:?}", status.files);
    far.seal(false);
    far.put("secret/web", json!({"place": "near"}));
    idle(&bench, &far, 400).await;
    bench.until("its new value", |bench| read(bench, "far.json")["place"] == "near").await;
    bench.until("no cause", |bench| bench.line() == "ready: 3 files written").await;
    agent.stop().await;
    assert!(bench.fake.tokens().is_empty() && far.tokens().is_empty(), "a token is left on one of the servers");
    assert!(far.leases().is_empty());
}

#[tokio::test]
async fn a_login_that_is_refused_from_the_start_holds_up_its_own_files_alone() {
    let (bench, far) = two_servers(true).await;
    far.role(ELSEWHERE, "far", sidekey_fakevault::RoleSpec { namespaces: vec!["other".to_owned()], ..role() });
    let agent = bench.start();
    bench.ready().await;
    assert!(bench.read("web.json").is_some() && bench.read("far.json").is_none());
    bench.until("the cause", |bench| bench.status().unwrap().others[0].cause.is_some()).await;
    let status = bench.status().unwrap();
    let cause = status.others[0].cause.clone().unwrap();
    assert!(cause.code.to_string().starts_with("SK31"), "{cause}");
    assert!(status.files.iter().find(|file| file.name == "far.json").unwrap().cause.is_some());
    assert!(status.files.iter().find(|file| file.name == "web.json").unwrap().cause.is_none());
    idle(&bench, &far, 600).await;
    // Logins, and questions why they fail.
    assert!(far.requests().len() < 50, "{} requests in ten minutes", far.requests().len());
    far.role(ELSEWHERE, "far", role());
    idle(&bench, &far, 400).await;
    bench.until("its file", |bench| bench.read("far.json").is_some()).await;
    agent.stop().await;
}

#[tokio::test]
async fn resumes_every_login_and_asks_no_server() {
    let (bench, far) = two_servers(false).await;
    let agent = bench.start();
    bench.ready().await;
    agent.kill().await;
    let asked = (bench.fake.requests().len(), far.requests().len());
    std::fs::remove_file(bench.path("secrets/far.json")).unwrap();
    let agent = bench.start();
    bench.until("the file", |bench| bench.read("far.json").is_some()).await;
    assert_eq!((bench.fake.requests().len(), far.requests().len()), asked, "a restart asked a server");
    idle(&bench, &far, 600).await;
    assert_eq!((bench.logins(), far_logins(&far), far.leases().len()), (1, 1, 1));
    agent.stop().await;
    assert!(bench.fake.tokens().is_empty() && far.tokens().is_empty());
}

#[tokio::test]
async fn renews_and_replaces_each_token_in_its_own_time() {
    let (bench, far) = two_servers(false).await;
    let short = Duration::from_secs(120);
    far.role(ELSEWHERE, "far", sidekey_fakevault::RoleSpec { ttl: short, max_ttl: short * 2, ..role() });
    let agent = bench.start();
    bench.ready().await;
    for _ in 0..120 {
        far.advance(Duration::from_secs(5));
        bench.idle(Duration::from_secs(5)).await;
        let db = read(&bench, "far-db.json");
        let word = |key: &str| db[key].as_str().unwrap().to_owned();
        assert!(far.honours(&word("username"), &word("password")), "a file holds a credential that is not honoured");
    }
    assert!(far_logins(&far) > 2 && bench.logins() == 1, "{} and {}", far_logins(&far), bench.logins());
    agent.stop().await;
    assert!(far.tokens().is_empty() && bench.fake.tokens().is_empty());
}

#[test]
fn a_contract_that_names_a_login_which_is_not_there_is_refused() {
    let output = json!({"name": "a", "dir": "/d", "file": "f", "group": "g", "layout": "plain", "login": 1,
        "source": {"kind": "format", "format": "map", "path": "secret/a"}});
    let config = json!({"version": 1, "dialect": "native", "pod": {"namespace": "n", "serviceAccount": "s"},
        "server": {"address": "http://v"}, "auth": {"method": "kubernetes", "mount": "auth/k", "role": "r"},
        "outputs": [output], "lifecycle": {"shape": "native", "revoke": true}, "stateDir": "/state"});
    let error = sidekey_core::AgentConfig::from_json(&config.to_string()).unwrap_err().to_string();
    assert!(error.contains("output a names login 1"), "{error}");
}
