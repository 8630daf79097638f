//! Token files for others: plain, wrapped, encrypted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use sidekey_agent::exit::Exit;
use sidekey_fakevault::{Fault, Matcher, Times};
use support::{Bench, Log, exists};

fn path(bench: &Bench, name: &str) -> String {
    bench.path(name).to_str().unwrap().to_owned()
}

async fn bench(sinks: impl Fn(&Bench) -> Value) -> Bench {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({}));
    let sinks = sinks(&bench);
    bench.set(json!({"tokenSinks": sinks}))
}

#[tokio::test]
async fn writes_each_sink_in_its_mode_and_wraps_the_token_anew_for_each_login() {
    let bench = bench(|bench| {
        json!([
            {"path": path(bench, "plain"), "mode": 0o400},
            {"path": path(bench, "wrapped"), "mode": 0o640, "wrapTtlSeconds": 60},
        ])
    })
    .await;
    let agent = bench.start();
    bench.ready().await;
    bench.until("both sinks", |bench| exists(&bench.path("plain")) && exists(&bench.path("wrapped"))).await;
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    let mode = |name: &str| bench.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("plain"), mode("wrapped")), (0o400, 0o640));
    let (plain, wrapped) = (read("plain"), read("wrapped"));
    let info: Value = serde_json::from_str(&wrapped).unwrap();
    assert_eq!(info["creation_path"], "sys/wrapping/wrap");
    assert!(!wrapped.contains(&plain), "the wrapping is there for the token");
    bench.fake.revoke_all_tokens();
    bench.idle(Duration::from_secs(90)).await;
    bench.until("the second token", |_| read("plain") != plain && read("wrapped") != wrapped).await;
    assert_eq!(bench.fake.count("POST", "sys/wrapping/wrap"), 2);
    assert_eq!(agent.stop().await, Exit::Done);
    assert!(!exists(&bench.path("plain")) && !exists(&bench.path("wrapped")), "neither outlives its token");
}

/// What Vault Agent's documentation asks of a reader: X25519 with the envelope's public key; the secret itself as the key, or with
/// `derive_key` HKDF-SHA256 of it with the smaller public key as salt and the other as info; AES-256-GCM.
struct Reader {
    own: EphemeralPrivateKey,
    public: Vec<u8>,
}

impl Reader {
    /// Its public key as a file of that name.
    fn new(bench: &Bench, name: &str) -> Self {
        let own = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let public = own.compute_public_key().unwrap().as_ref().to_vec();
        let key = json!({"curve25519_public_key": STANDARD.encode(&public)});
        std::fs::write(bench.path(name), key.to_string()).unwrap();
        Self { own, public }
    }

