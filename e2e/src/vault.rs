//! Vault's HTTP API with the root token: how tests set it up and what they ask it. curl speaks TLS for us.

use serde_json::{Value, json};

use crate::api::Answer;
use crate::command;
use crate::setting;
use crate::setting::Server;

impl Server {
    /// One request; `path` is what follows `/v1/`.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.request_with(method, path, body, "X-Vault-Request: true")
    }

    /// What a write answers, in a wrapping: the wrapping's token.
    ///
    /// # Panics
    /// When Vault refuses.
    pub fn wrapped(&self, path: &str) -> String {
        let answer = self.request_with("POST", path, Some(&json!({})), "X-Vault-Wrap-TTL: 10m").expect(path);
        answer["wrap_info"]["token"].as_str().unwrap_or_default().to_owned()
    }

    fn request_with(&self, method: &str, path: &str, body: Option<&Value>, header: &str) -> Answer {
        let url = format!("{}/v1/{path}", self.address);
        let token = format!("X-Vault-Token: {}", self.token);
        let args = [
            "-sS",
            "--max-time",
            "20",
            "--cacert",
            &self.ca,
            "-X",
            method,
            "-H",
            &token,
            "-H",
            header,
            "--data-binary",
            "@-",
            "-w",
            "\n%{http_code}",
            &url,
        ];
        let done = command::run("curl", &args, &body.map(Value::to_string).unwrap_or_default());
        let (body, status) = done.out.rsplit_once('\n').unwrap_or((&done.err, "0"));
        Answer { status: status.parse().unwrap_or(0), body: body.to_owned() }
    }

    /// Writes.
    ///
    /// # Panics
    /// When Vault refuses, with its words.
    pub fn write(&self, path: &str, body: &Value) -> Value {
        self.request("POST", path, Some(body)).expect(path)
    }

    /// Deletes.
    ///
    /// # Panics
    /// When Vault refuses.
    pub fn delete(&self, path: &str) {
        self.request("DELETE", path, None).expect(path);
    }

    /// Writes a policy.
    pub fn policy(&self, name: &str, rules: &str) {
        self.write(&format!("sys/policies/acl/{name}"), &json!({"policy": rules}));
    }

    /// Puts a new version of a secret of the KV v2 engine at `secret/`.
    pub fn put(&self, path: &str, data: &Value) {
        self.write(&format!("secret/data/{path}"), &json!({"data": data}));
    }

    /// Whether the token behind an accessor still lives.
    pub fn is_alive(&self, accessor: &str) -> bool {
        self.request("POST", "auth/token/lookup-accessor", Some(&json!({"accessor": accessor}))).ok()
    }
}

/// A secrets engine of one test; gone with it.
pub struct Mount(pub String);

impl Mount {
    /// A CA and a role `web`.
    ///
    /// # Panics
    /// When Vault refuses.
    pub fn pki(namespace: &str) -> Self {
        let mount = Self(format!("pki-{namespace}"));
        let vault = &setting().vault;
        vault.write(&format!("sys/mounts/{}", mount.0), &json!({"type": "pki", "config": {"max_lease_ttl": "24h"}}));
        vault.write(
            &format!("{}/root/generate/internal", mount.0),
            &json!({"common_name": "e2e", "ttl": "24h", "key_type": "ec"}),
        );
        let role =
            json!({"allowed_domains": ["example.com"], "allow_subdomains": true, "key_type": "ec", "max_ttl": "1h"});
        vault.write(&format!("{}/roles/web", mount.0), &role);
        mount
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        setting().vault.request("DELETE", &format!("sys/mounts/{}", self.0), None);
    }
}
