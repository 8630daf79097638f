//! What holds for every pod.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sidekey_core::AgentConfig;
use sidekey_inject::{Facts, Injection, Outcome, Settings, SkipReason, mutate};

fn facts(native_sidecars: bool) -> Facts {
    Facts { namespace: "shop".to_owned(), native_sidecars, ..Facts::default() }
}

fn foreign() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z$]{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[a-z]{1,6}", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn container(prefix: &'static str) -> impl Strategy<Value = Value> {
    let list = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!([{ "name": "data", "mountPath": "/data", "odd": 1 }]))
    ];
    (0..1000_u32, list, foreign(), prop::option::of(0..3000_i64)).prop_map(move |(number, mounts, odd, user)| {
        let mut container = json!({ "name": format!("{prefix}{number}"), "volumeMounts": mounts, "odd": odd });
        if let Some(user) = user {
            container["securityContext"] = json!({ "runAsUser": user, "odd": true });
        }
        container
    })
}

/// Logins, containers and objects of single files, drawn by the path's letters.
fn of_file(name: &str, path: &str) -> Vec<(String, Value)> {
    let first = path.as_bytes()[0] - b'a';
    let mut all = Vec::new();
    let mut add = |key: &str, value: String| all.push((format!("sidekey.dev/{key}"), value.into()));
    if first.is_multiple_of(2) {
        add(&format!("role-{name}"), format!("$$r{}", first % 3));
        add(&format!("token-audience-{name}"), format!("$(A){}", first % 4));
    }
    if first.is_multiple_of(3) {
        add(&format!("address-{name}"), format!("https://v{first}:1"));
        add(&format!("ca-configmap-{name}"), format!("trust{}", first % 2));
        add("image-pull-secrets", "registry, other".to_owned());
    }
    if first.is_multiple_of(5) {
        add(&format!("path-{name}"), format!("/p/{name}"));
        add(&format!("containers-{name}"), "app0, init0, nobody".to_owned());
        add("metrics-port", "9102".to_owned());
        add("metrics-scrape", "true".to_owned());
    }
    all
}

fn annotations() -> impl Strategy<Value = Map<String, Value>> {
    let native = btree_map("[a-zA-Z][a-z]{0,5}(\\.env|\\.json)?", "[a-z]{1,4}/[a-z]{1,4}", 0..4).prop_map(|secrets| {
        let mut map = Map::from_iter([
            ("sidekey.dev/inject".into(), "true".into()),
            ("sidekey.dev/role".into(), "$(web)".into()),
        ]);
        for (name, path) in secrets {
            let reaction =
                if path.len() % 2 == 0 { "touch reload\nhttp POST http://$(H)/" } else { "command /opt/x '$(A)'" };
            map.insert(format!("sidekey.dev/on-change-{name}"), reaction.into());
            map.insert(
                "sidekey.dev/json-patch".into(),
                r#"[{"op":"add","path":"/env/-","value":{"name":"B","value":"b"}}]"#.into(),
            );
            map.extend(of_file(&name, &path));
            map.insert(format!("sidekey.dev/secret-{name}"), path.into());
        }
        map
    });
    let vault = btree_map("[a-z]{1,6}", "[a-z]{1,4}/[a-z$\"]{1,4}", 0..4).prop_map(|secrets| {
        let key = |name: &str| format!("vault.hashicorp.com/{name}");
        let mut map = Map::from_iter([(key("agent-inject"), "true".into()), (key("role"), "web".into())]);
        for (name, path) in secrets {
            map.insert(key(&format!("secret-volume-path-{name}")), format!("/v/{}", name.len()).into());
            map.insert(key(&format!("agent-inject-command-{name}")), format!("echo $(id) {path}").into());
            map.insert(key(&format!("agent-inject-secret-{name}")), path.into());
        }
        map
    });
    let noise = btree_map("[a-z]{1,5}\\.example/[a-z]{1,5}", "[a-z]{0,5}", 0..3);
    (prop_oneof![native, vault], noise).prop_map(|(mut map, noise)| {
        map.extend(noise.into_iter().map(|(key, value)| (key, value.into())));
        map
    })
}

fn pods() -> impl Strategy<Value = Value> {
    let volumes = prop_oneof![Just(Value::Null), Just(json!([])), Just(json!([{ "name": "data", "odd": {} }]))];
    (annotations(), vec(container("app"), 1..4), vec(container("init"), 0..3), volumes, foreign()).prop_map(
        |(annotations, containers, inits, volumes, odd)| {
            json!({
                "metadata": { "annotations": annotations, "odd": odd },
                "spec": { "containers": containers, "initContainers": inits, "volumes": volumes, "odd": odd },
                "odd": odd,
            })
        },
    )
}

