//! What a permanent failure costs the server, and what is left of the files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{Fault, Matcher, Standing, Times};
use support::{Bench, Log};

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn status(status: u16) -> Fault {
    Fault::Status(status, vec!["as told by the test".to_owned()])
}

/// Ready, then ten minutes of the fault on one of two secrets: how many requests it cost, all told.
async fn cost(fault: Fault) -> (usize, String) {
    let bench = Bench::new().await.format("a.json", "json", "secret/data/web", json!({})).format(
        "b.json",
        "json",
        "secret/data/b",
        json!({}),
    );
    bench.fake.put("secret/b", json!({"n": "1"}));
    let agent = bench.start();
    bench.ready().await;
    bench.fake.clear_requests();
    bench.fake.fault(Matcher::path("secret/data/web"), fault, Times::Always);
    bench.idle(TEN_MINUTES / 2).await;
    bench.fake.put("secret/b", json!({"n": "2"}));
    bench.idle(TEN_MINUTES / 2).await;
    assert!(bench.read("a.json").unwrap().contains("one"), "the last good file is gone");
    assert!(bench.read("b.json").unwrap().contains('2'), "the other secret was not followed");
    let (line, asked) = (bench.line(), bench.fake.requests().len());
    bench.fake.clear_faults();
    bench.fake.put("secret/web", json!({"password": "three"}));
    bench.idle(Duration::from_secs(150)).await;
    bench.until("recovery", |bench| bench.read("a.json").unwrap().contains("three")).await;
    bench.until("nothing to complain of", |bench| bench.line() == "ready: 2 files written").await;
    agent.stop().await;
    (asked, line)
}

