//! Annotations that no other test here is about, from the webhook through the agent to the app.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, audit, sandbox, setting};

/// A sandbox whose role takes the API server's own tokens, as the known injector's pods show them.
fn theirs(name: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::new(name).with_role();
    let mut role = sandbox::role(&sandbox.namespace);
    role["audience"] = json!("");
    sandbox.role(&role);
    sandbox.put("web", &json!({"password": "first"}));
    let path = format!("secret/data/{}/web", sandbox.namespace);
    (sandbox, path)
}

fn holds(pod: &Pod, file: &str, want: &str) {
    until(seconds(60), &format!("{want} in {file}"), || {
        let seen = pod.read(file);
        if seen == want { Ok(()) } else { Err(format!("{seen}\n{}", pod.log(&pod.agent()))) }
    });
}

#[test]
fn vault_agents_own_files_from_a_config_map_render_follow_and_see_the_pod() {
    let (sandbox, path) = theirs("key-configmap");
    let hcl = format!(
        r#"
        auto_auth {{ method "kubernetes" {{ config = {{ role = "{}" }} }} }}
        template_config {{ static_secret_render_interval = "2s" }}
        template {{
          destination = "/vault/secrets/web"
          contents    = "{{{{ with secret \"{path}\" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"
        }}
        "#,
        sandbox.namespace
    );
    sandbox.create("configmaps", &json!({"metadata": {"name": "agent"}, "data": {"config.hcl": hcl}}));
    let shape = Shape::new("web", &["sleep"]).vault(&[("agent-inject", "true"), ("agent-configmap", "agent")]);
    let pod = sandbox.start(&shape);
    pod.ready(START);
    assert_eq!(pod.read("/vault/secrets/web"), "first");
    sandbox.put("web", &json!({"password": "second"}));
    holds(&pod, "/vault/secrets/web", "second");
    assert_eq!(audit::count(&audit::of(&sandbox.namespace, &pod.address()), "auth/kubernetes/login"), 1);
}

/// The command is the reader: it has no token, so what it reads the agent asked for with its own.
#[test]
fn the_local_port_adds_the_token_and_quit_revokes_it() {
    let (sandbox, path) = theirs("key-port");
    let ask = format!("wget -q -O /vault/secrets/through http://127.0.0.1:8201/v1/{path}");
    let quit = "wget -q -O /dev/null --post-data= http://127.0.0.1:8201/agent/v1/quit";
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).vault(&[
        ("agent-inject", "true"),
        ("role", &sandbox.namespace),
        ("agent-inject-secret-web", &path),
        ("agent-cache-enable", "true"),
        ("agent-cache-use-auto-auth-token", "force"),
        ("agent-cache-listener-port", "8201"),
        ("agent-enable-quit", "true"),
        ("agent-inject-command-web", &format!("sh -c '{ask}'")),
    ]));
    pod.ready(START);
    let through: Value = serde_json::from_str(&pod.read("/vault/secrets/through")).expect("Vault's answer");
    assert_eq!(through["data"]["data"]["password"], "first");

    let agent = pod.agent();
    pod.exec(&agent, &["sh", "-c", quit]).expect("quit");
    until(seconds(20), "told: the end that was asked for", || {
        let log = pod.log(&agent);
        if log.contains("the token is revoked") { Ok(()) } else { Err(log) }
    });
    assert!(pod.is_ready(), "a native sidecar stays for the pod");
    assert_eq!(pod.restarts(&agent), 0);
}

