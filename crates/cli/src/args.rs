//! The command line. Every flag of a long-running command has a twin in the environment; the flag wins.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::operator::OperatorArgs;

/// Delivers Vault and OpenBao secrets to Kubernetes workloads.
#[derive(Debug, Parser)]
#[command(name = "sidekey", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the admission webhook.
    Webhook(WebhookArgs),
    /// Keep Kubernetes Secrets as the custom resources of secrets.hashicorp.com say.
    Operator(Box<OperatorArgs>),
    /// Do to manifests what the webhook would do, and print them.
    Inject(InjectArgs),
    /// Say which annotation led to what, and where each default came from.
    Explain(ExplainArgs),
    /// Say of each pod in manifests whether the webhook would take it; for a pipeline.
    Check(CheckArgs),
    /// Render a template, a format or a pod's files once, with Vault's data or a file's; write nothing, show no secret.
    Render(RenderArgs),
    /// Print the CustomResourceDefinitions that the operator serves, or bring those of a cluster to this version.
    Crds(CrdsArgs),
    /// Print the manifests that install Sidekey.
    Manifests(ManifestsArgs),
    /// Print what completes this command line in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    /// Address of the webhook's port (TLS).
    #[arg(long, env = "SIDEKEY_LISTEN", default_value = "[::]:8443")]
    pub(crate) listen: SocketAddr,
    /// Address of /live, /ready and /metrics (plain HTTP).
    #[arg(long, env = "SIDEKEY_ADMIN", default_value = "[::]:9090")]
    pub(crate) admin: SocketAddr,
    /// Settings file (YAML); followed while the webhook runs.
    #[arg(long, env = "SIDEKEY_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Directory with tls.crt and tls.key; without it the certificate is self-made.
    #[arg(long, env = "SIDEKEY_TLS_DIR", value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// Own namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = "sidekey")]
    pub(crate) namespace: String,
    /// Own name among the replicas; random without it.
    #[arg(long, env = "POD_NAME")]
    pub(crate) identity: Option<String>,
    /// Name of the Service, for the self-made certificate.
    #[arg(long, env = "SIDEKEY_SERVICE", default_value = "sidekey-webhook")]
    pub(crate) service: String,
    /// MutatingWebhookConfiguration whose caBundle is kept right.
    #[arg(long, env = "SIDEKEY_WEBHOOK_CONFIGURATION", default_value = "sidekey-webhook")]
    pub(crate) configuration: String,
    /// Secret of the self-made CA.
    #[arg(long, env = "SIDEKEY_CA_SECRET", default_value = "sidekey-webhook-ca")]
    pub(crate) ca_secret: String,
    /// Lease that lets one replica at a time change CA and caBundle.
    #[arg(long, env = "SIDEKEY_LEASE", default_value = "sidekey-webhook")]
    pub(crate) lease: String,
    /// Lease of the replica that looks for pods without the agent they ask for.
    #[arg(long, env = "SIDEKEY_LEADER_LEASE", default_value = "sidekey-webhook-leader")]
    pub(crate) leader_lease: String,
    /// Seconds to go on serving after SIGTERM, unready, before the port closes.
    #[arg(long, env = "SIDEKEY_LAME_DUCK_SECONDS", default_value_t = 5)]
    pub(crate) lame_duck_seconds: u64,
    /// Worker threads; by default as many as the CPU limit allows.
    #[arg(long, env = "SIDEKEY_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// How much to say.
    #[arg(long, env = "SIDEKEY_LOG_LEVEL", default_value = "info",
        value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    pub(crate) log_level: String,
    /// Shape of log lines.
    #[arg(long, env = "SIDEKEY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Json,
    Text,
}

/// What `inject` and `explain` read.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// Manifest, YAML or JSON, of one or many objects; `-` is standard input, a folder its .yaml, .yml and .json files.
    /// May be given again.
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The webhook's settings file; defaults without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Namespace of objects that name none.
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// Version of the oldest kubelet: native sidecars need 1.29; env files 1.35, or 1.34 and the settings' envFiles on.
    #[arg(long, value_name = "VERSION", default_value = "1.34")]
    pub(crate) kubernetes_version: Version,
}

#[derive(Debug, Args)]
pub(crate) struct InjectArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Print what changes, as a unified diff, in the place of the manifests.
    #[arg(long)]
    pub(crate) diff: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// A warning fails the check, too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// For machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Vault is that of VAULT_ADDR, VAULT_TOKEN (or the file of `vault login`), VAULT_NAMESPACE, VAULT_CACERT and the like. A
