//! Logins: each check in its order, with Vault's own words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{Http, error, furnished, plain, s, web};
use serde_json::{Value, json};
use sidekey_fakevault::{FakeVault, Flavour, RoleSpec};

async fn refusal(http: &Http, role: &str, jwt: &str) -> (u16, String) {
    let (status, body) = http.login(role, jwt).await;
    (status, error(&body).to_owned())
}

#[tokio::test]
async fn an_empty_login_tells_a_live_mount_from_an_absent_one() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    for (path, body, want) in [
        ("auth/kubernetes/login", Value::Null, (400, "missing role")),
        ("auth/kubernetes/login", json!({ "role": "web" }), (400, "missing jwt")),
        ("auth/kubernetes/login", json!({ "role": "absent", "jwt": "x" }), (400, "invalid role name \"absent\"")),
        ("auth/kubernetes/login", json!({ "role": "web", "jwt": "x" }), (403, "permission denied")),
        ("auth/absent/login", Value::Null, (403, "permission denied")),
    ] {
        let (status, answer) = http.call("PUT", path, "", body).await;
        assert_eq!((status, error(&answer)), want, "{path}");
    }
    let (status, _) = http.get("auth/kubernetes/login", "").await;
    assert_eq!(status, 405);
    let (status, answer) = http.call("PUT", "auth/absent/login", fake.root_token(), json!({})).await;
    assert_eq!((status, error(&answer)), (404, "no handler for route \"auth/absent/login\". route entry not found."));
}

#[tokio::test]
async fn checks_role_configuration_claims_account_namespace_and_review_in_this_order() {
    let fake = furnished(Flavour::Vault).await;
    let http = Http::to(&fake);
    let mount = "auth/kubernetes";
    fake.reviewer(mount, false);
    fake.configured(mount, false);
    let wrong = fake.jwt("other", "other", "other");
    assert_eq!(refusal(&http, "web", &wrong).await, (500, "could not load backend configuration".into()));
    fake.configured(mount, true);
    let audience = "invalid audience (aud) claim: audience claim does not match any expected audience";
    assert_eq!(refusal(&http, "web", &wrong).await, (403, audience.into()));
    let wrong = fake.jwt("other", "other", "vault");
    assert_eq!(refusal(&http, "web", &wrong).await, (403, "service account name not authorized".into()));
    let wrong = fake.jwt("other", "web", "vault");
    assert_eq!(refusal(&http, "web", &wrong).await, (403, "namespace not authorized".into()));
    let right = fake.jwt("default", "web", "vault");
    assert_eq!(refusal(&http, "web", &right).await, (403, "permission denied".into()));
    fake.reviewer(mount, true);
    assert_eq!(http.login("web", &right).await.0, 200);
    assert_eq!(
        refusal(&http, "web", &fake.foreign_jwt("default", "web", "vault")).await,
        (403, "permission denied".into())
    );
    fake.delete_service_account("default", "web");
    assert_eq!(refusal(&http, "web", &right).await, (403, "permission denied".into()));
    fake.advance(s(3600 + 151));
    let expired = "invalid expiration time (exp) claim: token is expired";
    assert_eq!(refusal(&http, "web", &right).await, (403, expired.into()));
}

#[tokio::test]
async fn a_role_without_audience_takes_any_and_a_quoted_star_binds_nobody() {
    let fake = plain().await;
    let http = Http::to(&fake);
    fake.role("auth/kubernetes", "open", RoleSpec { audience: None, ..web() });
    fake.role("auth/kubernetes", "quoted", RoleSpec { service_accounts: vec!["\"*\"".into()], ..web() });
    assert_eq!(http.login("open", &fake.jwt("default", "web", "anything")).await.0, 200);
    let (status, text) = refusal(&http, "quoted", &fake.jwt("default", "web", "vault")).await;
    assert_eq!((status, text.as_str()), (403, "service account name not authorized"));
}

#[tokio::test]
async fn a_jwt_mount_has_other_words() {
    let fake = plain().await;
    let http = Http::to(&fake);
    fake.enable_jwt("auth/jwt");
    fake.role("auth/jwt", "web", web());
    let login = async |role: &str, jwt: &str| {
        let (status, body) = http.call("POST", "auth/jwt/login", "", json!({ "role": role, "jwt": jwt })).await;
        (status, error(&body).to_owned())
    };
    assert_eq!(login("absent", "x").await, (400, "role \"absent\" could not be found".into()));
    assert_eq!(login("web", "").await, (400, "missing token".into()));
    assert_eq!(login("web", &fake.jwt("default", "web", "vault")).await.0, 200);
    let (status, text) = login("web", &fake.jwt("default", "web", "other")).await;
    assert!(status == 400 && text.starts_with("error validating token: invalid audience"), "{text}");
}

#[tokio::test]
async fn the_answer_of_a_login_is_vaults_and_openbaos_differs() {
    for flavour in [Flavour::Vault, Flavour::OpenBao] {
        let fake: FakeVault = furnished(flavour).await;
        let http = Http::to(&fake);
        fake.role("auth/kubernetes", "bare", RoleSpec { no_default_policy: true, policies: Vec::new(), ..web() });
        let (_, body) = http.login("bare", &fake.jwt("default", "web", "vault")).await;
        assert_eq!(body["auth"]["metadata"]["service_account_namespace"], "default");
        assert_eq!(body["auth"]["lease_duration"], 60);
        let vault = flavour == Flavour::Vault;
        assert_eq!(body.get("mount_type").is_some(), vault);
        assert_eq!(body["auth"].get("token_policies").is_some(), vault);
        let (_, health) = http.get("sys/health", "").await;
        assert_eq!(health.get("performance_standby").is_some(), vault);
    }
}
