//! References, logins, and how failures of either are told and mended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_fakevault::RoleSpec;
use support::{World, condition, path, role};
use tokio::time::sleep;

const VSS: &str = "vaultstaticsecrets";

/// The message of the object's `Ready` condition once that is false and has this code in it.
async fn cause(world: &World, plural: &str, name: &str, code: &str) -> String {
    let wanted = code.to_owned();
    let object = world.cluster.until(&path(plural, name), move |object| {
        let ready = condition(object, "Ready");
        ready["status"] == "False" && ready["message"].as_str().is_some_and(|message| message.contains(&wanted))
    });
    condition(&object.await, "Ready")["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_missing_reference_is_named_with_its_namesake_and_wakes_when_it_appears() {
    let mut world = World::new().await;
    world.auth("other", "shared", json!({ "vaultConnectionRef": "vault" }));
    world.static_secret("app", "web", json!({ "vaultAuthRef": "shared", "refreshAfter": "1h" }));
    world.start();
    let message = cause(&world, VSS, "web", "SK7002").await;
    assert!(message.contains("there is no VaultAuth app/shared") && message.contains("other/shared"), "{message}");
    let begun = Instant::now();
    world.auth("app", "shared", json!({ "vaultConnectionRef": "later" }));
    let message = cause(&world, "vaultauths", "shared", "SK7002").await;
    assert!(message.contains("there is no VaultConnection app/later"), "{message}");
    world.connection("app", "later");
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition("vaultauths", "shared", "Ready", "True").await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waits for no timer: {:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn namespaces_are_admitted_by_list_by_star_and_to_the_default_of_the_house() {
    let mut world = World::new().await;
    world.connection("shared", "vault");
    world.connection(support::HOUSE, "default");
    let to = |allowed: Value| json!({ "vaultConnectionRef": "vault", "allowedNamespaces": allowed });
    world.auth("shared", "none", json!({ "vaultConnectionRef": "vault" }));
    world.auth("shared", "star", to(json!(["*"])));
    world.auth("shared", "listed", to(json!(["x", "app"])));
    world.auth("shared", "others", to(json!(["x", "ap*"])));
    world.auth(support::HOUSE, "default", json!({ "vaultConnectionRef": "default" }));
    for (name, reference) in [
        ("none", "shared/none"),
        ("star", "shared/star"),
        ("listed", "shared/listed"),
        ("others", "shared/others"),
        ("default", ""),
        ("bad", "a/b/c"),
    ] {
        world.static_secret("app", name, json!({ "vaultAuthRef": reference }));
    }
    world.start();
    for name in ["star", "listed", "default"] {
        world.condition(VSS, name, "Ready", "True").await;
    }
    for name in ["none", "others"] {
        let message = cause(&world, VSS, name, "SK7003").await;
        assert!(message.contains("allowedNamespaces do not have app"), "{message}");
    }
    cause(&world, VSS, "bad", "SK7001").await;
    world.stop().await;
}

#[tokio::test]
async fn a_login_that_fails_is_explained_everywhere_and_mended_within_seconds() {
    let mut world = World::new().await;
    world.vault.role("auth/kubernetes", "web", RoleSpec { namespaces: vec!["other".into()], ..role() });
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    world.start();
    for (plural, name) in [(VSS, "web"), ("vaultauths", "vault")] {
        let message = cause(&world, plural, name, "SK3106").await;
        for part in [
            "namespace not authorized",
            "auth/kubernetes",
            "role web",
            "service account web of namespace app",
            "bound_service_account_namespaces",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    let before = world.vault.count("PUT", "auth/kubernetes/login");
    sleep(Duration::from_secs(4)).await;
    let tries = world.vault.count("PUT", "auth/kubernetes/login") - before;
    assert!(tries <= 8, "{tries} logins in 4 s");
    let begun = Instant::now();
    world.vault.role("auth/kubernetes", "web", role());
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition("vaultauths", "vault", "Ready", "True").await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn a_role_that_was_given_a_policy_is_taken_up_by_a_new_login_without_a_restart() {
    let mut world = World::new().await;
    world.vault.role("auth/kubernetes", "web", RoleSpec { policies: vec!["none".into()], ..role() });
    world.static_secret("app", "web", json!({ "refreshAfter": "1h" }));
    world.start();
    let message = cause(&world, VSS, "web", "SK4001").await;
    assert!(message.contains("secret/data/web") && message.contains("role web of auth/kubernetes"), "{message}");
    world.vault.role("auth/kubernetes", "web", role());
    let begun = Instant::now();
    world.condition(VSS, "web", "Ready", "True").await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn one_denied_path_costs_the_others_no_login() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.static_secret("app", "denied", json!({ "path": "hidden" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    cause(&world, VSS, "denied", "SK4001").await;
    sleep(Duration::from_secs(5)).await;
    let logins = world.vault.count("PUT", "auth/kubernetes/login");
    assert!(logins <= 2, "{logins} logins for one denied path");
    let tokens = world.vault.tokens().len();
    assert_eq!(tokens, 1, "the token of the second opinion is revoked");
    world.condition(VSS, "web", "Ready", "True").await;
    world.stop().await;
}

#[tokio::test]
async fn a_revoked_token_and_a_sealed_vault_are_overcome() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    world.static_secret("app", "slow", json!({ "refreshAfter": "1h" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    world.vault.revoke_all_tokens();
    world.vault.put("secret/web", json!({ "user": "after" }));
    world.secret("web", "user", "after").await;
    world.vault.seal(true);
    cause(&world, VSS, "web", "SK3006").await;
    cause(&world, "vaultconnections", "vault", "SK3006").await;
    world.secret("web", "user", "after").await;
    world.vault.put("secret/web", json!({ "user": "unsealed" }));
    world.vault.seal(false);
    let begun = Instant::now();
    world.secret("web", "user", "unsealed").await;
    world.condition("vaultconnections", "vault", "Ready", "True").await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn many_secrets_of_one_namespace_share_one_login() {
    let mut world = World::new().await;
    for index in 0..20 {
        world.static_secret("app", &format!("web-{index}"), json!({}));
    }
    world.start();
    for index in 0..20 {
        world.condition(VSS, &format!("web-{index}"), "Ready", "True").await;
    }
    assert_eq!(world.vault.count("PUT", "auth/kubernetes/login"), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_global_fills_what_the_auth_leaves_out() {
    let mut world = World::new().await;
    let kubernetes =
        json!({ "role": "web", "mount": "kubernetes", "audiences": ["vault"], "tokenExpirationSeconds": 700 });
    let global = json!({ "allowedNamespaces": ["app"], "defaultAuthMethod": "kubernetes", "vaultConnectionRef": "app/vault", "kubernetes": kubernetes });
    world.apply("vaultauthglobals", "VaultAuthGlobal", support::HOUSE, "default", global);
    let own = json!({ "vaultAuthGlobalRef": { "allowDefault": true }, "kubernetes": { "serviceAccount": "web" } });
    world.apply("vaultauths", "VaultAuth", "app", "sparse", own.clone());
    world.apply("vaultauths", "VaultAuth", "elsewhere", "sparse", own);
    world.static_secret("app", "web", json!({ "vaultAuthRef": "sparse" }));
    world.start();
    world.condition(VSS, "web", "Ready", "True").await;
    let refused = format!("{}/namespaces/elsewhere/vaultauths/sparse", support::GROUP);
    world
        .cluster
        .until(&refused, |object| object["status"]["error"].as_str().is_some_and(|error| error.contains("SK7003")))
        .await;
    world.stop().await;
}

#[tokio::test]
async fn kinds_and_methods_that_are_not_served_say_so() {
    let mut world = World::new().await;
    world.auth("app", "ldap", json!({ "method": "ldap", "vaultConnectionRef": "vault" }));
    world.apply("hcpauths", "HCPAuth", "app", "hcp", json!({ "organizationID": "o", "projectID": "p" }));
    world.apply("csisecrets", "CSISecrets", "app", "csi", json!({}));
    world.start();
    let message = cause(&world, "vaultauths", "ldap", "SK3112").await;
    assert!(message.contains("kubernetes, jwt, appRole, aws or gcp"), "{message}");
    cause(&world, "hcpauths", "hcp", "SK7005").await;
    cause(&world, "csisecrets", "csi", "SK7005").await;
    world.stop().await;
}

#[tokio::test]
async fn a_token_is_never_sent_to_a_metadata_service() {
    let mut world = World::new().await;
    world.apply("vaultconnections", "VaultConnection", "app", "vault", json!({ "address": "http://169.254.169.254" }));
    world.static_secret("app", "web", json!({}));
    world.start();
    cause(&world, VSS, "web", "SK7012").await;
    cause(&world, "vaultconnections", "vault", "SK7012").await;
    assert_eq!(world.cluster.count("POST", "serviceaccounts"), 0, "no token is minted for it");
    world.stop().await;
}

#[tokio::test]
async fn a_second_replica_waits_for_the_lease_and_takes_over_at_once() {
    let mut world = World::new().await;
    world.static_secret("app", "web", json!({}));
    let holder = |spec: &Value| spec["spec"]["holderIdentity"].clone();
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/b0d477c0.hashicorp.com", support::HOUSE);
    world.cluster.apply("leases", json!({ "apiVersion": "coordination.k8s.io/v1", "metadata": { "name": "b0d477c0.hashicorp.com", "namespace": support::HOUSE }, "spec": { "holderIdentity": "vso_1", "leaseDurationSeconds": 15 } }));
    world.start();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(holder(&world.cluster.get(&lease)), "vso_1");
    assert_eq!(world.cluster.count("GET", "vaultstaticsecrets"), 0, "it does nothing while another operator works");
    world.cluster.edit(&lease, |object| object["spec"]["holderIdentity"] = Value::Null);
    world.condition(VSS, "web", "Ready", "True").await;
    assert_eq!(holder(&world.cluster.get(&lease)), "operator-1");
    world.stop().await;
    assert_eq!(holder(&world.cluster.get(&lease)), Value::Null, "given back at the end");
}

#[tokio::test]
async fn a_vault_secrets_operator_that_renews_the_lease_is_not_waited_for() {
    let world = World::new().await;
    world.static_secret("app", "web", json!({}));
    let holder = "vso-5d8f6c7b9-x2x4z_0b5a3f4e-6c1d-4e2f-9a8b-7c6d5e4f3a2b";
    let name = "b0d477c0.hashicorp.com";
    let lease = |renewals: u64| {
        let spec = json!({ "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": renewals });
        let metadata = json!({ "name": name, "namespace": support::HOUSE });
        json!({ "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "spec": spec })
    };
    world.cluster.apply("leases", lease(0));
    let (_trigger, drain) = sidekey_runtime::drain::channel();
    let api = sidekey_cluster::api::Api::new(world.cluster.client());
    let running = tokio::spawn(sidekey_operator::run::run_with(support::options(), api, drain));
    let mut renewals = 0;
    while !running.is_finished() {
        renewals += 1;
        assert!(renewals < 20, "it waits");
        world.cluster.apply("leases", lease(renewals));
        sleep(Duration::from_secs(1)).await;
    }
    let words = running.await.unwrap().unwrap_err().to_string();
    assert!(words.contains("SK7020") && words.contains(holder), "{words}");
    assert_eq!(world.cluster.count("GET", "vaultstaticsecrets"), 0);
}

#[tokio::test]
async fn a_jwt_of_a_service_account_and_one_of_a_secret_log_in() {
    let mut world = World::new().await;
    world.vault.enable_jwt("auth/jwt");
    world.vault.role("auth/jwt", "web", role());
    let jwt = |more: Value| json!({ "method": "jwt", "mount": "jwt", "vaultConnectionRef": "vault", "jwt": more });
    world.auth("app", "account", jwt(json!({ "role": "web", "serviceAccount": "web", "audiences": ["vault"] })));
    world.auth("app", "given", jwt(json!({ "role": "web", "secretRef": "token" })));
    world.auth("app", "absent", jwt(json!({ "role": "web", "secretRef": "none" })));
    let token = world.vault.jwt("app", "web", "vault");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, token);
    world
        .cluster
        .apply("secrets", json!({ "metadata": { "name": "token", "namespace": "app" }, "data": { "jwt": encoded } }));
    for name in ["account", "given", "absent"] {
        world.static_secret("app", name, json!({ "vaultAuthRef": name }));
    }
    world.start();
    world.condition(VSS, "account", "Ready", "True").await;
    world.condition(VSS, "given", "Ready", "True").await;
    let message = cause(&world, VSS, "absent", "SK7010").await;
    assert!(message.contains("Secret app/none"), "{message}");
    world.stop().await;
}

#[tokio::test]
async fn a_private_ca_is_read_from_its_secret() {
    let mut world = World::over_tls().await;
    let address = world.vault.address();
    let spec = |more: Value| {
        let mut spec = json!({ "address": address, "skipTLSVerify": false });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    world.apply("vaultconnections", "VaultConnection", "app", "vault", spec(json!({})));
    world.static_secret("app", "web", json!({}));
    world.start();
    let message = cause(&world, "vaultconnections", "vault", "SK3003").await;
    assert!(message.contains("unknown authority"), "{message}");
    cause(&world, VSS, "web", "SK3003").await;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, world.vault.ca_pem());
    world
        .cluster
        .apply("secrets", json!({ "metadata": { "name": "ca", "namespace": "app" }, "data": { "ca.crt": encoded } }));
    world.apply("vaultconnections", "VaultConnection", "app", "vault", spec(json!({ "caCertSecretRef": "ca" })));
    world.condition(VSS, "web", "Ready", "True").await;
    world.condition("vaultconnections", "vault", "Ready", "True").await;
    world.stop().await;
}

/// The Vault namespaces that requests of this path were sent to.
fn namespaces(world: &World, path: &str) -> Vec<String> {
    let requests = world.vault.requests();
    let there = requests.iter().filter(|one| one.path == path).map(|one| one.namespace.clone().unwrap_or_default());
    there.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[tokio::test]
async fn of_vault_namespaces_the_secrets_wins_then_the_auths_then_the_globals() {
    let mut world = World::new().await;
    let global = json!({ "allowedNamespaces": ["*"], "defaultVaultNamespace": "by-global" });
    world.apply("vaultauthglobals", "VaultAuthGlobal", support::HOUSE, "default", global);
    let to_global = json!({ "allowDefault": true });
    world.vault.enable_kubernetes("auth/own");
    world.vault.enable_kubernetes("auth/lent");
    for (name, namespace) in [("own", json!("by-auth")), ("lent", Value::Null)] {
        world.vault.role(&format!("auth/{name}"), "web", role());
        let more = json!({ "mount": name, "vaultConnectionRef": "vault", "vaultAuthGlobalRef": to_global, "namespace": namespace });
        world.auth("app", name, more);
    }
    world.static_secret("app", "web", json!({ "vaultAuthRef": "own", "namespace": "by-secret" }));
    world.static_secret("app", "kv1", json!({ "vaultAuthRef": "own", "mount": "kv1", "type": "kv-v1" }));
    world.static_secret("app", "none", json!({ "vaultAuthRef": "lent", "path": "two" }));
    world.vault.put("secret/two", json!({ "user": "two" }));
    world.start();
    for name in ["web", "kv1", "none"] {
        world.condition(VSS, name, "Ready", "True").await;
    }
    let cases = [
        ("auth/own/login", "by-auth"),
        ("secret/data/web", "by-secret"),
        ("kv1/web", "by-auth"),
        ("auth/lent/login", "by-global"),
        ("secret/data/two", "by-global"),
    ];
    for (path, want) in cases {
        assert_eq!(namespaces(&world, path), [want], "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_secret_id_comes_from_a_secret_or_a_file() {
    let mut world = World::new().await;
    world.vault.enable_approle("auth/approle");
    world.vault.role("auth/approle", "web", role());
    let (role_id, secret_id) =
        (world.vault.role_id("auth/approle", "web"), world.vault.secret_id("auth/approle", "web"));
    let file = std::env::temp_dir().join(format!("sidekey-secret-id-{}", std::process::id()));
    // As an editor leaves it.
    std::fs::write(&file, format!("{secret_id}\n")).unwrap();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &secret_id);
    let data = json!({ "metadata": { "name": "ids", "namespace": "app" }, "data": { "id": encoded } });
    world.cluster.apply("secrets", data);
    let cases = [
        ("file", json!({ "secretIDPath": file })),
        ("secret", json!({ "secretRef": "ids" })),
        ("both", json!({ "secretIDPath": file, "secretRef": "ids" })),
        ("neither", json!({})),
        ("climbing", json!({ "secretIDPath": format!("/tmp/..{}", file.display()) })),
        ("relative", json!({ "secretIDPath": "id" })),
        ("folder", json!({ "secretIDPath": "/tmp" })),
        ("absent", json!({ "secretRef": "none" })),
    ];
    for (name, more) in cases {
        let mut ids = json!({ "roleId": role_id });
        ids.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.auth(
            "app",
            name,
            json!({ "method": "appRole", "mount": "approle", "vaultConnectionRef": "vault", "appRole": ids }),
        );
        world.static_secret("app", name, json!({ "vaultAuthRef": name }));
    }
    world.start();
    for name in ["file", "secret"] {
        world.condition(VSS, name, "Ready", "True").await;
    }
    for (name, code, words) in [
        ("both", "SK7001", "exclude each other"),
        ("neither", "SK7001", "appRole.secretRef"),
        ("climbing", "SK7010", "has .. in it"),
        ("relative", "SK7010", "not absolute"),
        ("folder", "SK7010", "no readable file"),
        ("absent", "SK7010", "Secret app/none"),
    ] {
        let message = cause(&world, VSS, name, code).await;
        assert!(message.contains(words) && !message.contains(&secret_id), "{name}: {message}");
    }
    world.stop().await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_default_global_is_used_where_operator_and_auth_allow_it() {
    for switch in [true, false] {
        let mut world = World::new().await;
        let global = |role: &str| {
            let kubernetes =
                json!({ "role": role, "mount": "kubernetes", "serviceAccount": "web", "audiences": ["vault"] });
            json!({ "allowedNamespaces": ["app"], "defaultAuthMethod": "kubernetes", "vaultConnectionRef": "app/vault", "kubernetes": kubernetes })
        };
        // That of the auth's own namespace comes before the operator's, whose role is of no use.
        world.apply("vaultauthglobals", "VaultAuthGlobal", "app", "default", global("web"));
        world.apply("vaultauthglobals", "VaultAuthGlobal", support::HOUSE, "default", global("none"));
        let asking = |reference: Value| json!({ "vaultAuthGlobalRef": reference });
        world.apply("vaultauths", "VaultAuth", "app", "allows", asking(json!({ "allowDefault": true })));
        world.apply("vaultauths", "VaultAuth", "app", "forbids", asking(json!({ "allowDefault": false })));
        world.apply(
            "vaultauths",
            "VaultAuth",
            "app",
            "named",
            asking(json!({ "name": "default", "namespace": "app" })),
        );
        for name in ["allows", "forbids", "named"] {
            world.static_secret("app", name, json!({ "vaultAuthRef": name }));
        }
        let options = sidekey_operator::run::Options { default_globals: switch, ..support::options() };
        world.start_with(options);
        world.condition(VSS, "named", "Ready", "True").await;
        let message = cause(&world, VSS, "forbids", "SK7001").await;
        assert!(message.contains("neither a name nor allowDefault"), "{message}");
        if switch {
            world.condition(VSS, "allows", "Ready", "True").await;
        } else {
            let message = cause(&world, VSS, "allows", "SK7001").await;
            assert!(message.contains("switched off for this operator"), "{message}");
        }
        world.stop().await;
    }
}
