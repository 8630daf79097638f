//! That no annotation of a pod's own leads round what the settings force, forbid or allow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use serde_json::{Map, Value, json};
use sidekey_core::Code;
use sidekey_inject::{Facts, Outcome, Settings, mutate};

const VAULT_ON: [(&str, &str); 3] =
    [("V/agent-inject", "true"), ("V/role", "web"), ("V/agent-inject-secret-db", "a/db")];
const NATIVE_ON: [(&str, &str); 3] = [("S/inject", "true"), ("S/role", "web"), ("S/secret-db", "a/db")];

fn full(key: &str) -> String {
    key.replace("V/", "vault.hashicorp.com/").replace("S/", "sidekey.dev/")
}

fn outcome(settings: &str, annotations: &[(&str, &str)]) -> Outcome {
    let map: Map<String, Value> = annotations.iter().map(|(key, value)| (full(key), (*value).into())).collect();
    let pod = json!({ "metadata": { "annotations": map }, "spec": { "containers": [{ "name": "app" }] } });
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() };
    mutate(&pod, &facts, &Settings::from_yaml(settings).unwrap())
}

/// A policy, what the pod says, and what the refusal names; without a word the pod is injected.
type Round<'a> = (&'a str, (&'a str, &'a str), Option<&'a str>);

