//! Each kind of answer held to its terms: docs/leases.md says which rule is which test's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_core::Code;
use sidekey_fakevault::{DatabaseRole, Fault, Matcher, RoleSpec, Times};
use support::{Bench, MOUNT, role};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const CREDS: &str = "database/creds/app";

async fn database(spec: DatabaseRole, token: RoleSpec) -> Bench {
    let bench = Bench::new().await.format("db.json", "json", CREDS, json!({}));
    bench.fake.database("database", "app", spec);
    bench.fake.role(MOUNT, "web", token);
    bench
}

fn honoured(bench: &Bench) -> bool {
    let file: Value = serde_json::from_str(&bench.read("db.json").unwrap()).unwrap();
    bench.fake.honours(file["username"].as_str().unwrap(), file["password"].as_str().unwrap())
}

/// The file's credential is let in at every second of `time`.
async fn no_gap(bench: &Bench, time: Duration) {
    let mut attempts = 0;
    bench
        .pass_and(time, |bench| {
            assert!(honoured(bench), "attempt {attempts}: {:?}", bench.status());
            attempts += 1;
        })
        .await;
    assert_eq!(attempts, time.as_secs());
}

fn asked(bench: &Bench, path: &str) -> usize {
    bench.fake.requests().iter().filter(|request| request.path.starts_with(path)).count()
}

#[tokio::test]
async fn what_cannot_be_renewed_is_never_renewed_and_replaced_in_time() {
    let spec = DatabaseRole { ttl: seconds(60), max_ttl: seconds(600), renewable: false };
    let bench = database(spec, role()).await;
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(200)).await;
    assert_eq!(asked(&bench, "sys/leases/renew"), 0);
    assert!((4..=8).contains(&asked(&bench, CREDS)), "{}", asked(&bench, CREDS));
    agent.stop().await;
}

#[tokio::test]
async fn a_batch_token_is_exchanged_in_time_and_takes_no_credential_along() {
    let spec = DatabaseRole { ttl: seconds(3_600), max_ttl: seconds(7_200), renewable: true };
    let bench = database(spec, RoleSpec { batch: true, ttl: seconds(90), ..role() }).await;
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(270)).await;
    assert!((4..=9).contains(&bench.logins()), "{} logins", bench.logins());
    assert_eq!(asked(&bench, "auth/token/renew-self"), 0, "a batch token cannot be renewed");
    agent.stop().await;
}

#[tokio::test]
async fn a_token_of_few_uses_is_exchanged_before_it_is_used_up() {
    let spec = DatabaseRole { ttl: seconds(60), max_ttl: seconds(180), renewable: true };
    let bench = database(spec, RoleSpec { num_uses: 6, ..role() }).await;
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(240)).await;
    assert!(bench.fake.tokens().iter().all(|token| token.uses != Some(0)), "{:?}", bench.fake.tokens());
    assert!((2..=12).contains(&bench.logins()), "{} logins", bench.logins());
    agent.stop().await;
}

