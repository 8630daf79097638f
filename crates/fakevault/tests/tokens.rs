//! Tokens and leases over time, and what policies leave of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{Http, error, furnished, s, web};
use serde_json::{Value, json};
use sidekey_fakevault::{Flavour, RoleSpec};

#[tokio::test]
async fn a_renewal_is_cut_at_the_longest_life_and_then_the_token_is_gone() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let token = http.token(&fake, "web").await;
    let renew = async |body: Value| http.call("PUT", "auth/token/renew-self", &token, body).await;

    let (_, body) = renew(json!({})).await;
    assert_eq!((&body["auth"]["lease_duration"], &body["warnings"]), (&json!(60), &Value::Null));
    fake.advance(s(30));
    let (_, body) = renew(json!({ "increment": "1h" })).await;
    let granted = body["auth"]["lease_duration"].as_u64().unwrap();
    assert!((88..=90).contains(&granted), "{granted}");
    let warning = body["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("TTL of \"1h\" exceeded the effective max_ttl of \"1m"), "{warning}");
    let (_, info) = http.get("auth/token/lookup-self", &token).await;
    assert!(info["data"]["last_renewal_time"].is_u64() && info["data"]["ttl"].as_u64().unwrap() <= granted);
    fake.advance(s(91));
    let (status, body) = renew(json!({})).await;
    assert_eq!((status, error(&body)), (403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"));
}

#[tokio::test]
async fn leases_die_with_their_token() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let token = http.token(&fake, "web").await;
    let (_, body) = http.get("database/creds/app", &token).await;
    let (user, password) = (body["data"]["username"].as_str().unwrap(), body["data"]["password"].as_str().unwrap());
    assert!(body["lease_id"].as_str().unwrap().starts_with("database/creds/app/"));
    assert_eq!((&body["lease_duration"], &body["renewable"]), (&json!(60), &json!(true)));
    assert!(fake.honours(user, password) && !fake.honours(user, "guess"));
    fake.revoke_token(&token);
    assert!(!fake.honours(user, password));
    assert_eq!(fake.leases(), []);
}

#[tokio::test]
async fn a_lease_is_renewed_up_to_its_longest_life_looked_up_and_revoked() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let root = fake.root_token();
    let (_, body) = http.get("database/creds/app", root).await;
    let id = body["lease_id"].as_str().unwrap();
    fake.advance(s(50));
    let (_, body) = http.call("PUT", "sys/leases/renew", root, json!({ "lease_id": id, "increment": 600 })).await;
    assert!((128..=130).contains(&body["lease_duration"].as_u64().unwrap()), "{body}");
    assert_eq!(body["warnings"].as_array().map(Vec::len), Some(1));
    let (_, body) = http.call("PUT", "sys/leases/lookup", root, json!({ "lease_id": id })).await;
    assert!(body["data"]["last_renewal"].is_string(), "{body}");
    assert_eq!(http.call("PUT", "sys/leases/revoke", root, json!({ "lease_id": id })).await.0, 204);
    let (status, body) = http.call("PUT", "sys/leases/renew", root, json!({ "lease_id": id })).await;
    assert_eq!((status, error(&body)), (400, "lease not found"));
    let (status, body) = http.call("PUT", "sys/leases/lookup", root, json!({ "lease_id": id })).await;
    assert_eq!((status, error(&body)), (400, "invalid lease"));
}

