//! Flags of the Vault Secrets Operator that mean nothing here. They are accepted, so that `extraArgs` of its chart start a pod, and
//! named in one line of the log.

use clap::{ArgAction, Args};

#[derive(Debug, Args)]
pub(crate) struct Ignored {
    /// Accepted; calls to the Kubernetes API are not throttled.
    #[arg(long, hide = true)]
    kube_client_qps: Option<String>,
    /// Accepted; calls to the Kubernetes API are not throttled.
    #[arg(long, hide = true)]
    kube_client_burst: Option<String>,
    /// Accepted; --max-concurrent-reconciles is for all kinds.
    #[arg(long, hide = true)]
    max_concurrent_reconciles_vds: Option<String>,
    /// Accepted; HCP Vault Secrets is not served.
    #[arg(long, hide = true)]
    min_refresh_after_hvsa: Option<String>,
    /// Accepted; logs have --log-level and --log-format.
    #[arg(long, hide = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    zap_devel: Option<String>,
    /// Accepted; logs have --log-format.
    #[arg(long, hide = true)]
    zap_encoder: Option<String>,
    /// Accepted; logs have --log-level.
    #[arg(long, hide = true)]
    zap_log_level: Option<String>,
    /// Accepted; there are no stack traces.
    #[arg(long, hide = true)]
    zap_stacktrace_level: Option<String>,
    /// Accepted; times are RFC 3339.
    #[arg(long, hide = true)]
    zap_time_encoding: Option<String>,
}

impl Ignored {
    /// Those that were given.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--kube-client-qps", &self.kube_client_qps),
            ("--kube-client-burst", &self.kube_client_burst),
            ("--max-concurrent-reconciles-vds", &self.max_concurrent_reconciles_vds),
            ("--min-refresh-after-hvsa", &self.min_refresh_after_hvsa),
            ("--zap-devel", &self.zap_devel),
            ("--zap-encoder", &self.zap_encoder),
            ("--zap-log-level", &self.zap_log_level),
            ("--zap-stacktrace-level", &self.zap_stacktrace_level),
            ("--zap-time-encoding", &self.zap_time_encoding),
        ];
        all.into_iter().filter_map(|(name, value)| value.as_ref().map(|_| name)).collect()
    }
}
