//! The value rules of the known injector, one table for each kind: what is read, what is refused, what counts when.
//! Where Sidekey differs, the row says so, and docs/compatibility.md why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use serde_json::{Map, Value, json};
use sidekey_core::contract::Dialect;
use sidekey_inject::registry::{Effect, Field, Kind, Suffix, TABLE, VAULT};
use sidekey_inject::{Facts, Outcome, Settings, mutate};

/// Of one pod: `key=value` after the usual three, `spec` merged into a pod with one container.
struct Case<'a> {
    annotations: &'a [&'a str],
    spec: Value,
    settings: Settings,
}

impl Default for Case<'_> {
    fn default() -> Self {
        let settings = Settings {
            vault_namespace: "theirs".to_owned(),
            proxy_address: "http://proxy:1".to_owned(),
            ..Settings::default()
        };
        Self { annotations: &[], spec: json!({}), settings }
    }
}

impl Case<'_> {
    /// `config`, `agent` (its container), `app`, `spec`, `warnings`; or `denied`.
    fn seen(&self) -> Value {
        let base = ["agent-inject=true", "role=web", "agent-inject-secret-db=database/creds/web"];
        let pairs = base.iter().chain(self.annotations).map(|pair| pair.split_once('=').unwrap());
        let map: Map<String, Value> = pairs.map(|(key, value)| (format!("{VAULT}{key}"), value.into())).collect();
        let mut spec = json!({ "containers": [{ "name": "app", "image": "busybox" }] });
        for (key, value) in self.spec.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let mut pod = json!({ "metadata": { "annotations": map }, "spec": spec });
        let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, env_files: None };
        let injection = match mutate(&pod, &facts, &self.settings) {
            Outcome::Patch(injection) => injection,
            Outcome::Deny { cause, .. } => return json!({ "denied": cause.to_string() }),
            Outcome::Skip(reason) => return json!({ "skipped": reason.as_str() }),
        };
        injection.patch.apply(&mut pod).unwrap();
        let spec = pod["spec"].take();
        let all =
            ["initContainers", "containers"].map(|list| spec[list].as_array().cloned().unwrap_or_default()).concat();
        let agent = all.iter().find(|one| one["name"].as_str().unwrap().starts_with("vault-agent"));
        json!({
            "config": injection.agents.first().map(|(_, config)| serde_json::to_value(config).unwrap()),
            "agent": agent, "app": spec["containers"][0], "spec": spec, "warnings": injection.warnings,
        })
    }
}

fn seen(annotations: &[&str]) -> Value {
    Case { annotations, ..Case::default() }.seen()
}

fn with(annotations: &[&str], spec: Value) -> Value {
    Case { annotations, spec, ..Case::default() }.seen()
}

fn denied(seen: &Value, words: &str) -> bool {
    seen["denied"].as_str().is_some_and(|text| text.contains(words))
}

/// Pointer into what is seen, and what is there; null is nothing.
type Row<'a> = (&'a [&'a str], &'a str, Value);

fn hold(rows: &[Row<'_>]) {
    for (annotations, pointer, wanted) in rows {
        let seen = seen(annotations);
        let found = seen.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(found, wanted, "{annotations:?} {pointer}: {}", seen["denied"]);
    }
}

#[test]
fn booleans_are_gos_and_empty_is_false() {
    let mut keys = 0;
    for (row, key) in TABLE.iter().filter_map(|row| Some((row, row.key(Dialect::Vault)?))) {
        if row.kind != Kind::Bool && row.field != Field::SetSecurityContext {
            continue;
        }
        keys += 1;
        let name = if key.suffix == Suffix::Always { format!("{}-db", key.name) } else { key.name.to_owned() };
        let user = json!({ "containers": [{ "name": "app", "securityContext": { "runAsUser": 1001 } }] });
        let with = |value: &str| with(&[&format!("{name}={value}")], user.clone());
        for good in ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False", ""] {
            assert!(with(good).get("denied").is_none(), "{name}={good}: {}", with(good));
        }
        let reads = |pair: [&str; 3]| pair.map(|value| with(value)["config"].clone());
        if row.effect == Effect::Now && row.field != Field::Inject {
            let [yes, also, one] = reads(["true", "T", "1"]);
            let [no, empty, zero] = reads(["false", "", "0"]);
            assert!(yes == also && yes == one && no == empty && no == zero, "{name}");
        }
        for bad in ["yes", "tRuE", "fAlSe", "on", " true", "2"] {
            let seen = with(bad);
            // Today swallowed: a pod that ran yesterday should run.
            let warned = row.field == Field::PreserveCase && seen["warnings"].to_string().contains("not a boolean");
            assert!(warned || denied(&seen, key.name), "{name}={bad}: {seen}");
        }
    }
    assert!(keys >= 17, "{keys}");
}

