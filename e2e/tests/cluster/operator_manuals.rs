//! The set-ups that manuals walk their readers through: their manifests, unedited, all reach Ready.

use serde_json::{Value, json};
use sidekey_e2e::kept::{OPERATOR, condition, decoded, restarted};
use sidekey_e2e::manuals::{Namespace, apply, engine, role, transit};
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{api, sandbox, setting};

const GROUP: &str = "/apis/secrets.hashicorp.com/v1beta1";

fn message(namespace: &str, plural: &str, name: &str, status: &str) -> String {
    let path = format!("{GROUP}/namespaces/{namespace}/{plural}/{name}");
    until(seconds(90), &format!("{path} Ready={status}"), || {
        let ready = condition(&api::get(&path).json(), "Ready");
        let message = ready["message"].as_str().unwrap_or_default().to_owned();
        if ready["status"] == status { Ok(message) } else { Err(ready.to_string()) }
    })
}

fn ready(namespace: &str, objects: &[(&str, &str)]) {
    for (plural, name) in objects {
        message(namespace, plural, name, "True");
    }
}

fn secret(namespace: &str, name: &str) -> Value {
    api::get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}")).json()
}

fn workload(namespace: &str, plural: &str, name: &str) -> String {
    let collection = format!("/apis/apps/v1/namespaces/{namespace}/{plural}");
    let labels = json!({"app": name});
    let template =
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": setting().probe}]}});
    let mut spec = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": template});
    if plural == "statefulsets" {
        spec["serviceName"] = json!(name);
    }
    api::create(&collection, &json!({"metadata": {"name": name}, "spec": spec})).expect(plural);
    format!("{collection}/{name}")
}

#[test]
fn the_manifests_of_a_homelab_reach_ready_and_restart_what_they_name() {
    assert!(setting().plain, "not run: E2E_PLAIN_VAULT says of no Vault at http://vault.vault.svc.cluster.local:8200");
    engine("kv", &json!({"type": "kv", "options": {"version": "2"}}));
    let put = |path: &str, data: Value| {
        until(seconds(20), "the engine is upgraded", || {
            let answer = sandbox::vault().request("POST", &format!("kv/data/{path}"), Some(&json!({"data": data})));
            if answer.ok() { Ok(()) } else { Err(answer.body) }
        });
    };
    put("rustfs/cloudnativepg", json!({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "first"}));
    put("rustfs/admin", json!({"RUSTFS_ROOT_USER": "root"}));
    let rules = "path \"kv/data/rustfs/*\" { capabilities = [\"read\"] }";
    let bound = |namespaces: Value| role("cnpg", "default", &namespaces, &json!({"token_ttl": "1h"}), rules);
    bound(json!(["cnpg"]));
    let namespace = Namespace::new("cnpg");
    let workloads = [("deployments", "backup"), ("deployments", "exporter"), ("statefulsets", "rustfs")]
        .map(|(plural, name)| workload(namespace.0, plural, name));
    apply("homelab/cnpg.yaml");
    ready(
        namespace.0,
        &[
            ("vaultconnections", "vault-connection"),
            ("vaultauths", "vault-auth"),
            ("vaultstaticsecrets", "rustfs-credentials"),
            ("vaultstaticsecrets", "rustfs-admin"),
        ],
    );
    let found = secret(namespace.0, "rustfs-credentials");
    assert_eq!(
        (decoded(&found, "AWS_ACCESS_KEY_ID").as_str(), decoded(&found, "AWS_SECRET_ACCESS_KEY").as_str()),
        ("key", "first")
    );

    // A second namespace is refused in Vault's words until the role binds it.
    let second = Namespace::new("media");
    apply("homelab/second-namespace.yaml");
    let words = until(seconds(60), "refused", || {
        let words = message(second.0, "vaultauths", "vault-auth", "False");
        if words.contains("namespace not authorized") { Ok(words) } else { Err(words) }
    });
    assert!(words.contains("role cnpg") && words.contains("namespace media"), "{words}");
    bound(json!(["cnpg", "media"]));
    ready(second.0, &[("vaultstaticsecrets", "rustfs-admin"), ("vaultauths", "vault-auth")]);

    put("rustfs/cloudnativepg", json!({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "second"}));
    until(seconds(70), "changed", || {
        match decoded(&secret(namespace.0, "rustfs-credentials"), "AWS_SECRET_ACCESS_KEY") {
            value if value == "second" => Ok(()),
            value => Err(value),
        }
    });
    for path in workloads {
        until(seconds(20), "restarted", || restarted(&path).ok_or_else(|| path.clone()));
    }
}

