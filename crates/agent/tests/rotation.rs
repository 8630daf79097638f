//! Hours in seconds: changes followed, leases and tokens renewed and replaced without a gap.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_core::Code;
use sidekey_fakevault::{DatabaseRole, Fault, Flavour, Matcher, Options, RoleSpec, StaticRole, Times};
use support::{Bench, MOUNT, exists, read_only, role};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The user in the file, and whether the database lets it in now.
fn login(bench: &Bench) -> (String, bool) {
    let file: Value = serde_json::from_str(&bench.read("db.json").unwrap()).unwrap();
    let (user, password) = (file["username"].as_str().unwrap(), file["password"].as_str().unwrap());
    (user.to_owned(), bench.fake.honours(user, password))
}

/// Logs in with the file's credential every second; returns the users seen.
async fn no_gap(bench: &Bench, time: Duration) -> BTreeSet<String> {
    let mut users = BTreeSet::new();
    let mut attempts = 0;
    bench
        .pass_and(time, |bench| {
            let (user, honoured) = login(bench);
            assert!(honoured, "attempt {attempts}: {user} is not let in");
            users.insert(user);
            attempts += 1;
        })
        .await;
    assert_eq!(attempts, time.as_secs());
    users
}

async fn database(ttl: u64, max_ttl: u64, token: RoleSpec) -> Bench {
    database_of(Flavour::Vault, ttl, max_ttl, token).await
}

async fn database_of(flavour: Flavour, ttl: u64, max_ttl: u64, token: RoleSpec) -> Bench {
    let bench = Bench::with(Options { flavour, ..Options::default() }).await;
    let bench = bench.format("db.json", "json", "database/creds/app", json!({}));
    let spec = DatabaseRole { ttl: seconds(ttl), max_ttl: seconds(max_ttl), ..DatabaseRole::default() };
    bench.fake.database("database", "app", spec);
    bench.fake.role(MOUNT, "web", token);
    bench
}

#[tokio::test]
async fn follows_a_change_within_the_interval_and_writes_nothing_else() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let agent = bench.start();
    bench.ready().await;
    bench.idle(seconds(200)).await;
    assert_eq!(bench.status().unwrap().counters.writes, 1);
    bench.fake.put("secret/web", json!({"user": "app", "password": "two"}));
    bench.pass(seconds(62)).await;
    bench.until("the change", |bench| bench.read("web.json").unwrap().contains("two")).await;
    assert_eq!(bench.status().unwrap().counters.writes, 2);
    agent.stop().await;
}

#[tokio::test]
async fn renews_a_lease_to_its_maximum_and_replaces_it_without_a_gap() {
    let bench = database(60, 180, role()).await;
    let agent = bench.start();
    bench.ready().await;
    let users = no_gap(&bench, seconds(480)).await;
    assert!((3..=7).contains(&users.len()), "{users:?}");
    assert_eq!(bench.logins(), 1);
    assert!(bench.fake.count("POST", "sys/leases/renew") >= 3);
    assert_eq!(bench.fake.count("POST", "sys/leases/revoke"), 0, "an old lease was cut short");
    agent.stop().await;
}

