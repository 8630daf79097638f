//! One test's own corner: a namespace that enforces pod security *restricted*, a service account, a Vault role and policy of
//! the namespace's name, and a folder of secrets.

use std::thread;

use serde_json::{Value, json};

use crate::api;
use crate::pod::{Pod, Shape};
use crate::setting;
use crate::setting::Server;

/// See the module.
pub struct Sandbox {
    /// The namespace; also the name of the Vault role and policy, and of the folder below `secret/`.
    pub namespace: String,
}

/// A role of the Kubernetes auth method, as Vault's API takes it. Its service account is `app`.
pub fn role(namespace: &str) -> Value {
    json!({
        "bound_service_account_names": ["app"],
        "bound_service_account_namespaces": [namespace],
        "token_policies": [namespace],
        "token_ttl": "20m",
        "audience": "vault",
    })
}

impl Sandbox {
    /// Makes the namespace `e2e-<name>` and its service account, whose token is not mounted.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Self {
        // A cluster of one's own may still hold the last run's.
        let namespace = format!("e2e-{name}-{:x}", std::process::id());
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        api::create("/api/v1/namespaces", &json!({"metadata": {"name": namespace, "labels": labels}}))
            .expect("namespace");
        let sandbox = Self { namespace };
        sandbox.create("serviceaccounts", &json!({"metadata": {"name": "app"}, "automountServiceAccountToken": false}));
        sandbox
    }

    /// Open to pods of every kind: not *restricted* any more.
    ///
    /// # Panics
    /// When the label cannot be changed.
    #[must_use]
    pub fn unrestricted(self) -> Self {
        let free = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
        api::patch(&format!("/api/v1/namespaces/{}", self.namespace), &free)
            .expect("a namespace for pods of every kind");
        self
    }

    /// With a policy that grants `read` on the paths below `secret/data/<namespace>/`, and a role that has it: what most pods
    /// have.
    #[must_use]
    pub fn with_role(self) -> Self {
        self.grant(&format!("path \"secret/data/{}/*\" {{ capabilities = [\"read\"] }}", self.namespace));
        self.role(&role(&self.namespace));
        self
    }

    /// Replaces the policy.
    pub fn grant(&self, rules: &str) {
        vault().policy(&self.namespace, rules);
    }

    /// Replaces the role at `auth/kubernetes`.
    pub fn role(&self, role: &Value) {
        vault().write(&format!("auth/kubernetes/role/{}", self.namespace), role);
    }

    /// Enables an auth mount of this test's own, not yet configured. Returns [`Self::mount_path`].
    pub fn mount(&self) -> String {
        self.mount_of("vault-plugin-auth-kubernetes")
    }

    /// The same for another type of login: `jwt`, `approle`, `cert`.
    pub fn mount_of(&self, kind: &str) -> String {
        let path = self.mount_path();
        vault().write(&format!("sys/{path}"), &json!({"type": kind}));
        path
    }

    /// Where [`Self::mount`] enables it, with `auth/`.
    pub fn mount_path(&self) -> String {
        format!("auth/kubernetes-{}", self.namespace)
    }

    /// Configures an auth mount as `auth/kubernetes` is: the reviewer's own token, the right host and CA. `more` overrides.
    pub fn configure(&self, mount: &str, more: &Value) {
        let setting = setting();
        let ca = std::fs::read_to_string(&setting.kubernetes_ca)
            .unwrap_or_else(|error| panic!("{}: {error}", setting.kubernetes_ca));
        let mut config = json!({
            "kubernetes_host": setting.kubernetes,
            "kubernetes_ca_cert": ca,
            "token_reviewer_jwt": self.reviewer(),
            "disable_local_ca_jwt": true,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        vault().write(&format!("{mount}/config"), &config);
    }

    /// A database role of the namespace's name on the shared connection `pg`; `more` overrides.
    pub fn database(&self, more: &Value) {
        let mut role = json!({
            "db_name": "pg",
            "default_ttl": "1m",
            "max_ttl": "3m",
            "creation_statements": [
                "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';",
            ],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            role[key] = value.clone();
        }
        vault().write(&format!("database/roles/{}", self.namespace), &role);
    }

    /// Puts a new version of `secret/<namespace>/<name>`.
    pub fn put(&self, name: &str, data: &Value) {
        vault().put(&format!("{}/{name}", self.namespace), data);
    }

    /// Creates a namespaced object of the core API.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn create(&self, collection: &str, object: &Value) -> Value {
        api::create(&self.path(collection), object).expect(collection)
    }

    /// Creates a pod.
    ///
    /// # Panics
    /// When admission refuses it.
    pub fn start(&self, shape: &Shape) -> Pod {
        Pod::create(self, shape).unwrap_or_else(|answer| panic!("refused: {}", answer.message()))
    }

    /// Creates a pod that must be refused, and returns the message.
    ///
    /// # Panics
    /// When it is admitted.
    pub fn refused(&self, shape: &Shape) -> String {
        match Pod::create(self, shape) {
            Ok(_) => panic!("the pod was admitted"),
            Err(answer) => answer.message(),
        }
    }

    /// Path of a collection of the core API in this namespace.
    pub fn path(&self, collection: &str) -> String {
        format!("/api/v1/namespaces/{}/{collection}", self.namespace)
    }

    /// A Service `name` on Vault's port; with `port`, it leads to that port of the host of Vault's address, else nowhere.
    pub fn service(&self, name: &str, port: Option<u16>) {
        self.create(
            "services",
            &json!({"metadata": {"name": name}, "spec": {"ports": [{"name": "https", "port": 8200}]}}),
        );
        if let Some(port) = port {
            self.endpoints(name, port);
        }
    }

    /// Leads a Service to a port of the host of Vault's address, from now on.
    pub fn endpoints(&self, service: &str, port: u16) {
        let collection = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.namespace);
        let slice = json!({
            "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": port}],
            "endpoints": [{"addresses": [vault().host_port().0]}],
        });
        let there = format!("{collection}/{service}");
        let answer = if api::get(&there).ok() { api::patch(&there, &slice) } else { api::create(&collection, &slice) };
        answer.expect("endpoint slice");
    }

    /// A token of Vault's reviewer.
    fn reviewer(&self) -> String {
        let request = json!({"spec": {"expirationSeconds": 7200}});
        let token =
            api::create("/api/v1/namespaces/vault/serviceaccounts/reviewer/token", &request).expect("reviewer's token");
        token["status"]["token"].as_str().unwrap_or_default().to_owned()
    }

    /// Everything a person would look at first.
    fn print(&self) {
        println!("==== {}", self.namespace);
        let list = api::get(&self.path("pods")).json();
        for object in list["items"].as_array().into_iter().flatten() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let pod = Pod::of(self, name);
            println!("---- pod {name}: {}", object["status"]["phase"]);
            for status in ["initContainerStatuses", "containerStatuses"]
                .into_iter()
                .flat_map(|it| object["status"][it].as_array())
                .flatten()
            {
                println!(
                    "{}: restarts {}, {} last {}",
                    status["name"], status["restartCount"], status["state"], status["lastState"]
                );
                let container = status["name"].as_str().unwrap_or_default();
                println!("{}", tail(&pod.log(container), 40));
            }
            println!("{}", pod.events().join("\n"));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print();
        }
        api::delete(&format!("/api/v1/namespaces/{}", self.namespace));
        vault().request("DELETE", &format!("sys/{}", self.mount_path()), None);
    }
}

/// The Vault that is always up.
pub fn vault() -> &'static Server {
    &setting().vault
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
