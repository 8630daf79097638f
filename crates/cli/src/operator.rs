//! `sidekey operator`: flags to [`sidekey_operator::run::Options`], a runtime around it. Flags and variables that the Vault
//! Secrets Operator has, have its names and defaults.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgAction, Args};
use sidekey_core::goparse;
use sidekey_operator::addresses::Addresses;
use sidekey_operator::backoff::Backoff;
use sidekey_operator::plan::storage::Persistence;
use sidekey_operator::proof::Cloud;
use sidekey_operator::run::{self, Options};
use sidekey_runtime::{drain, log};
use tokio::runtime::Builder;

use crate::args::LogFormat;
use crate::error::Error;
use crate::ignored::Ignored;

/// A login that no object uses is given back after this time.
const IDLE_LOGIN: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    /// Namespace of the leader's Lease, the key of digests, and the `default` VaultAuth and VaultConnection.
    #[arg(long, env = "OPERATOR_NAMESPACE", default_value = "vault-secrets-operator")]
    pub(crate) compat_namespace: String,
    /// Own name among the replicas; random without it.
    #[arg(long, env = "OPERATOR_POD_NAME")]
    pub(crate) identity: Option<String>,
    /// Address of /metrics (plain HTTP).
    #[arg(long, env = "SIDEKEY_METRICS_BIND_ADDRESS", default_value = ":8080", value_parser = address)]
    pub(crate) metrics_bind_address: SocketAddr,
    /// Address of /healthz and /readyz (plain HTTP); the same as that of the metrics puts both on one port.
    #[arg(long, env = "SIDEKEY_HEALTH_PROBE_BIND_ADDRESS", default_value = ":8081", value_parser = address)]
    pub(crate) health_probe_bind_address: SocketAddr,
    /// Work only while holding the Lease b0d477c0.hashicorp.com, which a Vault Secrets Operator would hold too.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) leader_elect: bool,
    /// Most resources of one Vault looked at at once: one that is slow holds up no other's.
    #[arg(long, env = "VSO_MAX_CONCURRENT_RECONCILES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_concurrent_reconciles: u32,
    /// First wait after a failure.
    #[arg(long, env = "VSO_BACKOFF_INITIAL_INTERVAL", default_value = "5s", value_parser = duration)]
    pub(crate) backoff_initial_interval: Duration,
    /// Longest wait after a failure.
    #[arg(long, env = "VSO_BACKOFF_MAX_INTERVAL", default_value = "60s", value_parser = duration)]
    pub(crate) backoff_max_interval: Duration,
    /// Accepted; failing resources are tried for ever.
    #[arg(long, env = "VSO_BACKOFF_MAX_ELAPSED_TIME", default_value = "0s", value_parser = duration)]
    pub(crate) backoff_max_elapsed_time: Duration,
    /// Share by which a wait may be shorter or longer.
    #[arg(long, env = "VSO_BACKOFF_RANDOMIZATION_FACTOR", default_value_t = 0.5)]
    pub(crate) backoff_randomization_factor: f64,
    /// What each wait is of the one before.
    #[arg(long, env = "VSO_BACKOFF_MULTIPLIER", default_value_t = 1.5)]
    pub(crate) backoff_multiplier: f64,
    /// `exclude-raw` leaves `_raw` out of every Secret.
    #[arg(long, env = "VSO_GLOBAL_TRANSFORMATION_OPTIONS", value_delimiter = ',', value_parser = ["exclude-raw"])]
    pub(crate) global_transformation_options: Vec<String>,
    /// `allow-default-globals` lets VaultAuths use the VaultAuthGlobal `default` when they ask for it; empty forbids it.
    #[arg(long, env = "VSO_GLOBAL_VAULT_AUTH_OPTIONS", default_value = "allow-default-globals", value_delimiter = ',',
        value_parser = ["allow-default-globals", ""])]
    pub(crate) global_vault_auth_options: Vec<String>,
    /// Host that tokens may be sent to although it is link-local or a metadata service; may be given again.
    #[arg(long, env = "SIDEKEY_ALLOW_ADDRESS", value_delimiter = ',', value_name = "HOST")]
    pub(crate) allow_address: Vec<String>,
    /// Send tokens to no other hosts than those of --allow-address.
    #[arg(long, env = "SIDEKEY_ONLY_ALLOWED_ADDRESSES", requires = "allow_address")]
    pub(crate) only_allowed_addresses: bool,
    /// Method that VaultAuths may use; may be given again. All that are served without it.
    #[arg(long, env = "SIDEKEY_ALLOW_AUTH_METHOD", value_delimiter = ',', value_name = "METHOD",
        value_parser = ["kubernetes", "jwt", "appRole", "aws", "gcp"])]
    pub(crate) allow_auth_method: Vec<String>,
    /// Look at the metadata of kv-v2 secrets first, and read data only when the version is another; where the policy does not
    /// allow that, data is read as without it. `spec.syncConfig.pollMetadata` decides for one object.
    #[arg(long, env = "SIDEKEY_POLL_METADATA", default_value_t = false, action = ArgAction::Set, num_args = 0..=1,
        default_missing_value = "true")]
    pub(crate) poll_metadata: bool,
    /// Let connections and transformations be used from every namespace, whatever their allowedNamespaces say.
    #[arg(long, env = "SIDEKEY_OPEN_REFERENCES")]
    pub(crate) open_references: bool,
    /// Serve this namespace, and --compat-namespace, and no others; may be given again. Roles suffice then.
    #[arg(long, env = "SIDEKEY_WATCH_NAMESPACE", value_delimiter = ',', value_name = "NAMESPACE")]
    pub(crate) watch_namespace: Vec<String>,
    /// How long the restart of a workload waits for other secrets of the same workload.
    #[arg(long, env = "SIDEKEY_RESTART_DEBOUNCE", default_value = "2s", value_parser = duration)]
    pub(crate) restart_debounce: Duration,
    /// Which logins outlive a restart: none; all, in Secrets of the operator's namespace; or the same, encrypted by the transit
    /// key of its VaultAuth with the label cacheStorageEncryption=true.
    #[arg(long, env = "VSO_CLIENT_CACHE_PERSISTENCE_MODEL", default_value = "none",
        value_parser = ["none", "direct-unencrypted", "direct-encrypted"])]
    pub(crate) client_cache_persistence_model: String,
    /// Accepted; every login is shared.
    #[arg(long, env = "VSO_CLIENT_CACHE_SIZE", default_value_t = 10_000)]
    pub(crate) client_cache_size: u32,
    /// Accepted; no lock is waited for.
    #[arg(long, env = "VSO_CLIENT_CACHE_NUM_LOCKS", default_value_t = 100)]
    pub(crate) client_cache_num_locks: u32,
    /// Take the operator's finalizers from all objects that it serves, and end: for when the operator is removed.
    #[arg(long)]
    pub(crate) uninstall: bool,
    /// Longest time for --uninstall, seconds.
    #[arg(long, default_value_t = 60)]
    pub(crate) pre_delete_hook_timeout_seconds: u64,
    /// How much to say.
    #[arg(long, env = "SIDEKEY_LOG_LEVEL", default_value = "info", value_parser = levels())]
    pub(crate) log_level: String,
    /// Shape of log lines.
    #[arg(long, env = "SIDEKEY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
}