#[tokio::test]
async fn without_the_default_policy_a_token_can_only_read_its_secrets() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    fake.role("auth/kubernetes", "reader", RoleSpec { no_default_policy: true, ..web() });
    let token = http.token(&fake, "reader").await;
    assert_eq!(http.get("secret/data/web", &token).await.0, 200);
    for (method, path, body) in [
        ("GET", "auth/token/lookup-self", Value::Null),
        ("PUT", "auth/token/renew-self", json!({})),
        ("PUT", "auth/token/revoke-self", json!({})),
        ("PUT", "sys/capabilities-self", json!({ "path": "a" })),
        ("PUT", "sys/leases/renew", json!({ "lease_id": "a" })),
        ("GET", "secret/data/other", Value::Null),
        ("GET", "secret/metadata/web", Value::Null),
    ] {
        let (status, body) = http.call(method, path, &token, body).await;
        assert_eq!((status, error(&body)), (403, "1 error occurred:\n\t* permission denied\n\n"), "{path}");
    }
    assert_eq!(http.get("sys/internal/ui/mounts/secret/web", &token).await.0, 200);
    let (status, body) = http.get("sys/internal/ui/mounts/absent/web", &token).await;
    assert_eq!(status, 403);
    assert!(error(&body).ends_with("policies grant access to path \"absent/web/\""), "{body}");
}

#[tokio::test]
async fn capabilities_are_told_for_each_path() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let token = http.token(&fake, "web").await;
    let paths = json!({ "paths": ["secret/data/web", "secret/data/x", "kv1/a"] });
    let (_, body) = http.call("PUT", "sys/capabilities-self", &token, paths).await;
    assert_eq!(
        body["data"],
        json!({ "secret/data/web": ["read"], "secret/data/x": ["deny"], "kv1/a": ["list", "read"] })
    );
    let (_, body) = http.call("PUT", "sys/capabilities-self", &token, json!({ "path": "kv1/a" })).await;
    assert_eq!(body["capabilities"], json!(["list", "read"]));
}

#[tokio::test]
async fn batch_tokens_and_counted_tokens_keep_their_limits() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    fake.role("auth/kubernetes", "batch", RoleSpec { batch: true, ..web() });
    fake.role("auth/kubernetes", "counted", RoleSpec { num_uses: 2, ..web() });
    fake.role("auth/kubernetes", "periodic", RoleSpec { period: s(40), max_ttl: s(0), ..web() });

    let batch = http.token(&fake, "batch").await;
    assert!(batch.starts_with("hvb."));
    for (path, text) in
        [("renew-self", "batch tokens cannot be renewed"), ("revoke-self", "batch tokens cannot be revoked")]
    {
        let (status, body) = http.call("PUT", &format!("auth/token/{path}"), &batch, json!({})).await;
        assert_eq!((status, error(&body)), (400, text));
    }

    let counted = http.token(&fake, "counted").await;
    assert_eq!(http.get("auth/token/lookup-self", &counted).await.1["data"]["num_uses"], 1);
    let (status, body) = http.get("database/creds/app", &counted).await;
    assert!(status == 400 && error(&body).contains("token had one use left"), "{body}");
    assert_eq!(http.get("secret/data/web", &counted).await.0, 403);

    let periodic = http.token(&fake, "periodic").await;
    for _ in 0..20 {
        fake.advance(s(39));
        let (_, body) = http.call("PUT", "auth/token/renew-self", &periodic, json!({})).await;
        assert_eq!(body["auth"]["lease_duration"], 40);
    }
    fake.remove_role("auth/kubernetes", "periodic");
    let (status, body) = http.call("PUT", "auth/token/renew-self", &periodic, json!({})).await;
    assert_eq!(status, 400);
    assert!(error(&body).contains("does not exist during renewal"), "{body}");
}

#[tokio::test]
async fn an_operator_creates_and_revokes_tokens() {
    let fake = furnished(Flavour::OpenBao).await;
    let http = Http::to(&fake);
    let (_, body) =
        http.call("PUT", "auth/token/create", fake.root_token(), json!({ "policies": ["web"], "ttl": "1h" })).await;
    let token = body["auth"]["client_token"].as_str().unwrap();
    assert_eq!(body["auth"]["lease_duration"], 3600);
    assert_eq!(fake.tokens().len(), 1);
    assert_eq!(http.call("PUT", "auth/token/revoke", fake.root_token(), json!({ "token": token })).await.0, 204);
    let (status, body) = http.get("auth/token/lookup-self", token).await;
    assert_eq!((status, error(&body)), (403, "permission denied"));
}
