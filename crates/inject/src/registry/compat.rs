//! docs/compatibility.md: what stays of today's injector, key by key, name by name, flag by flag.

use super::{Annotation, Effect, Field, TABLE};
use Verdict::{Better, Different, Same};

/// How a key of the Vault dialect fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As today.
    Same,
    /// As today, and more.
    Better,
    /// Not as today, on purpose.
    Different,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Better => "better",
            Self::Different => "different",
        }
    }
}

/// One for each key that has an effect; one without has its reason in the table.
#[rustfmt::skip]
const VERDICTS: &[(Field, Verdict, &str)] = &[
    (Field::Inject, Same, ""),
    (Field::Status, Better, "A marked pod that has our container is completed by a second call: containers that other webhooks add later get the secrets too."),
    (Field::RequestNamespace, Same, ""),
    (Field::Containers, Better, "Blanks around names do not count; a name that is not there gives a warning."),
    (Field::Image, Different, "An image that is not Sidekey's agent cannot do its work: it is ignored with a warning."),
    (Field::Secret, Better, "KV v2 paths work with and without `data/`; a path may hold quotes; files are in the order of their names, always."),
    (Field::Template, Better, "Checked at admission: what does not parse, and a function that is not there, refuses the pod."),
    (Field::TemplateFile, Better, "A changed file is read again. Where there is a secret called `file-x`, `agent-inject-template-file-x` is its template, and not the file of a secret `x` too."),
    (Field::DefaultTemplate, Same, "KV v2 gives the whole answer, as today; the native formats give the secret."),
    (Field::LeftDelimiter, Better, "The default template keeps its own delimiters, so that it renders."),
    (Field::RightDelimiter, Better, "The default template keeps its own delimiters, so that it renders."),
    (Field::ErrorOnMissingKey, Better, "A value that is no boolean refuses the pod also where no file has that name."),
    (Field::File, Different, "`..` stays inside the volume, with a warning; two files of one name refuse the pod."),
    (
        Field::Mode,
        Better,
        "Checked at admission; a mode that shuts the app out gives a warning. Without it a file keeps the mode it has, as far as that is no wider than 0644.",
    ),
    (Field::VolumePath, Different, "Cleaned: `/a/` is `/a`. The root, an empty value and `..` are refused, and so is a directory where a container mounts something else."),
    (Field::PreserveCase, Better, "A value that is no boolean gives a warning."),
    (Field::Command, Different, "Plain words run without a shell, all else with `sh -c` in the tools image. `pkill -HUP NAME` and `killall` become a signal, a plain `curl URL` a call, both after later changes only, as the app is not there at the first. Programs run at the first writing too, and readiness waits for them; 30 s each, tried again alone, with no second fetch. They get no token, and what they print goes nowhere."),
    (Field::InjectToken, Same, ""),
    (Field::CacheEnable, Different, "Requests are sent on, and nothing is cached; the sidecar alone listens. Namespace and wrapping of a request are kept, other headers are not."),
    (Field::CacheToken, Better, "Checked at admission."),
    (Field::CachePort, Better, "Checked at admission."),
    (Field::EnableQuit, Different, "The token is revoked, and none is asked for again. A classic sidecar then leaves; a native one, which would be started again, idles. The init container serves none."),
    (Field::PrePopulate, Better, "One native sidecar whose startup probe holds the app back, in place of two containers with two logins; `false` blocks nothing. Where a node is older than 1.29, the pair."),
    (Field::PrePopulateOnly, Same, ""),
    (Field::InitFirst, Better, "A second call moves the agent back to the front when another webhook got before it."),
    (Field::ShareProcesses, Better, "With and without an init container."),
    (Field::ConfigMap, Different, "As far as Sidekey serves the stanzas (docs/guides/vault-agent-files.md): one that it does not serve keeps the agent from starting, with its line."),
    (Field::ExtraSecret, Same, ""),
    (Field::CopyMounts, Better, "A path that is taken is left out in place of a pod that the API server refuses."),
    (Field::JsonPatch, Different, "For the native sidecar or the classic one, whose `command`, `args` and `env` are Sidekey's. Fields that this release does not know are kept; the name stays, with a warning; the configuration cannot be changed."),
    (Field::InitJsonPatch, Different, "As above; asks for the classic pair, as a native sidecar is no init container of its own."),
    (Field::Revoke, Better, "The agent revokes its token itself, with the pod's namespace, CA and proxy, and no shell."),
    (Field::RevokeGrace, Different, "For a classic sidecar. A native one is ended after the app, so it revokes at once."),
    (Field::LimitsCpu, Better, "A default request above it is lowered with it, in place of a pod that the API server refuses."),
    (Field::LimitsMemory, Different, "Default: `resources.memoryBase` and the memory volumes' sizes. The volumes are made to fit into it."),
    (Field::LimitsEphemeral, Same, ""),
    (Field::RequestsCpu, Different, "Default 10m, for an agent that needs no more. A default limit below it is raised with it."),
    (Field::RequestsMemory, Different, "Default 16Mi. A Guaranteed pod stays Guaranteed."),
    (Field::RequestsEphemeral, Same, ""),
    (Field::SetSecurityContext, Better, "With `seccompProfile: RuntimeDefault`, so it passes *restricted*; `platformUser` leaves only the ids to OpenShift."),
    (Field::RunAsUser, Same, ""),
    (Field::RunAsGroup, Better, "With group 0 `runAsNonRoot` stays true, as it speaks of the user alone."),
    (Field::RunAsSameUser, Same, ""),
    (Field::Address, Better, "A value without a scheme is refused by name."),
    (Field::AuthType, Different, "The methods that the table of annotations names; any other refuses the pod by name."),
    (Field::AuthPath, Better, "A pod of another auth type than the settings' that says nothing gets a warning: it has the injector's path, where another method may be."),
    (Field::Namespace, Better, "For every request, the revocation included."),
    (Field::Role, Same, ""),
    (Field::AuthConfig, Better, "A parameter without an effect gives a warning, and AWS keys in an annotation refuse the pod; of `a-b` and `a_b` it is always the same that counts."),
    (Field::AuthMinBackoff, Better, "A negative one is refused."),
    (Field::AuthMaxBackoff, Better, "A negative one is refused."),
    (Field::AuthExitOnError, Different, "Ends the container only before the first files are written: a pod that is ready is never taken down by a login."),
    (Field::TokenVolume, Different, "Absent: a projected token of the agent's own, so it works without automount and never takes another volume for it."),
    (Field::CaCert, Same, ""),
    (Field::CaPath, Same, ""),
    (Field::ClientCert, Same, ""),
    (Field::ClientKey, Same, ""),
    (Field::TlsSecret, Same, ""),
    (Field::TlsServerName, Same, ""),
    (Field::TlsSkipVerify, Same, ""),
    (Field::Proxy, Same, ""),
    (Field::ClientTimeout, Different, "Checked at admission. Whole seconds and at least one; days (`1d`) are not read."),
    (Field::LogLevel, Better, "The settings have a default for all pods."),
    (Field::LogFormat, Different, "Default: the settings' `logFormat`, which ships as `json`."),
    (Field::StaticInterval, Better, "Checked at admission; it is for secrets without a lease alone."),
    (Field::RenewalThreshold, Better, "Checked at admission; 0 is the agent's own rule: replaced before its end, never after."),
];