/// credential that is made for the run is revoked at its end; a certificate that is issued stays.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// Template file; `-`, the default, is standard input.
    #[arg(value_name = "TEMPLATE", conflicts_with_all = ["secret", "files"])]
    pub(crate) template: Option<PathBuf>,
    /// The template's language; by its name's ending, else handlebars.
    #[arg(long, value_enum)]
    pub(crate) engine: Option<Language>,
    /// Go templates: a key that a secret lacks is an error.
    #[arg(long)]
    pub(crate) error_on_missing_key: bool,
    /// A secret's path, to be rendered in a stock format.
    #[arg(long, value_name = "PATH", conflicts_with = "files")]
    pub(crate) secret: Option<String>,
    /// The stock format, such as env; json without it.
    #[arg(long, requires = "secret")]
    pub(crate) format: Option<String>,
    /// The one field to render (format raw).
    #[arg(long, requires = "secret")]
    pub(crate) field: Option<String>,
    /// Manifest with annotated pods, as for `inject`: every file they ask for.
    #[arg(short, long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The webhook's settings file, for --filename.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Namespace of objects that name none.
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// Version of the oldest kubelet, for --filename.
    #[arg(long, value_name = "VERSION", default_value = "1.34")]
    pub(crate) kubernetes_version: Version,
    /// YAML or JSON file that holds the answers in the place of Vault: a path, and below it the secret's fields.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// A variable that the template may read; may be given again.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Print the secrets themselves. Without it every value is REDACTED.
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Handlebars,
    Go,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// For machines.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CrdsArgs {
    /// Apply them to the cluster (server-side, taking over what others have applied) and wait until they are served.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Longest wait until they are served.
    #[arg(long, default_value = "30s", value_parser = crate::operator::duration, requires = "apply")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ManifestsArgs {
    /// Namespace to install into.
    #[arg(long, default_value = "sidekey")]
    pub(crate) namespace: String,
    /// Image of the webhook.
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Image of the agent.
    #[arg(long)]
    pub(crate) agent_image: Option<String>,
    /// imagePullPolicy of both.
    #[arg(long)]
    pub(crate) image_pull_policy: Option<String>,
    /// Vault's URL for pods that name none.
    #[arg(long)]
    pub(crate) vault_address: Option<String>,
    /// Settings file to install in the place of the shipped one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["agent_image", "vault_address"])]
    pub(crate) settings: Option<PathBuf>,
    /// Replicas of the webhook.
    #[arg(long)]
    pub(crate) replicas: Option<u32>,
    /// The cluster's version; below 1.28 it has no matchConditions, and this command says no.
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes_version: Option<Version>,
}

/// A Kubernetes version, as much of it as decides: `1.34`, `v1.34.4+k3s1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut number = || {
            let part = parts.next()?;
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse().ok()
        };
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err("not a version such as 1.34".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_compatibility_page_leads_to_flags_that_are_there() {
        let command = Cli::command();
        let arguments: Vec<_> = command.find_subcommand("webhook").unwrap().get_arguments().collect();
        let page = sidekey_inject::registry::compatibility();
        let rows: Vec<_> = page.lines().filter(|line| line.contains("| `--")).collect();
        for row in &rows {
            let [.., flag, note, _] = row.split(" |").collect::<Vec<_>>()[..] else { panic!("{row}") };
            let long = flag.trim().trim_matches('`').trim_start_matches("--");
            let found = arguments.iter().find(|argument| argument.get_long() == Some(long));
            let argument = found.unwrap_or_else(|| panic!("there is no webhook --{long}: {row}"));
            let variable = argument.get_env().and_then(|name| name.to_str());
            assert!(!note.contains("here `") || note.contains(&format!("here `{}`", variable.unwrap())), "{row}");
        }
        assert!(rows.len() > 8, "the page has no such rows any more: {rows:?}");
    }

    #[test]
    fn reads_versions_as_clusters_print_them() {
        let version = |text: &str| text.parse::<Version>().map(|version| (version.major, version.minor));
        assert_eq!(version("1.34"), Ok((1, 34)));
        assert_eq!(version("v1.28.15-eks-1234"), Ok((1, 28)));
        assert_eq!(version("1.27+"), Ok((1, 27)));
        assert!(version("1").is_err() && version("").is_err() && version("v.2").is_err());
        assert!(Version { major: 1, minor: 9 } < Version { major: 1, minor: 28 });
    }
}
