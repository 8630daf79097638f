//! Logins with a cloud's identity: static AWS keys, IAM roles for service accounts, Google's workload identity.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_fakevault::RoleSpec;
use sidekey_operator::proof::Cloud;
use sidekey_operator::run::Options;
use support::{World, condition, options, path, role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const VSS: &str = "vaultstaticsecrets";
const ARN: &str = "arn:aws:iam::1:role/web";

/// A server that answers each request by the first part of a table that the request has in it; its URL, and the requests.
async fn cloud(table: Vec<(&'static str, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (table, log) = (table.clone(), Arc::clone(&log));
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut part = [0; 16 * 1024];
                let whole = |request: &[u8]| {
                    let text = String::from_utf8_lossy(request).into_owned();
                    let (head, body) = text.split_once("\r\n\r\n")?;
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>();
                    (body.len() >= length.ok()?).then_some(text)
                };
                let text = loop {
                    if let Some(text) = whole(&request) {
                        break text;
                    }
                    let read = stream.read(&mut part).await.unwrap();
                    assert!(read > 0, "a request ended early");
                    request.extend_from_slice(&part[..read]);
                };
                log.lock().unwrap().push(text.clone());
                let found = table.iter().find(|(part, _)| text.contains(part));
                let (status, body) = found.map_or((403, "{}"), |(_, body)| (200, body.as_str()));
                let head =
                    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            });
        }
    });
    (address, seen)
}

fn account(world: &World, name: &str, annotations: Value) {
    let metadata =
        json!({ "name": name, "namespace": "app", "uid": format!("uid-{name}"), "annotations": annotations });
    world.cluster.apply("serviceaccounts", json!({ "metadata": metadata }));
}

fn login(world: &World, method: &str, name: &str, block: Value) {
    let spec = json!({ "method": method, "mount": method, "vaultConnectionRef": "vault", method: block });
    world.apply("vaultauths", "VaultAuth", "app", name, spec);
    world.static_secret("app", name, json!({ "vaultAuthRef": name }));
}

async fn refused(world: &World, name: &str, code: &'static str) -> String {
    let said = |object: &Value| condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    let object = world.cluster.until(&path(VSS, name), move |object| said(object).contains(code)).await;
    said(&object)
}

fn aws(world: &World) {
    world.vault.enable_aws("auth/aws");
    world.vault.aws_key("AKIAWEB", ARN);
    world.vault.aws_key("ASIAWEB", ARN);
    world.vault.role("auth/aws", "web", RoleSpec { service_accounts: vec![ARN.to_owned()], ..role() });
}