const HEAD: &str = "# Compatibility

This page is generated from the registry of `crates/inject`; `UPDATE_GOLDEN=1 cargo test -p sidekey-inject` writes it anew.

Pods annotated for HashiCorp's Vault Agent Injector (vault-k8s 1.7) and OpenBao's (openbao-k8s) are injected as they are. All 74 of its
annotations are here: *same*, *better*, or *different* on purpose, and why. Two things hold for all of them: the values' shapes
are today's (Go's booleans and durations; an empty value is not an absent one), and what is unknown or without an effect gives an
admission warning, where today it is dropped without a word. [annotations.md](reference/annotations.md) says what each does.

## Annotations

";

/// The page, as Markdown.
pub fn compatibility() -> String {
    let mut page = HEAD.to_owned();
    table(&mut page, ["`vault.hashicorp.com/`…", "here", "and why"], TABLE.iter().filter_map(key));
    page.push_str(NAMES_HEAD);
    table(&mut page, ["today", "here"], NAMES.iter().map(|(old, new)| [(*old).to_owned(), (*new).to_owned()]));
    page.push_str(FLAGS_HEAD);
    let flag = |(flag, variable, setting, note): &(&str, &str, &str, &str)| {
        let name = |name: &str| if name.is_empty() { String::new() } else { format!("`{name}`") };
        [name(flag), name(variable), name(setting), (*note).to_owned()]
    };
    let heads = ["flag of `agent-inject`", "`AGENT_INJECT_`…", "here", "and"];
    table(&mut page, heads, FLAGS.iter().map(flag));
    page
}