#[test]
fn the_manifests_of_a_gitops_guide_reach_ready_although_one_comes_late() {
    transit();
    let vault = sandbox::vault();
    engine("kvv2", &json!({"type": "kv", "options": {"version": "2"}}));
    let put = |value: &str| {
        until(seconds(20), "the engine is upgraded", || {
            let data = json!({"data": {"username": "static-user", "password": value}});
            let answer = vault.request("POST", "kvv2/data/webapp/config", Some(&data));
            if answer.ok() { Ok(()) } else { Err(answer.body) }
        });
    };
    put("first");
    engine("demo-db", &json!({"type": "database"}));
    let url = format!("postgresql://{{{{username}}}}:{{{{password}}}}@{}/postgres?sslmode=disable", setting().postgres);
    vault.write(
        "demo-db/config/demo-db",
        &json!({"plugin_name": "postgresql-database-plugin", "allowed_roles": "dev-postgres",
        "username": "vaultadmin", "password": "vaultadmin", "connection_url": url}),
    );
    let make = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
                GRANT ALL PRIVILEGES ON DATABASE postgres TO \"{{name}}\";";
    let end = "REVOKE ALL ON DATABASE postgres FROM \"{{name}}\";";
    vault.write(
        "demo-db/roles/dev-postgres",
        &json!({"db_name": "demo-db", "creation_statements": [make],
        "revocation_statements": [end], "default_ttl": "1m", "max_ttl": "1m"}),
    );
    let rules = "path \"kvv2/data/webapp/config\" { capabilities = [\"read\"] }\n\
                 path \"demo-db/creds/dev-postgres\" { capabilities = [\"read\"] }";
    let periodic = json!({"audience": "vault", "token_ttl": 0, "token_period": 120});
    role("auth-role-app", "demo-app", &json!(["app"]), &periodic, rules);

    apply("flux/operator-auth.yaml");
    let namespace = Namespace::new("app");
    let workload = workload(namespace.0, "deployments", "webapp");
    apply("flux/app.yaml");
    let words = message(namespace.0, "vaultstaticsecrets", "webapp", "False");
    assert!(words.contains("there is no VaultAuth app/app-auth"), "{words}");
    apply("flux/app-auth.yaml");
    ready(OPERATOR, &[("vaultconnections", "default"), ("vaultauths", "vault-secrets-operator-default-transit-auth")]);
    ready(
        namespace.0,
        &[("vaultauths", "app-auth"), ("vaultstaticsecrets", "webapp"), ("vaultdynamicsecrets", "webapp-db")],
    );
    // The one made twice is well, and says that it is of no effect.
    let words = message(OPERATOR, "vaultauths", "transit-auth", "True");
    assert!(words.contains("has not the label cacheStorageEncryption=true"), "{words}");

    put("second");
    let begun = std::time::Instant::now();
    until(seconds(30), "changed", || match decoded(&secret(namespace.0, "webapp"), "password") {
        value if value == "second" => Ok(()),
        value => Err(value),
    });
    println!("a change of a secret of 10 s was seen after {:?}", begun.elapsed());
    let first = decoded(&secret(namespace.0, "webapp-db"), "username");
    until(seconds(70), "other credentials within the minute", || {
        match decoded(&secret(namespace.0, "webapp-db"), "username") {
            user if user != first => Ok(()),
            user => Err(user),
        }
    });
    until(seconds(20), "restarted", || restarted(&workload).ok_or("no annotation"));
}