#[tokio::test]
async fn static_keys_of_a_secret_log_in_at_aws() {
    let mut world = World::new().await;
    aws(&world);
    let keys = |id: &str| json!({ "access_key_id": STANDARD.encode(id), "secret_access_key": STANDARD.encode("k\n") });
    for (name, data) in
        [("keys", keys("AKIAWEB")), ("wrong", keys("AKIANOBODY")), ("half", json!({ "access_key_id": "QQ==" }))]
    {
        world.cluster.apply(
            "secrets",
            json!({ "metadata": { "name": format!("aws-{name}"), "namespace": "app" }, "data": data }),
        );
        login(&world, "aws", name, json!({ "role": "web", "region": "eu-west-1", "secretRef": format!("aws-{name}") }));
    }
    login(&world, "aws", "both", json!({ "role": "web", "secretRef": "aws-keys", "irsaServiceAccount": "web" }));
    login(&world, "aws", "own", json!({ "role": "web" }));
    world.start();
    world.secret("keys", "user", "app").await;
    assert!(refused(&world, "wrong", "SK3119").await.contains("InvalidClientTokenId"));
    assert!(refused(&world, "half", "SK7010").await.contains("no key secret_access_key"));
    world.secret("both", "user", "app").await;
    assert!(
        refused(&world, "own", "SK3114").await.contains("AWS_WEB_IDENTITY_TOKEN_FILE"),
        "it has no identity of its own"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_service_account_with_an_iam_role_logs_in_by_its_token() {
    let mut world = World::new().await;
    aws(&world);
    let keys =
        "<R><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>s</SessionToken></R>";
    let (sts, seen) = cloud(vec![("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fweb", keys.to_owned())]).await;
    account(&world, "web", json!({ "eks.amazonaws.com/role-arn": ARN }));
    account(&world, "bare", json!({}));
    let irsa = |account: &str, sts: &str| json!({ "role": "web", "irsaServiceAccount": account, "stsEndpoint": sts, "sessionName": "shop" });
    login(&world, "aws", "irsa", irsa("web", &sts));
    login(&world, "aws", "bare", irsa("bare", &sts));
    login(&world, "aws", "absent", irsa("absent", &sts));
    login(&world, "aws", "elsewhere", irsa("web", "http://169.254.169.254"));
    world.start();
    world.secret("irsa", "user", "app").await;
    let asked = seen.lock().unwrap()[0].clone();
    assert!(asked.contains("RoleSessionName=shop") && asked.contains("WebIdentityToken="), "{asked}");
    assert!(refused(&world, "bare", "SK7013").await.contains("no annotation eks.amazonaws.com/role-arn"));
    refused(&world, "absent", "SK7013").await;
    refused(&world, "elsewhere", "SK7012").await;
    assert!(seen.lock().unwrap().len() <= 2, "only the one that may is asked for");
    let object = world.cluster.get(&path(VSS, "irsa"));
    let cache_key = object["status"]["vaultClientMeta"]["cacheKey"].as_str().unwrap();
    assert!(cache_key.starts_with("aws-") && cache_key.len() == 26, "{cache_key}");
    world.stop().await;
}

#[tokio::test]
async fn a_service_account_says_for_whom_its_token_is_or_it_is_for_sts() {
    let mut world = World::new().await;
    aws(&world);
    let keys =
        "<R><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>s</SessionToken></R>";
    let (sts, seen) = cloud(vec![("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fweb", keys.to_owned())]).await;
    world.cluster.mint(|_, account, audience| match account {
        "usual" | "own" => Some(format!("{account}-for-{audience}")),
        _ => Some("none".to_owned()),
    });
    account(&world, "usual", json!({ "eks.amazonaws.com/role-arn": ARN }));
    account(&world, "own", json!({ "eks.amazonaws.com/role-arn": ARN, "eks.amazonaws.com/audience": "elsewhere" }));
    for name in ["usual", "own"] {
        login(&world, "aws", name, json!({ "role": "web", "irsaServiceAccount": name, "stsEndpoint": sts }));
    }
    world.start();
    for name in ["usual", "own"] {
        world.secret(name, "user", "app").await;
    }
    let asked = seen.lock().unwrap().join("\n");
    for token in ["WebIdentityToken=usual-for-sts.amazonaws.com", "WebIdentityToken=own-for-elsewhere"] {
        assert!(asked.contains(token), "{asked}");
    }
    assert_eq!(asked.matches("RoleSessionName=sidekey-operator&").count(), 2, "{asked}");
    world.stop().await;
}

#[tokio::test]
async fn the_operators_own_web_identity_serves_who_names_none() {
    let mut world = World::new().await;
    aws(&world);
    let keys =
        "<R><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>s</SessionToken></R>";
    let (sts, _) = cloud(vec![("WebIdentityToken=operator", keys.to_owned())]).await;
    let file = std::env::temp_dir().join(format!("sidekey-web-identity-{}", std::process::id()));
    std::fs::write(&file, "operator").unwrap();
    let env = [
        ("AWS_ROLE_ARN", ARN),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", sts.as_str()),
    ];
    let env: BTreeMap<_, _> = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    login(&world, "aws", "own", json!({ "role": "web" }));
    world.start_with(Options { cloud: Cloud { env, ..Cloud::default() }, ..options() });
    world.secret("own", "user", "app").await;
    world.stop().await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_google_service_account_logs_in_through_workload_identity() {
    let mut world = World::new().await;
    world.vault.enable_jwt("auth/gcp");
    world.vault.role("auth/gcp", "web", RoleSpec { audience: Some("https://vault/web".to_owned()), ..role() });
    let jwt = world.vault.jwt("app", "web", "https://vault/web");
    let table = vec![
        ("POST /v1/token ", json!({ "access_token": "ya29" }).to_string()),
        ("w%40p.iam.gserviceaccount.com:generateIdToken", json!({ "token": jwt }).to_string()),
    ];
    let (google, _) = cloud(table).await;
    account(&world, "web", json!({ "iam.gke.io/gcp-service-account": "w@p.iam.gserviceaccount.com" }));
    account(&world, "other", json!({ "iam.gke.io/gcp-service-account": "x@p.iam.gserviceaccount.com" }));
    let gcp = |account: &str| json!({ "role": "web", "workloadIdentityServiceAccount": account, "projectID": "p", "region": "l", "clusterName": "c" });
    world.cluster.mint({
        let vault = Arc::clone(&world.vault);
        move |namespace, account, audience| {
            (audience == "p.svc.id.goog").then(|| vault.jwt(namespace, account, audience))
        }
    });
    login(&world, "gcp", "google", gcp("web"));
    login(&world, "gcp", "other", gcp("other"));
    login(&world, "gcp", "sparse", json!({ "role": "web", "workloadIdentityServiceAccount": "web" }));
    world.start_with(Options {
        cloud: Cloud { google_sts: google.clone(), google_iam: google, ..Cloud::default() },
        ..options()
    });
    world.condition(VSS, "google", "Ready", "True").await;
    world.secret("google", "user", "app").await;
    assert!(refused(&world, "other", "SK3121").await.contains("x@p.iam.gserviceaccount.com"));
    assert!(refused(&world, "sparse", "SK7001").await.contains("needs gcp.projectID"));
    world.stop().await;
}
