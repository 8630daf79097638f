//! The CustomResourceDefinitions, made from the types.
//!
//! schemars describes a type; [`structural`] turns that into what an API server takes: no null types, no `oneOf` of
//! constants, no number formats but `int64`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Kind;
use super::{auth, cluster, connection, dynamic_secret, global, pki_secret, static_secret, transformation, unserved};

/// Columns of `kubectl get`: header and the condition it shows.
const SYNCED: (&str, &str) = ("Synced", "SecretSynced");
const HEALTHY: (&str, &str) = ("Healthy", "Healthy");
const READY: (&str, &str) = ("Ready", "Ready");

/// Every CRD, in the order of [`Kind::ALL`].
pub fn all() -> Vec<Value> {
    Kind::ALL.into_iter().map(definition).collect()
}

fn definition(kind: Kind) -> Value {
    let (about, spec, status) = schemas(kind);
    let (group, name) = kind.group();
    let mut version = json!({
        "name": name,
        "served": true,
        "storage": true,
        "subresources": { "status": {} },
        "schema": { "openAPIV3Schema": {
            "description": about,
            "type": "object",
            "properties": {
                "apiVersion": { "type": "string", "description": "Version of the object's schema." },
                "kind": { "type": "string", "description": "Kind of the object." },
                "metadata": { "type": "object" },
                "spec": spec,
                "status": status,
            },
        } },
    });
    let columns = columns(kind);
    if !columns.is_empty() {
        version["additionalPrinterColumns"] = columns.into();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{group}", kind.plural()),
            "labels": { "app.kubernetes.io/part-of": "sidekey" },
        },
        "spec": {
            "group": group,
            "scope": if kind.is_cluster() { "Cluster" } else { "Namespaced" },
            "names": {
                "kind": kind.name(),
                "listKind": format!("{}List", kind.name()),
                "plural": kind.plural(),
                "singular": kind.name().to_ascii_lowercase(),
            },
            "versions": [version],
        },
    })
}

fn schemas(kind: Kind) -> (&'static str, Value, Value) {
    fn both<Spec: JsonSchema, Status: JsonSchema>(about: &'static str) -> (&'static str, Value, Value) {
        let mut status = schema::<Status>();
        without_defaults(&mut status);
        (about, schema::<Spec>(), status)
    }
    match kind {
        Kind::VaultConnection => both::<connection::VaultConnectionSpec, connection::VaultConnectionStatus>(
            "Where a Vault or OpenBao is, and how to trust it.",
        ),
        Kind::VaultAuth => both::<auth::VaultAuthSpec, auth::VaultAuthStatus>("How objects log in to Vault."),
        Kind::VaultAuthGlobal => {
            both::<global::VaultAuthGlobalSpec, global::VaultAuthGlobalStatus>("What VaultAuths have in common.")
        }
        Kind::VaultStaticSecret => {
            both::<static_secret::VaultStaticSecretSpec, static_secret::VaultStaticSecretStatus>(
                "A secret of a KV engine, kept in a Kubernetes Secret.",
            )
        }
        Kind::VaultDynamicSecret => both::<
            dynamic_secret::VaultDynamicSecretSpec,
            dynamic_secret::VaultDynamicSecretStatus,
        >("Credentials that Vault makes or rotates, kept in a Kubernetes Secret."),
        Kind::VaultPkiSecret => both::<pki_secret::VaultPkiSecretSpec, pki_secret::VaultPkiSecretStatus>(
            "A certificate of a PKI engine, kept in a Kubernetes Secret.",
        ),
        Kind::SecretTransformation => both::<
            transformation::SecretTransformationSpec,
            transformation::SecretTransformationStatus,
        >("Templates and filters for the data of secrets."),
        Kind::ClusterVaultConnection => both::<cluster::ClusterVaultConnectionSpec, connection::VaultConnectionStatus>(
            "Where a Vault or OpenBao is, for the namespaces that it admits.",
        ),
        Kind::ClusterVaultAuth => both::<cluster::ClusterVaultAuthSpec, auth::VaultAuthStatus>(
            "How objects log in to Vault, for the namespaces that it admits.",
        ),
        Kind::HcpAuth => both::<unserved::HcpAuthSpec, unserved::HcpAuthStatus>(
            "Accepted and not served: HCP Vault Secrets is retired.",
        ),
        Kind::HcpVaultSecretsApp => both::<unserved::HcpVaultSecretsAppSpec, unserved::HcpVaultSecretsAppStatus>(
            "Accepted and not served: HCP Vault Secrets is retired.",
        ),
        Kind::CsiSecrets => both::<unserved::CsiSecretsSpec, unserved::CsiSecretsStatus>(
            "Accepted and not served: it belongs to the CSI driver of Vault Enterprise.",
        ),
    }
}

fn columns(kind: Kind) -> Vec<Value> {
    let shown: &[(&str, &str)] = match kind {
        Kind::VaultStaticSecret | Kind::VaultDynamicSecret | Kind::VaultPkiSecret => &[SYNCED, HEALTHY, READY],
        Kind::SecretTransformation => &[HEALTHY, READY],
        kind if kind.is_connection() || kind.is_auth() => &[HEALTHY, READY],
        _ => return Vec::new(),
    };
    let condition = |(name, condition): &(&str, &str)| {
        let path = format!(".status.conditions[?(@.type==\"{condition}\")].status");
        json!({ "name": name, "type": "string", "jsonPath": path })
    };
    let age = json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" });
    shown.iter().map(condition).chain([age]).collect()
}

fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    structural(&mut schema);
    schema
}

/// A status is written whole by us: a default would only say what nobody has seen.
fn without_defaults(schema: &mut Value) {
    if let Some(map) = schema.as_object_mut() {
        map.remove("default");
        map.values_mut().for_each(without_defaults);
    }
}

/// In place, all the way down.
fn structural(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for key in ["title", "nullable", "$schema", "components", "definitions"] {
        map.remove(key);
    }
    if map.get("format").is_some_and(|format| format != "int64" && format != "date-time") {
        map.remove("format");
    }
    if map.get("default").is_some_and(is_empty) {
        map.remove("default");
    }
    flatten_choice(map);
    not_null(map);
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = map.get_mut(key) {
            structural(below);
        }
    }
}

/// `anyOf: [T, null]` is T.
fn flatten_choice(map: &mut Map<String, Value>) {
    for key in ["anyOf", "allOf"] {
        let Some(Value::Array(choices)) = map.remove(key) else { continue };
        let kept = choices.into_iter().filter_map(|choice| match choice {
            Value::Object(choice) if choice.get("enum").is_none_or(|values| *values != json!([null])) => Some(choice),
            _ => None,
        });
        for (key, value) in kept.flatten() {
            map.entry(key).or_insert(value);
        }
    }
}

fn not_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
}

/// A default that only stands for absence. One of `{}` would put an empty object into every manifest.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => true,
        Value::Bool(_) | Value::Number(_) => false,
    }
}
