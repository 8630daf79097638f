//! KV, static database users, certificates: shapes and mistakes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{Http, error, furnished, plain, s};
use serde_json::{Value, json};
use sidekey_fakevault::{Flavour, StaticRole};

#[tokio::test]
async fn kv2_keeps_versions_and_tells_deleted_from_destroyed_from_absent() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let root = fake.root_token();
    let (_, body) = http.call("POST", "secret/data/web", root, json!({ "data": { "user": "two" } })).await;
    assert_eq!(body["data"]["version"], 2);
    let (_, body) = http.get("secret/data/web?version=1", root).await;
    assert_eq!((&body["data"]["data"]["user"], &body["data"]["metadata"]["version"]), (&json!("app"), &json!(1)));
    assert_eq!(body["lease_duration"], 0);

    fake.delete("secret/web");
    let (status, body) = http.get("secret/data/web", root).await;
    assert_eq!((status, &body["data"]["data"]), (404, &Value::Null));
    assert_ne!(body["data"]["metadata"]["deletion_time"], "");
    assert_eq!(http.call("PUT", "secret/undelete/web", root, json!({ "versions": [2] })).await.0, 204);
    assert_eq!(http.get("secret/data/web", root).await.0, 200);
    fake.destroy("secret/data/web");
    let (status, body) = http.get("secret/data/web", root).await;
    assert_eq!((status, &body["data"]["metadata"]["destroyed"]), (404, &json!(true)));
    assert_eq!(http.get("secret/data/absent", root).await, (404, json!({ "errors": [] })));
    let stale = json!({ "data": {}, "options": { "cas": 1 } });
    let (status, body) = http.call("PUT", "secret/data/web", root, stale).await;
    assert_eq!((status, error(&body)), (400, "check-and-set parameter did not match the current version"));
}

#[tokio::test]
async fn a_wrong_kv_path_gets_a_warning_in_version_2_and_silence_in_version_1() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let root = fake.root_token();
    let (status, body) = http.get("secret/web", root).await;
    assert_eq!(status, 404);
    assert!(
        body["warnings"][0].as_str().unwrap().starts_with("Invalid path for a versioned K/V secrets engine."),
        "{body}"
    );
    let (status, body) = http.get("secret/data", root).await;
    assert!(status == 404 && body["warnings"][0].as_str().unwrap().starts_with("Non-listing operations"), "{body}");
    assert_eq!(http.get("kv1/data/web", root).await, (404, json!({ "errors": [] })));
    let (status, body) = http.get("absent/x", root).await;
    assert_eq!((status, error(&body)), (404, "no handler for route \"absent/x\". route entry not found."));
}

#[tokio::test]
async fn kv1_answers_with_a_hint_when_to_look_again() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let root = fake.root_token();
    assert_eq!(http.get("kv1/web", root).await.1["lease_duration"], 2_764_800);
    fake.put("kv1/deep/er", json!({ "ttl": "30s" }));
    assert_eq!(http.get("kv1/deep/er", root).await.1["lease_duration"], 30);
    assert_eq!(http.call("LIST", "kv1/", root, Value::Null).await.1["data"]["keys"], json!(["deep/", "web"]));
    assert_eq!(http.get("kv1/deep?list=true", root).await.1["data"]["keys"], json!(["er"]));
    for (mount, version) in [("kv1", "1"), ("secret", "2")] {
        let (_, body) = http.get(&format!("sys/internal/ui/mounts/{mount}/a/b"), root).await;
        assert_eq!((&body["data"]["type"], &body["data"]["options"]["version"]), (&json!("kv"), &json!(version)));
    }
}

#[tokio::test]
async fn a_static_password_changes_at_its_period_and_only_the_new_one_is_honoured() {
    let fake = plain().await;
    let http = Http::to(&fake);
    fake.static_database("database", "fixed", StaticRole { username: "fixed".into(), rotation_period: s(60) });
    let read = async || http.get("database/static-creds/fixed", fake.root_token()).await.1["data"].clone();
    let first = read().await;
    assert!(first["ttl"].as_u64().unwrap() <= 60 && first["rotation_period"] == 60, "{first}");
    fake.advance(s(61));
    let second = read().await;
    assert_ne!(first["password"], second["password"]);
    assert!(fake.honours("fixed", second["password"].as_str().unwrap()));
    assert!(!fake.honours("fixed", first["password"].as_str().unwrap()));
    let (status, body) = http.get("database/creds/absent", fake.root_token()).await;
    assert_eq!((status, error(&body)), (400, "unknown role: absent"));
}

#[tokio::test]
async fn a_certificate_has_its_key_its_chain_and_its_end() {
    let fake = plain().await;
    let http = Http::to(&fake);
    fake.pki("pki");
    let body = json!({ "common_name": "web.example", "ttl": "1h" });
    let (status, body) = http.call("PUT", "pki/issue/web", fake.root_token(), body).await;
    assert_eq!(status, 200, "{body}");
    let data = &body["data"];
    assert!(data["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(data["private_key"].as_str().unwrap().contains("PRIVATE KEY"));
    assert_eq!(data["issuing_ca"], data["ca_chain"][0]);
    assert!(data["expiration"].is_u64());
    assert_eq!(http.get("pki/issue/web", fake.root_token()).await.0, 405);
}