#[tokio::test]
async fn a_kv_version_1_secret_is_read_as_often_as_its_own_ttl_says() {
    let bench = Bench::new().await.format("kv.json", "json", "kv1/web", json!({}));
    bench.fake.kv1("kv1");
    bench.fake.put("kv1/web", json!({"ttl": "20s", "n": "1"}));
    let agent = bench.start();
    bench.ready().await;
    bench.pass(seconds(100)).await;
    let reads = asked(&bench, "kv1/web");
    assert!((5..=9).contains(&reads), "{reads} reads in 100 s");
    bench.fake.put("kv1/web", json!({"ttl": "20s", "n": "2"}));
    bench.pass(seconds(22)).await;
    bench.until("the change", |bench| bench.read("kv.json").unwrap().contains('2')).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_named_version_stays_and_a_deleted_or_destroyed_one_leaves_its_last_good_file() {
    let text = |path: &str| format!("{{{{ with secret \"{path}\" }}}}{{{{ .Data.data.n }}}}{{{{ end }}}}");
    let bench = Bench::new()
        .await
        .go("pinned", &text("secret/data/v?version=1"), json!({}))
        .go("deleted", &text("secret/data/gone"), json!({}))
        .go("destroyed", &text("secret/data/burnt"), json!({}));
    for path in ["secret/v", "secret/gone", "secret/burnt"] {
        bench.fake.put(path, json!({"n": "1"}));
    }
    let agent = bench.start();
    bench.ready().await;
    bench.fake.put("secret/v", json!({"n": "2"}));
    bench.fake.delete("secret/gone");
    bench.fake.destroy("secret/burnt");
    bench.idle(seconds(200)).await;
    let cause = |bench: &Bench, path: &str| {
        let secrets = bench.status().unwrap().secrets;
        secrets.into_iter().find(|secret| secret.path == path).unwrap().cause.map(|cause| cause.code)
    };
    for path in ["secret/data/gone", "secret/data/burnt"] {
        bench.until("the cause", |bench| cause(bench, path) == Some(Code::SecretDeleted)).await;
    }
    assert_eq!(["pinned", "deleted", "destroyed"].map(|file| bench.read(file).unwrap()), ["1", "1", "1"]);
    bench.fake.put("secret/gone", json!({"n": "3"}));
    bench.idle(seconds(130)).await;
    bench.until("the new version", |bench| bench.read("deleted").unwrap() == "3").await;
    agent.stop().await;
}

async fn pki() -> Bench {
    let text =
        r#"{{ with secret "pki/issue/web" "common_name=web.test" "ttl=10m" }}{{ .Data.serial_number }}{{ end }}"#;
    let bench = Bench::new().await.go("serial", text, json!({}));
    bench.fake.pki("pki");
    bench.fake.policy("web", &[("pki/issue/*", &["update"])]);
    bench
}

#[tokio::test]
async fn a_good_certificate_is_used_again_after_a_restart_and_after_the_loss_of_the_token() {
    let bench = pki().await;
    let agent = bench.start();
    bench.ready().await;
    let serial = bench.read("serial").unwrap();
    agent.kill().await;
    std::fs::remove_file(bench.path("secrets/serial")).unwrap();
    let agent = bench.start();
    bench.until("the file", |bench| bench.read("serial").is_some()).await;
    bench.fake.revoke_all_tokens();
    bench.pass(seconds(60)).await;
    assert_eq!((bench.read("serial").unwrap(), asked(&bench, "pki/issue")), (serial.clone(), 1));
    // At 70 % of its life at the latest it is replaced.
    bench.pass(seconds(370)).await;
    bench.until("its successor", |bench| bench.read("serial").unwrap() != serial).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_certificate_with_a_foreign_key_is_never_written() {
    let made = || rcgen::generate_simple_self_signed(vec!["web.test".to_owned()]).unwrap();
    let (one, other) = (made(), made());
    let pair =
        |key: &str| json!({"ttl": "20s", "certificate": one.cert.pem(), "private_key": key, "serial_number": "01"});
    let bench = Bench::new().await.format("tls.json", "json", "kv1/tls", json!({}));
    bench.fake.kv1("kv1");
    bench.fake.put("kv1/tls", pair(&one.signing_key.serialize_pem()));
    let agent = bench.start();
    bench.ready().await;
    let good = bench.read("tls.json");
    bench.fake.put("kv1/tls", pair(&other.signing_key.serialize_pem()));
    bench.pass(seconds(45)).await;
    bench.until("the cause", |bench| bench.line().contains("SK5007")).await;
    assert_eq!(bench.read("tls.json"), good);
    agent.stop().await;
}

#[tokio::test]
async fn a_login_anew_asks_for_no_secret_that_is_still_good() {
    let token = RoleSpec { ttl: seconds(60), max_ttl: seconds(60), ..role() };
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({})).set(json!({
        "refresh": {"staticIntervalMs": 3_600_000},
    }));
    bench.fake.role(MOUNT, "web", token);
    let agent = bench.start();
    bench.ready().await;
    bench.pass(seconds(300)).await;
    assert!((5..=12).contains(&bench.logins()), "{} logins", bench.logins());
    assert_eq!(asked(&bench, "secret/data/web"), 1);
    agent.stop().await;
}

#[tokio::test]
async fn a_lease_that_was_replaced_is_revoked_early_only_where_asked_for() {
    for asked_for in [false, true] {
        let spec = DatabaseRole { ttl: seconds(600), max_ttl: seconds(600), renewable: true };
        let mut bench = database(spec, role()).await;
        bench.fake.policy("web", &[("database/creds/*", &["read"]), ("sys/leases/revoke", &["update"])]);
        let touch =
            json!([{"group": "db.json", "action": {"kind": "touch", "dir": bench.path("secrets"), "file": "told"}}]);
        bench = bench.set(json!({"notify": touch}));
        if asked_for {
            bench = bench.set(json!({"refresh": {"revokeSupersededSeconds": 30}}));
        }
        let agent = bench.start();
        bench.ready().await;
        let first = bench.fake.leases()[0].id.clone();
        let lives = |bench: &Bench| bench.fake.leases().iter().any(|lease| lease.id == first);
        let mut replaced = 0_u32;
        bench
            .pass_and(seconds(500), |bench| {
                assert!(honoured(bench), "{:?}", bench.status());
                replaced += u32::from(bench.fake.leases().len() > 1 || !lives(bench));
                assert!(lives(bench) || (asked_for && replaced >= 28), "revoked after {replaced} s");
            })
            .await;
        assert!(replaced > 60, "it was never replaced: {:?}", bench.fake.leases());
        assert_eq!(lives(&bench), !asked_for);
        assert_eq!(asked(&bench, "sys/leases/revoke"), usize::from(asked_for));
        assert!(bench.read("told").is_some());
        agent.stop().await;
    }
}

/// The seconds at which a path was asked, until `after` seconds have gone by since the first, which has an hour to come:
/// when a lease is replaced is jittered.
async fn asked_at(bench: &Bench, path: &str, after: u64) -> Vec<u64> {
    let mut tries: Vec<u64> = Vec::new();
    let mut second = 0;
    while second < tries.first().map_or(3600, |first| first + after) {
        bench.pass_and(seconds(1), |_| ()).await;
        second += 1;
        let before = tries.len();
        tries.resize(asked(bench, path), second);
        assert!(tries.len() <= before + 1, "two tries in one second");
    }
    tries
}

#[tokio::test]
async fn an_old_lease_that_cannot_be_revoked_for_now_is_tried_five_times_a_minute_apart() {
    for (times, wanted) in [(Times::Always, 5), (Times::N(2), 3)] {
        let spec = DatabaseRole { ttl: seconds(1200), max_ttl: seconds(1200), renewable: true };
        let bench = database(spec, role()).await.set(json!({"refresh": {"revokeSupersededSeconds": 30}}));
        bench.fake.policy("web", &[("database/creds/*", &["read"]), ("sys/leases/revoke", &["update"])]);
        let fault = Fault::Status(500, vec!["as told by the test".to_owned()]);
        bench.fake.fault(Matcher::path("sys/leases/revoke"), fault, times);
        let agent = bench.start();
        bench.ready().await;
        let first = bench.fake.leases()[0].id.clone();
        // Five tries are over 240 seconds after the first, which is after 870 at the latest: neither has the first lease ended then, nor
        // is the second one replaced.
        let tries = asked_at(&bench, "sys/leases/revoke", 280).await;
        assert_eq!(tries.len(), wanted, "tries at {tries:?}");
        assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= 59), "{tries:?}");
        let lives = bench.fake.leases().iter().any(|lease| lease.id == first);
        assert_eq!(lives, times == Times::Always);
        agent.stop().await;
    }
}

