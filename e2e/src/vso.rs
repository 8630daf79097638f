//! The Vault Secrets Operator itself, in the place of Sidekey's operator.

use serde_json::json;

use crate::api;
use crate::kept::OPERATOR;
use crate::setting;
use crate::wait::{seconds, until};

const NAME: &str = "the-real-vso";

/// Its Deployment; gone with this.
pub struct Vso(());

impl Vso {
    /// With no pod yet.
    ///
    /// # Panics
    /// When the API server refuses it, or no image is named.
    pub fn install() -> Self {
        let image = setting().vso.as_ref().unwrap_or_else(|| panic!("not run: E2E_VSO_IMAGE names no image of VSO"));
        let operator = api::get(&format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/sidekey-operator")).json();
        let account = json!({"metadata": {"name": NAME}});
        api::create(&format!("/api/v1/namespaces/{OPERATOR}/serviceaccounts"), &account).expect("an account");
        let binding = json!({"metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": OPERATOR}]});
        api::create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).expect("its rights");
        let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let container = json!({"name": "manager", "image": image, "imagePullPolicy": "IfNotPresent",
            "command": ["/vault-secrets-operator"],
            "args": ["--leader-elect", "--client-cache-persistence-model=direct-encrypted"],
            "env": [field("OPERATOR_POD_NAME", "metadata.name"), field("OPERATOR_POD_UID", "metadata.uid")],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
        let labels = json!({"app": NAME});
        let pod = json!({"serviceAccountName": NAME, "containers": [container],
            "hostAliases": operator["spec"]["template"]["spec"]["hostAliases"],
            "terminationGracePeriodSeconds": 10,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}});
        let spec = json!({"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod}});
        let made = json!({"metadata": {"name": NAME}, "spec": spec});
        api::create(&format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments"), &made).expect("the operator");
        Self(())
    }

    /// Starts it, or ends it, and waits for that.
    ///
    /// # Panics
    /// When it does not come or go.
    pub fn scale(&self, replicas: u64) {
        let path = format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/{NAME}");
        api::patch(&path, &json!({"spec": {"replicas": replicas}})).expect("scale");
        until(seconds(120), &format!("at {replicas} replicas: VSO"), || {
            let status = api::get(&path).json()["status"].clone();
            let pods = api::get(&format!("/api/v1/namespaces/{OPERATOR}/pods?labelSelector=app%3D{NAME}")).json();
            let there = pods["items"].as_array().map_or(0, Vec::len) as u64;
            let available = status["availableReplicas"].as_u64().unwrap_or_default();
            if (there, available) == (replicas, replicas) {
                Ok(())
            } else {
                Err(pods["items"][0]["status"].to_string())
            }
        });
    }
}

impl Drop for Vso {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let pods = api::get(&format!("/api/v1/namespaces/{OPERATOR}/pods?labelSelector=app%3D{NAME}")).json();
            let pod = pods["items"][0]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let log = api::get(&format!("/api/v1/namespaces/{OPERATOR}/pods/{pod}/log?tailLines=20"));
            println!("---- VSO: {}", log.body);
        }
        api::delete(&format!("/apis/apps/v1/namespaces/{OPERATOR}/deployments/{NAME}"));
        api::delete(&format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{NAME}"));
        api::delete(&format!("/api/v1/namespaces/{OPERATOR}/serviceaccounts/{NAME}"));
    }
}
