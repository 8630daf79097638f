//! What the settings say about pods' annotations, and that pods cannot talk around it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use serde_json::{Map, Value, json};
use sidekey_core::{AgentConfig, Cause, Code};
use sidekey_inject::{Facts, Injection, Outcome, Settings, SkipReason, mutate};

const SETTINGS: &str = r#"
policy:
  defaults:
    sidekey.dev/role: everyone
    vault.hashicorp.com/role: everyone
    sidekey.dev/start-deadline: 10m
    sidekey.dev/secret-ca.pem: pki/cert/ca
  forced:
    vault.hashicorp.com/log-level: warn
    sidekey.dev/log-level: warn
  forbidden: [vault.hashicorp.com/proxy-address, sidekey.dev/on-change-*]
  allowed:
    addresses: ["https://*.vault.example:8200"]
    images: ["sidekey-agent:9*"]
namespaces:
  - names: ["team-*"]
    policy:
      defaults: { sidekey.dev/role: team }
      allowed: { roles: ["team", "team-*"] }
  - names: [team-a]
    policy:
      defaults: { sidekey.dev/role: team-a }
      forced: { sidekey.dev/log-level: debug }
"#;

fn outcome(namespace: &str, annotations: &[(&str, &str)]) -> Outcome {
    let map: Map<String, Value> =
        annotations.iter().map(|(key, value)| (key.replace("V/", "vault.hashicorp.com/"), (*value).into())).collect();
    let map: Map<String, Value> =
        map.into_iter().map(|(key, value)| (key.replace("S/", "sidekey.dev/"), value)).collect();
    let pod = json!({ "metadata": { "annotations": map }, "spec": { "containers": [{ "name": "app" }] } });
    let facts = Facts { namespace: namespace.to_owned(), native_sidecars: true, ..Facts::default() };
    mutate(&pod, &facts, &Settings::from_yaml(SETTINGS).unwrap())
}

fn injected(namespace: &str, annotations: &[(&str, &str)]) -> (AgentConfig, Injection) {
    match outcome(namespace, annotations) {
        Outcome::Patch(injection) => (injection.agents[0].1.clone(), *injection),
        other => panic!("not injected: {other:?}"),
    }
}

fn denied(namespace: &str, annotations: &[(&str, &str)]) -> Cause {
    match outcome(namespace, annotations) {
        Outcome::Deny { cause, .. } => cause,
        other => panic!("not denied: {other:?}"),
    }
}

#[test]
fn the_most_particular_default_counts_and_the_pod_before_it() {
    let on = ("S/inject", "true");
    for (namespace, more, role) in [
        ("shop", None, "everyone"),
        ("team-b", None, "team"),
        ("team-a", None, "team-a"),
        ("team-a", Some(("S/role", "team-own")), "team-own"),
    ] {
        let annotations: Vec<_> = [on].into_iter().chain(more).collect();
        assert_eq!(injected(namespace, &annotations).0.auth.role, role, "{namespace} {more:?}");
    }
    let (config, _) = injected("shop", &[("V/agent-inject", "true")]);
    assert_eq!(config.auth.role, "everyone");
    assert_eq!(config.lifecycle.start_deadline_seconds, Some(600), "a native key that the Vault dialect lacks");
    assert!(config.outputs.is_empty(), "a native secret is not for Vault pods");
    assert_eq!(injected("shop", &[on]).0.outputs[0].name, "ca.pem");
}

#[test]
fn a_forced_value_replaces_the_pods_in_every_dialect_and_says_so() {
    let (config, injection) = injected("shop", &[("V/agent-inject", "true"), ("S/log-level", "trace")]);
    assert_eq!(config.log.level, "warn");
    assert!(
        injection.warnings.iter().any(|w| w.contains("sidekey.dev/log-level is replaced")),
        "{:?}",
        injection.warnings
    );
    assert_eq!(injected("team-a", &[("S/inject", "true")]).0.log.level, "debug");
}