#[test]
fn numbers_are_gos() {
    hold(&[
        (&["agent-run-as-user=7"], "/agent/securityContext/runAsUser", json!(7)),
        (&["agent-run-as-user=+7"], "/agent/securityContext/runAsUser", json!(7)),
        (&["agent-run-as-user="], "/agent/securityContext/runAsUser", json!(0)),
        (&["agent-run-as-user="], "/agent/securityContext/runAsNonRoot", json!(false)),
        (&["agent-run-as-user=0"], "/agent/securityContext/runAsNonRoot", json!(false)),
        (&["agent-run-as-group="], "/agent/securityContext/runAsGroup", json!(0)),
        // Today false: a group is not what the kubelet checks.
        (&["agent-run-as-group=0"], "/agent/securityContext/runAsNonRoot", json!(true)),
        (&["agent-pre-populate-only=f", "agent-revoke-grace=007"], "/denied", Value::Null),
        (&["template-max-connections-per-host="], "/denied", Value::Null),
        (&["template-lease-renewal-threshold=0"], "/config/refresh/leaseRenewalThreshold", Value::Null),
        (&["template-lease-renewal-threshold=0.75"], "/config/refresh/leaseRenewalThreshold", json!(0.75)),
        (&["template-lease-renewal-threshold=.5"], "/config/refresh/leaseRenewalThreshold", json!(0.5)),
        (&["template-lease-renewal-threshold=5e-1"], "/config/refresh/leaseRenewalThreshold", json!(0.5)),
    ]);
    let bad = [
        ("agent-run-as-user", ["x", "1.0", "0x1", "1_000", "9223372036854775808"].as_slice()),
        ("agent-run-as-group", &["x", " 1"]),
        ("agent-revoke-grace", &["", "-1", "x", "+1", "1s", "4294967296"]),
        ("template-max-connections-per-host", &["x", "1.5"]),
        ("template-lease-renewal-threshold", &["", "x", "NaN", "+Inf", "1.5", "-0.1"]),
    ];
    for (key, values) in bad {
        for value in values {
            let seen = seen(&[&format!("{key}={value}")]);
            assert!(denied(&seen, key), "{key}={value}: {seen}");
        }
    }
}

#[test]
fn durations_are_gos_and_a_bare_number_is_none() {
    let shortest = "/config/auth/minBackoffMs";
    hold(&[
        (&["auth-min-backoff=1s"], shortest, json!(1_000)),
        (&["auth-min-backoff=1m30s"], shortest, json!(90_000)),
        (&["auth-min-backoff=1.5s"], shortest, json!(1_500)),
        (&["auth-min-backoff=.5m"], shortest, json!(30_000)),
        (&["auth-min-backoff=250ms"], shortest, json!(250)),
        (&["auth-min-backoff=2000us"], shortest, json!(2)),
        (&["auth-min-backoff="], shortest, json!(1_000)),
        (&["auth-max-backoff=1h"], "/config/auth/maxBackoffMs", json!(3_600_000)),
        (&["auth-max-backoff="], "/config/auth/maxBackoffMs", json!(300_000)),
        // Vault's own settings: a number is seconds.
        (&["client-timeout=90"], "/config/server/timeoutSeconds", json!(90)),
        (&["client-timeout=2m"], "/config/server/timeoutSeconds", json!(120)),
        (&["client-timeout=0"], "/config/server/timeoutSeconds", json!(null)),
        (&["client-timeout=500ms"], "/config/server/timeoutSeconds", json!(1)),
        (&["template-static-secret-render-interval=10s"], "/config/refresh/staticIntervalMs", json!(10_000)),
        (&["template-static-secret-render-interval="], "/config/refresh/staticIntervalMs", json!(300_000)),
    ]);
    for key in ["auth-min-backoff", "auth-max-backoff"] {
        for value in ["5", "x", "1d", "1 s", "s", "-5s", "1h1"] {
            let seen = seen(&[&format!("{key}={value}")]);
            assert!(denied(&seen, key), "{key}={value}: {seen}");
        }
    }
}