    fn open(self, path: &Path, aad: &str, derive: bool) -> Option<String> {
        let envelope: BTreeMap<String, String> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(envelope.len(), 3, "{:?}", envelope.keys());
        let part = |name: &str| STANDARD.decode(&envelope[name]).unwrap();
        let (theirs, ours) = (part("curve25519_public_key"), self.public);
        let key = agree_ephemeral(self.own, &UnparsedPublicKey::new(&X25519, &theirs), |secret| {
            let mut key = [0; 32];
            if derive {
                let (salt, info) = if ours < theirs { (&ours, &theirs) } else { (&theirs, &ours) };
                let known = Salt::new(HKDF_SHA256, salt).extract(secret);
                known.expand(&[info.as_slice()], HKDF_SHA256).unwrap().fill(&mut key).unwrap();
            } else {
                key.copy_from_slice(secret);
            }
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
        });
        let nonce = Nonce::try_assume_unique_for_key(&part("nonce")).unwrap();
        let mut payload = part("encrypted_payload");
        let plain = key.unwrap().open_in_place(nonce, Aad::from(aad.as_bytes()), &mut payload).ok()?;
        Some(String::from_utf8(plain.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_wrapped_and_sealed_token_is_opened_by_its_reader_with_the_variables_data_and_by_nobody_else() {
    let bench = bench(|bench| {
        let seal = |key: &str, derive: bool| json!({"keyFile": path(bench, key), "deriveKey": derive, "aad": "not this", "aadVariable": "POD"});
        json!([
            {"path": path(bench, "plain"), "mode": 0o400},
            {"path": path(bench, "sealed"), "mode": 0o640, "seal": seal("one.json", false)},
            {"path": path(bench, "both"), "mode": 0o640, "wrapTtlSeconds": 60, "seal": seal("two.json", true)},
            {"path": path(bench, "other"), "mode": 0o640, "wrapTtlSeconds": 60, "seal": seal("three.json", true)},
        ])
    })
    .await;
    let [one, two, three] = ["one.json", "two.json", "three.json"].map(|name| Reader::new(&bench, name));
    let agent = bench.start();
    bench.ready().await;
    bench.until("all sinks", |bench| ["sealed", "both", "other"].iter().all(|name| exists(&bench.path(name)))).await;
    let token = std::fs::read_to_string(bench.path("plain")).unwrap();
    assert_eq!(one.open(&bench.path("sealed"), "web-0", false).as_deref(), Some(token.as_str()));
    assert_eq!(three.open(&bench.path("other"), "not this", true), None, "other data opens it");

    let wrapping = two.open(&bench.path("both"), "web-0", true).expect("its reader opens it");
    assert!(!wrapping.contains(&token));
    let info: Value = serde_json::from_str(&wrapping).unwrap();
    let keys: Vec<&str> = info.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(["token", "ttl", "creation_path"].iter().all(|key| keys.contains(key)), "{keys:?}");
    assert_eq!(bench.fake.intercept(info["token"].as_str().unwrap()), Some(json!({"token": token})));
    assert_eq!(bench.fake.intercept(info["token"].as_str().unwrap()), None, "it opens once");
    agent.stop().await;
}

#[tokio::test]
async fn a_variable_that_is_not_set_seals_without_additional_data_and_says_so() {
    let bench = bench(|bench| {
        let seal = json!({"keyFile": path(bench, "key.json"), "aad": "not this", "aadVariable": "ABSENT"});
        json!([{"path": path(bench, "sealed"), "mode": 0o640, "seal": seal}])
    })
    .await;
    let reader = Reader::new(&bench, "key.json");
    let (log, _recording) = Log::record();
    let agent = bench.start();
    bench.ready().await;
    bench.until("the envelope", |bench| exists(&bench.path("sealed"))).await;
    assert!(
        reader
            .open(&bench.path("sealed"), "", false)
            .is_some_and(|token| bench.fake.tokens().len() == 1 && !token.is_empty())
    );
    assert!(log.take().contains("ABSENT is not set, so the token is sealed without additional data"));
    agent.stop().await;
}

#[tokio::test]
async fn a_sink_that_fails_keeps_no_file_from_the_app_and_is_tried_again() {
    let bench = bench(|bench| {
        json!([
            {"path": path(bench, "wrapped"), "mode": 0o640, "wrapTtlSeconds": 60},
            {"path": path(bench, "sealed"), "mode": 0o640, "seal": {"keyFile": path(bench, "key.json"), "aad": "pod"}},
        ])
    })
    .await;
    bench.fake.fault(Matcher::path("sys/wrapping/wrap"), Fault::Status(403, vec!["no".to_owned()]), Times::N(2));
    let agent = bench.start();
    bench.ready().await;
    let told = || serde_json::to_string(&bench.status().unwrap()).unwrap();
    bench.until("the cause", |_| told().contains("wrapping the token for")).await;
    bench.idle(Duration::from_secs(30)).await;
    bench.until("the wrapping", |bench| exists(&bench.path("wrapped"))).await;
    bench.until("the other cause", |_| told().contains("encrypting the token for")).await;
    let key = json!({"curve25519_public_key": "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="});
    std::fs::write(bench.path("key.json"), key.to_string()).unwrap();
    bench.idle(Duration::from_secs(180)).await;
    bench.until("the envelope", |bench| exists(&bench.path("sealed"))).await;
    let envelope: Value = serde_json::from_str(&std::fs::read_to_string(bench.path("sealed")).unwrap()).unwrap();
    assert!(envelope["encrypted_payload"].as_str().unwrap().len() > 20);
    bench.until("no cause", |bench| bench.status().unwrap().cause.is_none()).await;
    agent.stop().await;
}

#[tokio::test]
async fn an_agent_for_the_token_alone_is_done_or_ready_when_it_is_written_and_not_before() {
    for shape in ["initOnly", "init", "sidecar"] {
        let bench = Bench::new().await;
        let sinks = json!([
            {"path": path(&bench, "plain"), "mode": 0o400},
            {"path": path(&bench, "wrapped"), "mode": 0o640, "wrapTtlSeconds": 60},
        ]);
        let bench = bench.set(json!({"tokenSinks": sinks, "lifecycle": {"shape": shape, "revoke": false}}));
        bench.fake.fault(Matcher::path("sys/wrapping/wrap"), Fault::Status(503, vec!["later".to_owned()]), Times::N(1));
        let agent = bench.start();
        bench.until("the first token", |bench| exists(&bench.path("plain"))).await;
        assert!(!exists(&bench.path("wrapped")) && !bench.line().starts_with("ready"), "{shape}: {}", bench.line());
        bench.idle(Duration::from_secs(5)).await;
        match shape {
            "sidecar" => bench.ready().await,
            _ => assert_eq!(agent.exit().await, Exit::Done, "{shape}"),
        }
        assert!(exists(&bench.path("plain")) && exists(&bench.path("wrapped")), "{shape}");
    }
}

#[tokio::test]
async fn a_one_shot_agent_tries_each_sink_and_waits_for_none_that_cannot_be_written() {
    let bench = bench(|bench| {
        json!([
            {"path": path(bench, "file/token"), "mode": 0o400},
            {"path": path(bench, "plain"), "mode": 0o400},
        ])
    })
    .await;
    std::fs::write(bench.path("file"), "no directory").unwrap();
    let bench = bench.set(json!({"lifecycle": {"shape": "initOnly", "revoke": false}}));
    assert_eq!(bench.start().exit().await, Exit::Done);
    assert!(exists(&bench.path("plain")) && bench.read("web.json").is_some());
}