fn table<const N: usize>(page: &mut String, heads: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    page.push_str(&format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(N)));
    for row in rows {
        page.push_str(&format!("| {} |\n", row.join(" | ")));
    }
}

fn key(row: &Annotation) -> Option<[String; 3]> {
    let pattern = format!("`{}`", row.vault?.pattern);
    let (verdict, why) = match row.effect {
        Effect::Never(reason) => (Different.as_str(), format!("Without an effect: {reason}.")),
        Effect::Now => {
            let found = VERDICTS.iter().find(|(field, ..)| *field == row.field);
            found.map_or(("", String::new()), |(_, verdict, why)| (verdict.as_str(), (*why).to_owned()))
        }
    };
    Some([pattern, verdict.to_owned(), why])
}

const NAMES_HEAD: &str = "
## Names, mounts and paths

What other manifests, dashboards and scripts may refer to.

";

#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("container `vault-agent`", "the same name: an init container with `restartPolicy: Always` (a native sidecar), or a regular one in the classic pair"),
    ("init container `vault-agent-init`", "only in the classic pair, or with `agent-pre-populate-only`"),
    ("volume `vault-secrets` at `/vault/secrets`", "the same, with a size limit; writable in the app, as today"),
    ("volumes `vault-secrets-custom-<N>`", "the same names, numbered in the order of the secrets' names"),
    ("volumes `home-init`, `home-sidecar` at `/home/vault`", "`sidekey-state` at `/sidekey/state`, for the agent alone"),
    ("`/home/vault/.vault-token`", "no such file; `agent-inject-token` writes `/vault/secrets/token`"),
    ("`/home/vault/config.json`, env `VAULT_CONFIG`", "env `SIDEKEY_CONFIG`, JSON as it stands; `sidekey explain` shows it"),
    ("env `NAMESPACE`, `HOST_IP`, `POD_IP`", "the same, where a template or a command may read them, those of an `agent-configmap` included"),
    ("env `VAULT_ADDR`, `VAULT_CACERT` of commands", "the same"),
    ("volume `extra-secrets` at `/vault/custom`", "the same"),
    ("volume `vault-tls-secrets` at `/vault/tls`", "the same"),
    ("volume `vault-config` at `/vault/configs`", "the same, where `agent-configmap` names a ConfigMap"),
    ("volume `vault-agent-cache` at `/vault/agent-cache`", "not needed: the agent resumes from `/sidekey/state`"),
    ("the pod's own service account token mount", "volume `sidekey-token` at `/var/run/secrets/sidekey.dev/serviceaccount`, unless a volume is named"),
    ("`/bin/sh`, `vault` in the agent's container", "none; the tools image has busybox. `sidekey-agent status` and `check` show how it stands"),
    ("preStop hook of `vault-agent`", "none: the agent revokes its token itself"),
    ("annotation `agent-inject-status: injected`", "the same"),
    ("MutatingWebhookConfiguration `…-agent-injector-cfg`", "`sidekey-webhook`; only annotated pods are sent, so `failurePolicy: Fail` harms no other"),
    ("Secret `vault-injector-certs`, ConfigMap `vault-k8s-leader`", "Secret `sidekey-webhook-ca`, Lease `sidekey-webhook`"),
    ("port 8080, `/mutate`, `/health/ready`, `/metrics` over TLS", "port 8443 `/mutate`; `/live`, `/ready`, `/metrics` on 9090 in plain HTTP"),
];