#[test]
fn empty_is_not_absent() {
    let usual = Case::default().seen();
    assert_eq!(usual["config"]["server"]["namespace"], "theirs");
    hold(&[
        (&["namespace="], "/config/server/namespace", Value::Null),
        (&["proxy-address="], "/config/server/proxy", Value::Null),
        (&["log-level="], "/config/log/level", json!("info")),
        (&["agent-limits-cpu="], "/agent/resources/limits/cpu", Value::Null),
        (&["agent-requests-mem="], "/agent/resources/requests/memory", Value::Null),
        (&["agent-inject-containers="], "/app/volumeMounts", Value::Null),
        (&["agent-inject-perms-db="], "/config/outputs/0/mode", Value::Null),
        (&["agent-inject-template-db="], "/config/outputs/0/source/engine", json!("go")),
        (
            &["agent-template-left-delim-db=", "agent-inject-template-db=x"],
            "/config/outputs/0/source/left",
            Value::Null,
        ),
        (&["agent-inject-command-db="], "/config/notify", Value::Null),
        (&["agent-json-patch="], "/denied", Value::Null),
        (&["agent-json-patch=null"], "/denied", Value::Null),
        (&["agent-init-json-patch=[]"], "/spec/initContainers/0/restartPolicy", json!("Always")),
        (&["agent-service-account-token-volume-name="], "/agent/volumeMounts/1/name", json!("sidekey-token")),
        (&["role=", "auth-config-role=other"], "/config/auth/role", json!("other")),
        (&["auth-config-role=other"], "/config/auth/role", json!("web")),
        (&["agent-share-process-namespace="], "/spec/shareProcessNamespace", json!(false)),
        (&["agent-inject-status="], "/config/outputs/0/name", json!("db")),
        (&["agent-cache-enable=1", "agent-cache-use-auto-auth-token="], "/config/listener/forward", json!("caller")),
    ]);
    let refused = [
        "service",
        "auth-type",
        "auth-path",
        "agent-image",
        "role",
        "agent-request-namespace",
        "secret-volume-path",
        "agent-inject-default-template",
        "template-lease-renewal-threshold",
        "agent-revoke-grace",
    ];
    for key in refused {
        let seen = seen(&[&format!("{key}=")]);
        assert!(denied(&seen, key) || denied(&seen, "auth"), "{key}: {seen}");
    }
    // Blank is no path: what it would define is not there.
    let blank = seen(&["agent-inject-secret-db= \n"]);
    assert_eq!(blank["config"]["outputs"], json!([]));
}

#[test]
fn suffixes_join_by_their_own_case_and_names_fold_it() {
    let file = "/config/outputs/0/file";
    hold(&[
        (&["agent-inject-secret-db=", "agent-inject-secret-App.ENV=x"], file, json!("app.env")),
        (&["agent-inject-secret-db=", "agent-inject-secret-Ä_b-C=x"], file, json!("ä_b-c")),
        (&["agent-inject-secret-db=", "agent-inject-secret-DB=x", "preserve-secret-case=true"], file, json!("DB")),
        (
            &[
                "agent-inject-secret-db=",
                "agent-inject-secret-DB=x",
                "preserve-secret-case=true",
                "preserve-secret-case-DB=0",
            ],
            file,
            json!("db"),
        ),
        (&["agent-inject-secret-db=", "agent-inject-secret-DB=x", "preserve-secret-case-db=true"], file, json!("db")),
        (&["agent-inject-file-DB=other"], file, json!("db")),
        (&["agent-inject-file-db=Other"], file, json!("Other")),
        (&["agent-inject-perms-DB=0600"], "/config/outputs/0/mode", Value::Null),
        // Without a suffix, or with an empty one, there is no secret; `template-file` alone is the template of `file`.
        (&["agent-inject-secret=x"], "/config/outputs/1", Value::Null),
        (&["agent-inject-secret-=x"], "/config/outputs/1", Value::Null),
        (&["agent-inject-template=x"], "/config/outputs/1", Value::Null),
        (&["error-on-missing-key=true"], "/config/outputs/0/source/errorOnMissingKey", Value::Null),
        (&["error-on-missing-key-db=true"], "/config/outputs/0/source/errorOnMissingKey", json!(true)),
        (&["agent-inject-template-file=x"], "/config/outputs/1/name", json!("file")),
        (&["agent-inject-template-file=x"], "/config/outputs/1/source/text", json!("x")),
        (&["agent-inject-template-file-x=/t"], "/config/outputs/1/source/file", json!("/t")),
        (
            &["agent-inject-template-db=x", "agent-inject-template-file-db=/t"],
            "/config/outputs/0/source/text",
            json!("x"),
        ),
        (
            &["agent-inject-template-db=", "agent-inject-template-file-db=/t"],
            "/config/outputs/0/source/file",
            json!("/t"),
        ),
        // A template needs no path.
        (&["agent-inject-secret-db=", "agent-inject-template-t=x"], "/config/outputs/0/name", json!("t")),
        (
            &["agent-inject-secret-file-x=p", "agent-inject-template-file-x=x"],
            "/config/outputs/1/name",
            json!("file-x"),
        ),
        (&["agent-inject-secret-file-x=p", "agent-inject-template-file-x=x"], "/config/outputs/2", Value::Null),
    ]);
}

