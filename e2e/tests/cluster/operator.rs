//! Secrets kept by the operator: from real Vault through the real API server into Secrets and workloads.

use std::thread::sleep;

use serde_json::{Value, json};
use sidekey_e2e::kept::{ADDRESS, decoded, restarted};
use sidekey_e2e::vault::Mount;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, command, sandbox};

#[test]
fn a_static_secret_and_its_change_reach_the_secret_and_restart_the_workloads_once() {
    let kept = Kept::new("op-static");
    let workloads = [kept.workload("deployments", "web"), kept.workload("statefulsets", "store")];
    kept.sandbox.put("web", &json!({"user": "app", "password": "first"}));
    let targets = json!([{"kind": "Deployment", "name": "web"}, {"kind": "StatefulSet", "name": "store"}]);
    kept.static_secret("web", &json!({"rolloutRestartTargets": targets}));
    let secret = kept.holds("web", "password", "first");
    assert!(decoded(&secret, "_raw").contains(r#""data":{"password":"first","user":"app"}"#));
    kept.ready("vaultstaticsecrets", "web", "True");
    kept.ready("vaultauths", "vault", "True");
    kept.ready("vaultconnections", "vault", "True");
    let all = || workloads.clone().map(|workload| restarted(&workload));
    assert_eq!(all(), [None, None], "the first sync restarts nobody");

    kept.sandbox.put("web", &json!({"user": "app", "password": "second"}));
    kept.holds("web", "password", "second");
    let first = until(seconds(20), "restarted", || match all() {
        [Some(web), Some(store)] => Ok([Some(web), Some(store)]),
        other => Err(format!("{other:?}")),
    });
    sleep(seconds(6));
    assert_eq!(all(), first, "one change restarts once");
}

#[test]
fn a_deleted_or_edited_secret_is_mended_and_goes_with_its_object() {
    let kept = Kept::new("op-drift");
    kept.sandbox.put("web", &json!({"user": "app"}));
    kept.static_secret("web", &json!({"refreshAfter": "1h"}));
    kept.holds("web", "user", "app");
    let path = kept.secret_path("web");
    api::patch(&path, &json!({"data": {"user": "eA=="}})).expect("edit");
    kept.holds("web", "user", "app");
    api::delete(&path).expect("delete");
    kept.holds("web", "user", "app");
    api::delete(&kept.one("vaultstaticsecrets", "web")).expect("delete");
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
    sleep(seconds(3));
    let versions = || {
        let secret = api::get(&kept.secret_path("web")).json();
        let object = kept.get("vaultstaticsecrets", "web");
        (secret["metadata"]["resourceVersion"].clone(), object["metadata"]["resourceVersion"].clone())
    };
    let before = versions();
    sleep(seconds(15));
    assert_eq!(versions(), before, "over seven looks");
}

/// One object of each kind that is served, as a repository has them, with a label of its own.
fn repository(kept: &Kept, mount: &Mount) -> Vec<(&'static str, &'static str, Value)> {
    let namespace = &kept.sandbox.namespace;
    let to = |name: &str| json!({"name": name, "create": true, "labels": {"a": "b"}, "annotations": {"c": "d"}});
    let mut destination = to("web");
    destination["transformation"] = json!({"transformationRefs": [{"name": "url"}]});
    let mut auth = kept.auth("own");
    auth["vaultAuthGlobalRef"] = json!({"name": "all"});
    vec![
        (
            "vaultconnections",
            "VaultConnection",
            json!({"address": ADDRESS, "caCertSecretRef": "vault-ca", "skipTLSVerify": false}),
        ),
        ("vaultauthglobals", "VaultAuthGlobal", json!({"kubernetes": {"headers": {"x-team": "a"}}})),
        ("vaultauths", "VaultAuth", auth),
        (
            "secrettransformations",
            "SecretTransformation",
            json!({"templates": {"url": {"text": "{{ get .Secrets \"user\" }}@db"}}}),
        ),
        (
            "vaultstaticsecrets",
            "VaultStaticSecret",
            json!({"vaultAuthRef": "own", "mount": "secret", "path": format!("{namespace}/web"), "type": "kv-v2",
                "destination": destination}),
        ),
        (
            "vaultdynamicsecrets",
            "VaultDynamicSecret",
            json!({"vaultAuthRef": "own", "mount": "database", "path": format!("creds/{namespace}"), "revoke": true,
                "destination": to("db")}),
        ),
        (
            "vaultpkisecrets",
            "VaultPKISecret",
            json!({"vaultAuthRef": "own", "mount": mount.0, "role": "web", "commonName": "web.example.com", "ttl": "1h",
                "revoke": true, "destination": to("tls")}),
        ),
    ]
}

/// What a GitOps tool does every few minutes, and how it decides that something drifted.
#[test]
fn what_is_applied_again_is_not_changed_and_shows_no_drift() {
    let kept = Kept::with_database("op-gitops");
    let namespace = kept.sandbox.namespace.clone();
    let mount = Mount::pki(&namespace);
    kept.sandbox.grant(&format!(
        "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\n\
         path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}\n\
         path \"{}/*\" {{ capabilities = [\"update\"] }}",
        mount.0
    ));
    kept.sandbox.put("web", &json!({"user": "app"}));
    let names = ["own", "all", "own", "url", "web", "db", "tls"];
    let objects: Vec<_> = names.into_iter().zip(repository(&kept, &mount)).collect();
    let items = objects.iter().map(|(name, (_, kind, spec))| {
        let metadata = json!({"name": name, "namespace": namespace, "labels": {"team": "a"}});
        json!({"apiVersion": "secrets.hashicorp.com/v1beta1", "kind": kind, "metadata": metadata, "spec": spec})
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()});
    let versions = || -> Vec<_> {
        let one = |(name, (plural, ..)): &(&str, (&str, &str, Value))| {
            kept.get(plural, name)["metadata"]["resourceVersion"].clone()
        };
        objects.iter().map(one).collect()
    };
    for arguments in [&["apply", "-f", "-"][..], &["apply", "--server-side", "--force-conflicts", "-f", "-"]] {
        command::run("kubectl", arguments, &list.to_string()).expect("apply");
        for (name, (plural, ..)) in &objects {
            // A VaultAuthGlobal has no status of its own accord.
            if *plural != "vaultauthglobals" {
                kept.ready(plural, name, "True");
            }
        }
        let before = versions();
        command::run("kubectl", arguments, &list.to_string()).expect("apply again");
        let diff = [&["diff"][..], &arguments[1..]].concat();
        let drift = command::run("kubectl", &diff, &list.to_string());
        assert!(drift.ok, "{}{}", drift.out, drift.err);
        sleep(seconds(3));
        assert_eq!(versions(), before, "{arguments:?}");
    }
    let secret = kept.holds("web", "url", "app@db");
    assert_eq!(
        (&secret["metadata"]["labels"]["a"], &secret["metadata"]["annotations"]["c"]),
        (&json!("b"), &json!("d"))
    );
}
