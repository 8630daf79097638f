//! The rows. Nothing but data: `mod.rs` says how they are read.

use super::{Annotation, Effect::*, Key, Kind::*};

const fn none(pattern: &'static str) -> Option<Key> {
    Some(Key::new(pattern, super::Fallback::None))
}

const fn is(pattern: &'static str, value: &'static str) -> Option<Key> {
    Some(Key::new(pattern, super::Fallback::Is(value)))
}

const fn set(pattern: &'static str, field: &'static str) -> Option<Key> {
    Some(Key::new(pattern, super::Fallback::Settings(field)))
}

const fn so(pattern: &'static str, words: &'static str) -> Option<Key> {
    Some(Key::new(pattern, super::Fallback::Derived(words)))
}

const NO: Option<Key> = None;
const ENGINES: super::Kind = OneOf(&["handlebars", "go"]);
const FORMATS: super::Kind = OneOf(&[
    "env",
    "json",
    "yaml",
    "properties",
    "raw",
    "map",
    "ini",
    "pgpass",
    "mycnf",
    "netrc",
    "dockerconfigjson",
    "jdbc",
    "pem",
]);
const PULLS: super::Kind = OneOf(&["Always", "IfNotPresent", "Never"]);
const CONTEXTS: super::Kind = OneOf(&["true", "false", "platformUser"]);
const SINGLE: super::Effect = Never("the agent is one thread and needs no tuning");
const CACHE: super::Effect =
    Never("Sidekey's agent has no cache; tokens, leases and answers are kept over its restarts without one");
const TELEMETRY: super::Effect =
    Never("the agent serves Prometheus metrics of its own on the socket in its private volume, and pushes to nobody");
const RETRIES: super::Effect = Never("the agent retries for ever, with a back-off for each secret");

macro_rules! table {
    ($($field:ident: $kind:expr, $vault:expr, $native:expr, $effect:expr, $doc:literal;)*) => {
        /// What an annotation says, whatever the dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = $doc] $field,)*
        }

        /// One row for each [`Field`], at its index.
        pub const TABLE: &[Annotation] = &[
            $(Annotation { field: Field::$field, kind: $kind, vault: $vault, native: $native, effect: $effect, doc: $doc },)*
        ];
    };
}

