//! Logins that show no service account token: what goes right, and what a person reads when it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod stub;

use std::collections::BTreeMap;

use sidekey_core::contract::{AppRole, Auth, AuthMethod, Aws, Cert, Dialect, PodIdentity, Server};
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_fakevault::{FakeVault, Options, RoleSpec};
use sidekey_vault::{Client, Credential, Guard, Unready, VaultError, diagnose, google, sts};

async fn fake() -> FakeVault {
    let fake = FakeVault::start(Options::default()).await.unwrap();
    fake.enable_approle("auth/approle");
    fake.enable_cert("auth/cert");
    fake.enable_aws("auth/aws");
    fake.enable_kubernetes("auth/kubernetes");
    for mount in ["auth/approle", "auth/cert"] {
        fake.role(mount, "web", RoleSpec::default());
    }
    let principals = vec!["arn:aws:iam::1:role/web".to_owned()];
    fake.role("auth/aws", "web", RoleSpec { service_accounts: principals, ..RoleSpec::default() });
    fake
}

fn client(fake: &FakeVault) -> Client {
    let (address, ca_pem) = (fake.address(), Some(fake.ca_pem().to_owned()));
    Client::new(&Server { address, ca_pem, timeout_seconds: 5, ..Server::default() }).unwrap()
}

fn auth(method: AuthMethod, mount: &str) -> Auth {
    let role = if matches!(method, AuthMethod::Aws(_)) { "web" } else { "" };
    let (mount, role, token_file) = (mount.to_owned(), role.to_owned(), "/vault/custom/token".to_owned());
    Auth { method, mount, role, token_file, min_backoff_ms: 1, max_backoff_ms: 1 }
}

fn approle() -> AuthMethod {
    let secret_id_file = Some("/vault/custom/secret-id".to_owned());
    AuthMethod::AppRole(AppRole {
        role_id_file: "/vault/custom/role-id".to_owned(),
        secret_id_file,
        ..AppRole::default()
    })
}

async fn cause(client: &Client, auth: &Auth, error: &VaultError) -> Cause {
    let pod = PodIdentity { namespace: "shop".to_owned(), service_account: "web".to_owned() };
    diagnose::login(client, auth, &pod, Dialect::Vault, None, error).await
}

async fn refused(client: &Client, auth: &Auth, credential: &Credential) -> Cause {
    let error = client.login(auth, credential).await.err().expect("the login must fail");
    cause(client, auth, &error).await
}

fn says(cause: &Cause, code: Code, words: &[&str]) {
    assert_eq!(cause.code, code, "{cause}");
    for word in words {
        assert!(cause.to_string().contains(word), "{word}: {cause}");
    }
}

#[tokio::test]
async fn logs_in_with_role_id_and_secret_id_and_tells_what_is_refused() {
    let fake = fake().await;
    let (client, auth) = (client(&fake), auth(approle(), "auth/approle"));
    let (role_id, secret_id) = (fake.role_id("auth/approle", "web"), fake.secret_id("auth/approle", "web"));
    let show = |role_id: &str, secret_id: Option<&str>| Credential::AppRole {
        role_id: role_id.into(),
        secret_id: secret_id.map(Sensitive::from),
    };
    let grant = client.login(&auth, &show(&role_id, Some(&secret_id))).await.unwrap();
    assert!(client.token_lives(&grant.token, grant.has_default()).await.unwrap());

    let wrong = refused(&client, &auth, &show(&role_id, Some("never-issued-secret-id"))).await;
    says(&wrong, Code::AuthSecretId, &["/vault/custom/secret-id", "vault write -f auth/approle/role/ROLE/secret-id"]);
    assert!(!wrong.to_string().contains("never-issued"), "{wrong}");
    says(&refused(&client, &auth, &show("nobody", Some(&secret_id))).await, Code::AuthSecretId, &["role or secret ID"]);
    says(&refused(&client, &auth, &show(&role_id, None)).await, Code::AuthSecretId, &["missing secret_id"]);
    let absent = Auth { mount: "auth/gone".to_owned(), ..auth.clone() };
    says(&refused(&client, &absent, &show(&role_id, None)).await, Code::AuthMountAbsent, &["-path=gone approle"]);
    let other = Auth { mount: "auth/kubernetes".to_owned(), ..auth };
    says(&refused(&client, &other, &show(&role_id, None)).await, Code::AuthMethodOther, &["type approle"]);
}

