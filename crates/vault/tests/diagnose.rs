//! Each cause told apart from the others, by few questions, none of which carries the pod's token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod stub;

use std::time::Duration;

use serde_json::json;
use sidekey_core::contract::{Auth, AuthMethod, Dialect, PodIdentity, Server};
use sidekey_core::{Cause, Code, Lookup, Sensitive};
use sidekey_fakevault::{FakeVault, Fault, Flavour, Matcher, Options, RoleSpec, Times};
use sidekey_vault::{Client, Credential, Mounts, diagnose};

const MOUNT: &str = "auth/kubernetes";

struct Case {
    name: &'static str,
    /// Breaks what was in order.
    breaks: fn(&FakeVault),
    mount: &'static str,
    code: Code,
    /// What the cause must say.
    says: &'static [&'static str],
}

fn auth(mount: &str) -> Auth {
    Auth {
        method: AuthMethod::Kubernetes,
        mount: mount.to_owned(),
        role: "web".to_owned(),
        token_file: "/token".to_owned(),
        min_backoff_ms: 1,
        max_backoff_ms: 1,
    }
}

fn role() -> RoleSpec {
    RoleSpec {
        service_accounts: vec!["default".to_owned()],
        namespaces: vec!["shop".to_owned()],
        audience: Some("vault".to_owned()),
        policies: vec!["web".to_owned()],
        ..RoleSpec::default()
    }
}

fn names(entry: &str) -> Vec<String> {
    vec![entry.to_owned()]
}

fn pod() -> PodIdentity {
    PodIdentity { namespace: "shop".to_owned(), service_account: "default".to_owned() }
}

async fn fake(flavour: Flavour) -> FakeVault {
    let fake = FakeVault::start(Options { flavour, ..Options::default() }).await.unwrap();
    fake.enable_kubernetes(MOUNT);
    fake.role(MOUNT, "web", role());
    fake.kv2("secret");
    fake.kv1("kv1");
    fake.policy("web", &[("secret/data/web", &["read"]), ("kv1/*", &["read"])]);
    fake
}

fn client(fake: &FakeVault) -> Client {
    let (address, ca_pem) = (fake.address(), Some(fake.ca_pem().to_owned()));
    Client::new(&Server { address, ca_pem, timeout_seconds: 3, ..Server::default() }).unwrap()
}

async fn login_cause(fake: &FakeVault, mount: &str) -> Cause {
    let (client, jwt) = (client(fake), Sensitive::new(fake.jwt("shop", "default", "vault")));
    let error = client.login(&auth(mount), &Credential::Jwt(jwt.clone())).await.err().expect("the login must fail");
    fake.clear_requests();
    let cause = diagnose::login(&client, &auth(mount), &pod(), Dialect::Vault, Some(&jwt), &error).await;
    assert!(fake.requests().len() <= diagnose::MAX_QUESTIONS, "{:?}", fake.requests());
    cause
}

fn check(name: &str, cause: &Cause, code: Code, says: &[&str]) {
    let text = cause.to_string();
    assert_eq!(cause.code, code, "{name}: {text}");
    for words in says {
        assert!(text.contains(words), "{name} lacks {words:?}: {text}");
    }
    assert!(!text.contains('\n') && text.len() < 1_000, "{name}: one short line: {text}");
}

