//! A sandbox whose secrets the operator keeps: custom resources of `secrets.hashicorp.com`, and what they come to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::setting::Server;
use crate::wait::{seconds, until};
use crate::{Sandbox, api, command, setting};

/// Namespace of the operator.
pub const OPERATOR: &str = "vault-secrets-operator";

/// Where the first Vault is for the operator.
pub const ADDRESS: &str = "https://vault.vault.svc:8200";

const GROUP: &str = "secrets.hashicorp.com/v1beta1";

/// A namespace whose service account `app` may read its folder of secrets, with a VaultConnection and a VaultAuth `vault`.
pub struct Kept {
    /// The namespace, Vault role and policy.
    pub sandbox: Sandbox,
}

impl Kept {
    /// With everything that a VaultStaticSecret needs.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Self {
        let kept = Self { sandbox: Sandbox::new(name).with_role() };
        kept.connection("vault", &setting().vault, ADDRESS);
        kept.create("vaultauths", "VaultAuth", "vault", &kept.auth("vault"));
        kept
    }

    /// With a database as well, and a policy that reads secrets and credentials and nothing else: leases of an hour outlive a test.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn with_database(name: &str) -> Self {
        let kept = Self::new(name);
        let namespace = &kept.sandbox.namespace;
        kept.sandbox.grant(&format!(
            "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\n\
             path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}"
        ));
        kept.sandbox.database(&json!({"default_ttl": "1h", "max_ttl": "2h"}));
        kept
    }

    /// A static role of the database, and its user, both of the namespace's name, which is handed back; and a policy that reads its
    /// credentials.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn static_role(&self, rotation_period: &str) -> String {
        let name = self.sandbox.namespace.clone();
        self.sandbox.grant(&format!("path \"database/static-creds/{name}\" {{ capabilities = [\"read\"] }}"));
        let (host, port) = setting().postgres.rsplit_once(':').unwrap_or_else(|| panic!("E2E_POSTGRES: no host:port"));
        let admin = format!("postgresql://vaultadmin:vaultadmin@{host}:{port}/postgres");
        command::run("psql", &["-qc", &format!("create role \"{name}\" login"), &admin], "").expect("a user");
        let role = json!({"db_name": "pg", "username": name, "rotation_period": rotation_period});
        setting().vault.write(&format!("database/static-roles/{name}"), &role);
        name
    }

    /// A VaultConnection, and a Secret with its CA.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn connection(&self, name: &str, server: &Server, address: &str) {
        let secret = format!("{name}-ca");
        let data = json!({"ca.crt": server.pem()});
        self.sandbox.create("secrets", &json!({"metadata": {"name": secret}, "stringData": data}));
        let spec = json!({"address": address, "caCertSecretRef": secret});
        self.create("vaultconnections", "VaultConnection", name, &spec);
    }

    /// Spec of a VaultAuth for a connection.
    pub fn auth(&self, connection: &str) -> Value {
        json!({
            "vaultConnectionRef": connection,
            "method": "kubernetes",
            "mount": "kubernetes",
            "kubernetes": {"role": self.sandbox.namespace, "serviceAccount": "app", "audiences": ["vault"]},
        })
    }

    /// Of the sandbox's secret `name` into the Secret `name`, looked at each 2 s; `more` overrides.
    pub fn static_secret(&self, name: &str, more: &Value) {
        let path = format!("{}/{name}", self.sandbox.namespace);
        let spec = json!({"mount": "secret", "path": path, "type": "kv-v2", "refreshAfter": "2s"});
        self.secret("vaultstaticsecrets", "VaultStaticSecret", name, &spec, more);
    }

    /// Credentials of the sandbox's database role into the Secret `name`; `more` overrides.
    pub fn dynamic_secret(&self, name: &str, more: &Value) {
        let spec = json!({"mount": "database", "path": format!("creds/{}", self.sandbox.namespace)});
        self.secret("vaultdynamicsecrets", "VaultDynamicSecret", name, &spec, more);
    }

    /// An object with a destination of its own name.
    pub fn secret(&self, plural: &str, kind: &str, name: &str, spec: &Value, more: &Value) {
        let mut all = json!({"vaultAuthRef": "vault", "destination": {"name": name, "create": true}});
        for (key, value) in [spec, more].into_iter().filter_map(Value::as_object).flatten() {
            all[key] = value.clone();
        }
        self.create(plural, kind, name, &all);
    }

    /// Path of the objects of a kind.
    pub fn all(&self, plural: &str) -> String {
        format!("/apis/{GROUP}/namespaces/{}/{plural}", self.sandbox.namespace)
    }

    /// Path of one object.
    pub fn one(&self, plural: &str, name: &str) -> String {
        format!("{}/{name}", self.all(plural))
    }

    /// Creates an object.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn create(&self, plural: &str, kind: &str, name: &str, spec: &Value) {
        let object = json!({"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec});
        api::create(&self.all(plural), &object).expect(kind);
    }

    /// Merges a change into an object's spec.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn edit(&self, plural: &str, name: &str, spec: &Value) {
        api::patch(&self.one(plural, name), &json!({"spec": spec})).expect(name);
    }

    /// Deletes an object and waits until it is gone.
    ///
    /// # Panics
    /// When it does not go.
    pub fn remove(&self, plural: &str, name: &str) {
        let path = self.one(plural, name);
        api::delete(&path).expect("delete");
        until(seconds(60), &format!("gone: {plural}/{name}"), || match api::get(&path) {
            answer if answer.status == 404 => Ok(()),
            answer => Err(answer.json()["metadata"].to_string()),
        });
    }

    /// An object as it is now; `null` when it is not there.
    pub fn get(&self, plural: &str, name: &str) -> Value {
        let answer = api::get(&self.one(plural, name));
        if answer.ok() { answer.json() } else { Value::Null }
    }

    /// Waits until the object's `Ready` is this; its message.
    ///
    /// # Panics
    /// When it does not become so.
    pub fn ready(&self, plural: &str, name: &str, status: &str) -> String {
        until(seconds(90), &format!("{plural}/{name} Ready={status}"), || {
            let ready = condition(&self.get(plural, name), "Ready");
            match ready["status"] == status {
                true => Ok(ready["message"].as_str().unwrap_or_default().to_owned()),
                false => Err(ready.to_string()),
            }
        })
    }

    /// Path of a Secret.
    pub fn secret_path(&self, name: &str) -> String {
        format!("{}/{name}", self.sandbox.path("secrets"))
    }

    /// Waits until the Secret's key is this text; the Secret.
    ///
    /// # Panics
    /// When it does not become so.
    pub fn holds(&self, name: &str, key: &str, text: &str) -> Value {
        until(seconds(60), &format!("{name}.{key} is {text}"), || {
            let secret = api::get(&self.secret_path(name)).json();
            if decoded(&secret, key) == text { Ok(secret) } else { Err(secret["metadata"].to_string()) }
        })
    }

    /// Makes a Deployment or StatefulSet without pods, since none are needed to see a restart asked for; its path.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn workload(&self, plural: &str, name: &str) -> String {
        let collection = format!("/apis/apps/v1/namespaces/{}/{plural}", self.sandbox.namespace);
        let labels = json!({"app": name});
        let container = json!({"name": "app", "image": setting().probe});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        let mut spec = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": template});
        if plural == "statefulsets" {
            spec["serviceName"] = json!(name);
        }
        api::create(&collection, &json!({"metadata": {"name": name}, "spec": spec})).expect(plural);
        format!("{collection}/{name}")
    }
}

