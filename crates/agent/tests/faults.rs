//! What a permanent failure costs the server, and what is left of the files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{Fault, Matcher, Standing, Times};
use support::Bench;

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

macro_rules! costs {
    ($($name:ident: $fault:expr, $code:literal, $most:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let (asked, line) = cost($fault).await;
            assert!(asked < $most, "{asked} requests in ten minutes");
            assert!(line.contains($code), "{line}");
        }
    )*};
}

// Two secrets at 60 s are some 22 requests in ten minutes without any fault.
costs! {
    a_permanent_403_is_bounded: status(403), "SK4", 100;
    a_permanent_404_is_bounded: Fault::Status(404, Vec::new()), "SK4003", 100;
    a_permanent_400_is_bounded: status(400), "SK4005", 100;
    a_permanent_405_is_bounded: status(405), "SK4006", 100;
    a_permanent_412_is_bounded: status(412), "SK4009", 150;
    a_permanent_429_is_bounded: Fault::RetryAfter(429, 5), "SK3009", 150;
    a_permanent_472_is_bounded: status(472), "SK", 150;
    a_permanent_473_is_bounded: status(473), "SK", 150;
    a_permanent_500_is_bounded: status(500), "SK3010", 150;
    a_permanent_503_is_bounded: status(503), "SK", 150;
    a_redirect_in_circles_is_bounded: Fault::Redirect("https://127.0.0.1:1".to_owned()), "SK300", 150;
    a_cut_body_is_bounded: Fault::CutBody, "SK3002", 150;
    a_reset_is_bounded: Fault::Reset, "SK3002", 150;
    a_page_of_html_is_bounded: Fault::Garbage, "SK", 150;
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