const LOGINS: [Case; 13] = [
    Case {
        name: "mount absent",
        breaks: |_| {},
        mount: "auth/nosuch",
        code: Code::AuthMountAbsent,
        says: &["auth/nosuch", "vault auth enable -path=nosuch kubernetes", "vault.hashicorp.com/auth-path"],
    },
    Case {
        name: "mount path with login",
        breaks: |_| {},
        mount: "auth/kubernetes/login",
        code: Code::AuthMountAbsent,
        says: &["without /login"],
    },
    Case {
        name: "unconfigured",
        breaks: |fake| fake.configured(MOUNT, false),
        mount: MOUNT,
        code: Code::AuthMountUnconfigured,
        says: &["vault write auth/kubernetes/config kubernetes_host="],
    },
    Case {
        name: "reviewer broken or wrong host",
        breaks: |fake| fake.reviewer(MOUNT, false),
        mount: MOUNT,
        code: Code::AuthReviewer,
        says: &["mount, role and names are right", "kubernetes_host", "token_reviewer_jwt", "it has [vault]"],
    },
    Case {
        name: "reviewer broken, role open to all",
        breaks: |fake| {
            fake.reviewer(MOUNT, false);
            fake.role(MOUNT, "web", RoleSpec { service_accounts: names("*"), namespaces: names("*"), ..role() });
        },
        mount: MOUNT,
        code: Code::AuthReviewer,
        says: &["kubernetes_host", "token_bound_cidrs"],
    },
    Case {
        name: "role missing",
        breaks: |fake| fake.remove_role(MOUNT, "web"),
        mount: MOUNT,
        code: Code::AuthRoleMissing,
        says: &["vault write auth/kubernetes/role/web", "bound_service_account_names=default", "audience=vault"],
    },
    Case {
        name: "service account not bound",
        breaks: |fake| fake.role(MOUNT, "web", RoleSpec { service_accounts: names("api"), ..role() }),
        mount: MOUNT,
        code: Code::AuthServiceAccount,
        says: &["Add default to bound_service_account_names", "vault read auth/kubernetes/role/web"],
    },
    Case {
        name: "namespace not bound",
        breaks: |fake| fake.role(MOUNT, "web", RoleSpec { namespaces: names("other"), ..role() }),
        mount: MOUNT,
        code: Code::AuthNamespace,
        says: &["Add shop to bound_service_account_namespaces"],
    },
    Case {
        name: "literal star among names",
        breaks: |fake| fake.role(MOUNT, "web", RoleSpec { service_accounts: names("\"*\""), ..role() }),
        mount: MOUNT,
        code: Code::AuthLiteralStar,
        says: &["bound_service_account_names='*'"],
    },
    Case {
        name: "literal star among names and namespaces",
        breaks: |fake| {
            fake.role(
                MOUNT,
                "web",
                RoleSpec { service_accounts: names("\"*\""), namespaces: names("\"*\""), ..role() },
            );
        },
        mount: MOUNT,
        code: Code::AuthLiteralStar,
        says: &["bound_service_account_names='*'"],
    },
    Case {
        name: "literal star among namespaces, any name",
        breaks: |fake| {
            fake.role(MOUNT, "web", RoleSpec { service_accounts: names("*"), namespaces: names("\"*\""), ..role() });
        },
        mount: MOUNT,
        code: Code::AuthLiteralStar,
        says: &["bound_service_account_namespaces='*'"],
    },
    Case {
        name: "audience",
        breaks: |fake| fake.role(MOUNT, "web", RoleSpec { audience: Some("other".to_owned()), ..role() }),
        mount: MOUNT,
        code: Code::AuthAudience,
        says: &["The token's audience is vault", "vault write auth/kubernetes/role/web audience=vault"],
    },
    Case {
        name: "expired",
        breaks: |fake| fake.advance(Duration::from_secs(100)),
        mount: "auth/kubernetes",
        code: Code::AuthToken,
        says: &["clocks"],
    },
];

#[tokio::test]
async fn tells_the_causes_of_a_refused_login_apart() {
    for flavour in [Flavour::Vault, Flavour::OpenBao] {
        for case in &LOGINS {
            let fake = fake(flavour).await;
            (case.breaks)(&fake);
            let cause = match case.name {
                "expired" => expired(&fake).await,
                _ => login_cause(&fake, case.mount).await,
            };
            check(case.name, &cause, case.code, case.says);
            assert!(cause.attempted.contains("role web (service account default of namespace shop)"), "{cause}");
        }
    }
}

/// Two hours later the same token is refused.
async fn expired(fake: &FakeVault) -> Cause {
    let (client, jwt) = (client(fake), Sensitive::new(fake.jwt("shop", "default", "vault")));
    fake.advance(Duration::from_secs(2 * 3600));
    let error = client.login(&auth(MOUNT), &Credential::Jwt(jwt.clone())).await.err().unwrap();
    diagnose::login(&client, &auth(MOUNT), &pod(), Dialect::Vault, Some(&jwt), &error).await
}

