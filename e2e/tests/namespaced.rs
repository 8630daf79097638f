//! The operator in namespaced mode, as the chart renders it: Roles in the namespaces it serves, and no right anywhere else. The other
//! operator is away meanwhile, or it would serve them too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::path::Path;

use serde_json::{Value, json};
use sidekey_e2e::operator::Away;
use sidekey_e2e::rights::allowed;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Kept, Sandbox, api, setting};

const LEASE: &str = "b0d477c0.hashicorp.com";

/// Verbs and resources, in the namespaces that are served; `any` is the name where a verb takes one.
const SERVED: [(&str, &str); 22] = [
    ("get", "/secrets"),
    ("list", "/secrets"),
    ("watch", "/secrets"),
    ("create", "/secrets"),
    ("update", "/secrets"),
    ("delete", "/secrets"),
    ("get", "/configmaps"),
    ("list", "/configmaps"),
    ("watch", "/configmaps"),
    ("get", "/serviceaccounts"),
    ("create", "/serviceaccounts/token"),
    ("create", "/events"),
    ("list", "apps/deployments"),
    ("list", "apps/statefulsets"),
    ("list", "apps/daemonsets"),
    ("list", "argoproj.io/rollouts"),
    ("patch", "apps/deployments"),
    ("patch", "apps/statefulsets"),
    ("patch", "apps/daemonsets"),
    ("patch", "argoproj.io/rollouts"),
    ("patch", "secrets.hashicorp.com/vaultauths"),
    ("patch", "secrets.hashicorp.com/vaultdynamicsecrets/status"),
];

const KINDS: [&str; 10] = [
    "vaultconnections",
    "vaultauths",
    "vaultauthglobals",
    "vaultstaticsecrets",
    "vaultdynamicsecrets",
    "vaultpkisecrets",
    "secrettransformations",
    "hcpauths",
    "hcpvaultsecretsapps",
    "csisecrets",
];

/// What cluster mode needs, and what neither needs.
const NOWHERE: [(&str, &str); 24] = [
    ("list", "sidekey.dev/clustervaultauths"),
    ("list", "sidekey.dev/clustervaultconnections"),
    ("patch", "sidekey.dev/clustervaultauths/status"),
    ("list", "/namespaces"),
    ("watch", "/namespaces"),
    ("patch", "/secrets"),
    ("deletecollection", "/secrets"),
    ("list", "/pods"),
    ("create", "/pods/exec"),
    ("update", "/configmaps"),
    ("list", "/serviceaccounts"),
    ("get", "apps/deployments"),
    ("delete", "secrets.hashicorp.com/vaultstaticsecrets"),
    ("create", "rbac.authorization.k8s.io/rolebindings"),
    ("list", "coordination.k8s.io/leases"),
    ("delete", "coordination.k8s.io/leases"),
    ("list", "/events"),
    ("patch", "/events"),
    ("delete", "/events"),
    ("create", "/serviceaccounts"),
    ("get", "/nodes"),
    ("delete", "/pods"),
    ("get", "argoproj.io/rollouts"),
    ("get", "apiextensions.k8s.io/customresourcedefinitions"),
];

/// The operator's objects of the chart's golden render, for other namespaces and this cluster's image.
fn rendered(house: &str, served: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart/golden/namespaced.yaml");
    let all: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(file).unwrap()).unwrap();
    let ours = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        name.starts_with("sidekey-operator")
            && ["ServiceAccount", "Role", "RoleBinding", "Deployment", "Job"].contains(&kind)
    };
    let place = |name: &str| match name {
        "sidekey" => Some(house.to_owned()),
        "shop" => Some(served.to_owned()),
        _ => None,
    };
    let moved = |mut object: Value| {
        let namespace = place(object["metadata"]["namespace"].as_str()?)?;
        object["metadata"]["namespace"] = json!(namespace);
        if object["kind"] == "RoleBinding" {
            object["subjects"][0]["namespace"] = json!(house);
        }
        if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
            container["image"] = json!(setting().control);
            container["imagePullPolicy"] = json!("IfNotPresent");
            for one in container["env"].as_array_mut().unwrap() {
                match one["name"].as_str().unwrap() {
                    "SIDEKEY_WATCH_NAMESPACE" => one["value"] = json!(served),
                    "OPERATOR_NAMESPACE" if one["value"].is_string() => one["value"] = json!(house),
                    _ => {}
                }
            }
        }
        Some(object)
    };
    all.into_iter().filter(ours).filter_map(moved).collect()
}

fn create(object: &Value) {
    let group = match object["kind"].as_str().unwrap() {
        "ServiceAccount" => "api/v1",
        "Role" | "RoleBinding" => "apis/rbac.authorization.k8s.io/v1",
        "Deployment" => "apis/apps/v1",
        _ => "apis/batch/v1",
    };
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    api::create(&format!("/{group}/namespaces/{namespace}/{plural}"), object).expect("an object of the chart");
}

