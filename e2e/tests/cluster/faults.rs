//! What Vault mostly answers with one and the same 403, told apart; each mended as a person would, with nothing restarted.

use serde_json::{Value, json};
use sidekey_e2e::fault::{Told, check};
use sidekey_e2e::{Sandbox, Shape, sandbox, setting};

/// A sandbox with a secret, and a role that may read it at an auth mount of its own once that is enabled.
fn prepare(name: &str) -> Sandbox {
    let sandbox = Sandbox::new(name).with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    sandbox
}

fn reader(sandbox: &Sandbox, pairs: &[(&str, &str)]) -> Shape {
    let shape = Shape::new("waiting", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
        ("field-web", "value"),
        // Found mended soon, so that the test is short; the back-off still doubles up to it.
        ("auth-max-backoff", "20s"),
    ]);
    shape.native(pairs)
}

/// Enables and configures the sandbox's own mount, with `config` over the right one and `role` over the right one.
fn mounted(sandbox: &Sandbox, config: &Value, role: &Value) -> String {
    let mount = sandbox.mount();
    sandbox.configure(&mount, config);
    write_role(sandbox, &mount, role);
    mount
}

fn write_role(sandbox: &Sandbox, mount: &str, change: &Value) {
    let mut role = sandbox::role(&sandbox.namespace);
    for (key, value) in change.as_object().into_iter().flatten() {
        role[key] = value.clone();
    }
    sandbox::vault().write(&format!("{mount}/role/{}", sandbox.namespace), &role);
}

/// A fault of the role: wrong as `change` says, mended by the right one.
fn wrong_role(name: &str, change: &Value, code: &str, words: &[&str]) {
    let sandbox = prepare(name);
    let mount = mounted(&sandbox, &json!({}), change);
    let mut words = words.to_vec();
    words.push(&mount);
    check(&sandbox, &reader(&sandbox, &[("auth-path", &mount)]), &Told { code, words: &words }, || {
        write_role(&sandbox, &mount, &json!({}));
    });
}

#[test]
fn auth_method_not_enabled() {
    let sandbox = prepare("no-auth");
    let path = sandbox.mount_path();
    check(&sandbox, &reader(&sandbox, &[("auth-path", &path)]), &Told { code: "SK3101", words: &[&path] }, || {
        mounted(&sandbox, &json!({}), &json!({}));
    });
}

#[test]
fn auth_method_enabled_but_not_configured() {
    let sandbox = prepare("no-config");
    let mount = sandbox.mount();
    write_role(&sandbox, &mount, &json!({}));
    check(&sandbox, &reader(&sandbox, &[("auth-path", &mount)]), &Told { code: "SK3102", words: &[&mount] }, || {
        sandbox.configure(&mount, &json!({}));
    });
}

#[test]
fn wrong_kubernetes_host() {
    let sandbox = prepare("wrong-host");
    let nowhere = format!("https://{}:6499", sandbox::vault().host_port().0);
    let mount = mounted(&sandbox, &json!({"kubernetes_host": nowhere}), &json!({}));
    check(&sandbox, &reader(&sandbox, &[("auth-path", &mount)]), &Told { code: "SK3103", words: &[&mount] }, || {
        sandbox.configure(&mount, &json!({}));
    });
}

#[test]
fn role_missing() {
    let sandbox = prepare("no-role");
    let mount = sandbox.mount();
    sandbox.configure(&mount, &json!({}));
    let told = Told { code: "SK3104", words: &[&mount, &sandbox.namespace] };
    check(&sandbox, &reader(&sandbox, &[("auth-path", &mount)]), &told, || write_role(&sandbox, &mount, &json!({})));
}

#[test]
fn service_account_not_bound() {
    wrong_role("sa", &json!({"bound_service_account_names": ["other"]}), "SK3105", &["app"]);
}

#[test]
fn namespace_not_bound() {
    wrong_role("ns", &json!({"bound_service_account_namespaces": ["other"]}), "SK3106", &["e2e-ns-"]);
}

#[test]
fn a_literal_star_among_the_service_accounts() {
    wrong_role(
        "star-sa",
        &json!({"bound_service_account_names": ["\"*\""]}),
        "SK3107",
        &["bound_service_account_names"],
    );
}

#[test]
fn a_literal_star_among_the_namespaces() {
    wrong_role(
        "star-ns",
        &json!({"bound_service_account_namespaces": ["\"*\""]}),
        "SK3107",
        &["bound_service_account_namespaces"],
    );
}

#[test]
fn wrong_audience() {
    wrong_role("aud", &json!({"audience": "someone-else"}), "SK3108", &["audience"]);
}

