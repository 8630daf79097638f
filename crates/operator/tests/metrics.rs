//! The numbers: that each says what it is named for, and that the names are those of the page and of nobody's imagination.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{DatabaseRole, RoleSpec};
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::run::Options;
use support::{World, options, path, role, scrape};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";

/// A cluster in which each of the sixteen has something to say.
async fn eventful() -> (World, std::net::SocketAddr) {
    let mut world = World::new().await;
    world.vault.role("auth/kubernetes", "barred", RoleSpec { namespaces: vec!["x".into()], ..role() });
    world.auth("app", "orphan", json!({ "vaultConnectionRef": "none" }));
    let barred = json!({ "role": "barred", "serviceAccount": "web", "audiences": ["vault"] });
    world.auth("app", "barred", json!({ "vaultConnectionRef": "vault", "kubernetes": barred }));
    world.static_secret("app", "web", json!({}));
    world.static_secret("app", "lost", json!({ "vaultAuthRef": "nowhere" }));
    world.static_secret("app", "twin", json!({ "destination": { "name": "web", "create": true } }));
    world.static_secret("app", "barred", json!({ "vaultAuthRef": "barred" }));
    world.static_secret("other", "web", json!({ "vaultAuthRef": "app/vault" }));
    let dynamic = json!({ "vaultAuthRef": "none", "mount": "db", "path": "creds/x", "destination": { "name": "d", "create": true } });
    world.apply("vaultdynamicsecrets", "VaultDynamicSecret", "app", "db", dynamic);
    world.cluster.refuse("PATCH", "vaultstaticsecrets/web/status", 500, 1);
    let port = world.start_with_numbers();
    world.condition(VSS, "web", "Ready", "True").await;
    for name in ["lost", "twin", "barred"] {
        world.condition(VSS, name, "Ready", "False").await;
    }
    world.condition("vaultauths", "orphan", "Ready", "False").await;
    world.condition("vaultauths", "barred", "Ready", "False").await;
    (world, port)
}

