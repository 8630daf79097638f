//! Beside a service mesh: a stand-in's webhook adds a native proxy that takes its time, before or after Sidekey is asked, in front
//! of the pod's init containers or behind them. An agent that belongs behind the proxy reaches Vault through it alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sidekey_e2e::wait::{START, seconds, until};
use sidekey_e2e::{Pod, Sandbox, Shape, api, setting};

use crate::stand_in::{StandIn, add};

const PROXY: &str = "istio-proxy";
const PORT: &str = "15001";
/// Annotation of the test's own: where the stand-in puts its container.
const PLACE: &str = "mesh.example/place";

/// One proxy for each pod that says where.
fn mesh(pod: &Value) -> Vec<Value> {
    let Some(place) = pod["metadata"]["annotations"][PLACE].as_str() else { return Vec::new() };
    let known = pod["spec"]["initContainers"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == PROXY));
    if known {
        return Vec::new();
    }
    let (host, port) = setting().vault.host_port();
    let proxy = json!({
        "name": PROXY,
        "image": setting().probe,
        "imagePullPolicy": "IfNotPresent",
        "args": ["relay", PORT, format!("{host}:{port}")],
        "restartPolicy": "Always",
        // The containers behind it wait for this.
        "startupProbe": {"exec": {"command": ["/probe", "stat", "/probe"]}, "initialDelaySeconds": 4, "periodSeconds": 1},
        "securityContext": pod["spec"]["containers"][0]["securityContext"],
    });
    vec![add(pod, "initContainers", place == "first", &proxy)]
}

/// A pod with an init container of its own; `first` asks for an agent before all others, which needs no proxy.
fn shape(sandbox: &Sandbox, dialect: &str, place: &str, first: bool) -> Shape {
    let role = sandbox.namespace.as_str();
    let path = format!("secret/data/{role}/web");
    let mut shape = Shape::new(&format!("{dialect}-{place}-{first}"), &["sleep"]);
    let own = shape.manifest["spec"]["containers"][0].clone();
    let setup = json!({"name": "setup", "image": own["image"], "imagePullPolicy": own["imagePullPolicy"],
        "args": ["stat", "/probe"], "securityContext": own["securityContext"]});
    shape = shape.spec("initContainers", json!([setup]));
    shape.manifest["metadata"]["annotations"][PLACE] = json!(place);
    let (address, first) = (format!("https://127.0.0.1:{PORT}"), if first { "true" } else { "false" });
    let through = [("address", address.as_str()), ("tls-server-name", "vault.vault.svc")];
    shape = match dialect {
        "native" => {
            shape.native(&[("inject", "true"), ("role", role), ("secret-web.env", &path), ("init-first", first)])
        }
        _ => shape.native(&[("token-audience", "vault"), ("format-web.env", "env")]).vault(&[
            ("agent-inject", "true"),
            ("role", role),
            ("agent-inject-secret-web.env", &path),
            ("agent-init-first", first),
        ]),
    };
    match (dialect, first) {
        (_, "true") => shape,
        ("native", _) => shape.native(&through),
        _ => shape.vault(&[("service", through[0].1), through[1]]),
    }
}

/// Init containers in the order of the list, with when each began to run.
fn order(pod: &Pod) -> (Vec<String>, BTreeMap<String, String>) {
    let object = pod.object();
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    let names = object["spec"]["initContainers"].as_array().unwrap().iter().map(name).collect();
    let began = |one: &Value| {
        let at = ["running", "terminated"].into_iter().find_map(|state| one["state"][state]["startedAt"].as_str());
        (name(one), at.unwrap_or_default().to_owned())
    };
    (names, object["status"]["initContainerStatuses"].as_array().unwrap().iter().map(began).collect())
}

/// Both by the list and by the clock, which has whole seconds: the proxy takes more, the agent may take less.
fn comes_before(pod: &Pod, one: &str, other: &str, what: &str) {
    let (names, began) = order(pod);
    let at = |name: &str| names.iter().position(|known| known == name).unwrap_or_else(|| panic!("{what}: {names:?}"));
    assert!(at(one) < at(other), "{what}: {names:?}");
    assert!(began[one] < began[other] || (one != PROXY && began[one] == began[other]), "{what}: {began:?}");
}

#[test]
fn an_agent_starts_behind_a_meshs_proxy_or_before_it_whoever_is_asked_first() {
    let stand_in = StandIn::new(mesh);
    let sandbox = Sandbox::new("mesh").with_role();
    sandbox.put("web", &json!({"value": "through"}));
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": sandbox.namespace}});
    let mut ready = 0;
    for asked in ["a-mesh", "z-mesh"] {
        let _configured = stand_in.configured(&format!("{asked}-{}", sandbox.namespace), "proxy.mesh.example", &here);
        until(seconds(30), "asked: the mesh", || {
            let mut plain = Shape::new("plain", &["sleep"]);
            plain.manifest["metadata"]["annotations"][PLACE] = json!("first");
            let seen = api::create(&format!("{}?dryRun=All", sandbox.path("pods")), &plain.manifest).json();
            if seen["spec"]["initContainers"][0]["name"] == PROXY { Ok(()) } else { Err(seen) }
        });
        let mut pods = Vec::new();
        for dialect in ["native", "vault"] {
            for (place, first) in [("first", false), ("last", false), ("first", true), ("last", true)] {
                pods.push((dialect, first, sandbox.start(&shape(&sandbox, dialect, place, first))));
            }
        }
        for (dialect, first, pod) in &pods {
            pod.ready(START);
            let (agent, what) = (pod.agent(), format!("{asked}: {dialect}, init-first {first}"));
            let (one, other) = if *first { (agent.as_str(), PROXY) } else { (PROXY, agent.as_str()) };
            comes_before(pod, one, other, &what);
            let directory = if *dialect == "native" { "/secrets" } else { "/vault/secrets" };
            assert_eq!(pod.read(&format!("{directory}/web.env")).trim(), "value=\"through\"", "{what}");
            ready += 1;
        }
        pods.iter().for_each(|(.., pod)| pod.delete());
    }
    println!(
        "beside a mesh's native proxy: {ready} pods, asked before and after, with the agent behind it and before it"
    );
}