/// The levels, and the one that only values of the Vault Secrets Operator's chart have.
fn levels() -> PossibleValuesParser {
    let levels = ["off", "error", "warn", "info", "debug", "trace"].map(PossibleValue::new);
    levels.map(|level| if level.get_name() == "debug" { level.alias("debug-extended") } else { level }).into()
}

/// `:8080` is every address, as Go has it.
fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    full.parse().map_err(|_| "neither :PORT nor ADDRESS:PORT".to_owned())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    goparse::parse_duration(text).ok_or_else(|| "not a duration such as 5s or 1m30s".to_owned())
}

pub(crate) fn run(args: &OperatorArgs) -> Result<(), Error> {
    let failed = |error: &dyn std::error::Error| Error::Failed(error.to_string());
    log::init(&args.log_level, args.log_format == LogFormat::Json).map_err(|error| failed(&error))?;
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        if args.uninstall {
            let longest = Duration::from_secs(args.pre_delete_hook_timeout_seconds);
            return run::release_all(&options(args), longest).await.map_err(|error| failed(&error));
        }
        let drain = drain::on_signals().map_err(|error| failed(&error))?;
        run::run(options(args), drain).await.map_err(|error| failed(&error))
    })
}

/// What AWS's clients read of the environment, and where proxies are.
fn environment() -> BTreeMap<String, String> {
    let wanted = |name: &str| name.starts_with("AWS_") || name.to_ascii_uppercase().ends_with("_PROXY");
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| wanted(name))
        .collect()
}

