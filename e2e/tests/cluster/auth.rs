//! Every method of logging in that a Vault without a cloud has, on the real one: by annotations, and by Vault Agent's own files.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_e2e::setting::Server;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, api, command, setting};

/// A sandbox with a secret that its policy reads, and an auth mount of that type.
fn prepare(name: &str, method: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::new(name).with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    let mount = sandbox.mount_of(method);
    (sandbox, mount)
}

/// A pod that logs in by `method` at `mount`; `params` are the method's own.
fn login(sandbox: &Sandbox, name: &str, method: &str, mount: &str, params: &[(&str, &str)]) -> Shape {
    let shape = Shape::new(name, &["sleep"]).native(&[
        ("inject", "true"),
        ("auth-type", method),
        ("auth-path", mount),
        ("auth-max-backoff", "20s"),
        ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
        ("field-web", "value"),
    ]);
    params.iter().fold(shape, |shape, (param, value)| shape.native(&[(param, value)]))
}

/// A Kubernetes Secret of the sandbox.
fn files(sandbox: &Sandbox, name: &str, files: &[(&str, &str)]) {
    let data: serde_json::Map<String, Value> =
        files.iter().map(|(file, text)| ((*file).to_owned(), json!(STANDARD.encode(text)))).collect();
    sandbox.create("secrets", &json!({"metadata": {"name": name}, "data": data}));
}

fn reads(sandbox: &Sandbox, shape: &Shape) -> Pod {
    let pod = sandbox.start(shape);
    pod.ready(START);
    assert_eq!(pod.read("/secrets/web"), "seen");
    pod
}

fn vault() -> &'static Server {
    &setting().vault
}

#[test]
fn jwt_by_the_keys_that_the_api_server_publishes() {
    let (sandbox, mount) = prepare("auth-jwt", "jwt");
    // As Vault's manual has it: whoever wants to check a service account's token may read the keys.
    let binding = json!({
        "metadata": {"name": sandbox.namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "system:service-account-issuer-discovery",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}],
    });
    api::create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).expect("binding");
    let ca = fs::read_to_string(&setting().kubernetes_ca).expect("the cluster's CA");
    let config = json!({"jwks_url": format!("{}/openid/v1/jwks", setting().kubernetes), "jwks_ca_pem": ca});
    vault().write(&format!("{mount}/config"), &config);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [sandbox.namespace],
        "bound_subject": format!("system:serviceaccount:{}:app", sandbox.namespace),
    });
    vault().write(&format!("{mount}/role/web"), &role);
    reads(&sandbox, &login(&sandbox, "web", "jwt", &mount, &[("role", "web")]));
}

/// An `AppRole` that has the sandbox's policy; its role id.
fn app_role(sandbox: &Sandbox, mount: &str) -> String {
    vault().write(&format!("{mount}/role/web"), &json!({"token_policies": [sandbox.namespace], "token_ttl": "20m"}));
    let id = vault().request("GET", &format!("{mount}/role/web/role-id"), None).expect("role id");
    id["data"]["role_id"].as_str().expect("a role id").to_owned()
}

#[test]
fn approle_by_a_wrapped_secret_id_and_a_used_wrapping_is_called_an_interception() {
    let (sandbox, mount) = prepare("auth-approle", "approle");
    let role_id = app_role(&sandbox, &mount);
    let made_by = format!("{mount}/role/web/secret-id");
    let wrapped = || vault().wrapped(&made_by);
    let (good, stolen) = (wrapped(), wrapped());
    let thief = Server { token: stolen.clone(), ..vault().clone() };
    thief.write("sys/wrapping/unwrap", &json!({}));
    let params = |secret: &'static str| {
        vec![
            ("extra-secret", secret),
            ("auth-config-role-id-file-path", "/sidekey/custom/role-id"),
            ("auth-config-secret-id-file-path", "/sidekey/custom/secret-id"),
            ("auth-config-secret-id-response-wrapping-path", made_by.as_str()),
        ]
    };
    files(&sandbox, "good", &[("role-id", &role_id), ("secret-id", &good)]);
    files(&sandbox, "stolen", &[("role-id", &role_id), ("secret-id", &stolen)]);
    let robbed = sandbox.start(&login(&sandbox, "robbed", "approle", &mount, &params("stolen")));
    let pod = reads(&sandbox, &login(&sandbox, "web", "approle", &mount, &params("good")));
    // The wrapping is spent: a restarted agent goes on with what it kept.
    pod.exec(&pod.agent(), &["/sidekey-agent", "status"]).expect("status");

    until(seconds(90), "told: a possible interception", || {
        let said = robbed.status() + &robbed.events().join("\n");
        if said.contains("possible interception") { Ok(()) } else { Err(said) }
    });
    assert!(!robbed.is_ready());
}

