//! The whole webhook in one process: mounted certificate, settings file, admin port, drain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener as Probe};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_core::Code;
use sidekey_runtime::drain::channel;
use sidekey_webhook::app::Limits;
use sidekey_webhook::certs::files::Pair;
use sidekey_webhook::missed::Names;
use sidekey_webhook::nodes;
use sidekey_webhook::server::Timing;
use sidekey_webhook::{Certificates, Options, RunError, run_with};
use support::{Client, Cluster, patch, pod, review};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

fn free_port() -> SocketAddr {
    Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn options(directory: &Path) -> Options {
    Options {
        listen: free_port(),
        admin: free_port(),
        settings: Some(directory.join("settings.yaml")),
        certificates: Certificates::Files(Pair::mounted(directory)),
        missed: Names {
            namespace: "sidekey".to_owned(),
            lease: "sidekey-webhook-leader".to_owned(),
            configuration: "sidekey-webhook".to_owned(),
            identity: "a".to_owned(),
        },
        limits: Limits::default(),
        timing: Timing { lame_duck: Duration::from_millis(500), ..Timing::default() },
    }
}

fn write_pair(directory: &Path) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    fs::write(directory.join("tls.crt"), certificate.pem()).unwrap();
    certificate.pem()
}

async fn admin(address: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address).await else { return String::new() };
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn until(address: SocketAddr, path: &str, wanted: &str) -> String {
    let wait = async {
        loop {
            let text = admin(address, path).await;
            if text.contains(wanted) {
                return text;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("{path} never said {wanted}"))
}

async fn address_in_patch(client: &mut Client) -> String {
    let answer = client.post(review(&pod()).to_string()).await.unwrap();
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    patch(&answer).unwrap().to_string()
}

#[tokio::test]
async fn serves_follows_its_settings_and_drains() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("settings.yaml");
    fs::write(&settings, "vaultAddress: https://one.test:8200\n").unwrap();
    let options = options(directory.path());
    let (hooks, port) = (options.listen, options.admin);
    let (trigger, drain) = channel();
    let running = tokio::spawn(run_with(options, None, drain));

    let text = until(port, "/ready", "awaits: certificate").await;
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    let ca = write_pair(directory.path());
    until(port, "/ready", "HTTP/1.1 200").await;
    let mut client = Client::connect(hooks, &ca).await.unwrap();
    assert!(address_in_patch(&mut client).await.contains("https://one.test:8200"));

    fs::write(&settings, "vaultAdress: https://typo.test\n").unwrap();
    let text = until(port, "/ready", "note: settings: SK1010").await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("line 1"), "{text}");
    assert!(address_in_patch(&mut client).await.contains("https://one.test:8200"), "a bad file changes nothing");

    fs::write(&settings, "vaultAddress: https://two.test:8200\n").unwrap();
    until(port, "/metrics", r#"reloads_total{of="settings",result="success"} 1"#).await;
    assert!(address_in_patch(&mut client).await.contains("https://two.test:8200"));
    assert!(!admin(port, "/ready").await.contains("note:"));

    let text = admin(port, "/metrics").await;
    for line in [
        r#"sidekey_webhook_admissions_total{outcome="injected",reason=""} 3"#,
        r#"sidekey_webhook_reloads_total{of="settings",result="failure"} 1"#,
        "sidekey_webhook_admission_duration_seconds_count 3",
        "sidekey_webhook_admissions_in_flight 0",
        "sidekey_webhook_build_info{version=",
        r#"sidekey_webhook_certificate_expiry_timestamp_seconds{certificate="leaf"} "#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(admin(port, "/live").await.starts_with("HTTP/1.1 200"));

    trigger.start();
    until(port, "/ready", "closed: draining").await;
    assert!(address_in_patch(&mut client).await.contains("two.test"), "still answers while that spreads");
    timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn refuses_to_start_with_settings_it_cannot_read() {
    let directory = tempfile::tempdir().unwrap();
    let run = || run_with(options(directory.path()), None, channel().1);
    let Err(RunError::Settings(cause)) = run().await else { panic!("started without its file") };
    assert_eq!(cause.code, Code::SettingsMalformed);
    fs::write(directory.path().join("settings.yaml"), "a: [").unwrap();
    assert!(matches!(run().await, Err(RunError::Settings(_))));
}

#[tokio::test]
async fn names_a_port_that_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let taken = Probe::bind("127.0.0.1:0").unwrap();
    let options = Options { listen: taken.local_addr().unwrap(), ..options(directory.path()) };
    let Err(RunError::Start(cause)) = run_with(options, None, channel().1).await else { panic!("two on one port") };
    assert_eq!(cause.code, Code::ListenFailed);
}

#[tokio::test]
async fn asks_for_the_nodes_as_rows() {
    let cluster = Cluster::default();
    let table = |version: &str| json!({"columnDefinitions": [{"name": "Name"}, {"name": "Version"}], "rows": [{"cells": ["a", version]}]});
    assert!(nodes::look(&cluster.api()).await.is_err());
    for (version, native) in [("v1.34.4", true), ("v1.28.0", false)] {
        cluster.put("/api/v1/nodes", table(version));
        assert_eq!(nodes::look(&cluster.api()).await.map(|nodes| nodes.native_sidecars), Ok(native));
    }
}