#[test]
fn files_lie_below_their_volume_however_they_are_written() {
    let (dir, file) = ("/config/outputs/0/dir", "/config/outputs/0/file");
    hold(&[
        (&[], dir, json!("/vault/secrets")),
        (&["secret-volume-path=/a"], dir, json!("/a")),
        (&["secret-volume-path=a/"], dir, json!("/a")),
        (&["secret-volume-path-db=/b"], dir, json!("/b")),
        (&["secret-volume-path-db=/b"], "/spec/volumes/3/name", json!("vault-secrets-custom-0")),
        (&["secret-volume-path-db=/vault/secrets/"], "/spec/volumes/3", Value::Null),
        (&["agent-inject-file-db=sub/db.env"], file, json!("sub/db.env")),
        (&["agent-inject-file-db=/x/y"], file, json!("x/y")),
        (&["agent-inject-file-db=./x//y/"], file, json!("x/y")),
        (&["agent-inject-file-db=a/../b"], file, json!("b")),
        // Today it climbs out.
        (&["agent-inject-file-db=../../etc/passwd"], file, json!("etc/passwd")),
        (&["agent-inject-token=1", "secret-volume-path=/a"], "/config/tokenSinks/0/path", json!("/a/token")),
        (
            &["agent-inject-token=1", "secret-volume-path-db=/b"],
            "/config/tokenSinks/0/path",
            json!("/vault/secrets/token"),
        ),
        (&["agent-inject-token=1"], "/config/tokenSinks/0/mode", json!(0o640)),
        (&["agent-inject-perms-db=0600"], "/config/outputs/0/mode", json!(0o600)),
        (&["agent-inject-perms-db=640"], "/config/outputs/0/mode", json!(0o640)),
    ]);
    for value in ["/", ".", "/.", "..", "/a/../.."] {
        assert!(denied(&seen(&[&format!("secret-volume-path={value}")]), "secret-volume-path"), "{value}");
    }
}

#[test]
fn words_of_the_default_template_are_read_in_any_case() {
    let text = "/config/outputs/0/source/text";
    let map = seen(&["agent-inject-default-template=map"]).pointer(text).cloned().unwrap();
    let json = seen(&["agent-inject-default-template=json"]).pointer(text).cloned().unwrap();
    assert!(map != json && json.as_str().unwrap().contains("toJSON"));
    for (value, wanted) in [("MAP", &map), ("Map", &map), ("JSON", &json), ("jSon", &json)] {
        assert_eq!(seen(&[&format!("agent-inject-default-template={value}")]).pointer(text), Some(wanted), "{value}");
    }
    for value in ["", "yaml", " map"] {
        assert!(denied(&seen(&[&format!("agent-inject-default-template={value}")]), "default-template"), "{value}");
    }
}

