//! What a real server cannot be told to do, and the record of it all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::{Http, error, furnished, plain, s};
use serde_json::{Value, json};
use sidekey_fakevault::{Certificate, FakeVault, Fault, Flavour, Matcher, Options, Standing, Times};

const PATH: &str = "secret/data/web";

#[tokio::test]
async fn statuses_come_as_often_as_asked_and_only_where_asked() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let root = fake.root_token();
    fake.fault(
        Matcher::new("GET", "secret/"),
        Fault::Status(412, vec!["required index state not present".into()]),
        Times::N(2),
    );
    assert_eq!(http.get("kv1/web", root).await.0, 200);
    for want in [412, 412, 200] {
        assert_eq!(http.get(PATH, root).await.0, want);
    }
    fake.fault(Matcher::any(), Fault::RetryAfter(429, 7), Times::Once);
    let answer = http.send("GET", PATH, root, Value::Null).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    fake.fault(Matcher::any(), Fault::Redirect("https://active.example:8200".into()), Times::Always);
    let answer = http.send("GET", "secret/data/web?version=1", root, Value::Null).await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    assert_eq!((answer.status().as_u16(), location), (307, "https://active.example:8200/v1/secret/data/web?version=1"));
    fake.clear_faults();
    assert_eq!(http.get(PATH, root).await.0, 200);
}

#[tokio::test]
async fn bodies_are_cut_garbled_and_swollen_and_connections_reset() {
    let fake = FakeVault::start(Options::default()).await.unwrap();
    fake.put("secret/web", json!({ "a": "b" }));
    let http = Http::to(&fake);
    let root = fake.root_token();
    let get = async || http.send("GET", PATH, root, Value::Null).await;

    fake.fault(Matcher::any(), Fault::CutBody, Times::Once);
    let cut = get().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.text().await.is_err());

    fake.fault(Matcher::any(), Fault::Reset, Times::Once);
    assert!(get().await.is_err());
    assert_eq!(fake.requests().last().map(|request| request.status), Some(0));

    fake.fault(Matcher::any(), Fault::Garbage, Times::Once);
    let page = get().await.unwrap().text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&page).is_err());

    fake.fault(Matcher::any(), Fault::Huge(3 << 20), Times::Once);
    assert_eq!(get().await.unwrap().text().await.unwrap().len(), 3 << 20);

    let slow = Duration::from_millis(200);
    fake.fault(Matcher::any(), Fault::Slow(slow), Times::Once);
    let start = Instant::now();
    assert_eq!(get().await.unwrap().status(), 200);
    assert!(start.elapsed() >= slow);
}

#[tokio::test]
async fn a_lost_answer_has_had_its_effect_and_a_reset_has_not() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let path = "database/creds/app";
    fake.fault(Matcher::any(), Fault::Reset, Times::Once);
    assert!(http.send("GET", path, fake.root_token(), Value::Null).await.is_err());
    assert_eq!(fake.leases().len(), 0);
    fake.fault(Matcher::any(), Fault::LoseAnswer, Times::Once);
    assert!(http.send("GET", path, fake.root_token(), Value::Null).await.is_err());
    assert_eq!(fake.leases().len(), 1);
}

#[tokio::test]
async fn a_renewal_to_nothing_extends_nothing() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let token = http.token(&fake, "web").await;
    let (_, lease) = http.get("database/creds/app", &token).await;
    fake.fault(Matcher::any(), Fault::RenewToNothing, Times::Always);
    let (status, body) = http.call("PUT", "sys/leases/renew", &token, json!({ "lease_id": lease["lease_id"] })).await;
    assert_eq!((status, &body["lease_duration"]), (200, &json!(0)));
    let (status, body) = http.call("PUT", "auth/token/renew-self", &token, json!({})).await;
    assert_eq!((status, &body["auth"]["lease_duration"]), (200, &json!(0)));
    assert!(fake.tokens()[0].ttl <= s(60) && fake.leases()[0].ttl <= s(60));
}

#[tokio::test]
async fn health_tells_the_servers_part_by_status() {
    let fake = plain().await;
    let http = Http::to(&fake);
    for (standing, health, other) in [
        (Standing::Active, 200, 403),
        (Standing::Standby, 429, 307),
        (Standing::PerformanceStandby, 473, 403),
        (Standing::DrSecondary, 472, 472),
        (Standing::Uninitialised, 501, 503),
        (Standing::Sealed, 503, 503),
    ] {
        fake.standing(standing);
        fake.active_address("http://127.0.0.1:1");
        assert_eq!(http.get("sys/health", "").await.0, health, "{standing:?}");
        assert_eq!(http.get(PATH, "").await.0, other, "{standing:?}");
        assert_eq!(http.get("sys/seal-status", "").await.0, 200);
    }
    let (_, body) = http.get(PATH, "").await;
    assert_eq!(error(&body), "Vault is sealed");
    assert_eq!(http.get("sys/health?sealedcode=299&standbyok=true", "").await.0, 299);
    fake.seal(false);
    assert_eq!(http.get("sys/health", "").await.0, 200);
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_told_by_openbao_only() {
    for (flavour, want) in
        [(Flavour::Vault, (403, "permission denied")), (Flavour::OpenBao, (404, "namespace not found"))]
    {
        let fake = furnished(flavour).await;
        fake.only_namespace("team/");
        let http = Http::to(&fake);
        let (status, body) = http.call("PUT", "auth/kubernetes/login", "", json!({})).await;
        assert_eq!((status, error(&body)), want);
    }
}

#[tokio::test]
async fn every_request_is_recorded_and_counted() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let token = http.token(&fake, "web").await;
    http.get("secret/data/web?version=1", &token).await;
    http.get("secret/data/other", &token).await;
    let seen: Vec<_> = fake.requests().into_iter().map(|r| (r.method, r.path, r.status)).collect();
    let want = [("PUT", "auth/kubernetes/login", 200), ("GET", PATH, 200), ("GET", "secret/data/other", 403)];
    assert_eq!(seen, want.map(|(method, path, status)| (method.to_owned(), path.to_owned(), status)));
    assert_eq!(fake.count("POST", "/auth/kubernetes/login/"), 1);
    assert_eq!(fake.count("", PATH), 1);
    fake.clear_requests();
    assert_eq!(fake.requests(), []);
}

#[tokio::test]
async fn a_certificate_can_be_wrong_in_name_or_date_or_ca() {
    let other = FakeVault::start(Options::default()).await.unwrap();
    for certificate in [Certificate::WrongName, Certificate::Expired] {
        let fake = FakeVault::start(Options { certificate, ..Options::default() }).await.unwrap();
        assert!(Http::to(&fake).send("GET", "sys/health", "", Value::Null).await.is_err(), "{certificate:?}");
    }
    assert_ne!(other.ca_pem(), FakeVault::start(Options::default()).await.unwrap().ca_pem());
}

#[tokio::test]
async fn a_dropped_server_listens_no_more() {
    let fake = plain().await;
    let socket = fake.socket();
    assert!(tokio::net::TcpStream::connect(socket).await.is_ok());
    drop(fake);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(tokio::net::TcpStream::connect(socket).await.is_err());
}