#[test]
fn a_trace_shows_which_settings_spoke() {
    let text = injected("team-a", &[("S/inject", "true")]).1.trace.to_string();
    for words in ["settings policy, default sidekey.dev/role", "settings policy, forced sidekey.dev/log-level"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn what_is_forbidden_is_so_under_every_name() {
    for key in ["V/proxy-address", "openbao.org/proxy-address", "S/proxy-address", "S/on-change-x"] {
        let cause = denied("shop", &[("S/inject", "true"), (key, "http://x")]);
        assert_eq!(cause.code, Code::PolicyRefused, "{key}: {cause}");
        assert!(
            cause.to_string().contains(&key.replace("V/", "vault.hashicorp.com/").replace("S/", "sidekey.dev/")),
            "{cause}"
        );
    }
}

#[test]
fn a_pod_chooses_from_what_is_allowed() {
    let on = ("S/inject", "true");
    let own = r#"[{"op":"replace","path":"/image","value":"evil:1"}]"#;
    let tag = r#"[{"op":"replace","path":"/image","value":"sidekey-agent:9"}]"#;
    injected("shop", &[on, ("S/address", "https://eu.vault.example:8200")]);
    injected("shop", &[on, ("S/json-patch", tag)]);
    injected("shop", &[("V/agent-inject", "true"), ("V/agent-image", "hashicorp/vault:1.21")]);
    injected("shop", &[on, ("S/tls-skip-verify", "false"), ("S/role", "any")]);
    injected("team-b", &[on, ("S/role", "team-b")]);
    // What the settings chose needs no leave, nor does the tools image that a command picks.
    let (_, injection) = injected("team-a", &[on, ("S/secret-x", "a/b"), ("S/command-x", "sh -c true")]);
    assert!(injection.trace.to_string().contains("sidekey-agent-tools:"));
    let cases = [
        ("shop", ("S/address", "https://evil:8200"), "https://evil:8200"),
        ("shop", ("S/address", "https://x.vault.example:8200/../"), "address of Vault"),
        ("shop", ("S/address-ca.pem", "https://evil:8200"), "https://evil:8200"),
        ("shop", ("S/tls-server-name-ca.pem", "evil"), "sidekey.dev/tls-server-name-ca.pem"),
        ("team-b", ("S/role-ca.pem", "everyone"), "Use one of team, team-*"),
        ("shop", ("S/address", "https://evil/.vault.example:8200"), "address of Vault"),
        ("shop", ("S/address", "https://evil:1@x.vault.example:8200"), "address of Vault"),
        ("shop", ("S/image", "sidekey-agent:5000/evil"), "agent image"),
        ("shop", ("S/tls-skip-verify", "true"), "sidekey.dev/tls-skip-verify"),
        ("shop", ("S/tls-server-name", "evil"), "sidekey.dev/tls-server-name"),
        ("shop", ("S/image", "evil:1"), "`evil:1`"),
        ("shop", ("S/json-patch", own), "`evil:1`"),
        ("team-b", ("S/role", "everyone"), "Use one of team, team-*"),
    ];
    for (namespace, more, word) in cases {
        let cause = denied(namespace, &[on, more]);
        assert_eq!(cause.code, Code::PolicyRefused, "{cause}");
        assert!(cause.to_string().contains(word), "{more:?}: {cause}");
    }
}

#[test]
fn with_addresses_a_proxy_and_a_config_map_of_the_pods_own_are_refused() {
    let settings = Settings::from_yaml(&SETTINGS.replace("vault.hashicorp.com/proxy-address, ", "")).unwrap();
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() };
    for (key, value) in [("proxy-address", "http://evil:3128"), ("agent-configmap", "web-agent")] {
        let key = format!("vault.hashicorp.com/{key}");
        for asks in [NATIVE_ASKS, VAULT_ASKS] {
            let pod = pod_with(&[&asks[..], &[(&key, value)]].concat());
            let Outcome::Deny { cause, .. } = mutate(&pod, &facts, &settings) else { panic!("{key} is let in") };
            assert_eq!((cause.code, cause.attempted), (Code::PolicyRefused, format!("reading annotation {key}")));
            assert!(cause.answer.contains("`allowed.addresses`"), "{}", cause.answer);
        }
    }
}

#[test]
fn a_login_that_the_settings_chose_for_a_file_needs_no_leave() {
    let text =
        SETTINGS.replace("secret-ca.pem: pki/cert/ca", "secret-ca.pem: pki/cert/ca\n    sidekey.dev/role-ca.pem: pki");
    let settings = Settings::from_yaml(&text).unwrap();
    let pod = |more: &str| {
        json!({ "metadata": { "annotations": { "sidekey.dev/inject": "true", "sidekey.dev/role": "team-x",
            "sidekey.dev/secret-x": "a/b", "sidekey.dev/role-x": more } }, "spec": { "containers": [{ "name": "app" }] } })
    };
    let facts = Facts { namespace: "team-b".to_owned(), native_sidecars: true, ..Facts::default() };
    let Outcome::Patch(injection) = mutate(&pod("team-y"), &facts, &settings) else { panic!("not injected") };
    let config = &injection.agents[0].1;
    let roles: Vec<&str> = (0..config.login_count()).map(|login| config.auth_of(login).role.as_str()).collect();
    assert_eq!(roles, ["pki", "team-y"], "the pod's own is needed by nothing");
    // The pod asks for the same by itself.
    assert!(matches!(mutate(&pod("pki"), &facts, &settings), Outcome::Deny { .. }));
}

#[test]
fn a_bad_value_of_the_settings_is_named_as_theirs() {
    let settings = Settings::from_yaml("policy:\n  defaults:\n    sidekey.dev/ca-configmap: a b\n").unwrap();
    let pod = json!({ "metadata": { "annotations": { "sidekey.dev/inject": "true", "sidekey.dev/role": "x" } },
        "spec": { "containers": [{ "name": "app" }] } });
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() };
    let Outcome::Deny { cause, .. } = mutate(&pod, &facts, &settings) else { panic!("not denied") };
    assert!(cause.to_string().contains("settings policy, default sidekey.dev/ca-configmap"), "{cause}");
}