#[test]
fn quantities_are_kubernetes_own() {
    let (limit, request) = ("/agent/resources/limits/cpu", "/agent/resources/requests/cpu");
    hold(&[
        (&["agent-limits-cpu=1"], limit, json!("1")),
        (&["agent-limits-cpu=1.5"], limit, json!("1.5")),
        (&["agent-limits-cpu=1e3m"], "/agent", Value::Null),
        (&["agent-limits-cpu=1e3"], limit, json!("1e3")),
        (&["agent-limits-cpu=+500m"], limit, json!("+500m")),
        (&["agent-requests-mem=64M"], "/agent/resources/requests/memory", json!("64M")),
        // A missing number is 0, as apimachinery has it; a limit below the default request takes that along.
        (&["agent-limits-cpu=Mi"], limit, json!("Mi")),
        (&["agent-limits-cpu=-"], limit, json!("-")),
        (&["agent-limits-cpu=."], limit, json!(".")),
        (&["agent-limits-cpu=5m"], request, json!("5m")),
        (&["agent-requests-cpu=2"], limit, json!("2")),
        (&["agent-limits-ephemeral=1Gi"], "/agent/resources/limits/ephemeral-storage", json!("1Gi")),
        (&[], "/agent/resources/limits/ephemeral-storage", Value::Null),
    ]);
    for key in ["agent-limits-cpu", "agent-limits-mem", "agent-limits-ephemeral", "agent-requests-cpu"] {
        for value in ["x", "1 Gi", "1gi", "1KB", "1..2", "--1", "1e", "0x1"] {
            assert!(denied(&seen(&[&format!("{key}={value}")]), key), "{key}={value}");
        }
    }
}

#[test]
fn the_same_user_is_the_first_containers_own() {
    let key = ["agent-run-as-same-user=true"];
    let app = |context: Value| json!({ "containers": [{ "name": "app", "securityContext": context }] });
    let user = |seen: &Value| seen["agent"]["securityContext"]["runAsUser"].clone();
    assert_eq!(user(&with(&key, app(json!({ "runAsUser": 1001 })))), 1001);
    assert_eq!(
        user(&with(&["agent-run-as-same-user=true", "agent-run-as-user=7"], app(json!({ "runAsUser": 1001 })))),
        1001
    );
    let two = json!({ "containers": [
        { "name": "mesh", "securityContext": { "runAsUser": 1337 } },
        { "name": "app", "securityContext": { "runAsUser": 1001 } }] });
    assert_eq!(user(&with(&key, two)), 1337, "the first one, whoever it is");
    let mut by_pod = app(json!({ "runAsNonRoot": true }));
    by_pod["securityContext"] = json!({ "runAsUser": 1001 });
    for refused in
        [app(json!({ "runAsUser": 0 })), app(json!({})), app(Value::Null), by_pod, json!({ "containers": [] })]
    {
        let seen = with(&key, refused.clone());
        assert!(denied(&seen, "agent-run-as-same-user"), "{refused}: {seen}");
    }
}

#[test]
fn who_writes_the_security_context() {
    let none = Settings { security_context: sidekey_inject::settings::SecurityContext::None, ..Settings::default() };
    let with = |settings: &Settings, annotations: &[&str]| {
        let case = Case { annotations, settings: settings.clone(), spec: json!({}) };
        case.seen()["agent"]["securityContext"].is_object()
    };
    let on = Settings::default();
    let cases: [(&Settings, &[&str], bool); 7] = [
        (&on, &[], true),
        (&on, &["agent-set-security-context=false"], false),
        (&on, &["agent-set-security-context=false", "agent-run-as-user=7"], false),
        (&none, &[], false),
        (&none, &["agent-run-as-user=7"], true),
        (&none, &["agent-run-as-group=7"], true),
        (&none, &["agent-set-security-context=true"], true),
    ];
    for (settings, annotations, written) in cases {
        assert_eq!(with(settings, annotations), written, "{:?} {annotations:?}", settings.security_context);
    }
}

#[test]
fn the_process_namespace_is_what_the_annotation_says() {
    let key = |value: &str| format!("agent-share-process-namespace={value}");
    let shared = |annotations: &[&str], pod: Value| with(annotations, pod)["spec"]["shareProcessNamespace"].clone();
    for spec in [json!({}), json!({ "shareProcessNamespace": true })] {
        assert_eq!(shared(&[&key("true")], spec.clone()), true);
        assert_eq!(shared(&[&key("false")], spec.clone()), false);
        assert_eq!(shared(&[&key("")], spec.clone()), false);
        // Today only with an init container.
        assert_eq!(shared(&[&key("true"), "agent-pre-populate=false"], spec), true);
    }
    assert_eq!(shared(&[], json!({})), Value::Null);
    for more in ["agent-pre-populate=true", "agent-pre-populate=false"] {
        let seen = with(&[&key("true"), more], json!({ "shareProcessNamespace": false }));
        assert!(denied(&seen, "shareProcessNamespace"), "{more}: {seen}");
    }
}