table! {
    // Switching on, state, scope.
    Inject: Bool, none("agent-inject"), none("inject"), Now,
        "The switch: `true` injects. Absent, `false` and empty leave the pod alone.";
    Status: Text, none("agent-inject-status"), none("status"), Now,
        "Written by Sidekey: `injected`. In the Vault dialect a pod that has it already is left alone.";
    RequestNamespace: Text, so("agent-request-namespace", "namespace of the request"), NO, Now,
        "Checked to be non-empty, as today; the request's own namespace counts.";
    Containers: List, so("agent-inject-containers", "all regular containers"), so("containers[-<NAME>]", "all containers but a mesh's"), Now,
        "Containers that get the secrets, by name. In the Vault dialect init containers get them in any case. With a NAME, for one file, which then has a directory of its own.";
    Image: Text, set("agent-image", "agentImage"), set("image", "agentImage"), Now,
        "The agent's image. In the Vault dialect any image that is not Sidekey's is ignored with a warning.";
    PullPolicy: PULLS, NO, set("image-pull-policy", "imagePullPolicy"), Now, "When the agent's image is pulled; without a value Kubernetes decides.";
    PullSecrets: List, NO, none("image-pull-secrets"), Now,
        "Secrets of the pod's namespace for the registry of the agent's image, added to the pod's `imagePullSecrets`.";

    // Secrets and templates.
    Secret: Text, none("agent-inject-secret-<NAME>"), none("secret-<NAME>"), Now,
        "Path of a secret in Vault; NAME becomes the file's name. KV v2 paths work with and without `data/`.";
    Template: Template, so("agent-inject-template-<NAME>", "the default template"), so("template-<NAME>", "the format"), Now,
        "The file's template. Go templates in the Vault dialect, handlebars in the native one. Checked at admission.";
    TemplateFile: Text, none("agent-inject-template-file-<NAME>"), none("template-file-<NAME>"), Now,
        "A file in the agent container that holds the template; an inline template wins.";
    TemplateEngine: ENGINES, NO, is("template-engine[-<NAME>]", "handlebars"), Now,
        "Language of native templates, for one file or for all.";
    Format: FORMATS, NO, so("format[-<NAME>]", "by the file's extension; `raw` with a field, else `map`"), Now,
        "What a secret without a template looks like. Extensions such as `.env`, `.json` or `.ini` say it by themselves.";
    Value: Text, NO, none("field-<NAME>"), Now,
        "The one field of the secret that the file holds, byte for byte (format `raw`).";
    DefaultTemplate: OneOf(&["map", "json"]), set("agent-inject-default-template", "defaultTemplate"), NO, Now,
        "What a secret without a template looks like: `key: value` lines or one JSON object of the whole answer.";
    LeftDelimiter: Text, is("agent-template-left-delim-<NAME>", "{{"), is("template-left-delim-<NAME>", "{{"), Now,
        "Left delimiter of this Go template; empty is the default.";
    RightDelimiter: Text, is("agent-template-right-delim-<NAME>", "}}"), is("template-right-delim-<NAME>", "}}"), Now,
        "Right delimiter of this Go template; empty is the default.";
    ErrorOnMissingKey: Bool, is("error-on-missing-key-<NAME>", "false"), is("error-on-missing-key-<NAME>", "false"), Now,
        "Go templates: a key that the secret lacks is an error in place of `<no value>`.";
    File: Path, so("agent-inject-file-<NAME>", "the secret's name"), so("file-<NAME>", "the secret's name"), Now,
        "File name below the volume's path, with directories if wanted. It cannot leave the volume.";
    Mode: Mode, is("agent-inject-perms-<NAME>", "0644"), so("mode[-<NAME>]", "0440 with an fsGroup, 0400 as the app's user, else 0444"), Now,
        "Permission bits, octal.";
    Group: Text, NO, so("group-<NAME>", "files that share an answer of Vault are one group"), Now,
        "Files of one group change together or not at all.";
    Optional: Bool, NO, is("optional-<NAME>", "false"), Now,
        "The pod starts without this file if it cannot be written yet.";
    MaxStale: Duration, NO, none("max-stale[-<NAME>]"), Now,
        "Remove the file when Vault has not vouched for it for so long; it comes back with Vault. Without it the last good file stays. `0s` is without.";
    VolumePath: Path, is("secret-volume-path[-<NAME>]", "/vault/secrets"), is("path[-<NAME>]", "/secrets"), Now,
        "Directory of the secrets in agent and app; with a NAME, a volume of its own for that file.";
    SubPath: Path, NO, none("subpath-<NAME>"), Now,
        "A path in the app's containers at which this one file is mounted too, into a directory that may hold others. The app sees a change only when its container starts again, so it is for what neither ends nor rotates.";
    PreserveCase: Bool, is("preserve-secret-case[-<NAME>]", "false"), NO, Now,
        "Keep the case of NAME in the file's name. Native names always keep it.";
    Command: Text, none("agent-inject-command-<NAME>"), none("command-<NAME>"), Now,
        "A program that the agent runs after it wrote the file's group, the first time too: readiness waits for that. Without a shell where it can be; else in the tools image.";
    OnChange: Text, NO, none("on-change-<NAME>"), Now,
        "What to do after a later change of the file's group, one a line: `signal HUP NAME` or `signal HUP /path/of.pid`, `http POST http://127.0.0.1:8080/path`, `command /path/of/program`, `touch FILE`.";
    Env: Text, NO, none("env-<VAR>"), Now,
        "An environment variable of the app: `PATH#FIELD` of a secret, or `PATH` of one with a single field. Init containers get it where `containers` names them.";
    EnvExec: Bool, NO, is("env-exec", "false"), Now,
        "Set the variables by `sidekey-agent exec` also where the kubelet could read them from a file.";
    EnvOnChange: OneOf(&["keep", "restart"]), NO, is("env-on-change", "keep"), Now,
        "When a variable's value changes: the app keeps what it began with, or its program is started anew.";

    // Token, cache, listener.
    InjectToken: Bool, is("agent-inject-token", "false"), is("inject-token", "false"), Now,
        "Write the Vault token to `token` in the secrets' directory, too.";
    CacheEnable: Bool, is("agent-cache-enable", "false"), NO, Now,
        "Serve Vault's API on 127.0.0.1 and send requests on. Nothing is cached: each request is Vault's own answer.";
    CacheToken: OneOf(&["true", "false", "force"]), is("agent-cache-use-auto-auth-token", "true"), NO, Now,
        "Whose token such a request carries: `true` the agent's where the caller shows none, `force` always the agent's, `false` the caller's.";
    CachePort: Uint, is("agent-cache-listener-port", "8200"), NO, Now, "Port of the listener on 127.0.0.1.";
    CacheExitOnError: Bool, is("agent-cache-exit-on-err", "false"), NO, CACHE, "Whether Vault Agent ends when its cache cannot be restored.";
    EnableQuit: Bool, is("agent-enable-quit", "false"), NO, Now,
        "`POST /agent/v1/quit` on the listener's port revokes the token and ends the agent's work. Native sidecars end with the pod and need none.";

    // Shape in the pod.
    PrePopulate: Bool, is("agent-pre-populate", "true"), is("pre-populate", "true"), Now,
        "The app's containers wait for the first complete set of files.";
    PrePopulateOnly: Bool, is("agent-pre-populate-only", "false"), is("init-only", "false"), Now,
        "Write the files once, in an init container; nothing is renewed afterwards.";
    InitFirst: Bool, is("agent-init-first", "false"), is("init-first", "false"), Now,
        "The agent comes first of all init containers. Native default: first, but behind a mesh's native proxy.";
    NativeSidecar: Bool, NO, so("native-sidecar", "settings `nativeSidecars`"), Now,
        "`false` asks for a classic init container and sidecar where native sidecars would be used.";
    StartDeadline: Duration, NO, none("start-deadline"), Now,
        "Fail the pod when its first files are not written by then. Without it the agent tries for ever.";
    ShareProcesses: Bool, none("agent-share-process-namespace"), none("share-process-namespace"), Now,
        "Sets the pod's `shareProcessNamespace`.";
    ConfigMap: Text, none("agent-configmap"), NO, Now,
        "A ConfigMap with a Vault Agent configuration of one's own: `config-init.hcl` for the init container, `config.hcl` for the sidecar. It takes the place of the annotations' files and login.";
    ExtraSecret: Text, none("agent-extra-secret"), none("extra-secret"), Now,
        "A Kubernetes Secret, mounted read-only in the agent at `/vault/custom` (native: `/sidekey/custom`).";
    CopyMounts: Text, none("agent-copy-volume-mounts"), none("copy-volume-mounts"), Now,
        "Name of one container whose volume mounts the agent gets as well, such as those of template files.";
    JsonPatch: Json, none("agent-json-patch"), none("json-patch"), Now,
        "JSON patch (RFC 6902) for the agent's sidecar, native or classic, applied last. Name and configuration stay Sidekey's.";
    InitJsonPatch: Json, none("agent-init-json-patch"), none("init-json-patch"), Now,
        "JSON patch for the agent's init container; it asks for the classic pair where a native sidecar would be used.";

    // End.
    Revoke: Bool, set("agent-revoke-on-shutdown", "revokeOnShutdown"), is("revoke-on-shutdown", "true"), Now,
        "Revoke the Vault token, and with it all leases, when the pod ends.";
    RevokeGrace: Uint, is("agent-revoke-grace", "5"), is("revoke-grace", "5"), Now,
        "Classic sidecar: seconds between the end's beginning and the revocation, for an app that still drains.";

    // Resources, security context.
    LimitsCpu: Quantity, set("agent-limits-cpu", "resources.cpuLimit"), set("limits-cpu", "resources.cpuLimit"), Now,
        "CPU limit; empty removes it. A default request above it is lowered with it. Where the pod has a CPU budget as a whole (`spec.resources`), neither has a default.";
    LimitsMemory: Quantity, so("agent-limits-mem", "settings `resources.memoryBase` and the volumes' sizes"),
        so("limits-mem", "settings `resources.memoryBase` and the volumes' sizes"), Now,
        "Memory limit; empty removes it. Memory volumes are made to fit into it. Where the pod has a memory budget as a whole (`spec.resources`), neither it nor the request has a default.";
    LimitsEphemeral: Quantity, none("agent-limits-ephemeral"), none("limits-ephemeral"), Now, "Limit of ephemeral storage; empty removes it.";
    RequestsCpu: Quantity, set("agent-requests-cpu", "resources.cpuRequest"), set("requests-cpu", "resources.cpuRequest"), Now,
        "CPU request; empty removes it. A default limit below it is raised with it.";
    RequestsMemory: Quantity, set("agent-requests-mem", "resources.memoryRequest"), set("requests-mem", "resources.memoryRequest"), Now,
        "Memory request; empty removes it.";
    RequestsEphemeral: Quantity, none("agent-requests-ephemeral"), none("requests-ephemeral"), Now, "Request of ephemeral storage; empty removes it.";
    InitLimitsCpu: Quantity, NO, so("init-limits-cpu", "as of the sidecar"), Now, "CPU limit of the one-shot init container; empty removes it.";
    InitLimitsMemory: Quantity, NO, so("init-limits-mem", "as of the sidecar"), Now, "Memory limit of the one-shot init container; empty removes it.";
    InitRequestsCpu: Quantity, NO, so("init-requests-cpu", "as of the sidecar"), Now, "CPU request of the one-shot init container; empty removes it.";
    InitRequestsMemory: Quantity, NO, so("init-requests-mem", "as of the sidecar"), Now, "Memory request of the one-shot init container; empty removes it.";
    SetSecurityContext: CONTEXTS, set("agent-set-security-context", "securityContext"), set("set-security-context", "securityContext"), Now,
        "Write the agent's security context: `true` (or `full`), `false` (or `none`), or `platformUser`, all but the ids, which OpenShift gives.";
    RunAsUser: Int, is("agent-run-as-user", "100"), so("run-as-user", "the app's one declared user, else 65532"), Now, "The agent's uid.";
    RunAsGroup: Int, is("agent-run-as-group", "1000"), so("run-as-group", "the app's one declared group, else the uid"), Now, "The agent's gid.";
    RunAsSameUser: Bool, is("agent-run-as-same-user", "false"), is("run-as-same-user", "false"), Now,
        "Run as the first container's declared user, which must not be root.";

    // Vault and login.
    Address: Text, set("service", "vaultAddress"), set("address[-<NAME>]", "vaultAddress"), Now,
        "Vault's URL, with its scheme. With a NAME, of the server that holds that file's secrets.";
    AuthType: Text, set("auth-type", "authType"), set("auth-type", "authType"), Now,
        "Auth method: `kubernetes`, `jwt`, `approle`, `cert`, `aws` or `token_file`; any other is refused by name.";
    AuthPath: Text, set("auth-path", "authPath"), set("auth-path[-<NAME>]", "authPath"), Now,
        "Mount path of the auth method, such as `auth/kubernetes`. With `sidekey.dev/auth-type` another than the settings', it is `auth/<type>` where nothing is said.";
    Namespace: Text, set("namespace", "vaultNamespace"), set("namespace[-<NAME>]", "vaultNamespace"), Now,
        "Vault namespace; empty is the root.";
    Role: Text, none("role"), none("role[-<NAME>]"), Now,
        "Vault role to log in as. Needed for `kubernetes` and `aws`. With a NAME, for that file alone: each distinct login of a pod is made once.";
    AuthConfig: Text, none("auth-config-<PARAM>"), none("auth-config-<PARAM>"), Now,
        "Parameters of the login by Vault Agent's names, with dashes or underscores: the files of `approle` and `cert`, `region` and `header-value` of `aws`, `token-file-path`, and so on. One without an effect is warned about.";
    AuthMinBackoff: Duration, set("auth-min-backoff", "authMinBackoff"), set("auth-min-backoff", "authMinBackoff"), Now,
        "Shortest wait after a failed login; empty is 1s.";
    AuthMaxBackoff: Duration, set("auth-max-backoff", "authMaxBackoff"), set("auth-max-backoff", "authMaxBackoff"), Now,
        "Longest wait after a failed login; empty is 5m.";
    AuthExitOnError: Bool, is("agent-auto-auth-exit-on-err", "false"), NO, Now,
        "End the agent's container, with the cause, when a login fails before the first files are written; `sidekey.dev/start-deadline` is kinder.";
    TokenVolume: Text, so("agent-service-account-token-volume-name", "a projected token volume of Sidekey's own"),
        so("service-account-token-volume-name", "a projected token volume of Sidekey's own"), Now,
        "A projected volume of the pod whose service account token the agent logs in with.";
    TokenAudience: Text, NO, so("token-audience[-<NAME>]", "settings `audience`; in a Vault-dialect pod the API server's"), Now,
        "Audience of the agent's own token; empty is the API server's.";
    CaCert: Text, none("ca-cert"), none("ca-cert[-<NAME>]"), Now, "PEM file with CA certificates, in the agent container.";
    CaConfigMap: Text, NO, none("ca-configmap[-<NAME>]"), Now,
        "CA certificates from a ConfigMap of the pod's namespace: `NAME`, or `NAME/KEY` where the key is not `ca.crt`. trust-manager's bundles fit.";
    CaSecret: Text, NO, none("ca-secret[-<NAME>]"), Now, "The same from a Secret.";
    CaPath: Text, none("ca-key"), none("ca-path"), Now, "Directory of PEM files with CA certificates, in the agent container.";
    ClientCert: Text, none("client-cert"), none("client-cert"), Now, "PEM file with a client certificate, in the agent container.";
    ClientKey: Text, none("client-key"), none("client-key"), Now, "PEM file with the client certificate's key, in the agent container.";
    TlsSecret: Text, none("tls-secret"), none("tls-secret"), Now,
        "A Kubernetes Secret, mounted read-only in the agent at `/vault/tls` (native: `/sidekey/tls`).";
    TlsServerName: Text, none("tls-server-name"), none("tls-server-name[-<NAME>]"), Now,
        "Name to check in Vault's certificate. A file with an `address` of its own does not have the pod's.";
    TlsSkipVerify: Bool, is("tls-skip-verify", "false"), is("tls-skip-verify", "false"), Now, "Accept any certificate. Not for production.";
    Proxy: Text, set("proxy-address", "proxyAddress"), set("proxy-address", "proxyAddress"), Now, "URL of a proxy for requests to Vault.";
    NoProxy: List, NO, none("no-proxy"), Now, "Hosts, domains and networks that are reached without the proxy, as `NO_PROXY` has them. Loopback always is.";
    ClientTimeout: Seconds, is("client-timeout", "60s"), is("client-timeout", "60s"), Now, "Longest time for one request.";
    ClientRetries: Text, none("client-max-retries"), NO, RETRIES, "Vault Agent's retries of one request.";
    MaxProcs: Text, none("go-max-procs"), NO, SINGLE, "Threads of Vault Agent.";
    LogLevel: OneOf(&["trace", "debug", "info", "warn", "error"]), set("log-level", "logLevel"), set("log-level", "logLevel"), Now, "The agent's log level.";
    LogFormat: OneOf(&["json", "standard"]), set("log-format", "logFormat"), set("log-format", "logFormat"), Now, "The agent's log lines.";

    MetricsPort: Uint, NO, none("metrics-port"), Now,
        "TCP port of the pod on which the agent serves `/metrics`, `/live`, `/ready` and `/status`.";
    MetricsScrape: Bool, NO, is("metrics-scrape", "false"), Now,
        "Add `prometheus.io/scrape`, `/port` and `/path` for that port, unless the pod has such annotations of its own.";

    // Tuning.
    ExitOnRetryFailure: Bool, is("template-config-exit-on-retry-failure", "true"), NO, RETRIES, "Whether Vault Agent ends when its retries are used up.";
    StaticInterval: Seconds, set("template-static-secret-render-interval", "staticInterval"), set("static-interval", "staticInterval"), Now,
        "How often a secret without a lease is looked at.";
    MaxConnections: Int, is("template-max-connections-per-host", "0"), NO, SINGLE, "Connections of Vault Agent.";
    RevokeSuperseded: Duration, NO, none("revoke-superseded"), Now,
        "Revoke a lease that was replaced, so long after its successor is written and every action is done. Without it an old lease runs to its natural end, so that open connections live.";
    RenewalThreshold: Share, is("template-lease-renewal-threshold", "0"), is("lease-renewal-threshold", "0"), Now,
        "Share of a lease that cannot be renewed after which it is replaced, 0 to 1; 0 is the agent's own rule.";
    IdleConnections: List, none("agent-disable-idle-connections"), NO, SINGLE, "Connection keeping of Vault Agent.";
    KeepAlives: List, none("agent-disable-keep-alives"), NO, SINGLE, "Connection keeping of Vault Agent.";
    Telemetry: Text, none("agent-telemetry-<PARAM>"), NO, TELEMETRY, "Vault Agent's telemetry stanza.";
}
