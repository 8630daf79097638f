//! Pods that are refused or left alone, and what a person reads then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use serde_json::{Map, Value, json};
use sidekey_core::{Cause, Code};
use sidekey_inject::{Facts, Outcome, Settings, SkipReason, mutate};

const V: &str = "vault.hashicorp.com/";
const S: &str = "sidekey.dev/";

fn pod(annotations: &[(&str, &str)]) -> Value {
    let map: Map<String, Value> = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    json!({ "metadata": { "annotations": map }, "spec": { "containers": [{ "name": "app", "image": "busybox" }] } })
}

/// A pod that would be injected, with more annotations; `key=value` with `V/` or `S/` for the prefixes.
fn with(dialect: &str, more: &[&str]) -> Value {
    let base: &[&str] = if dialect == V {
        &["V/agent-inject=true", "V/role=web", "V/agent-inject-secret-db=database/creds/web"]
    } else {
        &["S/inject=true", "S/role=web", "S/secret-db=database/creds/web"]
    };
    let full: Vec<(String, String)> = base
        .iter()
        .chain(more)
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(key, value)| (key.replace("V/", V).replace("S/", S), value.to_owned()))
        .collect();
    pod(&full.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>())
}

fn facts() -> Facts {
    Facts { namespace: "shop".to_owned(), native_sidecars: true, ..Facts::default() }
}

fn denied(pod: &Value) -> Cause {
    match mutate(pod, &facts(), &Settings::default()) {
        Outcome::Deny { cause, .. } => cause,
        other => panic!("not denied: {other:?}"),
    }
}

fn warnings(pod: &Value) -> Vec<String> {
    match mutate(pod, &facts(), &Settings::default()) {
        Outcome::Patch(injection) => injection.warnings,
        other => panic!("not injected: {other:?}"),
    }
}