/// The names of a series' labels, in order.
fn labels<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('{')).unwrap();
    let mut names: Vec<_> = line.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0)).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn each_number_says_what_it_is_named_for() {
    let (mut world, port) = eventful().await;
    sleep(Duration::from_millis(300)).await;
    let text = scrape(port).await;
    let has = |line: &str| assert!(text.contains(&format!("\n{line}")), "{line} is not in\n{text}");
    has(r#"sidekey_operator_managed_secrets{namespace="app"} 1"#);
    has(r#"vso_client_operations_time_seconds_count{operation="read",vault_connection="app/vault"}"#);
    has(r#"sidekey_operator_resources{controller="vaultstaticsecret",namespace="app"} 4"#);
    has(r#"sidekey_operator_resources{controller="vaultdynamicsecret",namespace="app"} 1"#);
    has(r#"sidekey_operator_resources{controller="vaultconnection",namespace="app"} 1"#);
    has(r#"sidekey_operator_resources{controller="vaultauth",namespace="app"} 3"#);
    has(r#"sidekey_operator_auth_methods{method="kubernetes"} 2"#);
    has("sidekey_operator_namespaces 2");
    has(r#"sidekey_operator_syncs_total{controller="vaultstaticsecret",result="success"}"#);
    has(r#"sidekey_operator_failures_total{controller="vaultstaticsecret",namespace="app",code="SK7007"}"#);
    has(r#"sidekey_operator_login_failures_total{vault_connection="app/vault",method="kubernetes",code="SK3106"}"#);
    has("sidekey_operator_kubernetes_api_errors_total 1");
    has(r#"sidekey_operator_unresolved_references{controller="vaultauth",namespace="app"} 1"#);
    has(r#"sidekey_operator_unresolved_references{controller="vaultstaticsecret",namespace="app"} 1"#);
    has(r#"sidekey_operator_unresolved_references{controller="vaultdynamicsecret",namespace="app"} 1"#);
    has(r#"sidekey_operator_destination_conflicts{namespace="app"} 1"#);
    let published = ["vso_build_info", "vso_runtime_config"].map(|name| labels(&text, name).join(" "));
    assert_eq!(
        published,
        [
            "build_date compiler git_commit git_tree_state git_version go_version major minor platform",
            "backoffInitialInterval backoffMaxElapsedTime backoffMaxInterval backoffMultiplier backoffRandomizationFactor \
             clientCachePersistenceModel clientCacheSize globalTransformationOptions globalVaultAuthOptions \
             maxConcurrentReconciles"
        ]
    );
    has("process_start_time_seconds 1");
    // And beside the sixteen.
    has(r#"controller_resource_status{controller="vaultstaticsecret",name="web",namespace="app"} 1"#);
    has(r#"controller_resource_status{controller="vaultstaticsecret",name="lost",namespace="app"} 0"#);
    has("vso_client_cache_length 1");
    has(r#"workqueue_adds_total{controller="vaultstaticsecret",name="vaultstaticsecret"}"#);
    has(r#"workqueue_retries_total{controller="vaultstaticsecret",name="vaultstaticsecret"}"#);
    has(r#"workqueue_queue_duration_seconds_count{controller="vaultstaticsecret",name="vaultstaticsecret"}"#);
    has(r#"workqueue_work_duration_seconds_count{controller="vaultstaticsecret",name="vaultstaticsecret"}"#);
    has(r#"workqueue_unfinished_work_seconds{controller="vaultpkisecret",name="vaultpkisecret"} 0"#);
    has(r#"workqueue_longest_running_processor_seconds{controller="vaultpkisecret",name="vaultpkisecret"} 0"#);
    let config = text.lines().find(|line| line.starts_with("vso_runtime_config{")).unwrap();
    assert!(config.contains(r#"clientCacheSize="4321""#), "{config}");
    has(r#"leader_election_master_status{name="b0d477c0.hashicorp.com"} 1"#);
    has(r#"rest_client_requests_total{code="500",method="PATCH"} 1"#);
    world.stop().await;
}

#[tokio::test]
async fn kept_and_copied_logins_are_counted_under_their_known_names() {
    let mut world = World::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.static_secret("app", "web", json!({}));
    // fakevault knows no namespaces: what is asked for and how it is counted is the same.
    world.static_secret("app", "team", json!({ "namespace": "team" }));
    world.start_with(Options { metrics: port, persistence: Persistence::Unencrypted, ..options() });
    world.condition(VSS, "web", "Ready", "True").await;
    sleep(Duration::from_secs(3)).await;
    let text = scrape(port).await;
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse::<f64>().unwrap()
    };
    assert!(value("vso_client_cache_size").is_infinite());
    assert_eq!(value("vso_client_clone_cache_misses"), 1.0);
    assert!(value("vso_client_clone_cache_hits") >= 1.0);
    assert_eq!(value("vso_client_clone_cache_evictions"), 0.0);
    assert_eq!(value(r#"vso_client_cache_storage_config{enforce_encryption="false"}"#), 1.0);
    assert_eq!(value("vso_client_cache_storage_length"), 1.0);
    let of = |family: &str, operation: &str| {
        value(&format!("vso_client_cache_storage_{family}_total{{operation=\"{operation}\"}}"))
    };
    assert_eq!((of("requests", "restore"), of("requests", "store"), of("requests_errors", "store")), (1.0, 1.0, 0.0));
    assert_eq!(
        (of("operations", "get"), of("operations", "create"), of("operations_errors", "create")),
        (1.0, 1.0, 0.0)
    );
    assert!(value(r#"vso_client_factory_operations_time_seconds_count{component="sessions",operation="get"}"#) >= 3.0);
    assert!(text.contains(r#"clientCachePersistenceModel="direct-unencrypted""#), "{text}");
    world.stop().await;
}

/// What is issued, revoked or asked for with a body is no read.
#[tokio::test]
async fn requests_are_counted_by_their_verb() {
    let mut world = World::new().await;
    world.vault.pki("pki");
    world.vault.database("database", "app", DatabaseRole::default());
    world.vault.policy(
        "web",
        &[
            ("secret/data/web", &["read"]),
            ("database/creds/app", &["read", "update"]),
            ("pki/issue/web", &["update"]),
            ("pki/revoke", &["update"]),
        ],
    );
    let into = |name: &str| json!({ "name": name, "create": true });
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    let dynamic =
        json!({ "vaultAuthRef": "vault", "mount": "database", "path": "creds/app", "destination": into("db") });
    world.apply("vaultdynamicsecrets", "VaultDynamicSecret", "app", "db", dynamic);
    let pki = json!({ "vaultAuthRef": "vault", "mount": "pki", "role": "web", "commonName": "web.example", "ttl": "1h",
        "revoke": true, "destination": into("tls") });
    world.apply("vaultpkisecrets", "VaultPKISecret", "app", "tls", pki);
    let port = world.start_with_numbers();
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition("vaultdynamicsecrets", "db", "Ready", "True").await;
    world.condition("vaultpkisecrets", "tls", "Ready", "True").await;
    world.cluster.delete(&path("vaultpkisecrets", "tls"));
    world.cluster.until(&path("vaultpkisecrets", "tls"), serde_json::Value::is_null).await;
    let text = scrape(port).await;
    for (operation, count) in [("read", 2), ("write", 2)] {
        let line = format!(
            "vso_client_operations_total{{operation=\"{operation}\",vault_connection=\"app/vault\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn what_is_mended_or_gone_is_counted_no_more() {
    let (mut world, port) = eventful().await;
    world.connection("app", "none");
    world.cluster.delete(&path(VSS, "lost"));
    world.cluster.delete(&path(VSS, "web"));
    world.cluster.delete(&format!("{}/namespaces/other/{VSS}/web", support::GROUP));
    // The twin has the destination to itself now.
    world.condition(VSS, "twin", "Ready", "True").await;
    world.condition("vaultauths", "orphan", "Ready", "True").await;
    sleep(Duration::from_millis(300)).await;
    let text = scrape(port).await;
    for gone in
        ["destination_conflicts{", "references{controller=\"vaultauth\"", "name=\"lost\"", "namespace=\"other\""]
    {
        let left: Vec<_> = text.lines().filter(|line| line.contains(gone) && !line.contains("_total")).collect();
        assert_eq!(left, [""; 0], "{gone}");
    }
    assert!(text.contains("\nsidekey_operator_namespaces 1\n"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn the_page_names_each_number_and_none_that_is_not() {
    let (mut world, port) = eventful().await;
    let text = scrape(port).await;
    world.stop().await;
    let told: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operator.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("## Numbers").nth(1).unwrap().split("\n## ").next().unwrap().lines();
    let named: BTreeSet<_> =
        rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    assert_eq!(named, told);
}
