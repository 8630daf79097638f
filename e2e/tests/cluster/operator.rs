//! Secrets kept by the operator: from real Vault through the real API server into Secrets and workloads.

use serde_json::{Value, json};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Sandbox, api, sandbox, setting};

const GROUP: &str = "/apis/secrets.hashicorp.com/v1beta1";
const RESTARTED: &str = "/spec/template/metadata/annotations/vso.secrets.hashicorp.com~1restartedAt";

/// A namespace whose service account `app` may read its folder of secrets, with a VaultConnection and a VaultAuth `vault`.
struct Kept {
    sandbox: Sandbox,
}

impl Kept {
    fn new(name: &str) -> Self {
        let kept = Self { sandbox: Sandbox::new(name).with_role() };
        let ca = std::fs::read_to_string(&setting().vault.ca).expect("Vault's CA");
        kept.sandbox.create("secrets", &json!({"metadata": {"name": "vault-ca"}, "stringData": {"ca.crt": ca}}));
        let connection = json!({"address": "https://vault.vault.svc:8200", "caCertSecretRef": "vault-ca"});
        kept.create("vaultconnections", "VaultConnection", "vault", &connection);
        kept.create("vaultauths", "VaultAuth", "vault", &kept.auth());
        kept
    }

    fn auth(&self) -> Value {
        json!({
            "vaultConnectionRef": "vault",
            "method": "kubernetes",
            "mount": "kubernetes",
            "kubernetes": {"role": self.sandbox.namespace, "serviceAccount": "app", "audiences": ["vault"]},
        })
    }

    /// Of the sandbox's secret `name` into the Secret `name`, looked at each 2 s; `more` overrides.
    fn static_secret(&self, name: &str, more: &Value) {
        let mut spec = json!({
            "vaultAuthRef": "vault",
            "mount": "secret",
            "path": format!("{}/{name}", self.sandbox.namespace),
            "type": "kv-v2",
            "refreshAfter": "2s",
            "destination": {"name": name, "create": true},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        self.create("vaultstaticsecrets", "VaultStaticSecret", name, &spec);
    }

    fn all(&self, plural: &str) -> String {
        format!("{GROUP}/namespaces/{}/{plural}", self.sandbox.namespace)
    }

    fn create(&self, plural: &str, kind: &str, name: &str, spec: &Value) {
        let metadata = json!({"name": name});
        let version = "secrets.hashicorp.com/v1beta1";
        let object = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec});
        api::create(&self.all(plural), &object).expect(kind);
    }

    fn get(&self, plural: &str, name: &str) -> Value {
        api::get(&format!("{}/{name}", self.all(plural))).json()
    }

    /// Waits until the object's `Ready` is this; its message.
    fn ready(&self, plural: &str, name: &str, status: &str) -> String {
        until(seconds(60), &format!("{plural}/{name} Ready={status}"), || {
            let object = self.get(plural, name);
            let ready = condition(&object, "Ready");
            match ready["status"] == status {
                true => Ok(ready["message"].as_str().unwrap_or_default().to_owned()),
                false => Err(format!("{ready}")),
            }
        })
    }

    /// Waits until the Secret's key is this text.
    fn holds(&self, name: &str, key: &str, text: &str) -> Value {
        let path = format!("{}/{name}", self.sandbox.path("secrets"));
        until(seconds(30), &format!("{name}.{key} is {text}"), || {
            let secret = api::get(&path).json();
            match decoded(&secret, key) == text {
                true => Ok(secret),
                false => Err(format!("{}", secret["metadata"])),
            }
        })
    }

    fn deployment(&self, name: &str) -> String {
        let collection = format!("/apis/apps/v1/namespaces/{}/deployments", self.sandbox.namespace);
        let labels = json!({"app": name});
        // No pods are needed to see a restart asked for.
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": setting().probe}]}});
        let spec = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": template});
        api::create(&collection, &json!({"metadata": {"name": name}, "spec": spec})).expect("deployment");
        format!("{collection}/{name}")
    }
}