#[test]
fn policy_denies() {
    let sandbox = prepare("policy");
    let path = format!("secret/data/{}/web", sandbox.namespace);
    let rules = format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
    sandbox.grant("path \"secret/data/other\" { capabilities = [\"read\"] }");
    check(&sandbox, &reader(&sandbox, &[]), &Told { code: "SK4001", words: &[&path, "read"] }, || {
        sandbox.grant(&rules);
    });
}

#[test]
fn secret_mount_unknown() {
    let sandbox = prepare("mount");
    let engine = format!("kv-{}", sandbox.namespace);
    let path = format!("{engine}/web");
    sandbox.grant(&format!("path \"{engine}/*\" {{ capabilities = [\"read\"] }}"));
    let shape = reader(&sandbox, &[("secret-web", &path)]);
    check(&sandbox, &shape, &Told { code: "SK4002", words: &[&engine] }, || {
        sandbox::vault().write(&format!("sys/mounts/{engine}"), &json!({"type": "kv", "options": {"version": "1"}}));
        sandbox::vault().write(&path, &json!({"value": "seen"}));
    });
    sandbox::vault().request("DELETE", &format!("sys/mounts/{engine}"), None);
}

#[test]
fn path_empty() {
    let sandbox = prepare("empty");
    let path = format!("secret/data/{}/later", sandbox.namespace);
    let shape = reader(&sandbox, &[("secret-web", &path)]);
    check(&sandbox, &shape, &Told { code: "SK4003", words: &[&path] }, || {
        sandbox.put("later", &json!({"value": "seen"}));
    });
}

/// A pod that goes to Vault through a Service of its own namespace, which its test leads astray.
fn through_service(sandbox: &Sandbox) -> (Shape, String) {
    let host = format!("late.{}.svc", sandbox.namespace);
    let shape =
        reader(sandbox, &[("address", &format!("https://{host}:8200")), ("tls-server-name", "vault.vault.svc")]);
    (shape, host)
}

#[test]
fn vaults_name_does_not_resolve() {
    let sandbox = prepare("dns");
    let (shape, host) = through_service(&sandbox);
    check(&sandbox, &shape, &Told { code: "SK3001", words: &[&host] }, || {
        sandbox.service("late", Some(sandbox::vault().host_port().1));
    });
}

#[test]
fn vaults_port_does_not_answer() {
    let sandbox = prepare("tcp");
    sandbox.service("late", None);
    let (shape, host) = through_service(&sandbox);
    check(&sandbox, &shape, &Told { code: "SK3002", words: &[&host] }, || {
        sandbox.endpoints("late", sandbox::vault().host_port().1);
    });
}

#[test]
fn vaults_certificate_is_another_cas() {
    let sandbox = prepare("tls");
    sandbox.service("late", Some(setting().spare().server.host_port().1));
    let (shape, host) = through_service(&sandbox);
    check(&sandbox, &shape, &Told { code: "SK3003", words: &[&host] }, || {
        sandbox.endpoints("late", sandbox::vault().host_port().1);
    });
}

#[test]
fn the_ca_in_the_pods_secret_is_the_wrong_one() {
    let sandbox = prepare("ca");
    let text = |file: &str| std::fs::read_to_string(file).expect(file);
    let secret = |ca: &str| json!({"metadata": {"name": "vault-ca"}, "stringData": {"ca.crt": text(ca)}});
    sandbox.create("secrets", &secret(&setting().spare().server.ca));
    let shape = reader(&sandbox, &[("tls-secret", "vault-ca"), ("ca-cert", "/sidekey/tls/ca.crt")]);
    check(&sandbox, &shape, &Told { code: "SK3003", words: &[] }, || {
        sidekey_e2e::api::patch(&sandbox.path("secrets/vault-ca"), &secret(&sandbox::vault().ca)).expect("secret");
    });
}

#[test]
fn vault_is_sealed() {
    let sandbox = prepare("sealed");
    let spare = setting().spare();
    let _alone = spare.alone();
    let rules = format!("path \"secret/data/{}/*\" {{ capabilities = [\"read\"] }}", sandbox.namespace);
    spare.server.policy(&sandbox.namespace, &rules);
    spare.server.put(&format!("{}/web", sandbox.namespace), &json!({"value": "seen"}));
    spare.server.write(&format!("auth/kubernetes/role/{}", sandbox.namespace), &sandbox::role(&sandbox.namespace));
    spare.server.write("sys/seal", &json!({}));
    let ca = std::fs::read_to_string(&spare.server.ca).expect("CA");
    sandbox.create("secrets", &json!({"metadata": {"name": "vault-ca"}, "stringData": {"ca.crt": ca}}));
    let shape = reader(
        &sandbox,
        &[("address", &spare.server.address), ("tls-secret", "vault-ca"), ("ca-cert", "/sidekey/tls/ca.crt")],
    );
    check(&sandbox, &shape, &Told { code: "SK3006", words: &[] }, || {
        spare.server.write("sys/unseal", &json!({"key": spare.unseal_key}));
    });
}