#[test]
fn openbaos_prefix_a_patch_and_another_containers_mounts_reach_the_agent() {
    let (sandbox, path) = theirs("key-patch");
    let mut shape = Shape::new("web", &["sleep"])
        .vault(&[
            ("agent-copy-volume-mounts", "app"),
            ("agent-json-patch", r#"[{"op": "add", "path": "/env/-", "value": {"name": "TEAM", "value": "shop"}}]"#),
            ("agent-inject-template-team", r#"{{ env "TEAM" }} {{ file "/templates/words" }}"#),
        ])
        .spec("volumes", json!([{"name": "templates", "configMap": {"name": "words"}}]));
    let annotations = &mut shape.manifest["metadata"]["annotations"];
    for (key, value) in [("agent-inject", "true"), ("role", &sandbox.namespace), ("agent-inject-secret-web", &path)] {
        annotations[format!("openbao.org/{key}")] = json!(value);
    }
    annotations["openbao.org/agent-inject-secret-team"] = json!(path);
    shape.manifest["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "templates", "mountPath": "/templates"}]);
    sandbox.create("configmaps", &json!({"metadata": {"name": "words"}, "data": {"words": "from a mount"}}));
    let pod = sandbox.start(&shape);
    pod.ready(START);
    assert!(
        pod.read("/vault/secrets/web").contains("data: map[password:first]\n"),
        "the known injector's default template"
    );
    assert_eq!(pod.read("/vault/secrets/team"), "shop from a mount");
}

/// Body of `GET path` at the pod's own address.
fn get(pod: &Pod, port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect((pod.address().as_str(), port)).expect("the port");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_file_has_its_own_place_readers_and_sub_path_and_the_agent_its_port_and_ca() {
    let sandbox = Sandbox::new("key-native").with_role();
    sandbox.put("web", &json!({"password": "first"}));
    let ca = fs::read_to_string(&setting().vault.ca).expect("Vault's CA");
    sandbox.create("configmaps", &json!({"metadata": {"name": "bundle"}, "data": {"roots.pem": ca}}));
    // Files that share an answer change together, which one mounted by itself could not.
    sandbox.put("app", &json!({"password": "other"}));
    let [path, other_path] = ["web", "app"].map(|name| format!("secret/{}/{name}", sandbox.namespace));
    let mut shape = Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", &sandbox.namespace),
        ("ca-configmap", "bundle/roots.pem"),
        ("metrics-port", "9102"),
        ("metrics-scrape", "true"),
        ("containers", "app"),
        ("secret-web.json", &path),
        ("secret-own.json", &path),
        ("path-own.json", "/own"),
        ("containers-own.json", "other"),
        ("secret-app.env", &other_path),
        ("subpath-app.env", "/etc/app/app.env"),
    ]);
    let mut other = shape.manifest["spec"]["containers"][0].clone();
    other["name"] = json!("other");
    shape.manifest["spec"]["containers"].as_array_mut().expect("containers").push(other);
    let pod = sandbox.start(&shape);
    pod.ready(START);
    assert!(pod.read("/secrets/web.json").contains("first"));
    assert_eq!(pod.read("/etc/app/app.env"), "password=\"other\"\n");
    let own = |container| pod.exec(container, &["/probe", "cat", "/own/own.json"]);
    assert!(own("other").expect("own").contains("first"));
    assert!(!own("app").ok, "the file of the other container");
    assert!(!pod.exec("other", &["/probe", "cat", "/secrets/web.json"]).ok, "the files of the app");
    assert_eq!(pod.object()["metadata"]["annotations"]["prometheus.io/port"], "9102");
    assert!(
        get(&pod, 9102, "/metrics").contains("\nsidekey_agent_logins_total 1\n"),
        "{}",
        get(&pod, 9102, "/metrics")
    );
}

/// Two roles at one Vault, and a third at another one: a login for each, and no more.
#[test]
fn one_pod_reads_with_several_roles_of_two_servers() {
    let sandbox = Sandbox::new("key-roles").with_role();
    let namespace = sandbox.namespace.as_str();
    sandbox.put("web", &json!({"value": "near"}));
    let vault = &setting().vault;
    let second = format!("{namespace}-second");
    vault.policy(&second, &format!("path \"secret/data/{second}/*\" {{ capabilities = [\"read\"] }}"));
    let mut role = sandbox::role(namespace);
    role["token_policies"] = json!([second]);
    vault.write(&format!("auth/kubernetes/role/{second}"), &role);
    vault.put(&format!("{second}/web"), &json!({"value": "second"}));
    let spare = setting().spare();
    let _alone = spare.alone();
    spare.server.policy(namespace, &format!("path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}"));
    spare.server.write(&format!("auth/kubernetes/role/{namespace}"), &sandbox::role(namespace));
    spare.server.put(&format!("{namespace}/web"), &json!({"value": "far"}));
    let ca = fs::read_to_string(&spare.server.ca).expect("the spare Vault's CA");
    sandbox.create("configmaps", &json!({"metadata": {"name": "spare"}, "data": {"ca.crt": ca}}));
    let near = format!("secret/data/{namespace}/web");
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).native(&[
        ("inject", "true"),
        ("role", namespace),
        ("secret-near", &near),
        ("field-near", "value"),
        ("secret-second", &format!("secret/data/{second}/web")),
        ("field-second", "value"),
        ("role-second", &second),
        ("secret-far", &near),
        ("field-far", "value"),
        ("address-far", &spare.server.address),
        ("ca-configmap-far", "spare"),
    ]));
    pod.ready(START);
    for file in ["near", "second", "far"] {
        assert_eq!(pod.read(&format!("/secrets/{file}")), file);
    }
    let asked = audit::of(namespace, &pod.address());
    assert_eq!(audit::count(&asked, "auth/kubernetes/login"), 2, "one for each role at this Vault");
    assert_eq!(audit::count(&asked, "secret/data/"), 2);
}