#[test]
fn a_named_token_volume_is_found_where_it_is_mounted() {
    let key = "agent-service-account-token-volume-name=t";
    let volume = |sources: Value| json!({ "name": "t", "projected": { "sources": sources } });
    let token = json!([{ "configMap": { "name": "x" } }, { "serviceAccountToken": { "path": "a/jwt" } }]);
    let pod = |mounts: Value, init: Value, volumes: Value| {
        json!({ "containers": [{ "name": "one" }, { "name": "two", "volumeMounts": mounts }],
            "initContainers": [{ "name": "setup", "volumeMounts": init }], "volumes": volumes })
    };
    let mount = json!([{ "name": "t", "mountPath": "/tokens/" }]);
    let file = |seen: &Value| seen["config"]["auth"]["tokenFile"].clone();
    assert_eq!(file(&with(&[key], pod(mount.clone(), json!([]), json!([volume(token.clone())])))), "/tokens/a/jwt");
    let unmounted = "/var/run/secrets/vault.hashicorp.com/serviceaccount/a/jwt";
    assert_eq!(file(&with(&[key], pod(json!([]), json!([]), json!([volume(token.clone())])))), unmounted);
    assert_eq!(
        file(&with(&[key], pod(json!([]), mount.clone(), json!([volume(token.clone())])))),
        unmounted,
        "init containers do not count"
    );
    let chosen =
        with(&[key, "auth-config-token-path=/own"], pod(mount.clone(), json!([]), json!([volume(token.clone())])));
    assert_eq!(file(&chosen), "/own");
    let bare = json!([volume(json!([{ "serviceAccountToken": { "path": "" } }]))]);
    for volumes in [json!([]), json!([{ "name": "t", "emptyDir": {} }]), bare, json!([volume(json!([]))])] {
        let seen = with(&[key], pod(mount.clone(), json!([]), volumes.clone()));
        assert!(denied(&seen, "agent-service-account-token-volume-name"), "{volumes}: {seen}");
    }
}

