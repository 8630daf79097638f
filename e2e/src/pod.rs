//! A pod of a sandbox: how tests write one, start it, and ask what became of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{self, Answer};
use crate::command::{self, Done};
use crate::wait::{seconds, until};
use crate::{Sandbox, setting};

/// The manifest a test begins with: one container of the probe image, fit for pod security *restricted*, with a service
/// account whose token is not mounted.
#[derive(Clone)]
pub struct Shape {
    /// The whole object; tests change what they are about.
    pub manifest: Value,
}

impl Shape {
    /// A pod named `name` whose app runs `probe ARGS`.
    pub fn new(name: &str, args: &[&str]) -> Self {
        Self {
            manifest: json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "annotations": {}},
                "spec": {
                    "serviceAccountName": "app",
                    "terminationGracePeriodSeconds": 10,
                    "containers": [{
                        "name": "app",
                        "image": setting().probe,
                        "imagePullPolicy": "IfNotPresent",
                        "args": args,
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": true,
                            "runAsNonRoot": true,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                    }],
                },
            }),
        }
    }

    /// With `sidekey.dev/KEY: VALUE` for each pair.
    #[must_use]
    pub fn native(self, pairs: &[(&str, &str)]) -> Self {
        self.annotate("sidekey.dev/", pairs)
    }

    /// With `vault.hashicorp.com/KEY: VALUE` for each pair.
    #[must_use]
    pub fn vault(self, pairs: &[(&str, &str)]) -> Self {
        self.annotate("vault.hashicorp.com/", pairs)
    }

    /// With a field of the pod's spec set.
    #[must_use]
    pub fn spec(mut self, field: &str, value: Value) -> Self {
        self.manifest["spec"][field] = value;
        self
    }

    fn annotate(mut self, prefix: &str, pairs: &[(&str, &str)]) -> Self {
        for (key, value) in pairs {
            self.manifest["metadata"]["annotations"][format!("{prefix}{key}")] = json!(value);
        }
        self
    }
}

/// A pod that was created.
pub struct Pod {
    namespace: String,
    name: String,
}

impl Pod {
    /// Creates it.
    ///
    /// # Errors
    /// The API server's answer when admission refuses it.
    pub fn create(sandbox: &Sandbox, shape: &Shape) -> Result<Self, Answer> {
        let answer = api::create(&sandbox.path("pods"), &shape.manifest);
        if !answer.ok() {
            return Err(answer);
        }
        let name = answer.json()["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(Self { namespace: sandbox.namespace.clone(), name })
    }

    /// A pod that something else made.
    pub fn of(sandbox: &Sandbox, name: &str) -> Self {
        Self { namespace: sandbox.namespace.clone(), name: name.to_owned() }
    }

    /// The object as it is now.
    pub fn object(&self) -> Value {
        api::get(&self.path()).json()
    }

    /// Its address; empty before it has one.
    pub fn address(&self) -> String {
        self.object()["status"]["podIP"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether its condition `Ready` is true.
    pub fn is_ready(&self) -> bool {
        is_ready(&self.object())
    }

    /// Waits for [`Self::is_ready`].
    ///
    /// # Panics
    /// When it is not by then; with the agent's own words.
    pub fn ready(&self, limit: Duration) -> &Self {
        until(limit, &format!("Ready: pod {}", self.name), || {
            let object = self.object();
            if is_ready(&object) { Ok(()) } else { Err(format!("{}\n{}", object["status"], self.events().join("\n"))) }
        });
        self
    }

    /// Name of the injected container: of whichever dialect and shape.
    ///
    /// # Panics
    /// When nothing was injected.
    pub fn agent(&self) -> String {
        let object = self.object();
        let containers = ["initContainers", "containers"]
            .into_iter()
            .flat_map(|kind| object["spec"][kind].as_array().cloned().unwrap_or_default());
        containers
            .filter_map(|it| it["name"].as_str().map(str::to_owned))
            .find(|name| name == "sidekey-agent" || name == "vault-agent")
            .unwrap_or_else(|| panic!("pod {} has no agent: {}", self.name, object["spec"]))
    }

    /// Status of one container, init or not; `null` before there is one.
    pub fn container(&self, name: &str) -> Value {
        let object = self.object();
        ["initContainerStatuses", "containerStatuses"]
            .into_iter()
            .flat_map(|kind| object["status"][kind].as_array().cloned().unwrap_or_default())
            .find(|it| it["name"] == name)
            .unwrap_or_default()
    }

    /// How often the kubelet started a container again.
    pub fn restarts(&self, container: &str) -> u64 {
        self.container(container)["restartCount"].as_u64().unwrap_or_default()
    }

    /// Runs a program in a container.
    pub fn exec(&self, container: &str, command: &[&str]) -> Done {
        let mut args = vec!["-n", &self.namespace, "exec", &self.name, "-c", container, "--"];
        args.extend(command);
        command::run("kubectl", &args, "")
    }

    /// A file as the app reads it.
    ///
    /// # Panics
    /// When the app cannot read it.
    pub fn read(&self, file: &str) -> String {
        self.exec("app", &["/probe", "cat", file]).expect(file)
    }

    /// What the agent says of itself.
    pub fn status(&self) -> String {
        let done = self.exec(&self.agent(), &["/sidekey-agent", "status"]);
        done.out + &done.err
    }

    /// A container's output so far.
    pub fn log(&self, container: &str) -> String {
        api::get(&format!("{}/log?container={container}", self.path())).body
    }

    /// Its events' reasons and messages.
    pub fn events(&self) -> Vec<String> {
        api::events(&self.namespace, &self.name)
    }

    /// Deletes it and waits till it is gone.
    pub fn delete(&self) {
        api::delete(&self.path()).expect("deleting a pod");
        until(seconds(60), &format!("gone: pod {}", self.name), || match api::get(&self.path()).status {
            404 => Ok(()),
            status => Err(status),
        });
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }
}

fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}
