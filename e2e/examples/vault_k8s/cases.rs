//! The pods: every key alone with values of every kind, then several keys at once; and what differs on purpose.

use serde_json::{Map, Value, json};

const PREFIX: &str = "vault.hashicorp.com/";

const KEYS: &[&str] = &[
    "agent-inject",
    "agent-inject-status",
    "agent-inject-containers",
    "agent-inject-default-template",
    "agent-inject-token",
    "agent-image",
    "agent-request-namespace",
    "agent-init-first",
    "agent-pre-populate",
    "agent-pre-populate-only",
    "agent-configmap",
    "agent-extra-secret",
    "agent-limits-cpu",
    "agent-limits-mem",
    "agent-limits-ephemeral",
    "agent-requests-cpu",
    "agent-requests-mem",
    "agent-requests-ephemeral",
    "agent-revoke-on-shutdown",
    "agent-revoke-grace",
    "namespace",
    "agent-run-as-user",
    "agent-run-as-group",
    "agent-run-as-same-user",
    "agent-share-process-namespace",
    "agent-set-security-context",
    "agent-service-account-token-volume-name",
    "service",
    "proxy-address",
    "tls-skip-verify",
    "tls-secret",
    "tls-server-name",
    "ca-cert",
    "ca-key",
    "client-cert",
    "client-key",
    "client-max-retries",
    "client-timeout",
    "go-max-procs",
    "log-level",
    "log-format",
    "role",
    "auth-type",
    "auth-path",
    "secret-volume-path",
    "preserve-secret-case",
    "agent-cache-enable",
    "agent-cache-use-auto-auth-token",
    "agent-cache-listener-port",
    "agent-cache-exit-on-err",
    "agent-copy-volume-mounts",
    "template-config-exit-on-retry-failure",
    "template-static-secret-render-interval",
    "template-max-connections-per-host",
    "agent-enable-quit",
    "auth-min-backoff",
    "auth-max-backoff",
    "agent-disable-idle-connections",
    "agent-disable-keep-alives",
    "agent-json-patch",
    "agent-init-json-patch",
    "agent-auto-auth-exit-on-err",
];

const FAMILIES: &[&str] = &[
    "agent-inject-secret",
    "agent-inject-file",
    "agent-inject-perms",
    "agent-inject-template",
    "agent-inject-template-file",
    "agent-template-left-delim",
    "agent-template-right-delim",
    "agent-inject-command",
    "secret-volume-path",
    "preserve-secret-case",
    "error-on-missing-key",
    "auth-config",
    "agent-telemetry",
];

/// Names that an annotation's key can end in.
const NAMES: &[&str] = &["foo", "foo", "foo", "bar", "FOO", "Foo-Bar.txt", "a_b", "x.y", "role", "token"];

const VALUES: &[&str] = &[
    "",
    "true",
    "True",
    "TRUE",
    "t",
    "T",
    "1",
    "0",
    "false",
    "f",
    "yes",
    "maybe",
    "5s",
    "5",
    "-1",
    "1h30m",
    "300ms",
    "1.5h",
    "a,b",
    "app",
    " app, other",
    "app,",
    "0644",
    "644",
    "0o644",
    "777",
    "/path",
    "/path/",
    "rel/path",
    "../x",
    "{{ .x }}",
    "map",
    "json",
    "JSON",
    "Map",
    "update",
    "injected",
    "kubernetes",
    "jwt",
    "approle",
    "auth/k8s",
    "k8s",
    "100m",
    "64Mi",
    "1Gi",
    "1e3",
    "-5Mi",
    "abc",
    "http://p:1",
    "https://v:8200",
    "  true ",
    "07",
    "0x10",
    "1_000",
    "9223372036854775808",
    "2000",
    "token",
    "hooks",
    "setup",
    "[]",
    "{}",
    "not json",
    "{\"a\":\"b\"}",
    "[\"a\"]",
    "null",
    "debug",
    "Debug",
    "standard",
    "INFO",
    "a b",
    "caching,auto-auth",
    "auto-auth,templating,caching",
    "proxying",
    "force",
    "default",
    "é",
    "\n",
    "sh -c 'x'",
    "secret/a",
    "{{ with secret \"a\" }}{{ end }}",
    r#"[{"op":"add","path":"/workingDir","value":"/"}]"#,
    r#"[{"op":"remove","path":"/nothing"}]"#,
    r#"[{"op":"test","path":"/name","value":"x"}]"#,
];