#[tokio::test]
async fn names_the_servers_state_in_place_of_the_login() {
    let cases = [
        (503, "Vault is sealed", Code::VaultSealed),
        (503, "Vault is not initialized", Code::VaultUninitialised),
        (429, "rate limit quota exceeded", Code::VaultRateLimited),
        (473, "", Code::VaultStandby),
        (500, "internal error", Code::VaultInternal),
    ];
    for (status, words, code) in cases {
        let fake = fake(Flavour::Vault).await;
        fake.fault(Matcher::any(), Fault::Status(status, vec![words.to_owned()]), Times::Always);
        check(words, &login_cause(&fake, MOUNT).await, code, &["logging in at auth/kubernetes"]);
    }
}

/// A kubernetes_host that swallows packets makes Vault hold the login; the rest of Vault answers.
#[tokio::test]
async fn finds_the_reviewer_behind_a_login_that_never_returns() {
    let fake = fake(Flavour::Vault).await;
    let login = Matcher::path("auth/kubernetes/login");
    fake.fault(login, Fault::Slow(Duration::from_secs(20)), Times::Once);
    let cause = login_cause(&fake, MOUNT).await;
    check("silence", &cause, Code::AuthReviewer, &["no answer in 3 s", "kubernetes_host"]);
}

#[tokio::test]
async fn says_when_the_token_file_holds_no_jwt() {
    let fake = fake(Flavour::Vault).await;
    let (client, jwt) = (client(&fake), Sensitive::from("garbage"));
    let error = client.login(&auth(MOUNT), &Credential::Jwt(jwt.clone())).await.err().unwrap();
    let cause = diagnose::login(&client, &auth(MOUNT), &pod(), Dialect::Native, Some(&jwt), &error).await;
    check("no jwt", &cause, Code::AuthToken, &["/token"]);
}

