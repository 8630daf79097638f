//! A marker as secret, through everything, at trace level: it appears in the files and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{FakeVault, Fault, Matcher, Options, Times};
use support::{Bench, Log};

const MARKER: &str = "marker-7f3a9c";

/// Everything that any crate says, without the filter that production has.
fn record() -> Log {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    log
}

#[tokio::test]
async fn no_secret_token_or_credential_is_told_to_anybody() {
    let log = record();
    let failing = format!(
        r#"{{{{ with secret "secret/data/web" }}}}{{{{ if eq .Data.data.password "{MARKER}-2" }}}}{{{{ index .Data.data.password "x" }}}}{{{{ end }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"#
    );
    let bench = Bench::new()
        .await
        .format("web.json", "json", "secret/data/web", json!({}))
        .format("db.json", "json", "database/creds/app", json!({}))
        .go("failing", &failing, json!({}));
    bench.fake.put("secret/web", json!({"password": MARKER, "more": format!("{MARKER}\nline")}));
    let agent = bench.start();
    bench.ready().await;
    let db: serde_json::Value = serde_json::from_str(&bench.read("db.json").unwrap()).unwrap();
    assert!(bench.read("failing").unwrap().contains(MARKER));

    bench.fake.put("secret/web", json!({"password": format!("{MARKER}-2")}));
    bench.idle(Duration::from_secs(62)).await;
    bench.until("the render error", |bench| bench.line().contains("SK2003")).await;
    let faults = [
        Fault::Status(403, vec!["permission denied".to_owned()]),
        Fault::Status(400, vec!["bad".to_owned()]),
        Fault::CutBody,
        Fault::Garbage,
        Fault::Reset,
        Fault::Slow(Duration::from_millis(50)),
    ];
    for fault in faults {
        bench.fake.fault(Matcher::path("secret/"), fault, Times::Always);
        bench.idle(Duration::from_secs(90)).await;
        bench.fake.clear_faults();
    }
    agent.kill().await;
    std::fs::write(bench.path("state/state"), std::fs::read_to_string(bench.path("state/state")).unwrap() + "torn")
        .unwrap();
    let agent = bench.start();
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    let status = serde_json::to_string(&bench.status().unwrap()).unwrap() + &bench.line();
    let state = std::fs::read_to_string(bench.path("state/state")).unwrap();
    let tokens: Vec<&str> = state.split('"').filter(|word| word.starts_with("hvs.") && word.len() > 20).collect();
    assert!(!tokens.is_empty(), "the test looks for tokens and knows none");
    agent.stop().await;

    let (mut shown, more) = other_logins().await;
    let (another, said) = second_login().await;
    shown.extend(another);
    let status = status + &more + &said;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let levels: Vec<usize> = ["TRACE", "DEBUG", "INFO", "WARN"].map(|level| log.matches(level).count()).into();
    assert!(
        log.contains("logged in") && levels[0] > 0 && levels.iter().sum::<usize>() > 30,
        "too little was recorded: {levels:?}"
    );
    let told = log + &status + &std::fs::read_to_string(bench.path("termination")).unwrap();
    let jwt = std::fs::read_to_string(bench.path("jwt")).unwrap();
    shown.extend([MARKER, db["password"].as_str().unwrap(), jwt.trim()].map(str::to_owned));
    shown.extend(tokens.into_iter().map(str::to_owned));
    for secret in &shown {
        assert!(
            !told.contains(secret.as_str()),
            "told: {}",
            told.lines().find(|line| line.contains(secret.as_str())).unwrap()
        );
    }
}

/// A login at a second server, refused, taken, and down: what it showed and held, and what was told of it.
async fn second_login() -> (Vec<String>, String) {
    let far = FakeVault::start(Options::default()).await.unwrap();
    far.enable_kubernetes("auth/far");
    far.policy("web", &[("secret/data/*", &["read"])]);
    far.kv2("secret");
    far.put("secret/far", json!({"password": format!("{MARKER}-far")}));
    let more = json!({"login": 1, "optional": true});
    let bench = Bench::new().await.format("far.json", "json", "secret/data/far", more);
    let jwt = far.jwt("shop", "web", "far");
    std::fs::write(bench.path("far-jwt"), &jwt).unwrap();
    let file = bench.path("far-jwt").to_str().unwrap().to_owned();
    let server = json!({"address": far.address(), "caPem": far.ca_pem(), "timeoutSeconds": 5});
    let auth = json!({"method": "kubernetes", "mount": "auth/far", "role": "far", "tokenFile": file});
    let bench = bench.set(json!({"logins": [{"server": server, "auth": auth}]}));
    let agent = bench.start();
    let told_of = |bench: &Bench| bench.status().map_or_else(String::new, |status| status.text(0) + &status.line());
    bench.until("a refusal", |bench| told_of(bench).contains("SK31")).await;
    let mut told = told_of(&bench);
    far.role("auth/far", "far", support::role());
    bench.idle(Duration::from_secs(60)).await;
    bench.until("the file", |bench| bench.read("far.json").is_some_and(|text| text.contains(MARKER))).await;
    let state = std::fs::read_to_string(bench.path("state/state")).unwrap();
    let tokens: Vec<String> =
        state.split('"').filter(|word| word.starts_with("hvs.") && word.len() > 20).map(str::to_owned).collect();
    assert_eq!(tokens.len(), 2);
    far.fault(Matcher::path("secret/"), Fault::Garbage, Times::Always);
    bench.idle(Duration::from_secs(120)).await;
    told += &(told_of(&bench) + &serde_json::to_string(&bench.status().unwrap()).unwrap());
    agent.stop().await;
    (tokens.into_iter().chain([jwt]).collect(), told)
}