#[test]
fn cert_by_a_pair_of_a_kubernetes_secret() {
    let (sandbox, mount) = prepare("auth-cert", "cert");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (key, certificate) = (path("tls.key"), path("tls.crt"));
    let words = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=web",
        "-addext",
        "extendedKeyUsage=clientAuth",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    command::run("openssl", &words, "").expect("a client certificate");
    let (key, certificate) =
        (fs::read_to_string(key).expect("key"), fs::read_to_string(certificate).expect("certificate"));
    vault().write(
        &format!("{mount}/certs/web"),
        &json!({"certificate": certificate, "token_policies": [sandbox.namespace], "token_ttl": "20m"}),
    );
    files(&sandbox, "pair", &[("tls.crt", &certificate), ("tls.key", &key)]);
    let params = [
        ("extra-secret", "pair"),
        ("auth-config-name", "web"),
        ("auth-config-client-cert", "/sidekey/custom/tls.crt"),
        ("auth-config-client-key", "/sidekey/custom/tls.key"),
    ];
    reads(&sandbox, &login(&sandbox, "web", "cert", &mount, &params));
}

#[test]
fn token_file_whose_token_is_left_to_its_owner() {
    let sandbox = Sandbox::new("auth-token").with_role();
    sandbox.put("web", &json!({"value": "seen"}));
    let made = vault().write("auth/token/create", &json!({"policies": [sandbox.namespace], "ttl": "20m"}));
    let text = |field: &str| made["auth"][field].as_str().expect(field).to_owned();
    files(&sandbox, "token", &[("token", &text("client_token"))]);
    let params = [("extra-secret", "token"), ("auth-config-token-file-path", "/sidekey/custom/token")];
    let pod = reads(&sandbox, &login(&sandbox, "web", "token_file", "auth/token", &params));
    pod.delete();
    assert!(vault().is_alive(&text("accessor")), "a token that is another's was revoked");
}

/// No webhook: the agent as a container of the pod's own, with a file that Vault Agent would take.
#[test]
fn approle_by_vault_agents_own_file() {
    let (sandbox, mount) = prepare("auth-files", "approle");
    let role_id = app_role(&sandbox, &mount);
    let made = vault().write(&format!("{mount}/role/web/secret-id"), &json!({}));
    let secret_id = made["data"]["secret_id"].as_str().expect("a secret id");
    let address = std::env::var("E2E_POD_VAULT_ADDR").unwrap_or_else(|_| "https://vault.vault.svc:8200".to_owned());
    let text = format!(
        r#"
        vault {{
          address = "{address}"
          ca_cert = "/login/ca.crt"
        }}
        auto_auth {{
          method "approle" {{
            mount_path = "{mount}"
            config = {{
              role_id_file_path                   = "/login/role-id"
              secret_id_file_path                 = "/login/secret-id"
              remove_secret_id_file_after_reading = false
            }}
          }}
        }}
        template {{
          destination = "/secrets/web"
          contents    = "{{{{ with secret \"secret/data/{}/web\" }}}}{{{{ .Data.data.value }}}}{{{{ end }}}}"
        }}
        "#,
        sandbox.namespace
    );
    let ca = fs::read_to_string(&vault().ca).expect("Vault's CA");
    files(&sandbox, "login", &[("agent.hcl", &text), ("ca.crt", &ca), ("role-id", &role_id), ("secret-id", secret_id)]);
    let mut shape = Shape::new("web", &["sleep"]);
    let mut app = shape.manifest["spec"]["containers"][0].clone();
    app["volumeMounts"] = json!([{"name": "secrets", "mountPath": "/secrets", "readOnly": true}]);
    let mut agent = app.clone();
    agent["name"] = json!("agent");
    agent["image"] =
        json!(std::env::var("E2E_AGENT_IMAGE").unwrap_or_else(|_| "localhost/sidekey-agent:dev".to_owned()));
    agent["args"] = json!(["run", "--config", "/login/agent.hcl"]);
    agent["env"] = json!([{"name": "SIDEKEY_STATE_DIR", "value": "/state"}]);
    agent["volumeMounts"] = json!([
        {"name": "secrets", "mountPath": "/secrets"},
        {"name": "state", "mountPath": "/state"},
        {"name": "login", "mountPath": "/login", "readOnly": true},
    ]);
    shape.manifest["spec"]["containers"] = json!([app, agent]);
    shape.manifest["spec"]["volumes"] = json!([
        {"name": "secrets", "emptyDir": {"medium": "Memory"}},
        {"name": "state", "emptyDir": {"medium": "Memory"}},
        {"name": "login", "secret": {"secretName": "login"}},
    ]);
    let pod = sandbox.start(&shape);
    pod.ready(START);
    until(seconds(60), "written: the file of the template", || {
        let done = pod.exec("app", &["/probe", "cat", "/secrets/web"]);
        if done.out == "seen" { Ok(()) } else { Err(done.err + &pod.log("agent")) }
    });
}