#[tokio::test]
async fn opens_a_wrapping_once_and_names_an_interception() {
    let fake = fake().await;
    let client = client(&fake);
    let path = "auth/approle/role/web/secret-id";
    let unwrap = async |wrapping: &str, path: &str| match client.unwrap_secret_id(&wrapping.into(), path).await {
        Ok(id) => Ok(id.expose().clone()),
        Err(Unready::Cause(cause)) => Err(cause),
        Err(Unready::Vault(error)) => panic!("{error}"),
    };
    let wrapping = fake.wrapped_secret_id("auth/approle", "web");
    let elsewhere = unwrap(&wrapping, "auth/approle/role/other/secret-id").await.unwrap_err();
    says(&elsewhere, Code::AuthWrappingPath, &["it was made by auth/approle/role/web/secret-id"]);
    let secret_id = unwrap(&wrapping, path).await.unwrap();
    let credential = Credential::AppRole {
        role_id: fake.role_id("auth/approle", "web").as_str().into(),
        secret_id: Some(Sensitive::new(secret_id)),
    };
    assert!(client.login(&auth(approle(), "auth/approle"), &credential).await.is_ok());
    says(&unwrap(&wrapping, path).await.unwrap_err(), Code::AuthWrappingUsed, &["possible", "audit log"]);
    fake.seal(true);
    let sealed = client.unwrap_secret_id(&fake.wrapped_secret_id("auth/approle", "web").as_str().into(), path).await;
    assert!(matches!(sealed, Err(Unready::Vault(error)) if error.status == Some(503)), "a sealed Vault is no thief");
}