fn injected(pod: &Value, native: bool) -> Injection {
    match mutate(pod, &facts(native), &Settings::default()) {
        Outcome::Patch(injection) => *injection,
        other => panic!("not injected: {other:?}"),
    }
}

fn apply(pod: &Value, injection: &Injection) -> Value {
    let mut patched = pod.clone();
    injection.patch.apply(&mut patched).unwrap();
    patched
}

fn is_ours(value: &Value) -> bool {
    let name = value["name"].as_str().unwrap_or_default();
    ["sidekey-", "vault-agent", "vault-secrets"].iter().any(|prefix| name.starts_with(prefix))
}

/// Takes out what is ours; lists that were absent, null or empty are made alike.
fn without_ours(mut pod: Value) -> Value {
    let ours = |key: &str| key.ends_with("status") || key.starts_with("prometheus.io/");
    pod["metadata"]["annotations"].as_object_mut().unwrap().retain(|key, _| !ours(key));
    pod["spec"].as_object_mut().unwrap().remove("imagePullSecrets");
    for list in ["containers", "initContainers", "volumes"] {
        strip(&mut pod["spec"][list]);
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            if container.get("volumeMounts").is_some() {
                strip(&mut container["volumeMounts"]);
            }
        }
    }
    pod
}

fn strip(list: &mut Value) {
    let kept = list.as_array_mut().map(std::mem::take).unwrap_or_default().into_iter().filter(|item| !is_ours(item));
    *list = kept.collect();
}

proptest! {
    #[test]
    fn twice_is_once(pod in pods(), native: bool) {
        let patched = apply(&pod, &injected(&pod, native));
        let again = mutate(&patched, &facts(native), &Settings::default());
        prop_assert!(matches!(again, Outcome::Skip(SkipReason::AlreadyInjected)), "{again:?}");
    }

    #[test]
    fn keeps_every_field_that_is_not_ours(pod in pods(), native: bool) {
        let patched = apply(&pod, &injected(&pod, native));
        prop_assert_eq!(without_ours(patched), without_ours(pod));
    }

    #[test]
    fn gives_the_same_bytes_each_time(pod in pods(), native: bool) {
        let bytes = || serde_json::to_vec(&injected(&pod, native).patch).unwrap();
        prop_assert_eq!(bytes(), bytes());
    }

    #[test]
    fn never_writes_what_the_kubelet_would_expand(pod in pods(), native: bool) {
        let patched = apply(&pod, &injected(&pod, native));
        let all = ["initContainers", "containers"].into_iter().flat_map(|list| patched["spec"][list].as_array().unwrap().clone());
        for container in all.filter(is_ours) {
            let value = container["env"][0]["value"].as_str().unwrap().to_owned();
            prop_assert!(!value.contains('$'));
            prop_assert!(AgentConfig::from_json(&value).is_ok());
        }
    }

    #[test]
    fn requests_stay_within_limits(request in 0..2000_u32, limit in 0..2000_u32, which in 0..3_u8) {
        let mut pod = json!({ "metadata": { "annotations": {
            "sidekey.dev/inject": "true", "sidekey.dev/role": "web" } }, "spec": { "containers": [{ "name": "app" }] } });
        let mut say = |key: &str, amount: u32| pod["metadata"]["annotations"][format!("sidekey.dev/{key}")] = format!("{amount}m").into();
        match which {
            0 => say("requests-cpu", request),
            1 => say("limits-cpu", limit),
            _ => { say("requests-cpu", request); say("limits-cpu", limit); }
        }
        match mutate(&pod, &facts(true), &Settings::default()) {
            Outcome::Patch(injection) => {
                let agent = apply(&pod, &injection)["spec"]["initContainers"][0]["resources"].clone();
                let cpu = |kind: &str| agent[kind]["cpu"].as_str().unwrap().trim_end_matches('m').parse::<u32>().unwrap();
                prop_assert!(cpu("requests") <= cpu("limits"));
            }
            Outcome::Deny { .. } => prop_assert!(which == 2 && request > limit),
            Outcome::Skip(reason) => prop_assert!(false, "{reason:?}"),
        }
    }

    #[test]
    fn a_pod_that_does_not_ask_is_let_in_as_it_is(mut pod in pods()) {
        pod["metadata"]["annotations"].as_object_mut().unwrap().retain(|key, _| !key.ends_with("inject"));
        prop_assert!(matches!(mutate(&pod, &facts(true), &Settings::default()), Outcome::Skip(SkipReason::NotAsked)));
    }
}
