//! Pods without the agent they ask for, against an API server in memory: told about once, evicted gently, by one replica.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_webhook::metrics::Metrics;
use sidekey_webhook::missed::{Found, Names, Watch};
use support::{Cluster, admission, metrics};
use tokio::time::timeout;

/// A pod of a controller, in namespace `shop` unless its name says otherwise (`namespace/name`).
fn pod(name: &str, annotations: &Value) -> Value {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "annotations": annotations,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": true}]},
        "spec": {"serviceAccountName": "web", "containers": [{"name": "app", "image": "app:1"}]},
        "status": {"phase": "Running"},
    })
}

fn asks() -> Value {
    json!({"sidekey.dev/inject": "true", "sidekey.dev/role": "web", "sidekey.dev/secret-app.env": "secret/data/web"})
}

fn cluster(pods: &[Value]) -> Cluster {
    let cluster = Cluster::with_hooks(&["inject.sidekey.dev"]);
    cluster.change(support::CONFIGURATION, |configuration| {
        configuration["webhooks"][0]["namespaceSelector"] = json!({"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]});
    });
    for namespace in ["shop", "kube-system"] {
        let labels = json!({"kubernetes.io/metadata.name": namespace});
        cluster.put(
            &format!("/api/v1/namespaces/{namespace}"),
            json!({"metadata": {"name": namespace, "labels": labels}}),
        );
    }
    show(&cluster, pods);
    cluster
}

/// From now on these are the pods.
fn show(cluster: &Cluster, pods: &[Value]) {
    cluster.put("/api/v1/pods", json!({"metadata": {}, "items": pods}));
    for pod in pods {
        let metadata = &pod["metadata"];
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}",
            metadata["namespace"].as_str().unwrap(),
            metadata["name"].as_str().unwrap()
        );
        cluster.put(&path, pod.clone());
    }
}

/// The pod with this field of its metadata.
fn with(mut pod: Value, field: &str, value: Value) -> Value {
    pod["metadata"][field] = value;
    pod
}

/// Changes the one entry of the webhook configuration.
fn entry(cluster: &Cluster, field: &str, value: Value) {
    cluster.change(support::CONFIGURATION, |configuration| configuration["webhooks"][0][field] = value);
}

fn watch(cluster: &Cluster, settings: &str, identity: &str) -> Watch {
    counting(cluster, settings, identity, &metrics())
}

fn counting(cluster: &Cluster, settings: &str, identity: &str, metrics: &Metrics) -> Watch {
    let names = Names {
        namespace: "sidekey".to_owned(),
        lease: "sidekey-webhook-leader".to_owned(),
        configuration: "sidekey-webhook".to_owned(),
        identity: identity.to_owned(),
    };
    Watch::new(cluster.api(), names, admission(settings), metrics.clone())
}

fn event(cluster: &Cluster, name: &str) -> Option<Value> {
    cluster.get(&format!("/api/v1/namespaces/shop/events/{name}.uid-{name}"))
}

fn posts(cluster: &Cluster) -> Vec<String> {
    cluster.take_calls().into_iter().filter(|call| call.starts_with("POST")).collect()
}

