//! Pods as the API server shows them to a mutating webhook: service account admission has run, defaults are set.
//!
//! ```
//! use sidekey_testkit::pod::Pod;
//!
//! let pod = Pod::new("web").annotate("sidekey.dev/inject", "true").set("/spec/hostNetwork", true).build();
//! assert_eq!(pod["spec"]["containers"][0]["name"], "app");
//! ```

use serde_json::{Value, json};

/// Where the kubelet puts the API server's token.
pub const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A pod in the making; starts with one container `app` that mounts the service account token.
#[derive(Clone, Debug)]
pub struct Pod(Value);

impl Pod {
    /// In namespace `default`, as service account `web`.
    pub fn new(name: &str) -> Self {
        Self(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": "default", "labels": { "app": name } },
            "spec": {
                "serviceAccountName": "web",
                "serviceAccount": "web",
                "containers": [container("app")],
                "volumes": [token_volume()],
                "restartPolicy": "Always",
                "securityContext": {},
                "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": 30,
            },
        }))
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotate(self, key: &str, value: &str) -> Self {
        self.set(&format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1")), value)
    }

    /// Adds a container with the service account token mounted.
    #[must_use]
    pub fn container(self, name: &str) -> Self {
        self.set("/spec/containers/-", container(name))
    }

    /// Adds an init container with the service account token mounted.
    #[must_use]
    pub fn init_container(self, name: &str) -> Self {
        self.set("/spec/initContainers/-", container(name))
    }

    /// Takes the token volume and its mounts away, as `automountServiceAccountToken: false` does.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        for list in ["containers", "initContainers"] {
            for container in self.0["spec"][list].as_array_mut().into_iter().flatten() {
                container["volumeMounts"] = json!([]);
            }
        }
        self.0["spec"]["volumes"] = json!([]);
        self.set("/spec/automountServiceAccountToken", false)
    }

    /// Sets any value by JSON pointer (RFC 6901); objects and lists on the way are made, `-` appends to a list.
    ///
    /// # Panics
    /// When the pointer goes past a list's end or through a scalar.
    #[must_use]
    #[track_caller]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.0;
        for part in pointer.trim_start_matches('/').split('/') {
            place = step(place, &part.replace("~1", "/").replace("~0", "~"));
        }
        *place = value.into();
        self
    }

    /// The JSON.
    pub fn build(self) -> Value {
        self.0
    }

    /// An `AdmissionReview` (admission.k8s.io/v1) that asks about creating it.
    pub fn review(self) -> Value {
        let namespace = self.0["metadata"]["namespace"].clone();
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "namespace": namespace,
                "operation": "CREATE",
                "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller" },
                "object": self.0,
                "oldObject": null,
                "dryRun": false,
            },
        })
    }
}

fn step<'v>(place: &'v mut Value, key: &str) -> &'v mut Value {
    if key == "-" {
        if place.is_null() {
            *place = json!([]);
        }
        let next = place.as_array().map_or(0, Vec::len);
        if let Some(list) = place.as_array_mut() {
            list.push(Value::Null);
        }
        return &mut place[next];
    }
    match key.parse::<usize>() {
        Ok(index) if place.is_array() => &mut place[index],
        _ => &mut place[key],
    }
}

/// A container as the API server completes it.
pub fn container(name: &str) -> Value {
    json!({
        "name": name,
        "image": "example.com/app:1",
        "imagePullPolicy": "IfNotPresent",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{ "name": "kube-api-access-abcde", "mountPath": TOKEN_MOUNT, "readOnly": true }],
    })
}

fn token_volume() -> Value {
    json!({
        "name": "kube-api-access-abcde",
        "projected": {
            "defaultMode": 420,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
                { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } }] } },
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_deep_values_and_appends() {
        let pod = Pod::new("web")
            .annotate("sidekey.dev/inject", "true")
            .init_container("first")
            .container("second")
            .set("/spec/containers/1/env/-", json!({ "name": "A", "value": "b" }))
            .set("/spec/containers/0/securityContext/runAsUser", 1000)
            .build();
        assert_eq!(pod["metadata"]["annotations"]["sidekey.dev/inject"], "true");
        assert_eq!(pod["spec"]["initContainers"][0]["name"], "first");
        assert_eq!(pod["spec"]["containers"][1]["env"][0]["value"], "b");
        assert_eq!(pod["spec"]["containers"][0]["securityContext"]["runAsUser"], 1000);
    }

    #[test]
    fn a_pod_without_token_has_no_mount_left() {
        let pod = Pod::new("web").without_token();
        let review = pod.clone().review();
        assert_eq!(review["request"]["namespace"], "default");
        assert!(!pod.build().to_string().contains(TOKEN_MOUNT));
    }
}