fn check_rounds(on: &[(&str, &str)], cases: &[Round<'_>]) {
    for (policy, (key, value), setting) in cases {
        let annotations: Vec<_> = on.iter().copied().filter(|(one, _)| one != key).chain([(*key, *value)]).collect();
        let outcome = outcome(&format!("policy: {policy}"), &annotations);
        match (outcome, setting) {
            (Outcome::Patch(_), None) => {}
            (Outcome::Deny { cause, .. }, Some(setting)) => {
                assert_eq!(cause.code, Code::PolicyRefused, "{cause}");
                let answer = format!("it could get round `{setting}` of the webhook's settings");
                assert_eq!(
                    (cause.attempted, cause.answer),
                    (format!("reading annotation {}", full(key)), answer),
                    "{policy}"
                );
            }
            (outcome, _) => panic!("{policy} {key}={value}: {outcome:?}"),
        }
    }
}

#[test]
fn nothing_leads_round_the_addresses_that_are_allowed() {
    let addresses = r#"{ allowed: { addresses: ["https://vault.vault.svc:8200"] } }"#;
    let refused = Some("allowed.addresses");
    let cases = [
        (addresses, ("V/proxy-address", "http://evil:3128"), refused),
        (addresses, ("S/proxy-address", "false"), refused),
        (addresses, ("V/agent-configmap", "web-agent"), refused),
        (addresses, ("V/agent-configmap", "false"), refused),
        (addresses, ("V/tls-skip-verify", "1"), refused),
        (addresses, ("V/tls-skip-verify", "f"), None),
        (addresses, ("V/proxy-address", ""), None),
        (addresses, ("V/agent-configmap", ""), None),
        (r#"{ allowed: { images: ["sidekey-agent:*"] } }"#, ("V/proxy-address", "http://p:3128"), None),
    ];
    check_rounds(&VAULT_ON, &cases);
    check_rounds(&NATIVE_ON, &[(addresses, ("V/agent-configmap", "web-agent"), refused)]);
}

#[test]
fn a_config_map_of_the_pods_own_leads_round_no_setting_that_means_nothing_to_its_files() {
    let file = ("V/agent-configmap", "web-agent");
    let cases = [
        ("{ allowed: { roles: [web] } }", file, Some("allowed.roles")),
        ("{ forced: { vault.hashicorp.com/role: web } }", file, Some("forced: vault.hashicorp.com/role")),
        ("{ forced: { openbao.org/service: 'https://v:8200' } }", file, Some("forced: openbao.org/service")),
        ("{ forced: { vault.hashicorp.com/namespace: team } }", file, Some("forced: vault.hashicorp.com/namespace")),
        ("{ forced: { vault.hashicorp.com/auth-path: auth/k }}", file, Some("forced: vault.hashicorp.com/auth-path")),
        ("{ forced: { sidekey.dev/token-audience: vault } }", file, Some("forced: sidekey.dev/token-audience")),
        (
            "{ forced: { vault.hashicorp.com/auth-config-role: web } }",
            file,
            Some("forced: vault.hashicorp.com/auth-config-role"),
        ),
        ("{ forbidden: [sidekey.dev/tls-skip-verify] }", file, Some("forbidden: sidekey.dev/tls-skip-verify")),
        ("{ forbidden: ['sidekey.dev/command-*'] }", file, Some("forbidden: sidekey.dev/command-*")),
        (
            "{ forbidden: [vault.hashicorp.com/auth-config-token-path] }",
            file,
            Some("forbidden: vault.hashicorp.com/auth-config-token-path"),
        ),
        // A default, what other pods are told, and what holds beside such files as well.
        ("{ defaults: { vault.hashicorp.com/role: web } }", file, None),
        ("{ forced: { sidekey.dev/role: web } }", file, None),
        ("{ forced: { vault.hashicorp.com/agent-revoke-on-shutdown: 'true' } }", file, None),
        ("{ forbidden: [sidekey.dev/image, sidekey.dev/command-db, 'sidekey.dev/role-*'] }", file, None),
        ("{ allowed: { images: ['sidekey-agent:*'] } }", file, None),
    ];
    check_rounds(&VAULT_ON, &cases);
}

#[test]
fn a_config_map_that_the_settings_chose_needs_no_leave_and_no_role() {
    let on = [("V/agent-inject", "true")];
    for how in ["defaults", "forced"] {
        let policy = format!("policy: {{ {how}: {{ vault.hashicorp.com/agent-configmap: theirs }}, ");
        let settings = format!("{policy} allowed: {{ roles: [web], addresses: ['https://vault.vault.svc:8200'] }} }}");
        let theirs = outcome(&settings, &on);
        assert!(matches!(theirs, Outcome::Patch(_)), "{how}: {theirs:?}");
        let other = outcome(&settings, &[on[0], ("V/service", "https://evil:8200")]);
        assert!(matches!(other, Outcome::Deny { .. }), "the address is the agent's, whatever the files say: {other:?}");
    }
}

#[test]
fn a_forced_value_is_so_for_each_file() {
    let plain = [
        "address=https://v:8200",
        "namespace=team",
        "ca-cert=/ca.pem",
        "ca-configmap=trust",
        "ca-secret=trust",
        "tls-server-name=vault",
        "auth-path=auth/k",
        "role=web",
        "token-audience=vault",
        "path=/secrets",
        "mode=0400",
        "format=json",
        "template-engine=go",
        "containers=app",
        "max-stale=1h",
    ];
    for (key, value) in plain.iter().filter_map(|one| one.split_once('=')) {
        let policy = format!("{{ forced: {{ sidekey.dev/{key}: '{value}' }} }}");
        let own = format!("S/{key}-db");
        let refused = format!("forced: sidekey.dev/{key}");
        let cases: [Round<'_>; 3] = [
            (&policy, (&own, "0444"), Some(&refused)),
            (&policy, (&own, ""), Some(&refused)),
            (&policy, (&own, value), None),
        ];
        check_rounds(&NATIVE_ON, &cases);
    }
    let forced = "{ forced: { vault.hashicorp.com/role: web, openbao.org/secret-volume-path: /v } }";
    let cases = [
        (forced, ("S/role-db", "admin"), Some("forced: vault.hashicorp.com/role")),
        (forced, ("S/role-db", "web"), None),
        (forced, ("V/secret-volume-path-db", "/x"), Some("forced: openbao.org/secret-volume-path")),
        (forced, ("V/auth-config-role", "admin"), None),
    ];
    check_rounds(&VAULT_ON, &cases);
    // The settings' own word on one file stands.
    let own = "policy: { forced: { sidekey.dev/role: web }, defaults: { sidekey.dev/role-db: pki } }";
    let Outcome::Patch(injection) = outcome(own, &NATIVE_ON) else { panic!("not injected") };
    assert_eq!(injection.agents[0].1.auth.role, "pki");
}

#[test]
fn a_forced_value_is_not_said_otherwise_by_another_key() {
    let cases = [
        (
            "{ forced: { sidekey.dev/auth-config-role: web } }",
            ("S/role", "admin"),
            Some("sidekey.dev/auth-config-role"),
        ),
        (
            "{ forced: { sidekey.dev/auth-config-token_path: /t } }",
            ("S/auth-config-token-path", "/x"),
            Some("sidekey.dev/auth-config-token_path"),
        ),
        ("{ forced: { sidekey.dev/ca-configmap: a } }", ("S/ca-cert", "/x"), Some("sidekey.dev/ca-configmap")),
        ("{ forced: { sidekey.dev/ca-configmap: a } }", ("S/ca-secret-db", "a"), Some("sidekey.dev/ca-configmap")),
        ("{ forced: { sidekey.dev/ca-configmap: a } }", ("S/ca-path", "/x"), Some("sidekey.dev/ca-configmap")),
        ("{ forced: { sidekey.dev/ca-path: /ca } }", ("S/ca-cert-db", "/x"), Some("sidekey.dev/ca-path")),
        ("{ forced: { sidekey.dev/ca-cert: /ca } }", ("S/auth-config-ca-cert", "/x"), Some("sidekey.dev/ca-cert")),
        (
            "{ forced: { sidekey.dev/client-key: /k } }",
            ("S/auth-config-client_key", "/x"),
            Some("sidekey.dev/client-key"),
        ),
        ("{ forced: { sidekey.dev/ca-configmap: a } }", ("S/ca-secret", "b"), None),
        ("{ forced: { sidekey.dev/role: web } }", ("S/auth-config-role", "admin"), None),
        ("{ forced: { sidekey.dev/ca-cert: /ca } }", ("S/client-key", "/x"), None),
    ];
    for (policy, own, key) in cases {
        let key = key.map(|key| format!("forced: {key}"));
        check_rounds(&NATIVE_ON, &[(policy, own, key.as_deref())]);
    }
}

#[test]
fn a_parameter_is_forbidden_whichever_way_it_is_spelt() {
    let settings = "policy: { forbidden: [sidekey.dev/auth-config-token-path] }";
    for key in ["S/auth-config-token-path", "S/auth-config-token_path", "V/auth-config-token_path"] {
        let annotations: Vec<_> = NATIVE_ON.into_iter().chain([(key, "/x")]).collect();
        let outcome = outcome(settings, &annotations);
        assert!(
            matches!(&outcome, Outcome::Deny { cause, .. } if cause.code == Code::PolicyRefused),
            "{key} {outcome:?}"
        );
    }
}

#[test]
fn a_forced_server_name_goes_with_a_file_to_its_own_address() {
    let own: Vec<_> = NATIVE_ON.into_iter().chain([("S/address-db", "https://other:8200")]).collect();
    for (how, name) in [("forced", Some("vault")), ("defaults", None)] {
        let settings = format!("policy: {{ {how}: {{ sidekey.dev/tls-server-name: vault }} }}");
        let Outcome::Patch(injection) = outcome(&settings, &own) else { panic!("not injected") };
        let server = &injection.agents[0].1.server;
        assert_eq!((server.address.as_str(), server.server_name.as_deref()), ("https://other:8200", name), "{how}");
    }
}
