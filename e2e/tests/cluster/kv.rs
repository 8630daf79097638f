//! Secrets without a lease, in both dialects.

use serde_json::json;
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, audit, sandbox, setting};

#[test]
fn a_kv_secret_and_its_change_reach_the_file_native() {
    let sandbox = Sandbox::new("kv-native").with_role();
    sandbox.put("web", &json!({"user": "app", "password": "first"}));
    let path = format!("secret/{}/web", sandbox.namespace);
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web.json", &path),
        ("secret-password", &path),
        ("field-password", "password"),
        ("static-interval", "2s"),
    ]));
    pod.ready(START);
    let object: serde_json::Value = serde_json::from_str(&pod.read("/secrets/web.json")).expect("JSON");
    assert_eq!(object, json!({"user": "app", "password": "first"}));
    assert_eq!(pod.read("/secrets/password"), "first");

    sandbox.put("web", &json!({"user": "app", "password": "second"}));
    changes_to(&pod, "/secrets/password", "second");
    assert!(pod.read("/secrets/web.json").contains("second"));
    assert_eq!(pod.restarts("app"), 0);
}

#[test]
fn a_kv_secret_and_its_change_reach_the_file_vault_dialect() {
    let sandbox = Sandbox::new("kv-vault").with_role();
    let mut role = sandbox::role(&sandbox.namespace);
    role["audience"] = json!("");
    sandbox.role(&role);
    sandbox.put("web", &json!({"user": "app", "password": "first"}));
    let path = format!("secret/data/{}/web", sandbox.namespace);
    let template =
        format!("{{{{ with secret \"{path}\" }}}}{{{{ .Data.data.user }}}}:{{{{ .Data.data.password }}}}{{{{ end }}}}");
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).vault(&[
        ("agent-inject", "true"),
        ("role", &sandbox.namespace),
        ("agent-inject-secret-line", &path),
        ("agent-inject-template-line", &template),
        ("agent-inject-secret-plain", &path),
        ("template-static-secret-render-interval", "2s"),
    ]));
    pod.ready(START);
    assert_eq!(pod.read("/vault/secrets/line"), "app:first");
    assert!(pod.read("/vault/secrets/plain").contains("data: map[password:first user:app]"));

    sandbox.put("web", &json!({"user": "app", "password": "second"}));
    changes_to(&pod, "/vault/secrets/line", "app:second");
    assert_eq!(pod.restarts("app"), 0);
}

#[test]
fn a_start_costs_one_login_and_one_request_for_each_secret() {
    let sandbox = Sandbox::new("kv-count").with_role();
    let namespace = sandbox.namespace.clone();
    let mut pairs = vec![("inject".to_owned(), "true".to_owned()), ("role".to_owned(), namespace.clone())];
    for name in ["one", "two", "three"] {
        sandbox.put(name, &json!({"value": name}));
        pairs.push((format!("secret-{name}.env"), format!("secret/data/{namespace}/{name}")));
        pairs.push((format!("secret-{name}.json"), format!("secret/data/{namespace}/{name}")));
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).native(&pairs));
    pod.ready(START);
    let seen = audit::of(&namespace, &pod.address());
    let paths: Vec<&str> = seen.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths.len(), 4, "one login and three reads for six files: {paths:?}");
    assert_eq!(audit::count(&seen, "auth/kubernetes/login"), 1, "{paths:?}");
}

#[test]
fn kv_version_1_is_served() {
    let sandbox = Sandbox::new("kv-1").with_role();
    let path = format!("kv1/{}", sandbox.namespace);
    sandbox.grant(&format!("path \"{path}\" {{ capabilities = [\"read\"] }}"));
    setting().vault.write(&path, &json!({"token": "one"}));
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web.env", &path),
    ]));
    pod.ready(START);
    assert!(pod.read("/secrets/web.env").contains("one"));
}

#[test]
fn init_containers_are_served_too() {
    let sandbox = Sandbox::new("kv-init").with_role();
    sandbox.put("web", &json!({"value": "early"}));
    let mut shape = Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("secret-web", &format!("secret/data/{}/web", sandbox.namespace)),
        ("field-web", "value"),
    ]);
    let mut init = shape.manifest["spec"]["containers"][0].clone();
    init["name"] = json!("migrate");
    init["args"] = json!(["cat", "/secrets/web"]);
    shape.manifest["spec"]["initContainers"] = json!([init]);
    let pod = sandbox.start(&shape);
    pod.ready(START);
    assert_eq!(pod.log("migrate"), "early");
}

fn changes_to(pod: &Pod, file: &str, content: &str) {
    until(seconds(30), &format!("{content} in {file}"), || {
        let now = pod.read(file);
        if now == content { Ok(()) } else { Err(now) }
    });
}