#[test]
fn json_patches_see_the_container_that_today_they_would() {
    let patch = |operations: &str| seen(&[&format!("agent-json-patch={operations}")]);
    let good = [
        (r#"[{"op":"add","path":"/ports","value":[{"containerPort":1}]}]"#, "/agent/ports/0/containerPort", json!(1)),
        (
            r#"[{"op":"add","path":"/lifecycle/preStop","value":{"exec":{"command":["x"]}}}]"#,
            "/agent/lifecycle/preStop/exec/command/0",
            json!("x"),
        ),
        (r#"[{"op":"add","path":"/env/-","value":{"name":"A","value":"b"}}]"#, "/agent/env/1/name", json!("A")),
        (
            r#"[{"op":"replace","path":"/securityContext/runAsUser","value":9}]"#,
            "/agent/securityContext/runAsUser",
            json!(9),
        ),
        (r#"[{"op":"remove","path":"/resources"}]"#, "/agent/resources", Value::Null),
        (
            r#"[{"op":"test","path":"/name","value":"vault-agent"},{"op":"add","path":"/tty","value":true}]"#,
            "/agent/tty",
            json!(true),
        ),
        (r#"[{"op":"add","path":"/fieldOfTomorrow","value":1}]"#, "/agent/fieldOfTomorrow", json!(1)),
    ];
    for (operations, pointer, wanted) in good {
        let seen = patch(operations);
        assert_eq!(seen.pointer(pointer).unwrap_or(&Value::Null), &wanted, "{operations}: {}", seen["denied"]);
    }
    let bad = [
        "x",
        "{}",
        "1",
        r#"[{"op":"nosuch","path":"/x"}]"#,
        r#"[{"op":"remove","path":"/ports"}]"#,
        r#"[{"op":"add","path":"/ports/-","value":{}}]"#,
        r#"[{"op":"replace","path":"/livenessProbe/exec","value":1}]"#,
        r#"[{"op":"test","path":"/name","value":"x"}]"#,
        r#"[{"op":"add","path":"ports","value":1}]"#,
    ];
    for operations in bad {
        assert!(denied(&patch(operations), "agent-json-patch"), "{operations}");
    }
    // Without a context of ours there is none to replace in.
    let off =
        seen(&["agent-set-security-context=false", r#"agent-json-patch=[{"op":"remove","path":"/securityContext"}]"#]);
    assert!(denied(&off, "agent-json-patch"), "{off}");
}

#[test]
fn volumes_and_mounts_that_the_pod_has_already() {
    let volumes = |volume: Value| json!({ "volumes": [volume] });
    let own = with(&[], volumes(json!({ "name": "vault-secrets", "emptyDir": { "sizeLimit": "1Gi" } })));
    assert_eq!(own["spec"]["volumes"][0]["emptyDir"], json!({ "sizeLimit": "1Gi" }), "the pod's own counts");
    assert_eq!(own["spec"]["volumes"].as_array().unwrap().len(), 3);
    for name in ["vault-secrets", "sidekey-state", "sidekey-token"] {
        let seen = with(&[], volumes(json!({ "name": name, "hostPath": { "path": "/" } })));
        assert!(denied(&seen, name), "{name}: {seen}");
    }
    let mounted = |volume: &str| {
        let mount = json!([{ "name": volume, "mountPath": "/vault/secrets/", "readOnly": true }]);
        with(&[], json!({ "containers": [{ "name": "app", "volumeMounts": mount }] }))
    };
    assert_eq!(mounted("vault-secrets")["app"]["volumeMounts"].as_array().unwrap().len(), 1, "not mounted twice");
    assert!(denied(&mounted("mine"), "/vault/secrets"));
    // Names that only today's injector uses are the pod's own affair.
    let home = with(&[], volumes(json!({ "name": "home-init", "hostPath": { "path": "/" } })));
    assert!(home.get("denied").is_none(), "{home}");
    let copied = with(&["agent-copy-volume-mounts=nobody"], json!({}));
    assert!(copied.get("denied").is_none(), "{copied}");
}

#[test]
fn the_last_checks_come_in_the_known_injectors_order() {
    // With all of them wrong the first is named, then the next.
    let ordered = [
        "agent-request-namespace=",
        "agent-image=",
        "auth-type=",
        "role=",
        "auth-path=",
        "service=",
        "agent-limits-cpu=x",
    ];
    let words =
        ["agent-request-namespace", "agent-image", "auth method", "role", "auth-path", "service", "agent-limits-cpu"];
    for (first, word) in words.iter().enumerate() {
        let seen = seen(&ordered[first..]);
        assert!(denied(&seen, word), "{word}: {seen}");
    }
    // The token's volume comes after the patches' syntax and before everything else.
    let volume = "agent-service-account-token-volume-name=gone";
    let seen_with = |more: &str| seen(&[volume, more]);
    assert!(denied(&seen_with("agent-json-patch=x"), "agent-json-patch"));
    assert!(denied(&seen_with("agent-init-json-patch=x"), "agent-init-json-patch"));
    for later in ["error-on-missing-key-db=x", "agent-init-first=x", "agent-run-as-user=x", "agent-image=", "role="] {
        assert!(denied(&seen_with(later), "volume"), "{later}: {}", seen_with(later));
    }
    assert!(seen(&[volume, "auth-type=aws"]).get("denied").is_none(), "a login that shows no token needs no volume");
}

#[test]
fn parameters_of_the_login_are_text_and_dashes_are_underscores() {
    hold(&[
        (&["auth-config-token-path=/a"], "/config/auth/tokenFile", json!("/a")),
        (&["auth-config-token_path=/a"], "/config/auth/tokenFile", json!("/a")),
        (&["auth-type=aws", "auth-config-region=eu-1"], "/config/auth/method/aws/region", json!("eu-1")),
        (&["auth-type=aws", "auth-config-header-value=1"], "/config/auth/method/aws/headerValue", json!("1")),
        (&["auth-type=aws", "auth-config-header_value=true"], "/config/auth/method/aws/headerValue", json!("true")),
        (&["auth-path=auth/x/"], "/config/auth/mount", json!("auth/x")),
        (&["auth-path=kubernetes"], "/config/auth/mount", json!("kubernetes")),
    ]);
    let both = seen(&["auth-config-token-path=/a", "auth-config-token_path=/b"]);
    assert_eq!(both["config"]["auth"]["tokenFile"], "/a", "always the same of both");
}
