//! A stand-in of vault-k8s, as the real program cannot be built here: it reads switch and mark and writes containers and mark as
//! vault-k8s 1.7 does (`agent-inject`, `agent-inject-status`, `vault-agent-init`, `vault-agent`), and renders nothing.

use std::net::SocketAddr;

use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use sidekey_e2e::{api, sandbox};
use sidekey_runtime::drain::{Trigger, channel};
use sidekey_runtime::tls::server_config;
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Timing, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const COLLECTION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const SWITCH: &str = "vault.hashicorp.com/agent-inject";
const MARK: &str = "vault.hashicorp.com/agent-inject-status";

/// The answer to a review; `image` has `probe`, or no container starts.
fn answer(review: &Value, image: &str) -> Value {
    let pod = &review["request"]["object"];
    let annotation = |key: &str| pod["metadata"]["annotations"][key].as_str().unwrap_or_default();
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    if annotation(SWITCH) == "true" && annotation(MARK) != "injected" {
        let append = |list: &str, name: &str, args: &[&str]| {
            let container = json!({"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "args": args});
            let path = format!("/spec/{list}");
            match pod["spec"][list].as_array().filter(|all| !all.is_empty()) {
                Some(_) => json!({"op": "add", "path": format!("{path}/-"), "value": container}),
                None => json!({"op": "add", "path": path, "value": [container]}),
            }
        };
        let mark = json!({"op": "add", "path": format!("/metadata/annotations/{}", MARK.replace('/', "~1")), "value": "injected"});
        let first = append("initContainers", "vault-agent-init", &["cat", "/etc/hostname"]);
        let patch = json!([first, append("containers", "vault-agent", &["sleep"]), mark]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    }
    json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})
}

/// It listens for as long as this lives.
pub(crate) struct StandIn {
    address: SocketAddr,
    ca: String,
    _runtime: Runtime,
    _trigger: Trigger,
}

impl StandIn {
    /// Its containers have this image.
    pub(crate) fn new(image: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let host = sandbox::vault().host_port().0;
        let made = self_signed(&[host.to_owned()]).unwrap();
        let listener = runtime.block_on(TcpListener::bind((host, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, drain) = channel();
        let tls = server_config(made.served.clone()).unwrap();
        let image = image.to_owned();
        let look = async move |Json(review): Json<Value>| Json(answer(&review, &image));
        let app = Router::new().route("/mutate", post(look));
        runtime.spawn(serve(listener, Some(tls), app, drain, Timing::default(), Gauge::default()));
        Self { address, ca: made.ca_pem, _runtime: runtime, _trigger: trigger }
    }

    /// Asked about the pods of the namespaces that the selector selects.
    pub(crate) fn configured(&self, name: &str, selector: &Value) -> Configured {
        let url = format!("https://{}/mutate", self.address);
        let object = json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": "vault.hashicorp.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "clientConfig": {"url": url, "caBundle": STANDARD.encode(&self.ca)},
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "namespaceSelector": selector,
            }],
        });
        api::create(COLLECTION, &object).expect("the stand-in's configuration");
        Configured(format!("{COLLECTION}/{name}"))
    }
}

/// The stand-in's configuration; gone with it.
pub(crate) struct Configured(String);

impl Drop for Configured {
    fn drop(&mut self) {
        api::delete(&self.0);
    }
}

/// Containers of the stand-in, and of Sidekey.
pub(crate) fn injectors(pod: &Value, image: &str) -> (usize, usize) {
    let lists = ["initContainers", "containers"].into_iter().flat_map(|list| pod["spec"][list].as_array());
    let agents = lists.flatten().filter(|it| it["name"].as_str().is_some_and(|name| name.contains("-agent")));
    let images: Vec<&str> = agents.filter_map(|it| it["image"].as_str()).collect();
    let count = |is: &dyn Fn(&str) -> bool| images.iter().filter(|image| is(image)).count();
    (count(&|it| it == image), count(&|it| it.contains("sidekey-agent")))
}
