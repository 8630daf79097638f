//! The mock keeps the promises that a controller relies on.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};

use super::*;

fn map(name: &str, value: &str) -> ConfigMap {
    let object = json!({ "metadata": { "name": name, "labels": { "app": name } }, "data": { "k": value } });
    serde_json::from_value(object).unwrap()
}

#[tokio::test]
async fn keeps_objects_and_refuses_a_stale_write() {
    let cluster = Cluster::new();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "app");
    let made = maps.create(&PostParams::default(), &map("a", "1")).await.unwrap();
    assert!(maps.create(&PostParams::default(), &map("a", "1")).await.is_err());
    maps.create(&PostParams::default(), &map("b", "1")).await.unwrap();
    let mut newer = made.clone();
    newer.data = map("a", "2").data;
    let newer = maps.replace("a", &PostParams::default(), &newer).await.unwrap();
    assert_ne!(newer.metadata.resource_version, made.metadata.resource_version);
    assert!(maps.replace("a", &PostParams::default(), &made).await.is_err(), "stale");
    let patched =
        maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({ "data": { "k": "3" } }))).await.unwrap();
    assert_eq!(patched.data, map("a", "3").data);
    let one = maps.list(&ListParams::default().labels("app=b")).await.unwrap();
    assert_eq!(one.items.len(), 1);
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(cluster.get("/api/v1/namespaces/app/configmaps/a"), Value::Null);
    assert_eq!(cluster.count("POST", "configmaps"), 3);
}

#[tokio::test]
async fn a_new_spec_is_a_new_generation_and_a_status_is_not() {
    let cluster = Cluster::new();
    let path = "/apis/x.dev/v1/namespaces/app/things/a";
    let thing = |size: u32| json!({ "apiVersion": "x.dev/v1", "metadata": { "name": "a", "namespace": "app" }, "spec": { "size": size } });
    cluster.apply("things", thing(1));
    let client = cluster.client();
    let request = Request::patch(format!("{path}/status")).header("content-type", "application/json-patch+json");
    let patch = json!([{ "op": "add", "path": "/status", "value": { "ok": true } }, { "op": "add", "path": "/spec/size", "value": 9 }]);
    client.send(request.body(Body::from(patch.to_string().into_bytes())).unwrap()).await.unwrap();
    let object = cluster.get(path);
    assert_eq!(
        (&object["status"]["ok"], &object["spec"]["size"], &object["metadata"]["generation"]),
        (&json!(true), &json!(1), &json!(1))
    );
    cluster.apply("things", thing(2));
    let object = cluster.get(path);
    assert_eq!((&object["status"]["ok"], &object["metadata"]["generation"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn a_finalizer_holds_and_an_owner_takes_along() {
    let cluster = Cluster::new();
    let owner = json!({ "metadata": { "name": "o", "namespace": "app", "finalizers": ["x"] } });
    cluster.apply("configmaps", owner);
    let path = "/api/v1/namespaces/app/configmaps/o";
    let uid = cluster.get(path)["metadata"]["uid"].clone();
    cluster.apply(
        "secrets",
        json!({ "metadata": { "name": "s", "namespace": "app", "ownerReferences": [{ "uid": uid }] } }),
    );
    cluster.delete(path);
    assert!(cluster.get(path)["metadata"]["deletionTimestamp"].is_string());
    cluster.edit(path, |object| object["metadata"]["finalizers"] = json!([]));
    assert_eq!(cluster.get(path), Value::Null);
    assert_eq!(cluster.get("/api/v1/namespaces/app/secrets/s"), Value::Null);
}

#[tokio::test]
async fn a_watch_tells_what_happened_since_its_version() {
    let cluster = Cluster::new();
    cluster.apply("configmaps", json!({ "metadata": { "name": "a", "namespace": "app" } }));
    cluster.apply("configmaps", json!({ "metadata": { "name": "b", "namespace": "app" } }));
    let request = Request::get("/api/v1/configmaps?watch=true&resourceVersion=1").body(Body::empty()).unwrap();
    let mut body = cluster.client().send(request).await.unwrap().into_body();
    cluster.delete("/api/v1/namespaces/app/configmaps/a");
    let mut told = Vec::new();
    for _ in 0..2 {
        let line = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let event: Value = serde_json::from_slice(&line).unwrap();
        told.push(format!("{} {}", event["type"], event["object"]["metadata"]["name"]));
    }
    assert_eq!(told, [r#""ADDED" "b""#, r#""DELETED" "a""#]);
    cluster.end_watches();
    assert!(body.frame().await.is_none());
}
