//! What the shipped CRDs accept, require, default and show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_cluster::api::Api;
use sidekey_operator::install;
use sidekey_operator::types::crd;
use sidekey_testkit::cluster::Cluster;

const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(s|m|h))$";

fn version(kind: &str) -> Value {
    let all = crd::all();
    let found = all.iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    found["spec"]["versions"][0].clone()
}

/// `spec.destination.create` of a kind; `[]` steps into a list, `{}` into a map.
fn field(kind: &str, path: &str) -> Value {
    let mut at = version(kind)["schema"]["openAPIV3Schema"].clone();
    for part in path.split('.') {
        at = match part {
            "[]" => at["items"].clone(),
            "{}" => at["additionalProperties"].clone(),
            name => at["properties"][name].clone(),
        };
        assert!(at.is_object(), "{kind} has no {path}");
    }
    at
}

#[test]
fn required_fields_are_those_of_the_published_kinds() {
    let cases = [
        ("VaultConnection", "spec", json!(["address", "skipTLSVerify"])),
        ("VaultConnection", "status", json!(["valid"])),
        ("VaultAuth", "spec", Value::Null),
        ("VaultAuth", "spec.storageEncryption", json!(["mount", "keyName"])),
        ("VaultAuth", "spec.kubernetes", Value::Null),
        ("VaultAuthGlobal", "spec", Value::Null),
        ("VaultAuthGlobal", "status", json!(["valid", "error"])),
        ("VaultStaticSecret", "spec", json!(["mount", "path", "type", "destination"])),
        ("VaultStaticSecret", "spec.destination", json!(["name"])),
        ("VaultStaticSecret", "spec.destination.transformation.templates.{}", json!(["text"])),
        ("VaultStaticSecret", "spec.destination.transformation.transformationRefs.[]", json!(["name"])),
        ("VaultStaticSecret", "spec.destination.transformation.transformationRefs.[].templateRefs.[]", json!(["name"])),
        // Not the name, since a selector can stand in its place.
        ("VaultStaticSecret", "spec.rolloutRestartTargets.[]", json!(["kind"])),
        ("VaultStaticSecret", "status", json!(["lastGeneration"])),
        ("VaultDynamicSecret", "spec", json!(["mount", "path", "destination"])),
        ("VaultDynamicSecret", "status.secretLease", json!(["id", "duration", "renewable", "requestID"])),
        ("VaultPKISecret", "spec", json!(["mount", "role", "destination"])),
        ("VaultPKISecret", "status", json!(["error", "lastGeneration", "lastRotation", "valid"])),
        ("SecretTransformation", "spec", Value::Null),
        ("SecretTransformation", "spec.sourceTemplates.[]", json!(["text"])),
        ("SecretTransformation", "status", json!(["error", "valid"])),
        ("HCPAuth", "spec", json!(["organizationID", "projectID"])),
        ("HCPVaultSecretsApp", "spec", json!(["appName", "destination"])),
        ("CSISecrets", "spec", json!(["accessControl", "secrets"])),
        ("CSISecrets", "spec.accessControl", json!(["serviceAccountPattern"])),
    ];
    for (kind, path, want) in cases {
        assert_eq!(field(kind, path)["required"], want, "{kind} {path}");
    }
}

#[test]
fn defaults_limits_and_patterns_are_those_of_the_published_kinds() {
    let methods = json!(["kubernetes", "jwt", "appRole", "aws", "gcp"]);
    let cases = [
        ("VaultConnection", "spec.skipTLSVerify", "default", json!(false)),
        ("VaultConnection", "spec.timeout", "pattern", json!(DURATION)),
        ("VaultAuth", "spec.method", "enum", methods.clone()),
        ("VaultAuth", "spec.kubernetes.tokenExpirationSeconds", "default", json!(600)),
        ("VaultAuth", "spec.kubernetes.tokenExpirationSeconds", "minimum", json!(600)),
        ("VaultAuth", "spec.jwt.tokenExpirationSeconds", "default", json!(600)),
        ("VaultAuth", "spec.vaultAuthGlobalRef.name", "pattern", json!("^([a-z0-9.-]{1,253})$")),
        ("VaultAuth", "spec.vaultAuthGlobalRef.namespace", "pattern", json!("^([a-z0-9-]{1,63})$")),
        ("VaultAuth", "spec.vaultAuthGlobalRef.mergeStrategy.params", "enum", json!(["union", "replace", "none"])),
        ("VaultAuthGlobal", "spec.defaultAuthMethod", "enum", methods),
        ("VaultAuthGlobal", "spec.kubernetes.tokenExpirationSeconds", "minimum", json!(600)),
        ("VaultStaticSecret", "spec.type", "enum", json!(["kv-v1", "kv-v2"])),
        ("VaultStaticSecret", "spec.hmacSecretData", "default", json!(true)),
        ("VaultStaticSecret", "spec.version", "minimum", json!(0)),
        ("VaultStaticSecret", "spec.refreshAfter", "pattern", json!(DURATION)),
        ("VaultStaticSecret", "spec.refreshAfter", "default", Value::Null),
        ("VaultStaticSecret", "spec.destination.create", "default", json!(false)),
        ("VaultStaticSecret", "spec.destination.overwrite", "default", json!(false)),
        ("VaultStaticSecret", "spec.destination.labels", "default", Value::Null),
        ("VaultStaticSecret", "spec.destination.transformation", "default", Value::Null),
        ("VaultDynamicSecret", "spec.renewalPercent", "default", json!(67)),
        ("VaultDynamicSecret", "spec.renewalPercent", "maximum", json!(90)),
        ("VaultDynamicSecret", "spec.requestHTTPMethod", "enum", json!(["GET", "POST", "PUT"])),
        ("VaultPKISecret", "spec.ttl", "pattern", json!(r"^([0-9]+(\.[0-9]+)?(s|m|h|d))$")),
        ("VaultPKISecret", "spec.otherSans", "type", json!("array")),
        ("VaultPKISecret", "spec.revoke", "default", json!(false)),
        ("HCPVaultSecretsApp", "spec.refreshAfter", "default", json!("600s")),
        ("CSISecrets", "spec.accessControl.matchPolicy", "default", json!("all")),
        ("VaultStaticSecret", "status.lastGeneration", "default", Value::Null),
        ("VaultStaticSecret", "status.conditions", "x-kubernetes-list-type", Value::Null),
    ];
    for (kind, path, key, want) in cases {
        assert_eq!(field(kind, path)[key], want, "{kind} {path} {key}");
    }
}