#[test]
fn names_annotation_shape_and_fix_of_what_it_refuses() {
    let cases: &[(&str, &[&str], Code, &[&str])] = &[
        (
            V,
            &["V/agent-inject=yes"],
            Code::AnnotationValue,
            &["vault.hashicorp.com/agent-inject", "`yes`", "Write `true` or `false`"],
        ),
        (
            S,
            &["S/env-A=p#f"],
            Code::CommandUnknown,
            &["sidekey.dev/env-A", "`app` has no command", "ENTRYPOINT", "sidekey.dev/containers"],
        ),
        (S, &["S/env-a-b=p#f"], Code::AnnotationValue, &["sidekey.dev/env-a-b", "`a-b`", "letters, digits"]),
        (S, &["S/env-SIDEKEY_CONFIG=p"], Code::AnnotationValue, &["SIDEKEY_CONFIG"]),
        (S, &["S/env-A=p#f#2"], Code::AnnotationValue, &["`p#f#2`", "PATH#FIELD"]),
        (S, &["S/env-A=#f"], Code::AnnotationValue, &["PATH#FIELD"]),
        (S, &["S/env-A=p", "S/env-on-change=reload"], Code::AnnotationValue, &["env-on-change", "`keep`, `restart`"]),
        (S, &["S/env-A=p", "S/pre-populate=false"], Code::AnnotationConflict, &["env-A", "pre-populate"]),
        (S, &["S/env-A=p", "S/init-only=true"], Code::PodRefused, &["env-A", "init-only"]),
        (V, &["S/env-A=p", "V/agent-configmap=c"], Code::AnnotationConflict, &["env-A", "agent-configmap"]),
        (S, &["S/inject=tRuE"], Code::AnnotationValue, &["sidekey.dev/inject", "`tRuE`"]),
        (V, &["V/agent-pre-populate=maybe"], Code::AnnotationValue, &["agent-pre-populate", "`maybe`"]),
        (V, &["V/auth-min-backoff=5"], Code::AnnotationValue, &["auth-min-backoff", "duration"]),
        (V, &["V/agent-json-patch={}"], Code::AnnotationValue, &["agent-json-patch", "JSON array"]),
        (V, &["V/error-on-missing-key-zz=x"], Code::AnnotationValue, &["error-on-missing-key-zz"]),
        (V, &["V/agent-revoke-grace=-1"], Code::AnnotationValue, &["agent-revoke-grace"]),
        (V, &["V/agent-revoke-grace="], Code::AnnotationValue, &["agent-revoke-grace"]),
        (V, &["V/agent-run-as-user=1x"], Code::AnnotationValue, &["agent-run-as-user", "whole number"]),
        (V, &["V/agent-run-as-user=-5"], Code::AnnotationValue, &["agent-run-as-user", "not negative"]),
        (
            V,
            &["V/agent-inject-default-template="],
            Code::AnnotationValue,
            &["agent-inject-default-template", "`map`, `json`"],
        ),
        (V, &["V/template-lease-renewal-threshold=NaN"], Code::AnnotationValue, &["0 to 1"]),
        (V, &["V/template-lease-renewal-threshold="], Code::AnnotationValue, &["0 to 1"]),
        (V, &["V/agent-limits-cpu=much"], Code::AnnotationValue, &["agent-limits-cpu", "500m"]),
        (S, &["S/max-stale=long"], Code::AnnotationValue, &["sidekey.dev/max-stale", "duration"]),
        (S, &["S/max-stale-db=-1h"], Code::AnnotationValue, &["sidekey.dev/max-stale-db", "duration"]),
        (S, &["S/secret-x=x", "S/file-x=.sidekey-stale"], Code::DestinationTwice, &["`x`", "list of stale files"]),
        (V, &["V/agent-inject-perms-db=rw"], Code::AnnotationValue, &["agent-inject-perms-db", "octal"]),
        (V, &["V/log-level=loud"], Code::AnnotationValue, &["log-level", "`debug`"]),
        (V, &["V/agent-request-namespace="], Code::AnnotationValue, &["agent-request-namespace"]),
        (V, &["V/service=vault:8200"], Code::AnnotationValue, &["service", "no scheme"]),
        (V, &["V/service="], Code::AnnotationMissing, &["address of Vault", "vault.hashicorp.com/service"]),
        (V, &["V/auth-path="], Code::AnnotationMissing, &["auth-path"]),
        (V, &["V/agent-image="], Code::AnnotationMissing, &["agent-image"]),
        (V, &["V/role="], Code::AnnotationMissing, &["role", "vault.hashicorp.com/role"]),
        (S, &["S/role="], Code::AnnotationMissing, &["sidekey.dev/role"]),
        (S, &["S/role=", "S/secret-x=a/b", "S/role-x=x"], Code::AnnotationMissing, &["sidekey.dev/role"]),
        (S, &["S/role=", "S/role-db=x", "S/inject-token=true"], Code::AnnotationMissing, &["sidekey.dev/role"]),
        (S, &["S/role-db="], Code::AnnotationValue, &["sidekey.dev/role-db"]),
        (S, &["S/ca-configmap=a/b/c"], Code::AnnotationValue, &["sidekey.dev/ca-configmap", "NAME/KEY"]),
        (S, &["S/ca-secret-db=a/.."], Code::AnnotationValue, &["sidekey.dev/ca-secret-db"]),
        (S, &["S/image-pull-policy=always"], Code::AnnotationValue, &["image-pull-policy", "`Always`"]),
        (S, &["S/metrics-port=0"], Code::AnnotationValue, &["sidekey.dev/metrics-port"]),
        (S, &["S/metrics-port=70000"], Code::AnnotationValue, &["sidekey.dev/metrics-port"]),
        (
            V,
            &["V/agent-cache-enable=true", "S/metrics-port=8200"],
            Code::AnnotationConflict,
            &["sidekey.dev/metrics-port", "listener on loopback"],
        ),
        (S, &["S/init-limits-cpu=1", "S/init-requests-cpu=2"], Code::AnnotationConflict, &["init-requests-cpu"]),
        (
            S,
            &["S/secret-x=secret/x", "S/containers-x=app"],
            Code::AnnotationConflict,
            &["`x` is not for the same containers", "sidekey.dev/path-x"],
        ),
        (
            S,
            &["S/containers-db=app", "S/inject-token=true"],
            Code::AnnotationConflict,
            &["sidekey.dev/path-db", "the Vault token is for all"],
        ),
        (S, &["S/subpath-db=/etc/db"], Code::NotSupported, &["database/creds/web", "Remove the sub-path"]),
        (S, &["S/secret-x=secret/x", "S/subpath-x=/"], Code::AnnotationPath, &["sidekey.dev/subpath-x"]),
        (
            S,
            &["S/secret-x=secret/x", "S/subpath-x=/etc/x", "S/pre-populate=false"],
            Code::NotSupported,
            &["does not wait"],
        ),
        (
            S,
            &["S/secret-x=secret/x", "S/subpath-x=/etc/x", "S/secret-y=secret/x"],
            Code::NotSupported,
            &["together with other files"],
        ),
        (S, &["S/secret-x=pki/issue/web", "S/subpath-x=/etc/x"], Code::NotSupported, &["pki/issue/web", "rotates"]),
        (S, &["S/address-db=vault:8200"], Code::AnnotationValue, &["sidekey.dev/address-db", "no scheme"]),
        (
            S,
            &["S/auth-type=approle", "S/auth-config-role-id-file-path=/r", "S/role=", "S/address-db=https://far:8200"],
            Code::NotSupported,
            &["sidekey.dev/address-db", "one use only"],
        ),
        (
            V,
            &["V/auth-type=gcp"],
            Code::AuthMethodRefused,
            &["`gcp`", "jwt mount", "Use one of kubernetes, jwt, approle"],
        ),
        (V, &["V/agent-cache-enable=true", "V/agent-cache-listener-port=0"], Code::AnnotationValue, &["listener-port"]),
        (
            V,
            &["V/agent-cache-enable=true", "V/agent-cache-use-auto-auth-token=maybe"],
            Code::AnnotationValue,
            &["use-auto-auth-token", "`force`"],
        ),
        (V, &["V/auth-type=kubernets"], Code::AuthMethodRefused, &["no auth method `kubernets`", "kubernetes"]),
        (
            V,
            &["V/auth-type=approle"],
            Code::AnnotationMissing,
            &["role id file path", "vault.hashicorp.com/auth-config-role-id-file-path"],
        ),
        (S, &["S/auth-type=token_file"], Code::AnnotationMissing, &["sidekey.dev/auth-config-token-file-path"]),
        (V, &["V/auth-type=cert"], Code::AnnotationMissing, &["client cert"]),
        (V, &["V/auth-type=aws", "V/auth-config-type=ec2"], Code::AuthMethodRefused, &["auth-config-type", "Use iam"]),
        (V, &["V/auth-type=aws", "V/auth-config-secret_key=x"], Code::AnnotationValue, &["secret_key", "Take it out"]),
        (
            V,
            &[
                "V/auth-type=approle",
                "V/auth-config-role-id-file-path=/r",
                "V/auth-config-remove-secret-id-file-after-reading=no",
            ],
            Code::AnnotationValue,
            &["remove-secret-id-file-after-reading", "`true` or `false`"],
        ),
        (S, &["S/format-db=toml"], Code::AnnotationValue, &["sidekey.dev/format-db", "`yaml`"]),
        (S, &["S/file-db=../db"], Code::AnnotationPath, &["sidekey.dev/file-db", "climbs"]),
        (S, &["S/file-db=/db"], Code::AnnotationPath, &["relative"]),
        (S, &["S/path=/"], Code::AnnotationPath, &["sidekey.dev/path"]),
        (V, &["V/secret-volume-path="], Code::AnnotationPath, &["secret-volume-path"]),
        (V, &["V/agent-inject-file-db=a/.."], Code::AnnotationPath, &["agent-inject-file-db", "empty"]),
        (V, &["V/agent-inject-secret-DB=x"], Code::DestinationTwice, &["`DB`", "`db`", "/vault/secrets/db"]),
        (S, &["S/secret-x=x", "S/file-x=db"], Code::DestinationTwice, &["`db`", "`x`", "/secrets/db"]),
        (S, &["S/secret-x=x", "S/file-x=db/x"], Code::DestinationTwice, &["`db`", "`x`", "file and a directory"]),
        (
            V,
            &["V/agent-inject-secret-token=x", "V/agent-inject-token=true"],
            Code::DestinationTwice,
            &["the Vault token"],
        ),
        (
            S,
            &["S/group-db=g", "S/secret-x=x", "S/group-x=g", "S/path-x=/x"],
            Code::AnnotationConflict,
            &["group `g`", "/secrets", "/x"],
        ),
        (
            V,
            &["V/agent-requests-cpu=2", "V/agent-limits-cpu=1"],
            Code::AnnotationConflict,
            &["agent-requests-cpu", "agent-limits-cpu"],
        ),
        (V, &["V/agent-run-as-same-user=true"], Code::PodRefused, &["`app`", "runAsUser"]),
        (V, &["V/agent-service-account-token-volume-name=gone"], Code::AnnotationValue, &["no volume called `gone`"]),
        (V, &["V/agent-json-patch=[{}]"], Code::AnnotationValue, &["agent-json-patch", "it is no JSON patch"]),
        (V, &["V/agent-json-patch={}"], Code::AnnotationValue, &["it is no JSON patch"]),
        (
            V,
            &[r#"V/agent-json-patch=[{"op":"replace","path":"/nosuch/x","value":1}]"#],
            Code::AnnotationConflict,
            &["applying annotation vault.hashicorp.com/agent-json-patch", "/nosuch/x"],
        ),
        (
            V,
            &[r#"V/agent-json-patch=[{"op":"replace","path":"/image","value":1}]"#],
            Code::AnnotationConflict,
            &["the result is no container"],
        ),
        (
            V,
            &[r#"V/agent-json-patch=[{"op":"replace","path":"/env","value":[]}]"#],
            Code::AnnotationConflict,
            &["it changes the agent's SIDEKEY_CONFIG"],
        ),
        (
            V,
            &[r#"V/agent-json-patch=[{"op":"add","path":"/env/-","value":{"name":"SIDEKEY_CONFIG","value":"{}"}}]"#],
            Code::AnnotationConflict,
            &["it changes the agent's SIDEKEY_CONFIG"],
        ),
        (
            V,
            &[r#"V/agent-init-json-patch=[{"op":"remove","path":"/nosuch"}]"#],
            Code::AnnotationConflict,
            &["init-json-patch"],
        ),
        (S, &["S/on-change-db=signal HUP"], Code::AnnotationValue, &["on-change-db", "too many"]),
        (S, &["S/on-change-db=signal 1 app"], Code::AnnotationValue, &["`1` is none of HUP"]),
        (S, &["S/on-change-db=http POST https://app/"], Code::AnnotationValue, &["http://"]),
        (S, &["S/on-change-db=touch ../x"], Code::AnnotationValue, &["climbs"]),
        (S, &["S/on-change-db=command /opt/a && /opt/b"], Code::AnnotationValue, &["needs a shell"]),
        (S, &["S/on-change-db=restart"], Code::AnnotationValue, &["none of signal"]),
        (
            S,
            &["S/on-change-db=signal HUP app"],
            Code::PodRefused,
            &["shared process namespace", "shareProcessNamespace: true"],
        ),
        (
            S,
            &["S/on-change-db=signal HUP app", "S/share-process-namespace=true"],
            Code::PodRefused,
            &["no container declares the agent's uid 65532", "run-as-same-user"],
        ),
        (S, &["S/template-db={{#if}}"], Code::TemplateSyntax, &["sidekey.dev/template-db", "line 1"]),
        (
            V,
            &["V/agent-inject-template-db=a\n{{ with secret \"x\" }}"],
            Code::TemplateSyntax,
            &["agent-inject-template-db", "line 2"],
        ),
        (V, &["V/agent-inject-template-db={{ nosuch \"x\" }}"], Code::TemplateFunction, &["nosuch"]),
    ];
    for (dialect, more, code, words) in cases {
        let cause = denied(&with(dialect, more));
        assert_eq!(cause.code, *code, "{more:?}: {cause}");
        for word in *words {
            assert!(cause.to_string().contains(word), "{more:?} lacks {word}: {cause}");
        }
    }
}

#[test]
fn reports_the_first_error_in_the_order_of_the_known_injector() {
    let ordered = [
        "V/agent-inject=x",
        "V/auth-min-backoff=x",
        "V/auth-max-backoff=x",
        "V/agent-json-patch=x",
        "V/agent-init-json-patch=x",
        "V/error-on-missing-key-db=x",
        "V/agent-init-first=x",
        "V/agent-pre-populate=x",
        "V/agent-pre-populate-only=x",
        "V/agent-revoke-on-shutdown=x",
        "V/agent-revoke-grace=x",
        "V/tls-skip-verify=x",
        "V/agent-run-as-user=x",
        "V/agent-run-as-group=x",
        "V/agent-run-as-same-user=x",
        "V/agent-share-process-namespace=x",
        "V/agent-set-security-context=x",
        "V/agent-cache-enable=x",
        "V/agent-cache-exit-on-err=x",
        "V/agent-inject-default-template=x",
        "V/agent-inject-token=x",
        "V/template-config-exit-on-retry-failure=x",
        "V/template-max-connections-per-host=x",
        "V/template-lease-renewal-threshold=x",
        "V/agent-enable-quit=x",
        "V/agent-auto-auth-exit-on-err=x",
        "V/auth-type=x",
        "V/agent-limits-cpu=x",
    ];
    for first in 0..ordered.len() {
        let cause = denied(&with(V, &ordered[first..]));
        let key = ordered[first].split_once('=').unwrap().0.replace("V/", "");
        let named = cause.to_string().contains(&key) || (key == "auth-type" && cause.code == Code::AuthMethodRefused);
        assert!(named, "{key}: {cause}");
    }
}

#[test]
fn refuses_pods_it_cannot_serve() {
    let mut windows = with(S, &[]);
    windows["spec"]["os"] = json!({ "name": "windows" });
    let mut shared = with(V, &["V/agent-share-process-namespace=true"]);
    shared["spec"]["shareProcessNamespace"] = json!(false);
    let mut taken = with(V, &[]);
    taken["spec"]["containers"][0]["name"] = json!("vault-agent");
    let mut mounted = with(S, &[]);
    mounted["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "mine", "mountPath": "/secrets/" }]);
    let mut named = with(S, &[]);
    named["spec"]["volumes"] = json!([{ "name": "sidekey-secrets", "persistentVolumeClaim": { "claimName": "x" } }]);
    let mut bare = with(V, &["V/agent-service-account-token-volume-name=cm"]);
    bare["spec"]["volumes"] = json!([{ "name": "cm", "projected": { "sources": [{ "configMap": { "name": "x" } }] } }]);
    let cases = [
        (windows, Code::PodRefused, "Windows"),
        (shared, Code::PodRefused, "shareProcessNamespace"),
        (taken, Code::PodRefused, "`vault-agent`"),
        (mounted, Code::AnnotationConflict, "sidekey.dev/path"),
        (named, Code::AnnotationConflict, "`sidekey-secrets`"),
        (bare, Code::AnnotationValue, "`cm`"),
    ];
    for (pod, code, word) in cases {
        let cause = denied(&pod);
        assert_eq!(cause.code, code, "{cause}");
        assert!(cause.to_string().contains(word), "{cause}");
    }
}

#[test]
fn refuses_system_namespaces_only_for_pods_it_would_inject() {
    let outcome = |pod: &Value, namespace: &str| {
        mutate(
            pod,
            &Facts { namespace: namespace.to_owned(), native_sidecars: true, ..Facts::default() },
            &Settings::default(),
        )
    };
    for namespace in ["kube-system", "kube-public"] {
        let Outcome::Deny { cause, .. } = outcome(&with(V, &[]), namespace) else { panic!("not denied") };
        assert_eq!(cause.code, Code::NamespaceRefused);
        assert!(cause.to_string().contains(namespace));
        for left in ["V/agent-inject=false", "V/agent-inject-status=injected"] {
            assert!(matches!(outcome(&with(V, &[left]), namespace), Outcome::Skip(_)), "{left}");
        }
        let Outcome::Deny { cause, .. } = outcome(&with(V, &["V/agent-inject=x"]), namespace) else {
            panic!("not denied")
        };
        assert_eq!(cause.code, Code::AnnotationValue);
    }
    assert!(matches!(outcome(&with(V, &[]), "kube-node-lease"), Outcome::Patch(_)));
}

#[test]
fn injects_only_what_is_switched_on_not_marked_and_pending() {
    for inject in ["true", "false", ""] {
        for status in [None, Some("injected"), Some("update"), Some("")] {
            for phase in [None, Some("Pending"), Some("Running"), Some("Succeeded"), Some("Failed")] {
                let mut pod = with(V, &[&format!("V/agent-inject={inject}")]);
                if let Some(status) = status {
                    pod["metadata"]["annotations"]["vault.hashicorp.com/agent-inject-status"] = status.into();
                }
                if let Some(phase) = phase {
                    pod["status"] = json!({ "phase": phase });
                }
                let wanted = inject == "true" && status != Some("injected") && matches!(phase, None | Some("Pending"));
                let injected = matches!(mutate(&pod, &facts(), &Settings::default()), Outcome::Patch(_));
                assert_eq!(injected, wanted, "{inject} {status:?} {phase:?}");
            }
        }
    }
}

#[test]
fn leaves_alone_what_did_not_ask() {
    let mut mirror = with(S, &[]);
    mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "x".into();
    let cases = [
        (json!({ "spec": { "containers": [] } }), SkipReason::NotAsked),
        (pod(&[("sidekey.dev/role", "web")]), SkipReason::NotAsked),
        (with(S, &["S/inject=f"]), SkipReason::SwitchedOff),
        (mirror, SkipReason::MirrorPod),
    ];
    for (pod, reason) in cases {
        let outcome = mutate(&pod, &facts(), &Settings::default());
        assert!(matches!(outcome, Outcome::Skip(found) if found == reason), "{outcome:?}");
    }
}

#[test]
fn a_mark_alone_does_not_keep_a_native_pod_from_its_secrets() {
    let outcome = mutate(&with(S, &["S/status=injected"]), &facts(), &Settings::default());
    assert!(matches!(outcome, Outcome::Patch(_)), "{outcome:?}");
}

#[test]
fn warns_of_a_port_that_would_be_the_nodes() {
    let mut pod = with(S, &["S/metrics-port=9102"]);
    assert_eq!(warnings(&pod), [""; 0]);
    pod["spec"]["hostNetwork"] = true.into();
    assert!(warnings(&pod)[0].contains("port 9102 of the node"));
}

#[test]
fn warns_of_what_has_no_effect() {
    let cases: &[(&str, &[&str], &str)] = &[
        (V, &["V/agent-image=vault:1.21"], "not an image of Sidekey"),
        (V, &["V/agent-inject-command-db=pkill -HUP app"], "shared process namespace"),
        (V, &["V/agent-inject-command-db=sh -c 'curl -d x http://app'"], "needs curl"),
        (V, &["V/agent-telemetry-x=1"], "pushes to nobody"),
        (V, &["V/agent-configmap=x"], "the agent-configmap says what is"),
        (V, &[r#"V/agent-json-patch=[{"op":"replace","path":"/name","value":"x"}]"#], "it stays vault-agent"),
        (V, &[r#"V/agent-json-patch=[{"op":"replace","path":"/args/0","value":"x"}]"#], "replaces what the agent's"),
        (
            V,
            &["V/agent-pre-populate-only=1", r#"V/agent-json-patch=[{"op":"add","path":"/tty","value":true}]"#],
            "no sidecar",
        ),
        (V, &["V/go-max-procs=1"], "one thread"),
        (V, &["V/auth-config-header=1"], "has no such parameter"),
        (V, &["V/auth-config-header-value=1"], "belongs to the auth method aws"),
        (V, &["V/auth-type=jwt", "V/auth-config-jwt_read_period=1s"], "read again at every login"),
        (V, &["V/auth-type=approle", "V/auth-config-role-id-file-path=/r"], "names none"),
        (V, &["V/preserve-secret-case=x"], "not a boolean"),
        (V, &["V/agent-inject-file-db=../x"], "kept inside"),
        (V, &["V/agent-inject-perms-nosuch=0600"], "no secret and no template"),
        (V, &["V/agent-inject-secret-e="], "it is empty"),
        (V, &["V/agent-limits-mem=4Mi"], "too small"),
        (S, &["S/rolle=x"], "did you mean sidekey.dev/role?"),
        (S, &["S/metrics-scrape=true"], "there is no metrics-port"),
        (S, &["S/init-limits-cpu=1"], "there is none"),
        (S, &["S/ca-cert=/x", "S/ca-configmap=y"], "sidekey.dev/ca-configmap is ignored"),
        (S, &["S/secret-x=a/b", "S/subpath-x=/etc/x", "S/on-change-x=touch y"], "before it starts again"),
        (S, &["S/secret-x=a/b", "S/path-x=/x", "S/containers-x=nobody"], "no container called nobody"),
        (S, &["S/role-nosuch=x"], "no secret and no template has that name"),
        (V, &["V/role-db=x"], "unknown annotation vault.hashicorp.com/role-db"),
        (S, &["S/auth-config-token-path=/t", "S/token-audience-db=x"], "token is that of the file named"),
        (S, &["S/auth-type=token_file", "S/auth-config-token-file-path=/t", "S/role=", "S/role-db=x"], "names none"),
        (S, &["S/env-on-change=restart"], "no environment variable is asked for"),
        (S, &["S/template-db=x", "S/format-db=json"], "format-db is ignored"),
        (S, &["S/containers=nobody"], "no container called nobody"),
        (S, &["V/role=other"], "sidekey.dev/role wins over vault.hashicorp.com/role"),
    ];
    for (dialect, more, words) in cases {
        let warnings = warnings(&with(dialect, more));
        assert!(warnings.iter().any(|warning| warning.contains(words)), "{more:?}: {warnings:?}");
    }
    assert_eq!(warnings(&with(V, &[])), [""; 0]);
    assert_eq!(warnings(&with(S, &[])), [""; 0]);
}

#[test]
fn refuses_variables_that_a_container_sets_itself_or_would_wait_for_in_vain() {
    let asked = |more: &[&str]| with(S, &[&["S/env-A=p#f"], more].concat());
    let mut own = asked(&[]);
    own["spec"]["containers"][0] =
        json!({ "name": "app", "command": ["/app"], "env": [{ "name": "A", "value": "1" }] });
    let cause = denied(&own);
    assert_eq!((cause.code, cause.answer.as_str()), (Code::AnnotationConflict, "container `app` sets A itself"));

    let setup = |more: &[&str], proxy: bool| {
        let mut pod = asked(&[&["S/containers=setup"], more].concat());
        let proxy = proxy.then(|| json!({ "name": "istio-proxy", "restartPolicy": "Always" }));
        let early = json!({ "name": "setup", "command": ["/setup"] });
        pod["spec"]["initContainers"] = [Some(early), proxy].into_iter().flatten().collect();
        pod
    };
    let cause = denied(&setup(&[], true));
    assert_eq!(
        (cause.code, cause.answer.as_str()),
        (Code::PodRefused, "init container `setup` starts before the agent")
    );
    let cause = denied(&setup(&["S/native-sidecar=false"], false));
    assert!(cause.code == Code::PodRefused && cause.answer.contains("before a classic sidecar"), "{cause}");
    assert!(matches!(mutate(&setup(&[], false), &facts(), &Settings::default()), Outcome::Patch(_)));
}
