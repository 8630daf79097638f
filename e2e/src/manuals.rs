//! What readers of published manuals have set up in Vault before they apply the manifests of `e2e/fixtures/`.

use std::path::Path;
use std::sync::Once;

use serde_json::{Value, json};

use crate::kept::OPERATOR;
use crate::{api, command, sandbox, setting};

/// Applies a file of `e2e/fixtures/`, as it is.
///
/// # Panics
/// When the API server refuses it.
pub fn apply(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
    command::run("kubectl", &["apply", "-f", &path.to_string_lossy()], "").expect(file);
}

/// A namespace of the manual's name, empty. It goes when the test ends.
pub struct Namespace(pub &'static str);

impl Namespace {
    /// Makes it.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &'static str) -> Self {
        api::create("/api/v1/namespaces", &json!({"metadata": {"name": name}})).expect("namespace");
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        api::delete(&format!("/api/v1/namespaces/{}", self.0));
    }
}

/// A secrets engine that is not there yet.
pub fn engine(mount: &str, kind: &Value) {
    sandbox::vault().write(&format!("sys/mounts/{mount}"), kind);
}

/// A role of `auth/kubernetes` for one service account, and its policy of the same name.
pub fn role(name: &str, service_account: &str, namespaces: &Value, more: &Value, rules: &str) {
    sandbox::vault().policy(name, rules);
    let mut role = json!({
        "bound_service_account_names": [service_account],
        "bound_service_account_namespaces": namespaces,
        "token_policies": [name],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        role[key] = value.clone();
    }
    sandbox::vault().write(&format!("auth/kubernetes/role/{name}"), &role);
}

/// The transit key, the default connection, and the login of the operator for both. There can be only one for the whole
/// operator, so tests share it.
///
/// # Panics
/// When it cannot be set up.
pub fn transit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        assert!(
            setting().plain,
            "not run: E2E_PLAIN_VAULT says of no Vault at http://vault.vault.svc.cluster.local:8200"
        );
        // Another test program of the same run may have made it.
        if !sandbox::vault().request("GET", "sys/mounts/demo-transit", None).ok() {
            engine("demo-transit", &json!({"type": "transit"}));
        }
        sandbox::vault().write("demo-transit/keys/vso-client-cache", &json!({}));
        let periodic = json!({"audience": "vault", "token_ttl": 0, "token_period": 120});
        let rules = "path \"demo-transit/encrypt/vso-client-cache\" { capabilities = [\"create\", \"update\"] }\n\
                     path \"demo-transit/decrypt/vso-client-cache\" { capabilities = [\"create\", \"update\"] }";
        let account = "vault-secrets-operator-controller-manager";
        role("auth-role-operator", account, &json!([OPERATOR]), &periodic, rules);
        apply("flux/operator.yaml");
    });
}
