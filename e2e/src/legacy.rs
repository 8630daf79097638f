//! What a Vault Secrets Operator leaves in a cluster: Secrets with its labels, statuses, and logins that it kept. Digests are made
//! by openssl and coreutils: other hands than ours.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kept::OPERATOR;
use crate::setting::Server;
use crate::{Kept, api, command, sandbox};

/// A login that it made for a namespace's service account `app`.
pub struct Login {
    /// Vault, as this login's user.
    pub vault: Server,
    /// Name of the login in statuses and in the name of the Secret that keeps it.
    pub cache_key: String,
    /// Name of the token in statuses.
    pub id: String,
}

/// Puts a Secret where an object has its destination.
///
/// # Panics
/// When the API server refuses.
pub fn secret(kept: &Kept, (plural, kind): (&str, &str), name: &str, of_type: &str, data: &Value) -> Value {
    let uid = uid(&kept.get(plural, name)).to_owned();
    let labels = json!({"app.kubernetes.io/managed-by": "hashicorp-vso", "app.kubernetes.io/name": "vault-secrets-operator",
        "app.kubernetes.io/component": "secret-sync", "secrets.hashicorp.com/vso-ownerRefUID": uid});
    let owner = json!([{"apiVersion": "secrets.hashicorp.com/v1beta1", "kind": kind, "name": name, "uid": uid}]);
    let metadata = json!({"name": name, "labels": labels, "ownerReferences": owner});
    kept.sandbox.create("secrets", &json!({"metadata": metadata, "type": of_type, "data": encoded(data)}))
}

/// Writes an object's status and puts its finalizer on.
///
/// # Panics
/// When the API server refuses.
pub fn status(kept: &Kept, plural: &str, name: &str, finalizer: &str, status: &Value) {
    let path = kept.one(plural, name);
    let conditions: Vec<Value> = ["SecretSynced", "Healthy", "Ready"]
        .map(|kind| {
            json!({"type": kind, "status": "True", "reason": kind, "message": format!("{kind}"), "observedGeneration": 1,
                "lastTransitionTime": "2026-01-02T03:04:05Z"})
        })
        .into();
    let mut all = json!({"lastGeneration": 1, "conditions": conditions});
    for (key, value) in status.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    api::patch(&format!("{path}/status"), &json!({"status": all})).expect("status");
    let finalizers = json!({"metadata": {"finalizers": [format!("{finalizer}.secrets.hashicorp.com/finalizer")]}});
    api::patch(&path, &finalizers).expect("finalizer");
}

/// The digest of a Secret's data, as statuses have it.
pub fn mac(data: &Value) -> String {
    keyed(&json!(encoded(data)).to_string())
}

/// Sorted by key, as digests need it.
fn encoded(data: &Value) -> BTreeMap<String, String> {
    let texts = data.as_object().into_iter().flatten();
    texts.map(|(key, text)| (key.clone(), STANDARD.encode(text.as_str().unwrap_or_default()))).collect()
}

/// Logs in as the object's VaultAuth `vault` says, and keeps the login, encrypted by the transit key of `manuals::transit`.
///
/// # Panics
/// When Vault or the API server refuses.
pub fn login(kept: &Kept) -> Login {
    let namespace = &kept.sandbox.namespace;
    let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/app");
    let ask = json!({"spec": {"audiences": ["vault"], "expirationSeconds": 600}});
    let jwt = api::create(&format!("{account}/token"), &ask).expect("token")["status"]["token"].clone();
    let answer = sandbox::vault().write("auth/kubernetes/login", &json!({"role": namespace, "jwt": jwt}));
    let text = |name: &str| must(answer["auth"][name].as_str(), "a login").to_owned();
    let login = Login {
        vault: Server { token: text("client_token"), ..sandbox::vault().clone() },
        cache_key: cache_key(kept, &api::get(&account).expect("service account")),
        id: digest("b2sum", &["-l", "256"], &text("accessor")),
    };
    keep(kept, &login, &answer);
    login
}

fn cache_key(kept: &Kept, account: &Value) -> String {
    let (auth, connection) = (kept.get("vaultauths", "vault"), kept.get("vaultconnections", "vault"));
    let generation = |object: &Value| must(object["metadata"]["generation"].as_i64(), "a generation");
    let led = format!(
        "{}-{}.{}-{}.{}",
        uid(&auth),
        generation(&auth),
        uid(&connection),
        generation(&connection),
        uid(account)
    );
    let hex = digest("sha256sum", &[], &led);
    format!("kubernetes-{}{}", &hex[..14], &hex[56..])
}

fn keep(kept: &Kept, login: &Login, answer: &Value) {
    let name = format!("vso-cc-{}", login.cache_key);
    let plain = json!({"plaintext": STANDARD.encode(answer.to_string())});
    let made = sandbox::vault().write("demo-transit/encrypt/vso-client-cache", &plain)["data"].to_string();
    let (auth, connection) = (kept.get("vaultauths", "vault"), kept.get("vaultconnections", "vault"));
    let namespace = &kept.sandbox.namespace;
    let account = api::get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/app")).expect("service account");
    let labels = json!({"app.kubernetes.io/name": "vault-secrets-operator", "app.kubernetes.io/managed-by": "vso",
        "app.kubernetes.io/component": "client-cache-storage", "cacheKey": login.cache_key, "encrypted": "true",
        "vaultTransitRef": "the-old-release-default-transit-auth",
        "auth/namespace": namespace, "auth/UID": uid(&auth), "auth/generation": "1",
        "connection/namespace": namespace, "connection/UID": uid(&connection), "connection/generation": "1",
        "provider/namespace": namespace, "provider/UID": uid(&account)});
    let mac = keyed(&format!("{name}{}{made}", login.cache_key));
    let secret = json!({"metadata": {"name": name, "labels": labels}, "immutable": true, "type": "Opaque",
        "data": {"secret": STANDARD.encode(made), "messageMAC": mac}});
    api::create(&format!("/api/v1/namespaces/{OPERATOR}/secrets"), &secret).expect("a kept login");
}

fn uid(object: &Value) -> &str {
    must(object["metadata"]["uid"].as_str(), "a uid")
}

/// HMAC-SHA256 under the operator's key, in base64.
fn keyed(text: &str) -> String {
    let secret = api::get(&format!("/api/v1/namespaces/{OPERATOR}/secrets/vso-cc-storage-hmac-key")).json();
    let key = must(secret["data"]["key"].as_str().and_then(|key| STANDARD.decode(key).ok()), "the key of digests");
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let made = digest("openssl", &["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("hexkey:{key}"), "-r"], text);
    let byte = |at: usize| must(u8::from_str_radix(&made[at..at + 2], 16).ok(), "hex");
    STANDARD.encode((0..made.len()).step_by(2).map(byte).collect::<Vec<_>>())
}

/// The first word of what the program makes of the text.
fn digest(program: &str, arguments: &[&str], text: &str) -> String {
    let made = command::run(program, arguments, text).expect(program);
    must(made.split_whitespace().next(), "a digest").to_owned()
}

fn must<T>(value: Option<T>, what: &str) -> T {
    value.unwrap_or_else(|| panic!("there is not {what}"))
}