fn is_hook(object: &Value) -> bool {
    object["metadata"]["annotations"]["helm.sh/hook"].is_string()
}

#[test]
fn with_roles_alone_it_serves_its_namespaces_and_takes_its_finalizers_away_at_the_end() {
    let away = Away::new();
    let house = Sandbox::new("op-house");
    let (served, other) = (Kept::new("op-served"), Kept::new("op-unserved"));
    let namespace = served.sandbox.namespace.clone();
    served.sandbox.grant(&format!(
        "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\n\
         path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}"
    ));
    served.sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
    let objects = rendered(&house.namespace, &namespace);
    objects.iter().filter(|object| !is_hook(object)).for_each(create);
    for kept in [&served, &other] {
        kept.sandbox.put("web", &json!({"user": "app"}));
        kept.static_secret("web", &json!({}));
    }
    served.dynamic_secret("db", &json!({}));
    served.holds("web", "user", "app");
    served.ready("vaultdynamicsecrets", "db", "True");
    served.sandbox.put("web", &json!({"user": "other"}));
    served.holds("web", "user", "other");
    assert_eq!(other.get("vaultstaticsecrets", "web")["status"], Value::Null, "of a namespace that is not served");
    rights(&house.namespace, &namespace, &other.sandbox.namespace);
    refused_nothing(&house);
    uninstalled(&house, &served, &objects);
    away.back();
}

/// Nothing that it tried was beyond its rights.
fn refused_nothing(house: &Sandbox) {
    let pods = api::get(&house.path("pods")).json();
    for pod in pods["items"].as_array().unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let log = api::get(&format!("{}/{name}/log", house.path("pods"))).body;
        assert!(!log.contains("forbidden"), "{log}");
    }
}

fn rights(house: &str, served: &str, other: &str) {
    let user = format!("system:serviceaccount:{house}:sidekey-operator");
    let may = |verb: &str, of: &str, namespace: &str| allowed(&user, (verb, of, namespace, ""));
    let kinds = KINDS.map(|kind| format!("secrets.hashicorp.com/{kind}"));
    let of_kinds = kinds.iter().flat_map(|kind| ["get", "list", "watch"].map(|verb| (verb, kind.as_str())));
    let needed: Vec<_> = SERVED.into_iter().chain(of_kinds).collect();
    for namespace in [house, served] {
        let missing: Vec<_> = needed.iter().filter(|(verb, of)| !may(verb, of, namespace)).collect();
        assert!(missing.is_empty(), "needed in {namespace}: {missing:?}");
    }
    let everything = || needed.iter().copied().chain(NOWHERE);
    for namespace in [other, "default", "kube-system", ""] {
        let surplus: Vec<_> = everything().filter(|(verb, of)| may(verb, of, namespace)).collect();
        assert!(surplus.is_empty(), "not needed in {namespace:?}: {surplus:?}");
    }
    for namespace in [house, served] {
        let surplus: Vec<_> = NOWHERE.into_iter().filter(|(verb, of)| may(verb, of, namespace)).collect();
        assert!(surplus.is_empty(), "not needed in {namespace}: {surplus:?}");
    }
    let lease = |verb, namespace, name| allowed(&user, (verb, "coordination.k8s.io/leases", namespace, name));
    assert!(lease("update", house, LEASE) && lease("create", house, ""));
    assert!(!lease("update", house, "another") && !lease("update", served, LEASE));
    let (has, has_not) = (2 * needed.len() + 2, 4 * everything().count() + 2 * NOWHERE.len() + 2);
    println!("namespaced: {has} rights that it has, {has_not} that it has not");
}

/// As an uninstall of the chart does it: the operator and its rights go, then the hook runs with its own.
fn uninstalled(house: &Sandbox, served: &Kept, objects: &[Value]) {
    let held = || served.get("vaultdynamicsecrets", "db")["metadata"]["finalizers"].clone();
    assert_ne!(held(), Value::Null);
    api::delete(&format!("/apis/apps/v1/namespaces/{}/deployments/sidekey-operator", house.namespace)).expect("delete");
    objects.iter().filter(|object| is_hook(object)).for_each(create);
    let job = format!("/apis/batch/v1/namespaces/{}/jobs/sidekey-operator-uninstall", house.namespace);
    until(START, "done: the hook", || {
        let status = api::get(&job).json()["status"].clone();
        if status["succeeded"] == 1 { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(held(), Value::Null);
    let path = served.one("vaultdynamicsecrets", "db");
    api::delete(&path).expect("delete");
    until(seconds(20), "gone without an operator", || match api::get(&path).status {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}