/// Every other kind of login, refused and taken: what it showed, and what was told of it.
async fn other_logins() -> (Vec<String>, String) {
    let (mut shown, mut told) = (Vec::new(), String::new());
    let (approle, path) = ("auth/approle", |bench: &Bench, name: &str| bench.path(name).to_str().unwrap().to_owned());
    for wrapped in [false, true] {
        let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
        bench.fake.enable_approle(approle);
        bench.fake.role(approle, "web", support::role());
        let (secret, wrong) = match wrapped {
            true => (bench.fake.wrapped_secret_id(approle, "web"), bench.fake.wrapped_secret_id(approle, "web")),
            false => (bench.fake.secret_id(approle, "web"), format!("{MARKER}-secret-id")),
        };
        bench.fake.intercept(&wrong);
        std::fs::write(bench.path("role-id"), bench.fake.role_id(approle, "web")).unwrap();
        std::fs::write(bench.path("secret-id"), &wrong).unwrap();
        let mut method = json!({"roleIdFile": path(&bench, "role-id"), "secretIdFile": path(&bench, "secret-id")});
        if wrapped {
            method["wrappingPath"] = json!("auth/approle/role/web/secret-id");
        }
        let bench = bench.set(json!({"auth": {"method": {"approle": method}, "mount": approle, "role": ""}}));
        shown.extend([secret.clone(), wrong]);
        told += &refused_then_taken(&bench, || std::fs::write(bench.path("secret-id"), &secret).unwrap()).await;
    }
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    bench.fake.enable_aws("auth/aws");
    bench.fake.role("auth/aws", "web", support::role());
    let keys = |id: &str| {
        format!(
            "[default]\naws_access_key_id={id}\naws_secret_access_key={MARKER}-aws\naws_session_token={MARKER}-session\n"
        )
    };
    std::fs::write(bench.path("aws"), keys("AKIAWRONG")).unwrap();
    bench.fake.aws_key("AKIARIGHT", "arn:aws:iam::1:role/web");
    let method = json!({"aws": {"credentialsFile": path(&bench, "aws")}});
    let bench = bench.set(json!({"auth": {"method": method, "mount": "auth/aws", "role": "web"}}));
    told += &refused_then_taken(&bench, || std::fs::write(bench.path("aws"), keys("AKIARIGHT")).unwrap()).await;

    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let (dead, token) = (bench.fake.token(&support::role()), bench.fake.token(&support::role()));
    bench.fake.revoke_token(&dead);
    std::fs::write(bench.path("token"), &dead).unwrap();
    let auth = json!({"auth": {"method": "token_file", "mount": "", "role": "", "tokenFile": path(&bench, "token")}});
    // A wrapped sink and the listener, the latter with the token, the body and the query of somebody else.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sinks = json!([{"path": path(&bench, "wrapped"), "mode": 0o600, "wrapTtlSeconds": 60}]);
    let bench = bench.set(auth).set(json!({"tokenSinks": sinks, "listener": {"port": port, "forward": "agent"}}));
    told += &refused_then_taken(&bench, || std::fs::write(bench.path("token"), &token).unwrap()).await;
    shown.extend([dead, token]);
    shown.extend(WRAPPING.lock().unwrap().take());
    (shown, told)
}

async fn refused_then_taken(bench: &Bench, mend: impl Fn()) -> String {
    let agent = bench.start();
    bench.until("a refusal", |bench| bench.line().contains("SK31")).await;
    let mut told = bench.line() + &std::fs::read_to_string(bench.path("termination")).unwrap();
    mend();
    bench.idle(Duration::from_secs(60)).await;
    bench.ready().await;
    if let Some(port) = bench.config["listener"]["port"].as_u64() {
        told += &through_the_listener(bench, u16::try_from(port).unwrap()).await;
    }
    told += &serde_json::to_string(&bench.status().unwrap()).unwrap();
    agent.stop().await;
    told
}

/// The wrapping token that the sink held.
static WRAPPING: Mutex<Option<String>> = Mutex::new(None);

/// What an unanswered request is told; none of what it carried.
async fn through_the_listener(bench: &Bench, port: u16) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    bench.until("the wrapping", |bench| bench.path("wrapped").exists()).await;
    let info: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("wrapped")).unwrap()).unwrap();
    *WRAPPING.lock().unwrap() = info["token"].as_str().map(str::to_owned);
    bench.fake.fault(Matcher::path("secret/"), Fault::Reset, Times::N(2));
    let mut told = String::new();
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let body = format!("{{\"password\": \"{MARKER}-body\"}}");
        let head = format!(
            "POST /v1/secret/data/web?key={MARKER}-query HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {MARKER}-caller"
        );
        let text = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.read_to_string(&mut told).await.unwrap();
    }
    assert!(told.contains("502 Bad Gateway"), "{told}");
    told
}