/// Each on a bench of its own, side by side: most of the time is waiting. Two secrets at 60 s are some 22 requests in ten
/// minutes without any fault.
async fn all_bounded(cases: Vec<(&'static str, Fault, &'static str, usize)>) {
    let mut running = tokio::task::JoinSet::new();
    for (name, fault, code, most) in cases {
        running.spawn(async move {
            let (asked, line) = cost(fault).await;
            assert!(asked < most, "{name}: {asked} requests in ten minutes");
            assert!(line.contains(code), "{name}: {line}");
        });
    }
    while let Some(case) = running.join_next().await {
        case.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_refuses_for_ever_is_asked_rarely() {
    all_bounded(vec![
        ("400", status(400), "SK4005", 100),
        ("403", status(403), "SK4", 100),
        ("404", Fault::Status(404, Vec::new()), "SK4003", 100),
        ("405", status(405), "SK4006", 100),
    ])
    .await;
}

#[tokio::test]
async fn a_server_that_is_behind_or_limits_is_asked_rarely() {
    all_bounded(vec![
        ("412", status(412), "SK4009", 150),
        ("429", Fault::RetryAfter(429, 5), "SK3009", 150),
        ("472", status(472), "SK3007", 150),
        ("473", status(473), "SK3007", 150),
    ])
    .await;
}

#[tokio::test]
async fn a_server_that_fails_or_sends_elsewhere_is_asked_rarely() {
    all_bounded(vec![
        ("500", status(500), "SK3010", 150),
        ("503", status(503), "SK3010", 150),
        ("503 with Retry-After", Fault::RetryAfter(503, 5), "SK3", 150),
        ("307 to nowhere", Fault::Redirect("https://127.0.0.1:1".to_owned()), "SK3002", 150),
    ])
    .await;
}

#[tokio::test]
async fn answers_that_are_broken_are_asked_for_rarely() {
    all_bounded(vec![
        ("cut body", Fault::CutBody, "SK3002", 150),
        ("reset", Fault::Reset, "SK3002", 150),
        ("HTML", Fault::Garbage, "SK3005", 150),
        ("a body without end", Fault::Huge(64 << 20), "SK", 150),
    ])
    .await;
}

#[tokio::test]
async fn a_sealed_server_keeps_all_files_and_is_asked_rarely() {
    let bench = Bench::new().await.format("a.json", "json", "secret/data/web", json!({})).format(
        "db.json",
        "json",
        "database/creds/app",
        json!({}),
    );
    let agent = bench.start();
    bench.ready().await;
    let before = (bench.read("a.json"), bench.read("db.json"));
    bench.fake.clear_requests();
    bench.fake.standing(Standing::Sealed);
    bench.idle(TEN_MINUTES).await;
    let asked = bench.fake.requests().len();
    assert!((1..150).contains(&asked), "{asked} requests");
    assert!(bench.line().contains("SK3006"), "{}", bench.line());
    assert_eq!((bench.read("a.json"), bench.read("db.json")), before);
    bench.fake.seal(false);
    bench.idle(Duration::from_secs(70)).await;
    bench.until("recovery", |bench| bench.line() == "ready: 2 files written").await;
    assert_eq!(bench.logins(), 0);
    agent.stop().await;
}

#[tokio::test]
async fn an_hour_without_a_server_is_a_few_lines_of_the_log() {
    for standing in [true, false] {
        let bench = Bench::new().await.format("a.json", "json", "secret/data/web", json!({})).format(
            "db.json",
            "json",
            "database/creds/app",
            json!({}),
        );
        let (log, _recording) = Log::record();
        let agent = bench.start();
        bench.ready().await;
        assert!(log.take().contains("logged in"), "nothing is recorded");
        if standing {
            bench.fake.standing(Standing::Sealed);
        } else {
            bench.fake.fault(Matcher::any(), Fault::Reset, Times::Always);
        }
        bench.idle(Duration::from_secs(3_600)).await;
        let text = log.take();
        let lines = text.lines().count();
        assert!((1..=20).contains(&lines), "{lines} lines:\n{text}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn failing_logins_are_bounded() {
    let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({}));
    bench.fake.fault(Matcher::path("auth/kubernetes/login"), status(403), Times::Always);
    let agent = bench.start();
    bench.idle(TEN_MINUTES).await;
    let (logins, asked) = (bench.logins(), bench.fake.requests().len());
    assert!((3..40).contains(&logins) && asked < 100, "{logins} logins, {asked} requests");
    agent.stop().await;
}

#[tokio::test]
async fn a_lease_renewed_to_nothing_is_replaced_not_renewed_for_ever() {
    let bench = Bench::new().await.format("db.json", "json", "database/creds/app", json!({}));
    bench.fake.fault(Matcher::path("sys/leases/renew"), Fault::RenewToNothing, Times::Always);
    bench.fake.fault(Matcher::path("auth/token/renew-self"), Fault::RenewToNothing, Times::Always);
    let agent = bench.start();
    bench.ready().await;
    bench.jump(Duration::from_secs(2_500));
    bench.idle(TEN_MINUTES).await;
    let asked = bench.fake.requests().len();
    assert!(asked < 60, "{asked} requests");
    agent.stop().await;
}

#[tokio::test]
async fn a_permanent_denial_before_the_first_set_says_which_capability_is_missing() {
    let bench = Bench::new().await.format("a", "json", "secret/data/web", json!({}));
    bench.fake.policy("web", &[("secret/data/other", &["read"])]);
    let agent = bench.start();
    bench.until("the policy's cause", |bench| bench.line().starts_with("SK4001")).await;
    let line = bench.line();
    assert!(line.contains("secret/data/web") && line.contains("read"), "{line}");
    bench.fake.policy("web", &[("secret/data/web", &["read"])]);
    bench.idle(Duration::from_secs(130)).await;
    bench.ready().await;
    assert_eq!(bench.logins(), 1, "a denial is no reason to log in");
    agent.stop().await;
}

#[tokio::test]
async fn a_path_made_of_the_time_is_no_loop() {
    let text = r#"{{ with secret (printf "secret/data/%s" (timestamp "unix")) }}{{ .Data.data.x }}{{ end }}"#;
    let bench = Bench::new().await.go("odd", text, json!({}));
    bench.fake.fault(Matcher::path("secret/data"), Fault::Garbage, Times::Once);
    for second in 0..20 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        bench.fake.put(&format!("secret/{}", now + second), json!({"x": "y"}));
    }
    let agent = bench.start();
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.idle(Duration::from_secs(300)).await;
    let asked = bench.fake.requests().len();
    assert!(asked < 40, "{asked} requests");
    assert_eq!(bench.read("odd").as_deref(), Some("y"));
    agent.stop().await;
}
