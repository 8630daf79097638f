//! Sidekey beside another injector of the same annotations: each pod is injected by one of them, whoever is asked first.
//!
//! The other one is a stand-in, as the real program cannot be built here: it reads switch and mark and writes containers and mark as
//! vault-k8s 1.7 does (`agent-inject`, `agent-inject-status`, `vault-agent-init`, `vault-agent`), and renders nothing.

use std::net::SocketAddr;

use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Sandbox, Shape, api, setting};
use sidekey_runtime::drain::channel;
use sidekey_runtime::tls::server_config;
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Timing, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const COLLECTION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const IMAGE: &str = "localhost/stand-in:1";
const SWITCH: &str = "vault.hashicorp.com/agent-inject";
const MARK: &str = "vault.hashicorp.com/agent-inject-status";

async fn stand_in(Json(review): Json<Value>) -> Json<Value> {
    let pod = &review["request"]["object"];
    let annotation = |key: &str| pod["metadata"]["annotations"][key].as_str().unwrap_or_default();
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    if annotation(SWITCH) == "true" && annotation(MARK) != "injected" {
        let append = |list: &str, name: &str| {
            let container = json!({"name": name, "image": IMAGE});
            let path = format!("/spec/{list}");
            match pod["spec"][list].as_array().filter(|all| !all.is_empty()) {
                Some(_) => json!({"op": "add", "path": format!("{path}/-"), "value": container}),
                None => json!({"op": "add", "path": path, "value": [container]}),
            }
        };
        let mark = json!({"op": "add", "path": format!("/metadata/annotations/{}", MARK.replace('/', "~1")), "value": "injected"});
        let patch = json!([append("initContainers", "vault-agent-init"), append("containers", "vault-agent"), mark]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    }
    Json(json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}))
}

/// The stand-in's configuration, for one namespace; gone with it.
struct Configured(String);

impl Configured {
    fn new(name: &str, sandbox: &Sandbox, address: SocketAddr, ca: &str) -> Self {
        let object = json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": "vault.hashicorp.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "clientConfig": {"url": format!("https://{address}/mutate"), "caBundle": STANDARD.encode(ca)},
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": sandbox.namespace}},
            }],
        });
        api::create(COLLECTION, &object).expect("the stand-in's configuration");
        Self(format!("{COLLECTION}/{name}"))
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        api::delete(&self.0);
    }
}

/// Containers of the stand-in, and of Sidekey.
fn injectors(pod: &Value) -> (usize, usize) {
    let lists = ["initContainers", "containers"].into_iter().flat_map(|list| pod["spec"][list].as_array());
    let images: Vec<&str> = lists.flatten().filter_map(|it| it["image"].as_str()).collect();
    let count = |is: fn(&str) -> bool| images.iter().filter(|image| is(image)).count();
    (count(|image| image == IMAGE), count(|image| image.contains("sidekey-agent")))
}

#[test]
fn a_pod_is_injected_by_one_of_two_injectors_whoever_is_asked_first() {
    assert!(setting().manifests.is_some(), "not run: the API server of another's cluster cannot reach this process");
    let sandbox = Sandbox::new("beside").unrestricted();
    let runtime = Runtime::new().unwrap();
    let host = sidekey_e2e::sandbox::vault().host_port().0;
    let made = self_signed(&[host.to_owned()]).unwrap();
    let listener = runtime.block_on(TcpListener::bind((host, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (_trigger, drain) = channel();
    let tls = server_config(made.served.clone()).unwrap();
    let app = Router::new().route("/mutate", post(stand_in));
    runtime.spawn(serve(listener, Some(tls), app, drain, Timing::default(), Gauge::default()));

    let native = [("inject", "true"), ("role", "web"), ("secret-web", "secret/web")];
    let vault = [("agent-inject", "true"), ("role", "web"), ("agent-inject-secret-web", "secret/web")];
    let shape = || Shape::new("web", &["sleep"]);
    let create = |shape: Shape| {
        let answer = api::create(&format!("{}?dryRun=All", sandbox.path("pods")), &shape.manifest);
        injectors(&answer.expect("a pod"))
    };
    // Configurations are asked in the order of their names; Sidekey's is `sidekey-webhook`.
    for (name, first) in [("a-stand-in", true), ("z-stand-in", false)] {
        let _configured = Configured::new(&format!("{name}-{}", sandbox.namespace), &sandbox, address, &made.ca_pem);
        let vault_wanted = if first { (2, 0) } else { (0, 1) };
        until(seconds(30), "asked: the stand-in", || {
            let seen = create(shape().vault(&vault));
            // The second stand-in shows nothing of itself: it is asked within the same time.
            if seen == vault_wanted { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        std::thread::sleep(seconds(2));
        assert_eq!(create(shape().vault(&vault)), vault_wanted, "{name}: the Vault dialect");
        assert_eq!(create(shape().native(&native)), (0, 1), "{name}: the native dialect");
        assert_eq!(create(shape().native(&native).vault(&vault)), vault_wanted, "{name}: both");
    }
    println!("beside a stand-in of vault-k8s, asked before and after it: one injector for each of 6 pods");
}