/// Words of a difference that is wanted, the key that brings it about, and why.
const ON_PURPOSE: &[(&str, &str, &str)] = &[
    ("refused here", "service", "an address without a scheme is refused, not handed to an agent that cannot start"),
    ("refused here", "log-format", "a log format that no agent knows is refused"),
    ("refused here", "log-level", "a log level that no agent knows is refused"),
    ("refused here", "auth-type", "an auth method that is not served, or lacks a parameter, is refused by name"),
    ("refused here", "agent-inject-perms", "permission bits that are none are refused, not left to the agent"),
    ("refused here", "error-on-missing-key", "a truth value that is none is refused although no file has that name"),
    ("refused here", "client-timeout", "a duration that is none is refused, not left to the agent"),
    (
        "refused here",
        "template-static-secret-render-interval",
        "a duration that is none is refused, not left to the agent",
    ),
    ("refused here", "agent-revoke-grace", "a number that no pod can have is refused"),
    ("refused here", "agent-run-as", "a negative user or group is refused here, else by the API server"),
    (
        "refused here",
        "secret-volume-path",
        "a directory that leads out of its volume, or is mounted already, is refused",
    ),
    (
        "refused here",
        "agent-inject-template",
        "two files of one name, or a template that cannot be parsed, are refused",
    ),
    ("refused here", "agent-inject-secret", "two files of one name are refused"),
    ("refused here", "agent-inject-file", "two files of one name are refused"),
    ("refused here", "agent-cache-listener-port", "a port that is none is refused"),
    ("mounts", "agent-inject-containers", "blanks in a list of containers do not count"),
    ("mounts", "secret-volume-path", "a directory is absolute"),
    ("files", "secret-volume-path", "a directory is absolute"),
    ("files", "agent-inject-file", "a file stays in its volume"),
    ("files", "agent-template-", "the default template has its own delimiters"),
    ("files", "agent-inject-secret", "a path is trimmed, and a quote in it does not end the template's string"),
    ("files", "agent-inject-template-file", "the path of a template is trimmed"),
    ("files", "agent-inject-perms", "0o644 is 0644"),
    ("files", "agent-inject-command", "a command of blanks is none"),
    ("login", "auth-path", "a mount has no slash at its ends"),
];

fn pod(annotations: &[(String, &str)]) -> Value {
    let own = [("agent-inject", "true"), ("role", "web"), ("agent-inject-secret-foo", "secret/data/foo")];
    let mut all: Map<String, Value> =
        own.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).into())).collect();
    all.extend(annotations.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).into())));
    let token = json!({"serviceAccountToken": {"path": "token"}});
    json!({
        "metadata": {"name": "web", "namespace": "shop", "annotations": all},
        "spec": {
            "containers": [
                {"name": "app", "image": "a", "securityContext": {"runAsUser": 1001, "runAsGroup": 1002}, "volumeMounts": [
                    {"name": "account", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
                    {"name": "hooks", "mountPath": "/hooks"}
                ]},
                {"name": "other", "image": "b"}
            ],
            "initContainers": [{"name": "setup", "image": "c"}],
            "volumes": [
                {"name": "account", "emptyDir": {}}, {"name": "hooks", "emptyDir": {}},
                {"name": "token", "projected": {"sources": [token]}}
            ]
        }
    })
}

/// Each key with each value, and `count` pods of several keys that a fixed seed draws.
pub(crate) fn all(count: usize) -> Vec<Value> {
    let ends = FAMILIES.iter().flat_map(|family| ["", "-foo", "-bar", "-FOO"].map(|end| format!("{family}{end}")));
    let keys: Vec<String> = KEYS.iter().map(|key| (*key).to_owned()).chain(ends).collect();
    let alone = keys.iter().flat_map(|key| VALUES.iter().map(|value| pod(&[(key.clone(), *value)])));
    let mut dice = Dice(0x5eed);
    let together = (0..count).map(|_| {
        let drawn: Vec<_> = (0..=dice.below(5)).map(|_| (key(&mut dice), dice.pick(VALUES))).collect();
        pod(&drawn)
    });
    alone.chain(together.collect::<Vec<_>>()).collect()
}

fn key(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 | 1 => dice.pick(KEYS).to_owned(),
        2 => dice.pick(FAMILIES).to_owned(),
        _ => format!("{}-{}", dice.pick(FAMILIES), dice.pick(NAMES)),
    }
}

/// Why these words are no surprise for this pod.
pub(crate) fn on_purpose(pod: &Value, words: &str) -> Option<&'static str> {
    let keys: Vec<&str> =
        pod["metadata"]["annotations"].as_object()?.keys().filter_map(|key| key.strip_prefix(PREFIX)).collect();
    let own = |key: &&str| {
        *key != "agent-inject-secret-foo"
            || pod["metadata"]["annotations"][format!("{PREFIX}{key}")] != "secret/data/foo"
    };
    let is_there = |start: &str| keys.iter().filter(|key| own(key)).any(|key| key.starts_with(start));
    ON_PURPOSE.iter().find(|(part, start, _)| words.contains(part) && is_there(start)).map(|(_, _, why)| *why)
}

/// Numbers from a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