fn options(args: &OperatorArgs) -> Options {
    let random = || format!("sidekey-operator-{:016x}", RandomState::new().hash_one(0_u8));
    Options {
        compat_namespace: args.compat_namespace.clone(),
        identity: args.identity.clone().unwrap_or_else(random),
        metrics: args.metrics_bind_address,
        health: args.health_probe_bind_address,
        leader_elect: args.leader_elect,
        looks: usize::try_from(args.max_concurrent_reconciles).unwrap_or(usize::MAX),
        backoff: Backoff {
            initial: args.backoff_initial_interval,
            longest: args.backoff_max_interval,
            multiplier: args.backoff_multiplier,
            randomization: args.backoff_randomization_factor,
        },
        cloud: Cloud { env: environment(), ..Cloud::default() },
        addresses: Addresses { allowed: args.allow_address.clone(), only: args.only_allowed_addresses },
        exclude_raw: args.global_transformation_options.iter().any(|option| option == "exclude-raw"),
        poll_metadata: args.poll_metadata,
        default_globals: args.global_vault_auth_options.iter().any(|option| option == "allow-default-globals"),
        auth_methods: args.allow_auth_method.clone(),
        open_references: args.open_references,
        watch_namespaces: args.watch_namespace.clone(),
        restart_debounce: args.restart_debounce,
        persistence: match args.client_cache_persistence_model.as_str() {
            "direct-encrypted" => Persistence::Encrypted,
            "direct-unencrypted" => Persistence::Unencrypted,
            _ => Persistence::None,
        },
        idle_login: IDLE_LOGIN,
        cache_size: args.client_cache_size,
        without_effect: args.ignored.given(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn flags_that_mean_nothing_here_are_accepted_and_named() {
        assert_eq!(read(&[]).without_effect, [""; 0]);
        let all = read(&[
            "--kube-client-qps=50",
            "--kube-client-burst",
            "100",
            "--max-concurrent-reconciles-vds=10",
            "--min-refresh-after-hvsa=30s",
            "--zap-devel",
            "--zap-encoder=json",
            "--zap-log-level=debug",
            "--zap-stacktrace-level=panic",
            "--zap-time-encoding=rfc3339",
        ]);
        let named = "--kube-client-qps --kube-client-burst --max-concurrent-reconciles-vds --min-refresh-after-hvsa --zap-devel \
                     --zap-encoder --zap-log-level --zap-stacktrace-level --zap-time-encoding";
        assert_eq!(all.without_effect.join(" "), named);
        assert_eq!(
            read(&["--zap-devel=false", "--zap-encoder=console"]).without_effect,
            ["--zap-devel", "--zap-encoder"]
        );
    }

    #[test]
    fn a_level_of_the_other_chart_is_understood_and_a_wrong_one_is_not() {
        let level = |level: &str| Cli::try_parse_from(["sidekey", "operator", "--log-level", level]).is_ok();
        assert_eq!(["debug", "debug-extended", "trace", "loud"].map(level), [true, true, true, false]);
    }

    fn read(flags: &[&str]) -> Options {
        let line = ["sidekey", "operator"].iter().chain(flags);
        let Command::Operator(args) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        options(&args)
    }

    #[test]
    fn flags_of_a_vault_secrets_operator_are_understood() {
        let plain = read(&[]);
        assert_eq!((plain.metrics.to_string().as_str(), plain.health.port()), ("[::]:8080", 8081));
        assert_eq!(
            (plain.looks, plain.leader_elect, plain.exclude_raw, plain.default_globals),
            (100, true, false, true)
        );
        assert_eq!(plain.backoff, Backoff::default());
        let told = read(&[
            "--metrics-bind-address=127.0.0.1:8080",
            "--health-probe-bind-address=:9000",
            "--leader-elect",
            "--max-concurrent-reconciles=5",
            "--backoff-initial-interval=1s",
            "--backoff-max-interval=1m30s",
            "--backoff-max-elapsed-time=0s",
            "--backoff-multiplier=2",
            "--backoff-randomization-factor=0.1",
            "--global-transformation-options=exclude-raw",
            "--global-vault-auth-options=",
            "--client-cache-persistence-model=direct-encrypted",
            "--client-cache-size=10",
            "--client-cache-num-locks=10",
        ]);
        assert_eq!((plain.persistence, told.persistence), (Persistence::None, Persistence::Encrypted));
        assert_eq!((told.metrics.to_string().as_str(), told.health.port(), told.looks), ("127.0.0.1:8080", 9000, 5));
        assert_eq!((told.backoff.longest.as_secs(), told.backoff.multiplier), (90, 2.0));
        assert_eq!((told.exclude_raw, told.default_globals), (true, false));
        assert!(!read(&["--leader-elect=false"]).leader_elect);
    }
}