#[tokio::test]
async fn shows_a_certificate_of_its_own_and_tells_why_it_is_not_taken() {
    let fake = fake().await;
    let client = client(&fake);
    let dir = tempfile::tempdir().unwrap();
    let cert = |name: &str, trusted: bool| {
        let pair = fake.client_pair(name, trusted).unwrap();
        let path = |end: &str| dir.path().join(format!("{name}.{end}")).to_str().unwrap().to_owned();
        std::fs::write(path("crt"), pair.certificate).unwrap();
        std::fs::write(path("key"), pair.key).unwrap();
        let (cert_file, key_file) = (Some(path("crt")), Some(path("key")));
        auth(AuthMethod::Cert(Cert { cert_file, key_file, ..Cert::default() }), "auth/cert")
    };
    let good = cert("web", true);
    let grant = client.login(&good, &Credential::Certificate).await.unwrap();
    let own = client.of_login(&good).unwrap();
    assert!(own.renew_token(&grant.token).await.is_ok());

    let strange = refused(&client, &cert("stranger", false), &Credential::Certificate).await;
    says(&strange, Code::AuthCertificate, &["vault list auth/cert/certs"]);
    let bare = auth(AuthMethod::Cert(Cert::default()), "auth/cert");
    let without = refused(&client, &bare, &Credential::Certificate).await;
    says(&without, Code::AuthCertificate, &["vault.hashicorp.com/auth-config-client-cert", "tls_disable_client_certs"]);
    let named = Cert { name: "nobody".to_owned(), ..Cert::default() };
    let named = auth(AuthMethod::Cert(named), "auth/cert");
    says(
        &refused(&client, &named, &Credential::Certificate).await,
        Code::AuthCertificate,
        &["by certificate as nobody"],
    );
    let gone = Cert { cert_file: Some("/gone".to_owned()), key_file: Some("/gone".to_owned()), ..Cert::default() };
    let gone = auth(AuthMethod::Cert(gone), "auth/cert");
    says(&refused(&client, &gone, &Credential::Certificate).await, Code::CaUnreadable, &["/gone"]);
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn signs_for_aws_with_keys_of_the_environment_and_tells_whose_fault_it_is() {
    let fake = fake().await;
    fake.aws_key("AKIAWEB", "arn:aws:iam::1:role/web");
    fake.aws_key("AKIAOTHER", "arn:aws:iam::1:role/other");
    let client = client(&fake);
    let login = async |method: Aws, id: &str| {
        let env = env(&[("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", "aws-secret-key")]);
        let credential = sts::credential(&method, &env, 1_440_938_160).await.unwrap();
        let auth = auth(AuthMethod::Aws(method), "auth/aws");
        match client.login(&auth, &credential).await {
            Ok(_) => None,
            Err(error) => Some(cause(&client, &auth, &error).await),
        }
    };
    assert!(login(Aws::default(), "AKIAWEB").await.is_none());
    says(&login(Aws::default(), "AKIAOTHER").await.unwrap(), Code::AuthPrincipal, &["bound_iam_principal_arn"]);
    says(&login(Aws::default(), "AKIANOBODY").await.unwrap(), Code::AuthAws, &["InvalidClientTokenId"]);
    fake.aws_server_id("vault.example");
    says(&login(Aws::default(), "AKIAWEB").await.unwrap(), Code::AuthDenied, &["auth-config-header-value"]);
    let named = Aws { header_value: Some("vault.example".to_owned()), ..Aws::default() };
    assert!(login(named, "AKIAWEB").await.is_none());
}

#[tokio::test]
async fn trades_a_web_identity_for_keys_and_says_what_sts_refuses() {
    let fake = fake().await;
    fake.aws_key("ASIAWEB", "arn:aws:iam::1:role/web");
    let sts_server = stub::start(|number, seen| {
        assert!(seen.line.starts_with("POST / "), "AWS takes a form by no other verb: {}", seen.line);
        assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert!(seen.header("x-vault-request").is_none());
        let (status, body) = match number {
            0 => (
                200,
                "<R><Credentials><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>k</SecretAccessKey>\
                 <SessionToken>s</SessionToken></Credentials></R>",
            ),
            _ => {
                (403, "<E><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts</Message></Error></E>")
            }
        };
        (stub::json(status, body), false)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "web-identity+token\n").unwrap();
    let address = sts_server.address();
    let pairs = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/web"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &address),
        ("AWS_REGION", "eu-west-1"),
    ];
    let credential = sts::credential(&Aws::default(), &env(&pairs), 1_440_938_160).await.unwrap();
    let auth = auth(AuthMethod::Aws(Aws::default()), "auth/aws");
    assert!(client(&fake).login(&auth, &credential).await.is_ok());
    let asked = &sts_server.seen()[0].body;
    assert!(
        asked.contains("Action=AssumeRoleWithWebIdentity") && asked.ends_with("WebIdentityToken=web-identity%2Btoken")
    );

    let refused = sts::credential(&Aws::default(), &env(&pairs), 1_440_938_160).await.err().unwrap();
    says(&refused, Code::AuthAws, &["arn:aws:iam::1:role/web", "403 AccessDenied Not authorized"]);
    assert!(!refused.to_string().contains("web-identity+token"));
    std::fs::remove_file(&token).unwrap();
    let gone = sts::credential(&Aws::default(), &env(&pairs), 1_440_938_160).await.err().unwrap();
    says(&gone, Code::AuthCredential, &["web identity token"]);
    let none = sts::credential(&Aws::default(), &env(&[]), 1_440_938_160).await.err().unwrap();
    says(&none, Code::AuthCredential, &["AWS_WEB_IDENTITY_TOKEN_FILE"]);
    let climbing = Aws { region: Some("x/../y".to_owned()), ..Aws::default() };
    says(&sts::credential(&climbing, &env(&[]), 0).await.err().unwrap(), Code::AuthCredential, &["no region"]);
}

#[tokio::test]
async fn trades_a_kubernetes_token_for_googles_and_says_who_refused() {
    let jwt = "header.payload.signature";
    let server = stub::start(move |number, seen| {
        assert!(seen.header("x-vault-request").is_none());
        let (status, body) = match number {
            0 => (200, r#"{"access_token":"ya29","expires_in":3600}"#.to_owned()),
            1 => (200, format!(r#"{{"token":"{jwt}"}}"#)),
            2 => (400, r#"{"error":"invalid_grant","error_description":"The audience is another"}"#.to_owned()),
            3 => (200, r#"{"access_token":"ya29"}"#.to_owned()),
            _ => (
                403,
                r#"{"error":{"code":403,"message":"Permission iam.serviceAccounts.getOpenIdToken denied"}}"#.into(),
            ),
        };
        (stub::json(status, &body), false)
    })
    .await;
    let workload = google::Workload {
        project: "p",
        location: "europe-west1",
        cluster: "c",
        account: "w@p.iam.gserviceaccount.com",
        role: "web",
        guard: Guard::default(),
    };
    let (address, token) = (server.address(), Sensitive::from("kubernetes+token"));
    let trade = async |workload: &google::Workload<'_>| {
        google::credential(workload, (&address, &address), &token, &env(&[])).await
    };
    let Ok(Credential::Jwt(got)) = trade(&workload).await else { panic!("no JWT") };
    assert_eq!(got.expose(), jwt);
    let seen = server.seen();
    assert!(seen[0].line.starts_with("POST /v1/token ") && seen[0].header("authorization").is_none());
    let provider = "audience=identitynamespace%3Ap.svc.id.goog%3Ahttps%3A%2F%2Fcontainer.googleapis.com%2Fv1%2Fprojects%2Fp%2F\
                    locations%2Feurope-west1%2Fclusters%2Fc&";
    assert!(
        seen[0].body.contains(provider) && seen[0].body.ends_with("subject_token=kubernetes%2Btoken"),
        "{}",
        seen[0].body
    );
    assert!(
        seen[1].line.contains("/serviceAccounts/w%40p.iam.gserviceaccount.com:generateIdToken "),
        "{}",
        seen[1].line
    );
    assert_eq!(seen[1].header("authorization"), Some("Bearer ya29"));
    assert_eq!(seen[1].body, r#"{"audience":"https://vault/web","includeEmail":true}"#);
    says(&trade(&workload).await.err().unwrap(), Code::AuthGoogle, &["400 The audience is another", "cluster c"]);
    says(&trade(&workload).await.err().unwrap(), Code::AuthGoogle, &["403 Permission", "w@p.iam.gserviceaccount.com"]);
    let climbing = google::Workload { cluster: "../c", ..workload };
    says(&trade(&climbing).await.err().unwrap(), Code::AuthCredential, &["cluster", "cannot be one"]);
}

#[tokio::test]
async fn looks_a_borrowed_token_up() {
    let fake = fake().await;
    let (client, auth) = (client(&fake), auth(AuthMethod::TokenFile, ""));
    let token = fake.token(&RoleSpec { ttl: std::time::Duration::from_secs(90), ..RoleSpec::default() });
    let grant = client.login(&auth, &Credential::Token(token.as_str().into())).await.unwrap();
    assert!(grant.token.expose() == &token && grant.renewable && grant.ttl.as_secs() >= 89);
    fake.revoke_token(&token);
    says(
        &refused(&client, &auth, &Credential::Token(token.as_str().into())).await,
        Code::TokenDead,
        &["/vault/custom/token"],
    );
}
