//! Who the pod is to Vault: audiences, and who reviews the token.

use serde_json::{Value, json};
use sidekey_e2e::wait::START;
use sidekey_e2e::{Sandbox, Shape, api, sandbox, setting};

/// The audience of the API server itself, which is what a token has when nobody asks for another.
fn kubernetes_audience() -> String {
    let token =
        api::create("/api/v1/namespaces/default/serviceaccounts/default/token", &json!({"spec": {}})).expect("token");
    token["spec"]["audiences"][0].as_str().expect("an audience").to_owned()
}

fn sandbox_with(name: &str, audience: &str) -> Sandbox {
    let sandbox = Sandbox::new(name).with_role();
    let mut role = sandbox::role(&sandbox.namespace);
    role["audience"] = json!(audience);
    sandbox.role(&role);
    sandbox.put("web", &json!({"value": "seen"}));
    sandbox
}

fn native(sandbox: &Sandbox) -> Shape {
    Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
        ("field-web", "value"),
    ])
}

fn vault(sandbox: &Sandbox) -> Shape {
    let path = format!("secret/data/{}/web", sandbox.namespace);
    let template = format!("{{{{ with secret \"{path}\" }}}}{{{{ .Data.data.value }}}}{{{{ end }}}}");
    Shape::new("web", &["sleep"]).vault(&[
        ("agent-inject", "true"),
        ("role", &sandbox.namespace),
        ("agent-inject-secret-web", &path),
        ("agent-inject-template-web", &template),
    ])
}

fn reads(sandbox: &Sandbox, shape: &Shape, file: &str) {
    let pod = sandbox.start(shape);
    pod.ready(START);
    assert_eq!(pod.read(file), "seen");
}

#[test]
fn a_role_with_an_audience_takes_the_native_token() {
    let sandbox = sandbox_with("aud-native", "vault");
    reads(&sandbox, &native(&sandbox), "/secrets/web");
}

#[test]
fn a_role_without_an_audience_takes_the_native_token() {
    let sandbox = sandbox_with("aud-none-native", "");
    reads(&sandbox, &native(&sandbox), "/secrets/web");
}

#[test]
fn a_role_with_the_api_servers_audience_takes_the_vault_dialects_token() {
    let sandbox = sandbox_with("aud-vault", &kubernetes_audience());
    reads(&sandbox, &vault(&sandbox), "/vault/secrets/web");
}

#[test]
fn a_role_without_an_audience_takes_the_vault_dialects_token() {
    let sandbox = sandbox_with("aud-none-vault", "");
    reads(&sandbox, &vault(&sandbox), "/vault/secrets/web");
}

/// A mount without a reviewer's token asks the API server with the very token it reviews; so it must be one for the API
/// server, and its service account may review tokens.
fn self_reviewing(name: &str) -> Sandbox {
    let sandbox = sandbox_with(name, "");
    let binding = json!({
        "metadata": {"name": sandbox.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": sandbox.namespace}],
    });
    api::create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).expect("binding");
    let mount = sandbox.mount();
    sandbox.configure(&mount, &json!({"token_reviewer_jwt": Value::Null}));
    let mut role = sandbox::role(&sandbox.namespace);
    role["audience"] = json!("");
    setting().vault.write(&format!("{mount}/role/{}", sandbox.namespace), &role);
    sandbox
}

#[test]
fn a_mount_that_reviews_with_the_clients_own_token_serves_the_vault_dialect() {
    let sandbox = self_reviewing("self-vault");
    let shape = vault(&sandbox).vault(&[("auth-path", &sandbox.mount_path())]);
    reads(&sandbox, &shape, "/vault/secrets/web");
}

#[test]
fn a_mount_that_reviews_with_the_clients_own_token_serves_the_native_dialect() {
    let sandbox = self_reviewing("self-native");
    let shape = native(&sandbox).native(&[("auth-path", &sandbox.mount_path()), ("token-audience", "")]);
    reads(&sandbox, &shape, "/secrets/web");
}
