//! What `/metrics` of each program says, from its own code.

use std::time::Duration;

use prometheus_client::registry::Registry;
use serde_json::json;
use sidekey_agent::status::Status;
use sidekey_cluster::api::Witness;
use sidekey_core::Code;
use sidekey_operator::backoff::Backoff;
use sidekey_operator::metrics::{Calls, Configured, Metrics as OperatorMetrics};
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::types::Kind;
use sidekey_operator::types::object::Key;
use sidekey_runtime::metrics::{encode, registry};
use sidekey_webhook::metrics::{Label, Metrics};

/// What a webhook says in which everything has happened so often.
pub(super) fn webhook(times: usize) -> String {
    let mut registry = registry("sidekey_webhook", "1.2.3");
    let metrics = Metrics::register(&mut registry);
    for _ in 0..times {
        webhook_lives(&metrics);
    }
    encode(&registry).unwrap()
}

fn webhook_lives(metrics: &Metrics) {
    for label in [
        Label::injected(),
        Label::skipped("not_asked"),
        Label::denied(Code::AnnotationValue),
        Label::error(Code::Overloaded),
    ] {
        metrics.admitted(label, Duration::from_micros(50));
    }
    metrics.leaf_expires(1);
    metrics.ca_expires(1);
    for of in ["settings", "certificate"] {
        metrics.reloaded(of, true);
        metrics.reloaded(of, false);
    }
    metrics.api_failed();
}

/// The same of an operator.
pub(super) fn operator(times: usize) -> String {
    let mut registry = Registry::default();
    let configured = Configured {
        backoff: Backoff::default(),
        looks: 100,
        exclude_raw: false,
        default_globals: true,
        persistence: Persistence::Encrypted,
        cache_size: 10_000,
    };
    let calls = Calls::default();
    let metrics = OperatorMetrics::register(&mut registry, &configured, &calls);
    for _ in 0..times {
        operator_lives(&metrics, &calls);
    }
    encode(&registry).unwrap()
}

fn operator_lives(metrics: &OperatorMetrics, calls: &Calls) {
    let time = Duration::from_millis(50);
    for kind in Kind::ALL {
        let key = Key::new(kind, "app", "web");
        metrics.counted(&key, true);
        metrics.looking(&key);
        metrics.looked(&key, false, time);
        metrics.looked(&key, true, time);
        metrics.looked(&Key::new(kind, "app", "broken"), false, time);
        metrics.failed(&key, Code::VaultSealed);
        metrics.unresolved(&key, true);
        metrics.waiting(kind, 1);
    }
    for (operation, good) in [("login", true), ("read", true), ("renew", false)] {
        metrics.client(operation, &Key::new(Kind::VaultConnection, "app", "vault"), time, good);
    }
    metrics.login_asked(true);
    metrics.login_took(time);
    metrics.clone_asked(true);
    metrics.clone_asked(false);
    metrics.copies(1, 1);
    metrics.store_asked("store", true);
    metrics.store_called("create", false);
    metrics.login_failed(&Key::new(Kind::VaultConnection, "app", "vault"), "kubernetes", Code::VaultSealed);
    metrics.method("kubernetes", true);
    metrics.managed("app", true);
    metrics.conflict("app", true);
    for what in ["secret", "status", "event", "restart", "finalizer"] {
        metrics.wrote(what, true);
        metrics.wrote(what, false);
    }
    calls.called("PATCH", Some(200));
}

/// The same of an agent that has a file, two logins and a secret by each.
pub(super) fn agent() -> String {
    let token = json!({"accessor": "a", "issued": 1});
    let secret = json!({"path": "database/creds/web", "state": "fresh", "answered": 1, "failures": 0});
    let mut other = secret.clone();
    other["login"] = json!("auth/approle");
    let status = json!({
        "version": "1.2.3", "phase": "ready", "updated": 1, "login": "auth/kubernetes as web", "token": token,
        "others": [{"login": "auth/approle"}],
        "files": [{"name": "db", "path": "/secrets/db.env", "group": "db", "optional": false, "good": 1}],
        "secrets": [secret, other],
        "counters": {"logins": 1, "renewals": 1, "fetches": 1, "writes": 1, "actions": 1, "failures": {"SK3001": 1}},
    });
    sidekey_agent::metrics::text(&serde_json::from_value::<Status>(status).unwrap(), 2)
}