fn pod_with(annotations: &[(&str, &str)]) -> Value {
    let map: Map<_, _> = annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({"metadata": {"annotations": map}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}})
}

const NATIVE_ASKS: [(&str, &str); 3] =
    [("sidekey.dev/inject", "true"), ("sidekey.dev/role", "web"), ("sidekey.dev/secret-a", "secret/data/a")];
const VAULT_ASKS: [(&str, &str); 3] = [
    ("vault.hashicorp.com/agent-inject", "true"),
    ("vault.hashicorp.com/role", "web"),
    ("vault.hashicorp.com/agent-inject-secret-a", "secret/data/a"),
];
const VAULT_MARK: &str = "vault.hashicorp.com/agent-inject-status";

#[test]
fn a_pod_that_the_other_injector_has_injected_is_left_alone_whatever_it_asks_for() {
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() };
    for mark in [VAULT_MARK, "openbao.org/agent-inject-status"] {
        for asks in [&NATIVE_ASKS[..], &VAULT_ASKS[..], &[NATIVE_ASKS, VAULT_ASKS].concat()] {
            for dialects in ["[sidekey.dev, vault.hashicorp.com, openbao.org]", "[sidekey.dev, vault.hashicorp.com]"] {
                let settings = Settings::from_yaml(&format!("dialects: {dialects}")).unwrap();
                let pod = pod_with(&[asks, &[(mark, "injected")]].concat());
                let outcome = mutate(&pod, &facts, &settings);
                assert!(matches!(outcome, Outcome::Skip(SkipReason::AlreadyInjected)), "{pod} {outcome:?}");
            }
        }
    }
}

#[test]
fn a_pod_that_asks_both_is_marked_for_both() {
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() };
    let both = pod_with(&[NATIVE_ASKS, VAULT_ASKS].concat());
    for (mut pod, wanted) in [(both, json!("injected")), (pod_with(&NATIVE_ASKS), json!(null))] {
        let Outcome::Patch(injection) = mutate(&pod, &facts, &Settings::default()) else { panic!("not injected") };
        injection.patch.apply(&mut pod).unwrap();
        assert_eq!(pod["metadata"]["annotations"]["sidekey.dev/status"], "injected");
        assert_eq!(pod["metadata"]["annotations"][VAULT_MARK], wanted);
        let again = mutate(&pod, &facts, &Settings::default());
        assert!(matches!(again, Outcome::Skip(SkipReason::AlreadyInjected)), "{again:?}");
    }
}

#[test]
fn a_dialect_that_is_not_served_is_not_read() {
    let facts = Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() };
    let settings = Settings::from_yaml("dialects: [sidekey.dev]").unwrap();
    let theirs = pod_with(&VAULT_ASKS);
    assert!(matches!(mutate(&theirs, &facts, &settings), Outcome::Skip(SkipReason::NotAsked)));
    let broken = pod_with(&[NATIVE_ASKS, [("vault.hashicorp.com/agent-inject", "perhaps"); 3]].concat());
    let Outcome::Patch(injection) = mutate(&broken, &facts, &settings) else { panic!("not injected") };
    assert!(injection.warnings.is_empty(), "{:?}", injection.warnings);
    assert!(Settings::from_yaml("dialects: [vault]").is_err(), "an unknown one is refused");
}