#[tokio::test]
async fn an_old_lease_is_not_revoked_before_the_app_was_told_of_the_new_one() {
    let spec = DatabaseRole { ttl: seconds(600), max_ttl: seconds(600), renewable: true };
    let bench = database(spec, role()).await;
    bench.fake.policy("web", &[("database/creds/*", &["read"]), ("sys/leases/revoke", &["update"])]);
    let signal = json!({ "kind": "signal", "signal": "HUP", "process": { "name": "no-such-process" } });
    let bench = bench.set(json!({
        "refresh": {"revokeSupersededSeconds": 5},
        "notify": [{"group": "db.json", "action": signal}],
    }));
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(580)).await;
    assert_eq!(asked(&bench, CREDS), 2, "it was replaced");
    assert_eq!(asked(&bench, "sys/leases/revoke"), 0);
    agent.stop().await;
}

#[tokio::test]
async fn a_policy_without_the_right_to_revoke_leaves_an_old_lease_to_expire() {
    let spec = DatabaseRole { ttl: seconds(300), max_ttl: seconds(300), renewable: true };
    let bench = database(spec, role()).await.set(json!({"refresh": {"revokeSupersededSeconds": 5}}));
    let agent = bench.start();
    bench.ready().await;
    no_gap(&bench, seconds(280)).await;
    assert_eq!(asked(&bench, "sys/leases/revoke"), 1, "asked again though it was denied");
    assert_eq!((bench.logins(), bench.line().as_str()), (1, "ready: 1 file written"));
    agent.stop().await;
}