impl Drop for Kept {
    /// Prints what the objects say when their test fails; the sandbox goes after it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for plural in ["vaultconnections", "vaultauths", "vaultstaticsecrets", "vaultdynamicsecrets", "vaultpkisecrets"]
        {
            for object in api::get(&self.all(plural)).json()["items"].as_array().into_iter().flatten() {
                println!("---- {plural}/{}: {}", object["metadata"]["name"], object["status"]);
            }
        }
    }
}

/// When a workload was last restarted, as its pod template says.
pub fn restarted(path: &str) -> Option<String> {
    const AT: &str = "/spec/template/metadata/annotations/vso.secrets.hashicorp.com~1restartedAt";
    api::get(path).json().pointer(AT).and_then(Value::as_str).map(str::to_owned)
}

/// One condition of an object; `null` when it has none such.
pub fn condition(object: &Value, kind: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

/// One value of a Secret; empty when it is not there or no text.
pub fn decoded(secret: &Value, key: &str) -> String {
    let bytes = STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// The name of the operator's replica that works, as its Lease says.
pub fn leader() -> String {
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{OPERATOR}/leases/b0d477c0.hashicorp.com");
    api::get(&lease).json()["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// Deletes the replica that works with no time to say goodbye, and waits until another one does; its name.
///
/// # Panics
/// When no other one takes over.
pub fn kill_leader() -> String {
    let before = until(seconds(60), "held: the leader's Lease", || {
        let holder = leader();
        let alive = !holder.is_empty() && api::get(&format!("/api/v1/namespaces/{OPERATOR}/pods/{holder}")).ok();
        if alive { Ok(holder) } else { Err(holder) }
    });
    let now = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
    api::request("DELETE", &format!("/api/v1/namespaces/{OPERATOR}/pods/{before}"), Some(&now)).expect("the leader");
    until(seconds(90), "taken over: the leader's Lease", || {
        let holder = leader();
        if !holder.is_empty() && holder != before { Ok(holder) } else { Err(holder) }
    })
}