#[tokio::test]
async fn never_sends_the_pods_token_to_explain() {
    for said in ["permission denied", "service account name not authorized", "namespace not authorized"] {
        let body = json!({ "errors": [said] }).to_string();
        let vault = stub::start(move |_, seen| {
            let empty = seen.body == "{}";
            (
                stub::json(if empty { 400 } else { 403 }, if empty { r#"{"errors":["missing role"]}"# } else { &body }),
                false,
            )
        })
        .await;
        let server = Server { address: vault.address(), timeout_seconds: 3, ..Server::default() };
        let (client, fake) = (Client::new(&server).unwrap(), fake(Flavour::Vault).await);
        let jwt = Sensitive::new(fake.jwt("shop", "default", "vault"));
        let error = client.login(&auth(MOUNT), &Credential::Jwt(jwt.clone())).await.err().unwrap();
        let cause = diagnose::login(&client, &auth(MOUNT), &pod(), Dialect::Native, Some(&jwt), &error).await;
        let seen = vault.seen();
        assert!(seen.len() > 1 && seen.len() <= 1 + diagnose::MAX_QUESTIONS, "{said}: {}", seen.len());
        let signature = jwt.expose().rsplit('.').next().unwrap();
        assert!(seen[0].body.contains(signature));
        assert!(seen[1..].iter().all(|seen| !seen.body.contains(signature)), "{said}");
        assert!(!cause.to_string().contains(signature));
    }
}

async fn fetch_cause(fake: &FakeVault, path: &str) -> Cause {
    let client = client(fake);
    let jwt = Sensitive::new(fake.jwt("shop", "default", "vault"));
    let token = client.login(&auth(MOUNT), &Credential::Jwt(jwt.clone())).await.unwrap().token;
    let lookup = Lookup::read(path);
    let error = client.fetch(&token, &lookup, &Mounts::default()).await.err().expect("the fetch must fail");
    fake.clear_requests();
    let cause = diagnose::fetch(&client, &token, &lookup, Dialect::Native, &error).await;
    assert!(fake.requests().len() <= diagnose::MAX_QUESTIONS, "{:?}", fake.requests());
    cause
}

#[tokio::test]
async fn tells_the_causes_of_a_failed_lookup_apart() {
    let fake = fake(Flavour::Vault).await;
    fake.put("secret/web", json!({ "a": "b" }));
    fake.policy(
        "web",
        &[
            ("secret/data/web", &["read"]),
            ("secret/data/gone", &["read"]),
            ("secret/data/none", &["read"]),
            ("secret/short", &["read"]),
            ("secret/data/listed", &["list"]),
            ("kv1/*", &["read"]),
            ("absent/*", &["read"]),
        ],
    );
    fake.put("secret/gone", json!({ "a": "b" }));
    fake.delete("secret/gone");
    let cases: [(&str, Code, &[&str]); 8] = [
        (
            "secret/data/other",
            Code::PolicyDenied,
            &["reading secret/data/other", r#"path "secret/data/other" { capabilities = ["read"] }"#],
        ),
        ("secret/data/listed", Code::PolicyDenied, &[r#"the token has ["list"] there"#]),
        ("secret/short", Code::PolicyDenied, &["The policy names secret/short", "secret/data/short"]),
        ("absent/web", Code::SecretMountUnknown, &["Correct the mount absent/"]),
        ("secret/data/none", Code::SecretNotFound, &["vault kv put -mount=secret none"]),
        ("secret/data/web?version=9", Code::SecretNotFound, &["no version 9"]),
        ("kv1/data/web", Code::SecretNotFound, &["kv1/ is not KV version 2", "write kv1/web"]),
        ("secret/gone", Code::SecretDeleted, &["version 1 was deleted", "vault kv undelete -mount=secret"]),
    ];
    for (path, code, says) in cases {
        check(path, &fetch_cause(&fake, path).await, code, says);
    }
}

#[tokio::test]
async fn tells_a_dead_token_from_a_denied_one() {
    let fake = fake(Flavour::Vault).await;
    let (client, jwt) = (client(&fake), Sensitive::new(fake.jwt("shop", "default", "vault")));
    let token = client.login(&auth(MOUNT), &Credential::Jwt(jwt.clone())).await.unwrap().token;
    fake.revoke_token(token.expose());
    let lookup = Lookup::read("secret/data/web");
    let error = client.fetch(&token, &lookup, &Mounts::default()).await.err().unwrap();
    let cause = diagnose::fetch(&client, &token, &lookup, Dialect::Native, &error).await;
    check("dead", &cause, Code::TokenDead, &[]);
}

/// Vault tells a token which mounts its policies touch, and nothing of the others.
#[tokio::test]
async fn says_which_mounts_a_token_may_use_when_the_path_is_in_none() {
    let cases = [
        (
            r#"{"secret":{"secret/":{"type":"kv","options":{"version":"2"}},"cubbyhole/":{"type":"cubbyhole"}}}"#,
            Code::SecretMountUnknown,
        ),
        (r#"{"secret":{"cubbyhole/":{"type":"cubbyhole"}}}"#, Code::PolicyDenied),
    ];
    for (mounts, code) in cases {
        let vault = stub::start(move |_, seen| {
            let answer = match seen.line.split(' ').nth(1).unwrap() {
                "/v1/sys/internal/ui/mounts" => stub::json(200, &format!("{{\"data\":{mounts}}}")),
                "/v1/sys/capabilities-self" => stub::json(200, r#"{"data":{"secrets/data/web":["deny"]}}"#),
                _ => stub::json(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#),
            };
            (answer, false)
        })
        .await;
        let client = Client::new(&Server { address: vault.address(), ..Server::default() }).unwrap();
        let (token, lookup) = (Sensitive::from("t"), Lookup::read("secrets/data/web"));
        let error = client.fetch(&token, &lookup, &Mounts::default()).await.err().unwrap();
        let cause = diagnose::fetch(&client, &token, &lookup, Dialect::Native, &error).await;
        check(mounts, &cause, code, &[r#"path "secrets/data/web" { capabilities = ["read"] }"#]);
        assert_eq!(cause.fix.contains("this token may use secret/"), code == Code::SecretMountUnknown, "{cause}");
    }
}