#[rustfmt::skip]
const FLAGS_HEAD: &str = "
## Flags, environment and chart values

What the injector was told by flag or environment (the chart's `injector.*` values and `extraEnvironmentVars` set these) is a
field of the [settings](reference/settings.md) file. Whatever has no field of its own is a default for the annotation, under
`policy.defaults`. `sidekey webhook` has its own flags for what belongs to the process.

";

/// Flag, variable, field of the settings or flag of `sidekey webhook`, note.
const FLAGS: &[(&str, &str, &str, &str)] = &[
    ("-vault-address", "VAULT_ADDR", "vaultAddress", ""),
    ("-vault-image", "VAULT_IMAGE", "agentImage", "Sidekey's own agent; `toolsImage` where commands need programs"),
    ("-vault-auth-type", "VAULT_AUTH_TYPE", "authType", ""),
    ("-vault-auth-path", "VAULT_AUTH_PATH", "authPath", "chart: `injector.authPath`"),
    ("-vault-namespace", "VAULT_NAMESPACE", "vaultNamespace", ""),
    ("-vault-cacert-bytes", "VAULT_CACERT_BYTES", "caPem", "PEM"),
    ("-proxy-address", "PROXY_ADDR", "proxyAddress", ""),
    ("-default-template", "DEFAULT_TEMPLATE", "defaultTemplate", "chart: `injector.agentDefaults.template`"),
    ("-revoke-on-shutdown", "REVOKE_ON_SHUTDOWN", "revokeOnShutdown", "chart: `injector.revokeOnShutdown`"),
    ("-run-as-user", "RUN_AS_USER", "runAsUser", ""),
    ("-run-as-group", "RUN_AS_GROUP", "runAsGroup", ""),
    ("-run-as-same-user", "RUN_AS_SAME_USER", "policy.defaults", "`vault.hashicorp.com/agent-run-as-same-user`"),
    (
        "-set-security-context",
        "SET_SECURITY_CONTEXT",
        "securityContext",
        "`false` is read as `none`; chart: `global.openshift` is `platformUser`",
    ),
    ("-cpu-request", "CPU_REQUEST", "resources.cpuRequest", "chart: `injector.agentDefaults.cpuRequest`"),
    ("-cpu-limit", "CPU_LIMIT", "resources.cpuLimit", "chart: `injector.agentDefaults.cpuLimit`"),
    ("-memory-request", "MEM_REQUEST", "resources.memoryRequest", "chart: `injector.agentDefaults.memRequest`"),
    (
        "-memory-limit",
        "MEM_LIMIT",
        "policy.defaults",
        "`vault.hashicorp.com/agent-limits-mem`; without it the limit follows the volumes",
    ),
    (
        "-ephemeral-storage-request",
        "EPHEMERAL_REQUEST",
        "policy.defaults",
        "`vault.hashicorp.com/agent-requests-ephemeral`",
    ),
    ("-ephemeral-storage-limit", "EPHEMERAL_LIMIT", "policy.defaults", "`vault.hashicorp.com/agent-limits-ephemeral`"),
    (
        "-template-config-exit-on-retry-failure",
        "TEMPLATE_CONFIG_EXIT_ON_RETRY_FAILURE",
        "",
        "not needed: the agent retries for ever",
    ),
    ("-template-static-secret-render-interval", "TEMPLATE_STATIC_SECRET_RENDER_INTERVAL", "staticInterval", ""),
    ("", "TEMPLATE_MAX_CONNECTIONS_PER_HOST", "", "not needed"),
    (
        "",
        "TEMPLATE_LEASE_RENEWAL_THRESHOLD",
        "policy.defaults",
        "`vault.hashicorp.com/template-lease-renewal-threshold`; without an effect today",
    ),
    ("-auth-min-backoff", "AUTH_MIN_BACKOFF", "authMinBackoff", ""),
    ("-auth-max-backoff", "AUTH_MAX_BACKOFF", "authMaxBackoff", ""),
    ("-disable-idle-connections", "DISABLE_IDLE_CONNECTIONS", "", "not needed"),
    ("-disable-keep-alives", "DISABLE_KEEP_ALIVES", "", "not needed"),
    ("-listen", "LISTEN", "--listen", ""),
    ("-log-level", "LOG_LEVEL", "--log-level", "of the webhook; `logLevel` is the agents'"),
    ("-log-format", "LOG_FORMAT", "--log-format", "of the webhook; `logFormat` is the agents'"),
    ("-telemetry-path", "TELEMETRY_PATH", "--admin", "always there, at `/metrics`"),
    ("-use-leader-elector", "USE_LEADER_ELECTOR", "", "always, by a Lease, and only for changing certificates"),
    ("-tls-auto", "TLS_AUTO", "--configuration", ""),
    ("-tls-auto-hosts", "TLS_AUTO_HOSTS", "--service", "the certificate is for the Service"),
    ("-tls-cert-file", "TLS_CERT_FILE", "--tls-dir", "a directory with `tls.crt` and `tls.key`"),
    ("-tls-key-file", "TLS_KEY_FILE", "--tls-dir", ""),
    (
        "-tls-ca-cert-file",
        "TLS_CA_CERT_FILE",
        "",
        "not needed: who mounts a certificate sets `caBundle`, as cert-manager does",
    ),
    ("-tls-min-version", "TLS_MIN_VERSION", "", "TLS 1.2 and 1.3"),
    ("-tls-cipher-suites", "TLS_CIPHER_SUITES", "", "rustls' own, which are all of today's good ones"),
    ("", "NAMESPACE", "--namespace", "without the prefix there; here `POD_NAMESPACE`"),
    ("", "POD_NAME", "--identity", "without the prefix, in both"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn every_key_that_has_an_effect_has_one_verdict() {
        for row in TABLE.iter().filter(|row| row.vault.is_some()) {
            let verdicts = VERDICTS.iter().filter(|(field, ..)| *field == row.field).count();
            assert!(verdicts == 1 || (verdicts == 0 && row.effect != Effect::Now), "{:?}: {verdicts}", row.field);
        }
        assert!(VERDICTS.iter().all(|(field, ..)| field.row().vault.is_some()));
        for (field, verdict, why) in VERDICTS {
            assert!(*verdict == Same || !why.is_empty(), "{field:?} does not say why");
        }
        assert_eq!(TABLE.iter().filter_map(key).count(), 74);
    }

    // Rows that lead to a flag of the webhook are held against its command line, in the crate that has it.
    #[test]
    fn every_flag_leads_to_a_field_that_is_there() {
        let mut settings = Settings::default();
        (settings.run_as_user, settings.run_as_group) = (Some(1), Some(1));
        settings.policy.defaults.insert("sidekey.dev/role".to_owned(), "x".to_owned());
        let value = serde_json::to_value(settings).unwrap();
        for (flag, _, setting, note) in FLAGS.iter().filter(|(_, _, setting, _)| !setting.starts_with("--")) {
            let there = value.pointer(&format!("/{}", setting.replace('.', "/"))).is_some();
            assert!(there || (setting.is_empty() && !note.is_empty()), "{flag}: {setting}");
        }
    }
}