fn condition(object: &Value, kind: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

/// One value of a Secret; base64 by hand, since nothing else here needs it.
fn decoded(secret: &Value, key: &str) -> String {
    let text = secret["data"][key].as_str().unwrap_or_default().trim_end_matches('=');
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for sextet in text.chars().filter_map(|c| alphabet.find(c)) {
        held = (held << 6) | u32::try_from(sextet).unwrap_or(0);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).unwrap_or(0));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_static_secret_and_its_change_reach_the_secret_and_restart_the_workload_once() {
    let kept = Kept::new("op-static");
    let deployment = kept.deployment("web");
    kept.sandbox.put("web", &json!({"user": "app", "password": "first"}));
    let targets = json!([{"kind": "Deployment", "name": "web"}]);
    kept.static_secret("web", &json!({"rolloutRestartTargets": targets}));
    let secret = kept.holds("web", "password", "first");
    assert!(decoded(&secret, "_raw").contains(r#""data":{"password":"first","user":"app"}"#));
    kept.ready("vaultstaticsecrets", "web", "True");
    kept.ready("vaultauths", "vault", "True");
    kept.ready("vaultconnections", "vault", "True");
    let restarted = || api::get(&deployment).json().pointer(RESTARTED).cloned();
    assert_eq!(restarted(), None, "the first sync restarts nobody");

    kept.sandbox.put("web", &json!({"user": "app", "password": "second"}));
    kept.holds("web", "password", "second");
    let first = until(seconds(20), "restarted", || restarted().ok_or("no annotation"));
    std::thread::sleep(seconds(6));
    assert_eq!(restarted(), Some(first), "one change restarts once");
}

#[test]
fn a_deleted_or_edited_secret_is_mended_and_goes_with_its_object() {
    let kept = Kept::new("op-drift");
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({"refreshAfter": "1h"}));
    kept.holds("web", "user", "app");
    let path = format!("{}/web", kept.sandbox.path("secrets"));
    api::patch(&path, &json!({"data": {"user": "eA=="}})).expect("edit");
    kept.holds("web", "user", "app");
    api::delete(&path).expect("delete");
    kept.holds("web", "user", "app");
    api::delete(&format!("{}/web", kept.all("vaultstaticsecrets"))).expect("delete");
    until(seconds(60), "gone with its owner", || match api::get(&path).status {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}

#[test]
fn a_namespace_that_the_role_does_not_bind_is_told_in_vaults_words_and_mended_without_a_restart() {
    let kept = Kept::new("op-role");
    let mut role = sandbox::role(&kept.sandbox.namespace);
    role["bound_service_account_namespaces"] = json!(["elsewhere"]);
    kept.sandbox.role(&role);
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({}));
    for (plural, name) in [("vaultstaticsecrets", "web"), ("vaultauths", "vault")] {
        let message = until(seconds(60), "explained", || {
            let message = kept.ready(plural, name, "False");
            if message.contains("namespace not authorized") { Ok(message) } else { Err(message) }
        });
        assert!(message.contains("SK3106") && message.contains("auth/kubernetes"), "{message}");
    }
    kept.sandbox.role(&sandbox::role(&kept.sandbox.namespace));
    kept.holds("web", "user", "app");
    kept.ready("vaultauths", "vault", "True");
}

#[test]
fn a_quiet_object_is_not_written() {
    let kept = Kept::new("op-quiet");
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({}));
    kept.ready("vaultstaticsecrets", "web", "True");
    std::thread::sleep(seconds(3));
    let versions = || {
        let secret = api::get(&format!("{}/web", kept.sandbox.path("secrets"))).json();
        let object = kept.get("vaultstaticsecrets", "web");
        (secret["metadata"]["resourceVersion"].clone(), object["metadata"]["resourceVersion"].clone())
    };
    let before = versions();
    std::thread::sleep(seconds(15));
    assert_eq!(versions(), before, "over seven looks");
}
