//! Webhooks of others, served by the test itself.

use std::net::SocketAddr;

use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_e2e::{api, setting};
use sidekey_runtime::drain::{Trigger, channel};
use sidekey_runtime::tls::server_config;
use sidekey_webhook::certs::self_signed;
use sidekey_webhook::server::{Connections, Timing, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const COLLECTION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/// A server that the API server reaches, for as long as this lives.
pub(crate) struct StandIn {
    address: SocketAddr,
    ca: String,
    _runtime: Runtime,
    _trigger: Trigger,
}

impl StandIn {
    /// Serves `decide`: what is added to a pod, as operations of a JSON patch; none leaves it alone.
    ///
    /// # Panics
    /// Where the API server is another's, which cannot reach this process.
    pub(crate) fn new(decide: impl Fn(&Value) -> Vec<Value> + Clone + Send + Sync + 'static) -> Self {
        assert!(
            setting().manifests.is_some(),
            "not run: the API server of another's cluster cannot reach this process"
        );
        let runtime = Runtime::new().unwrap();
        let host = sidekey_e2e::sandbox::vault().host_port().0;
        let made = self_signed(&[host.to_owned()]).unwrap();
        let listener = runtime.block_on(TcpListener::bind((host, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, drain) = channel();
        let tls = server_config(made.served.clone()).unwrap();
        let look = async move |Json(review): Json<Value>| {
            let patch = decide(&review["request"]["object"]);
            Json(answer(&review, patch))
        };
        let app = Router::new().route("/mutate", post(look));
        runtime.spawn(serve(listener, Some(tls), app, drain, Timing::default(), Connections::default()));
        Self { address, ca: made.ca_pem, _runtime: runtime, _trigger: trigger }
    }

    /// Has the API server ask it about pods of the namespaces that the selector selects. Configurations are asked in the order of
    /// their names; Sidekey's is `sidekey-webhook`.
    pub(crate) fn configured(&self, name: &str, hook: &str, selector: &Value) -> Configured {
        let object = json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": hook, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "clientConfig": {"url": format!("https://{}/mutate", self.address), "caBundle": STANDARD.encode(&self.ca)},
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "namespaceSelector": selector,
            }],
        });
        api::create(COLLECTION, &object).expect("the stand-in's configuration");
        Configured(format!("{COLLECTION}/{name}"))
    }
}

/// A configuration; gone with it.
pub(crate) struct Configured(String);

impl Drop for Configured {
    fn drop(&mut self) {
        api::delete(&self.0);
    }
}

fn answer(review: &Value, patch: Vec<Value>) -> Value {
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    if !patch.is_empty() {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(Value::from(patch).to_string()));
    }
    json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})
}

/// Adds a container to a list that may not be there yet; `first` puts it before all others.
pub(crate) fn add(pod: &Value, list: &str, first: bool, container: &Value) -> Value {
    let path = format!("/spec/{list}");
    match pod["spec"][list].as_array().filter(|all| !all.is_empty()) {
        Some(_) => {
            json!({"op": "add", "path": format!("{path}/{}", if first { "0" } else { "-" }), "value": container})
        }
        None => json!({"op": "add", "path": path, "value": [container]}),
    }
}