#[tokio::test]
async fn replaces_a_lease_that_cannot_be_extended_under_a_periodic_token() {
    let bench = database(60, 60, RoleSpec { period: seconds(120), ..role() }).await;
    let agent = bench.start();
    bench.ready().await;
    let users = no_gap(&bench, seconds(240)).await;
    assert!(users.len() >= 3, "{users:?}");
    assert_eq!(bench.logins(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn logs_in_again_before_its_token_ends_and_gives_the_old_one_back() {
    let bench = database(3_600, 7_200, RoleSpec { ttl: seconds(60), max_ttl: seconds(120), ..role() }).await;
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(420)).await;
    let logins = bench.logins();
    assert!((3..=8).contains(&logins), "{logins} logins");
    assert!(bench.fake.tokens().len() <= 2, "{:?}", bench.fake.tokens());
    agent.stop().await;
    assert!(bench.fake.tokens().is_empty(), "{:?}", bench.fake.tokens());
}

#[tokio::test]
async fn an_old_token_that_was_in_a_file_is_left_to_its_readers_and_revoked_at_the_end() {
    let bench = database(3_600, 7_200, RoleSpec { ttl: seconds(600), max_ttl: seconds(1_200), ..role() }).await;
    let sink = bench.path("token").to_str().unwrap().to_owned();
    let bench = bench.set(json!({"tokenSinks": [{"path": sink, "mode": 0o400}]}));
    let agent = bench.start();
    bench.ready().await;
    let mut passed = 0;
    while bench.logins() < 2 {
        assert!(passed < 1_300, "no second login");
        bench.pass(seconds(1)).await;
        passed += 1;
    }
    bench.pass(seconds(90)).await;
    assert_eq!((revocations(&bench), bench.fake.tokens().len()), (0, 2), "a reader may still use it");
    agent.kill().await;
    let agent = bench.start();
    bench.ready().await;
    agent.stop().await;
    assert!(bench.fake.tokens().is_empty(), "also after a restart: {:?}", bench.fake.tokens());
}

#[tokio::test]
async fn a_read_only_policy_loops_nothing_and_opens_no_gap() {
    let bench = database(60, 180, RoleSpec { ttl: seconds(120), max_ttl: seconds(600), ..read_only() }).await;
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(360)).await;
    let asked = bench.fake.requests().len();
    assert!(asked < 60, "{asked} requests in six minutes: {:#?}", bench.fake.requests());
    assert!(bench.line().starts_with("ready: 1 file written"), "{}", bench.line());
    agent.stop().await;
}

#[tokio::test]
async fn a_token_revoked_from_outside_is_replaced_once() {
    for flavour in [Flavour::Vault, Flavour::OpenBao] {
        let bench = database_of(flavour, 600, 3_600, role()).await;
        let bench = bench.format("web.json", "json", "secret/data/web", json!({}));
        let agent = bench.start();
        bench.ready().await;
        bench.fake.revoke_all_tokens();
        bench.pass(seconds(75)).await;
        bench.until("a credential that works", |bench| login(bench).1).await;
        assert_eq!(bench.logins(), 2, "{flavour:?}");
        bench.pass(seconds(60)).await;
        assert_eq!(bench.logins(), 2, "{flavour:?}");
        agent.stop().await;
    }
}

/// OpenBao says the same to both.
#[tokio::test]
async fn a_policy_that_denies_is_not_taken_for_a_dead_token() {
    let cut: &[(&str, &[&str])] = &[("auth/token/renew-self", &["update"]), ("sys/leases/renew", &["update"])];
    for (name, token, default, most) in [
        ("default", role(), None, 1),
        ("no default", read_only(), None, 1),
        // It looks as dead as can be, once.
        ("a default without look-ups", role(), Some(cut), 2),
    ] {
        let bench = database_of(Flavour::OpenBao, 3_600, 36_000, token).await;
        let bench = bench.format("web.json", "json", "secret/data/web", json!({}));
        if let Some(rules) = default {
            bench.fake.policy("default", rules);
        }
        let agent = bench.start();
        bench.ready().await;
        bench.fake.policy("web", &[("database/creds/*", &["read"])]);
        bench.fake.clear_requests();
        let before = login(&bench).0;
        bench.idle(seconds(600)).await;
        let denied = |bench: &Bench| bench.status().unwrap().counters.failures.contains_key(&Code::PolicyDenied);
        bench.until("the denial", denied).await;
        let (asked, logins) = (bench.fake.requests().len(), bench.logins() + 1);
        assert!(logins <= most && (3..60).contains(&asked), "{name}: {logins} logins, {asked} requests");
        assert!(login(&bench).1 && (most > 1 || login(&bench).0 == before), "{name}: a lease was given up");
        agent.stop().await;
    }
}

/// What an agent of an earlier release kept says nothing of the token's policies.
#[tokio::test]
async fn a_token_of_unknown_policies_is_used_on_and_never_taken_for_dead_on_a_denial() {
    let bench = database_of(Flavour::OpenBao, 600, 3_600, role()).await;
    let bench = bench.format("web.json", "json", "secret/data/web", json!({}));
    let agent = bench.start();
    bench.ready().await;
    agent.kill().await;
    let state = bench.path("state/state");
    let text = std::fs::read_to_string(&state).unwrap();
    let older = text.replacen(r#","has_default":true"#, "", 1);
    assert_ne!(older, text);
    std::fs::write(&state, older).unwrap();
    let agent = bench.start();
    bench.pass(seconds(10)).await;
    bench.ready().await;
    bench.fake.policy("web", &[("database/creds/*", &["read"])]);
    bench.fake.policy("default", &[]);
    bench.idle(seconds(120)).await;
    assert_eq!(bench.logins(), 1);
    agent.stop().await;
}

/// With one secret without a lease, past the login that supersedes the first token, which has a third of its life left.
async fn handed_over(more: impl AsyncFnOnce(&Bench)) -> (Bench, support::Agent) {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    bench.fake.role(MOUNT, "web", RoleSpec { ttl: seconds(1_800), max_ttl: seconds(1_800), ..role() });
    let agent = bench.start();
    bench.ready().await;
    more(&bench).await;
    let mut passed = 0;
    while bench.logins() < 2 {
        assert!(passed < 1_300, "no second login");
        bench.pass(seconds(1)).await;
        passed += 1;
    }
    (bench, agent)
}

fn revocations(bench: &Bench) -> usize {
    bench.fake.count("POST", "auth/token/revoke-self")
}

#[tokio::test]
async fn an_old_token_whose_successor_cannot_be_written_yet_is_revoked_once_it_is() {
    let blocked = async |bench: &Bench| {
        std::fs::remove_file(bench.path("secrets/web.json")).unwrap();
        std::fs::create_dir_all(bench.path("secrets/web.json/in-the-way")).unwrap();
        bench.fake.put("secret/web", json!({"password": "two"}));
        bench.pass(seconds(62)).await;
        bench.until("the failed write", |bench| bench.line().contains("SK50")).await;
    };
    let (bench, agent) = handed_over(blocked).await;
    // Longer than any number of tries.
    bench.idle(seconds(330)).await;
    assert_eq!((revocations(&bench), bench.fake.tokens().len()), (0, 2));
    std::fs::remove_dir_all(bench.path("secrets/web.json")).unwrap();
    bench.pass(seconds(110)).await;
    bench.until("the write", |bench| bench.read("web.json").is_some_and(|text| text.contains("two"))).await;
    assert_eq!((revocations(&bench), bench.fake.tokens().len()), (1, 1));
    assert_eq!(bench.logins(), 2);
    agent.stop().await;
}

#[tokio::test]
async fn an_old_token_whose_revocation_meets_an_error_of_the_server_is_revoked_a_minute_later() {
    let (bench, agent) = handed_over(async |_| ()).await;
    let fault = Fault::Status(500, vec!["as told by the test".to_owned()]);
    bench.fake.fault(Matcher::path("auth/token/revoke-self"), fault, Times::Once);
    bench.pass(seconds(40)).await;
    assert_eq!((revocations(&bench), bench.fake.tokens().len()), (1, 2));
    bench.pass(seconds(65)).await;
    bench.until("the second try", |bench| bench.fake.tokens().len() == 1).await;
    bench.pass(seconds(65)).await;
    assert_eq!((revocations(&bench), bench.logins()), (2, 2));
    agent.stop().await;
}

#[tokio::test]
async fn follows_a_static_role_soon_after_its_rotation() {
    let bench = Bench::new().await.format("db.json", "json", "database/static-creds/app", json!({}));
    let spec = StaticRole { username: "app".to_owned(), rotation_period: seconds(60) };
    bench.fake.static_database("database", "app", spec);
    bench.fake.policy("web", &[("database/static-creds/*", &["read"])]);
    let agent = bench.start();
    bench.ready().await;
    let (mut wrong, mut longest) = (0, 0);
    bench
        .pass_and(seconds(300), |bench| {
            wrong = if login(bench).1 { 0 } else { wrong + 1 };
            longest = longest.max(wrong);
        })
        .await;
    assert!(longest <= 4, "{longest} s with the password before");
    agent.stop().await;
}

#[tokio::test]
async fn a_group_never_mixes_two_versions_of_one_answer() {
    let linked = json!({"group": "pair", "layout": "linked"});
    let bench = Bench::new()
        .await
        .go("user", r#"{{ with secret "secret/data/pair" }}{{ .Data.data.a }}{{ end }}"#, linked.clone())
        .go("pass", r#"{{ with secret "secret/data/pair" }}{{ .Data.data.b }}{{ end }}"#, linked)
        .set(json!({"refresh": {"staticIntervalMs": 2_000}}));
    bench.fake.put("secret/pair", json!({"a": "0", "b": "0"}));
    let agent = bench.start();
    bench.ready().await;
    let mut versions = BTreeSet::new();
    for version in 1..=12 {
        bench.fake.put("secret/pair", json!({"a": version.to_string(), "b": version.to_string()}));
        bench
            .pass_and(seconds(3), |bench| {
                let set = bench.path("secrets").join(std::fs::read_link(bench.path("secrets/..data")).unwrap());
                let read = |file: &str| std::fs::read_to_string(set.join(file)).unwrap();
                assert_eq!(read("user"), read("pass"));
                versions.insert(bench.read("user").unwrap());
            })
            .await;
    }
    assert!(versions.len() >= 8, "{versions:?}");
    let sets = std::fs::read_dir(bench.path("secrets")).unwrap().count();
    bench.pass(seconds(12)).await;
    let left = std::fs::read_dir(bench.path("secrets")).unwrap().count();
    assert_eq!(left, 4, "one set, its link and two names should be left of {sets}");
    agent.stop().await;
}

#[tokio::test]
async fn a_bad_template_keeps_its_last_good_file_and_touches_no_other() {
    let text = r#"{{ with secret "secret/data/web" }}{{ if eq .Data.data.user "bad" }}{{ index .Data.data.user 99 "x" }}{{ end }}{{ .Data.data.user }}{{ end }}"#;
    let bench =
        Bench::new().await.go("strict", text, json!({})).format("web.json", "json", "secret/data/web", json!({}));
    let agent = bench.start();
    bench.ready().await;
    bench.fake.put("secret/web", json!({"user": "bad"}));
    bench.pass(seconds(62)).await;
    bench.until("the other file", |bench| bench.read("web.json").unwrap().contains("bad")).await;
    assert_eq!(bench.read("strict").unwrap(), "app");
    assert!(bench.line().starts_with("ready: 2 files written, last good kept: SK2003"), "{}", bench.line());
    agent.stop().await;
}

#[tokio::test]
async fn a_leap_of_the_clock_is_survived() {
    let bench = database(60, 180, role()).await;
    let agent = bench.start();
    bench.ready().await;
    // A node suspended over night: everything has ended at once.
    bench.jump(seconds(10 * 3_600));
    bench.new_jwt();
    bench.pass(seconds(10)).await;
    bench.until("a credential that works", |bench| login(bench).1).await;
    assert!((2..=3).contains(&bench.logins()), "{} logins", bench.logins());
    no_gap(&bench, seconds(60)).await;
    agent.stop().await;
}

/// The set that a group's link names.
fn set(bench: &Bench, group: &str) -> PathBuf {
    bench.path("secrets").join(std::fs::read_link(bench.path("secrets").join(format!("..data-{group}"))).unwrap())
}

#[tokio::test]
async fn a_replaced_set_stays_for_its_readers_whatever_other_groups_of_the_directory_do() {
    let linked = |group: &str| json!({"group": group, "layout": "linked"});
    let bench = Bench::new().await.set(json!({"refresh": {"staticIntervalMs": 1_000}}));
    bench.fake.put("secret/other", json!({"user": "x", "password": "one"}));
    let bench = bench.format("a.json", "json", "secret/data/web", linked("a"));
    let bench = bench.format("b.json", "json", "secret/data/other", linked("b"));
    let agent = bench.start();
    bench.ready().await;

    let change = async |group: &str, path: &str, password: &str| {
        let before = set(&bench, group);
        bench.fake.put(path, json!({"password": password}));
        let mut took = 0;
        while set(&bench, group) == before {
            assert!(took < 10, "{group} does not change");
            bench.pass(seconds(1)).await;
            took += 1;
        }
        before
    };
    let first = change("a", "secret/web", "two").await;
    bench.pass(seconds(2)).await;
    let second = change("b", "secret/other", "two").await;
    bench.until("the first set's end", |_| !exists(&first)).await;
    assert!(exists(&second), "removed with the set of another group");
    bench.pass(seconds(7)).await;
    bench.until("the second set's end", |_| !exists(&second)).await;
    assert!(bench.read("a.json").unwrap().contains("two") && bench.read("b.json").unwrap().contains("two"));
    agent.stop().await;
}