#[test]
fn columns_show_the_conditions() {
    let cases = [
        ("VaultConnection", &["Healthy", "Ready", "Age"][..]),
        ("VaultAuth", &["Healthy", "Ready", "Age"]),
        ("VaultAuthGlobal", &[]),
        ("VaultStaticSecret", &["Synced", "Healthy", "Ready", "Age"]),
        ("VaultDynamicSecret", &["Synced", "Healthy", "Ready", "Age"]),
        ("VaultPKISecret", &["Synced", "Healthy", "Ready", "Age"]),
        ("SecretTransformation", &["Healthy", "Ready", "Age"]),
        ("HCPAuth", &[]),
        ("CSISecrets", &[]),
    ];
    for (kind, want) in cases {
        let columns = version(kind)["additionalPrinterColumns"].clone();
        let names: Vec<_> = columns.as_array().into_iter().flatten().map(|column| column["name"].clone()).collect();
        assert_eq!(json!(names), json!(want), "{kind}");
    }
    let synced = version("VaultStaticSecret")["additionalPrinterColumns"][0]["jsonPath"].clone();
    assert_eq!(synced, r#".status.conditions[?(@.type=="SecretSynced")].status"#);
}

/// An API server refuses a schema that is not structural: each node has one type, and no `oneOf`, `$ref` or null.
#[test]
fn every_schema_is_structural_and_every_field_described() {
    fn walk(at: &Value, path: &str) {
        let map = at.as_object().unwrap();
        assert!(map["type"].is_string(), "{path} has the type {}", map["type"]);
        for key in ["oneOf", "anyOf", "allOf", "$ref", "nullable", "title"] {
            assert!(!map.contains_key(key), "{path} has {key}");
        }
        for (name, below) in at["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(
                below["description"].is_string()
                    || name == "metadata"
                    || path.ends_with("status")
                    || path.ends_with("spec"),
                "{path} is not described"
            );
            walk(below, &path);
        }
        for key in ["items", "additionalProperties"] {
            if at[key].is_object() {
                walk(&at[key], &format!("{path}.{key}"));
            }
        }
    }
    for crd in crd::all() {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        walk(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &kind);
        let group = crd["spec"]["group"].as_str().unwrap();
        let scope = if group == "sidekey.dev" { "Cluster" } else { "Namespaced" };
        assert_eq!(crd["spec"]["scope"], scope);
        assert_eq!(crd["metadata"]["name"], format!("{}.{group}", crd["spec"]["names"]["plural"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn crds_are_brought_to_this_version_and_waited_for() {
    const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/vaultauths.secrets.hashicorp.com";
    let cluster = Cluster::new();
    let (old, served) = (json!({ "versions": [] }), json!([{ "type": "Established", "status": "True" }]));
    let metadata = json!({ "name": "vaultauths.secrets.hashicorp.com" });
    let object = json!({ "apiVersion": "apiextensions.k8s.io/v1", "metadata": metadata, "spec": old });
    cluster.apply("customresourcedefinitions", object);
    let api = Api::new(cluster.client());
    let refused = install::crds(&api, Duration::from_millis(300)).await.unwrap_err();
    assert!(refused.to_string().contains("is not established"), "{refused}");
    assert_eq!(cluster.get(PATH)["spec"]["versions"][0]["name"], "v1beta1", "the old one is replaced");
    let names: Vec<_> = crd::all().iter().map(|crd| crd["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    for name in &names {
        cluster.edit(&PATH.replace("vaultauths.secrets.hashicorp.com", name), |object| {
            object["status"]["conditions"] = served.clone();
        });
    }
    assert_eq!(install::crds(&api, Duration::from_secs(5)).await.unwrap(), names);
    cluster.refuse("PATCH", "customresourcedefinitions", 403, 1);
    let refused = install::crds(&api, Duration::from_secs(5)).await.unwrap_err();
    assert!(refused.to_string().contains("SK6002") && refused.to_string().contains("403"), "{refused}");
}