#[tokio::test]
async fn a_missed_pod_is_told_about_once() {
    let (cluster, metrics) = (cluster(&[pod("web", &asks())]), metrics());
    let mut watch = counting(&cluster, "", "a", &metrics);
    assert_eq!(watch.look().await.unwrap(), Found { missed: 1, evicted: 0 });
    assert_eq!((metrics.missed.get(), metrics.evicted.get()), (1, 0));
    let told = event(&cluster, "web").unwrap();
    assert_eq!((&told["reason"], &told["type"]), (&json!("NotInjected"), &json!("Warning")));
    assert_eq!(told["involvedObject"]["uid"], "uid-web");
    let message = told["message"].as_str().unwrap();
    for words in ["SK1013", "pod web of namespace shop", "sidekey.dev/inject", "Delete the pod"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(posts(&cluster), ["POST /api/v1/namespaces/shop/events"]);
    assert_eq!(watch.look().await.unwrap(), Found { missed: 1, evicted: 0 });
    assert_eq!(posts(&cluster), Vec::<String>::new(), "a second look says nothing again");
    assert_eq!(metrics.missed.get(), 1);
    show(&cluster, &[]);
    assert_eq!(watch.look().await.unwrap(), Found::default());
    assert_eq!(metrics.missed.get(), 0, "it has gone");
}

#[tokio::test]
async fn what_is_not_missed_is_left_alone() {
    let mut injected = asks();
    injected["sidekey.dev/status"] = json!("injected");
    let with = |key: &str, value: &str| {
        let mut annotations = asks();
        annotations[key] = json!(value);
        annotations
    };
    let cluster = cluster(&[
        pod("injected", &injected),
        pod("off", &with("sidekey.dev/inject", "false")),
        pod("mirror", &with("kubernetes.io/config.mirror", "x")),
        pod("kube-system/dns", &asks()),
        pod("silent", &json!({})),
    ]);
    assert_eq!(watch(&cluster, "missedPods: evict", "a").look().await.unwrap(), Found::default());
    assert_eq!(posts(&cluster), Vec::<String>::new());
}

#[tokio::test]
async fn eviction_is_for_those_who_ask_and_gentle() {
    let pods: Vec<_> = (0..8).map(|index| pod(&format!("web-{index}"), &asks())).collect();
    let mut bare = pod("bare", &asks());
    bare["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    let cluster = cluster(&[vec![bare], pods].concat());
    let metrics = metrics();
    let mut watch = counting(&cluster, "missedPods: evict", "a", &metrics);
    assert_eq!(watch.look().await.unwrap(), Found { missed: 9, evicted: 5 });
    assert_eq!((metrics.missed.get(), metrics.evicted.get()), (9, 5));
    let evicted = cluster.get("/api/v1/namespaces/shop/pods/web-0/eviction/web-0").unwrap();
    assert_eq!(evicted["deleteOptions"]["preconditions"]["uid"], "uid-web-0");
    assert_eq!(cluster.get("/api/v1/namespaces/shop/pods/bare/eviction/bare"), None, "nobody would create it again");
}

#[tokio::test]
async fn what_the_object_selector_leaves_out_is_not_missed() {
    let left_out = |index| with(pod(&format!("old-{index}"), &asks()), "labels", json!({"sidekey.dev/skip": ""}));
    // More than are judged at one look.
    let pods: Vec<_> = (0..250).map(left_out).chain([pod("web", &asks())]).collect();
    let cluster = cluster(&pods);
    entry(
        &cluster,
        "objectSelector",
        json!({"matchExpressions": [{"key": "sidekey.dev/skip", "operator": "DoesNotExist"}]}),
    );
    let mut watch = watch(&cluster, "missedPods: evict", "a");
    assert_eq!(watch.look().await.unwrap(), Found { missed: 1, evicted: 1 });
    let web = ["POST /api/v1/namespaces/shop/events", "POST /api/v1/namespaces/shop/pods/web/eviction"];
    assert_eq!(posts(&cluster), web);
}

#[tokio::test]
async fn what_a_condition_may_leave_out_is_told_about_and_never_evicted() {
    let shipped = json!({"name": "asks-for-injection", "expression":
        "has(object.metadata.annotations) && (\n'sidekey.dev/inject' in object.metadata.annotations ||\n\
         'vault.hashicorp.com/agent-inject' in object.metadata.annotations ||\n\
         'openbao.org/agent-inject' in object.metadata.annotations)"});
    let cluster = cluster(&[pod("web", &asks())]);
    entry(&cluster, "matchConditions", json!([shipped, {"name": "not-on-fridays", "expression": "false"}]));
    let mut watch = watch(&cluster, "missedPods: evict", "a");
    assert_eq!(watch.look().await.unwrap(), Found { missed: 1, evicted: 0 });
    let told = event(&cluster, "web").unwrap();
    let message = told["message"].as_str().unwrap();
    for words in ["SK1013", "matchConditions", "(not-on-fridays)", "It is never evicted"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    entry(&cluster, "matchConditions", json!([shipped]));
    assert_eq!(watch.look().await.unwrap(), Found { missed: 1, evicted: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_back_as_it_was_is_evicted_ever_more_rarely() {
    let (cluster, minute) = (cluster(&[pod("web-0", &asks())]), Duration::from_secs(60));
    let mut watch = watch(&cluster, "missedPods: evict", "a");
    let (mut evicted, mut last) = (0, String::new());
    for _ in 0..3 * 24 * 30 {
        if watch.look().await.unwrap().evicted == 1 {
            evicted += 1;
            last = format!("web-{evicted}");
            show(&cluster, &[pod(&last, &asks())]);
        }
        tokio::time::sleep(2 * minute).await;
    }
    assert_eq!(evicted, 11, "in three days");
    let told = event(&cluster, "web-1").unwrap();
    let message = told["message"].as_str().unwrap();
    for words in ["SK1013", "when it came back from an eviction", "is evicted for 5 minutes"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    // Another controller's pod does not wait for it.
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "db", "uid": "other", "controller": true}]);
    show(&cluster, &[pod(&last, &asks()), with(pod("db", &asks()), "ownerReferences", owner)]);
    assert_eq!(watch.look().await.unwrap(), Found { missed: 2, evicted: 1 });
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_is_refused_is_tried_again_ever_later_and_counts_once_it_is_taken() {
    let path = "/api/v1/namespaces/shop/pods/web/eviction";
    let (cluster, metrics) = (cluster(&[pod("web", &asks())]), metrics());
    cluster.refuse(path, 429);
    let mut watch = counting(&cluster, "missedPods: evict", "a", &metrics);
    let mut tries = Vec::new();
    for minute in 0..=600 {
        if minute == 500 {
            cluster.refuse(path, 0);
        }
        assert_eq!(watch.look().await.unwrap().missed, 1);
        if posts(&cluster).contains(&format!("POST {path}")) {
            tries.push(minute);
        }
        if metrics.evicted.get() == 1 {
            break;
        }
        assert_eq!(metrics.evicted.get(), 0);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(tries[..9], [0, 1, 3, 7, 15, 31, 63, 123, 183], "it doubles, to an hour");
    assert_eq!((metrics.missed.get(), metrics.evicted.get()), (1, 1), "of {tries:?}");
}

#[tokio::test]
async fn a_pod_that_would_be_refused_stays_and_its_event_says_why() {
    let mut annotations = asks();
    annotations["sidekey.dev/mode-app.env"] = json!("0999");
    let cluster = cluster(&[pod("web", &annotations)]);
    let found = watch(&cluster, "missedPods: evict", "a").look().await.unwrap();
    assert_eq!(found, Found { missed: 1, evicted: 0 });
    let told = event(&cluster, "web").unwrap();
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("SK1001") && message.contains("sidekey.dev/mode-app.env"), "{message}");
}

#[tokio::test]
async fn an_api_server_that_fails_is_an_error_and_changes_nothing() {
    let cluster = cluster(&[pod("web", &asks())]);
    let mut watch = watch(&cluster, "", "a");
    cluster.fail(500);
    assert!(watch.look().await.is_err());
    cluster.fail(0);
    assert_eq!(watch.look().await.unwrap().missed, 1);
}

#[tokio::test(start_paused = true)]
async fn one_replica_looks_and_another_takes_over() {
    let cluster = cluster(&[pod("web", &asks())]);
    let counted = [metrics(), metrics()];
    let (first, second) = (counting(&cluster, "", "a", &counted[0]), counting(&cluster, "", "b", &counted[1]));
    let second = tokio::spawn(second.run());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let looks = |calls: Vec<String>| calls.iter().filter(|call| *call == "GET /api/v1/pods").count();
    let _ = timeout(Duration::from_secs(600), first.run()).await;
    let many = looks(cluster.take_calls());
    assert!((4..=8).contains(&many), "{many} looks of two replicas in ten minutes");
    assert_eq!(counted.map(|metrics| metrics.missed.get()), [0, 1], "only who looks counts");
    second.abort();
    let third = watch(&cluster, "", "c");
    let _ = timeout(Duration::from_secs(120), third.run()).await;
    assert!(looks(cluster.take_calls()) >= 1, "nobody took over within two minutes");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_made_anew_is_looked_behind_at_once() {
    let cluster = cluster(&[]);
    cluster.change(support::CONFIGURATION, |configuration| configuration["metadata"]["uid"] = json!("one"));
    tokio::spawn(watch(&cluster, "", "a").run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut anew = cluster.get(support::CONFIGURATION).unwrap();
    anew["metadata"]["uid"] = json!("two");
    cluster.delete(support::CONFIGURATION);
    tokio::time::sleep(Duration::from_secs(30)).await;
    cluster.put(support::CONFIGURATION, anew);
    cluster.take_calls();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let looks = cluster.take_calls().iter().filter(|call| call.starts_with("GET /api/v1/pods")).count();
    assert_eq!(looks, 2, "one at once and one more soon after, none in between");
}
