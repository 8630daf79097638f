//! Vault Agent's own configuration files → `AgentConfig`.
//!
//! files → `hcl` (a tree with lines) → `said` (one value at a time) → `method`, `template`, `endpoints` → here, merged
//!
//! What is unknown or cannot be served keeps the agent from starting, with file and line; what is understood and has no
//! effect is said in the log. Precedence of the connection: the webhook's contract, the environment, the files.

mod endpoints;
mod method;
mod paths;
mod program;
mod said;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sidekey_core::contract::{Dialect, Lifecycle, Log, Notify, Output, PodIdentity, Refresh, Server, Shape, VERSION};
use sidekey_core::goparse::parse_bool;
use sidekey_core::{AgentConfig, Cause, Code};

use self::endpoints::Endpoints;
use self::method::AutoAuth;
pub(crate) use self::paths::named_by;
use self::said::Said;
use crate::child::Program;
use crate::hcl::{self, Block, Entry};

/// Where the agent keeps its state when nobody says.
const STATE_DIR: &str = "/sidekey/state";

/// Who says.
pub(crate) const STATE_DIR_VARIABLE: &str = "SIDEKEY_STATE_DIR";

/// Blocks that a file has once.
const SINGLE: [&str; 6] = ["vault", "auto_auth", "exec", "template_config", "cache", "api_proxy"];

type Env = BTreeMap<String, String>;

/// What the files ask for.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: AgentConfig,
    /// The files and directories it was read from; none where the webhook's contract says it all.
    pub(crate) files: Vec<String>,
    /// `exit_after_auth`.
    pub(crate) once: bool,
    /// What has no effect, with file and line.
    pub(crate) notes: Vec<String>,
    /// `exec`; without words where only variables are asked for.
    pub(crate) program: Option<Program>,
}

impl Loaded {
    /// Whether the files are for `sidekey-agent exec`.
    pub(crate) const fn starts_program(&self) -> bool {
        self.program.is_some()
    }
}

/// Why `run` does not take them.
pub(crate) fn without_exec() -> Cause {
    Cause::new(Code::ConfigMalformed, "reading Vault Agent's configuration files", "they start a program")
        .with_fix("Run `sidekey-agent exec --config PATH` with them.")
}

/// Reads files, and directories of `.hcl` and `.json` files in the order of their names.
///
/// # Errors
/// `ConfigMalformed` with every problem found, up to a dozen.
pub(crate) fn load(paths: &[String], base: Option<&AgentConfig>, env: &Env) -> Result<Loaded, Cause> {
    let mut files = Vec::new();
    for path in paths {
        for path in paths::expand(path).map_err(|words| malformed(&words))? {
            let text = std::fs::metadata(&path).and_then(|about| match about.len() {
                length if length > hcl::MAX_BYTES as u64 => Err(std::io::Error::other("longer than 1 MiB")),
                _ => std::fs::read_to_string(&path),
            });
            files.push((path.clone(), text.map_err(|error| malformed(&format!("{path}: {error}")))?));
        }
    }
    translate(&files, base, env).map(|loaded| Loaded { files: paths.to_vec(), ..loaded })
}

fn malformed(words: &str) -> Cause {
    Cause::new(Code::ConfigMalformed, "reading Vault Agent's configuration files", words)
        .with_fix("Correct the lines named; docs/guides/vault-agent-files.md lists what is served.")
}

/// What the files say together.
#[derive(Default)]
struct Draft {
    server: Server,
    auto_auth: Option<AutoAuth>,
    outputs: Vec<Output>,
    notify: Vec<Notify>,
    refresh: Refresh,
    log: Log,
    endpoints: Endpoints,
    once: bool,
    program: program::Draft,
}

/// Pure but for the environment it is given.
fn translate(files: &[(String, String)], base: Option<&AgentConfig>, env: &Env) -> Result<Loaded, Cause> {
    let (mut said, mut draft) = (Said::default(), Draft::default());
    for (name, text) in files {
        said.file.clone_from(name);
        match hcl::parse(text) {
            Ok(block) => whole(&block, &mut draft, &mut said),
            Err(wrong) => said.wrong(wrong.line, &format!("expected {}", wrong.words)),
        }
    }
    finish(draft, base, env, said)
}

/// One file. Of two blocks of one name Vault Agent takes neither; the first would be dropped without a word.
fn whole(file: &Block, draft: &mut Draft, said: &mut Said) {
    let mut known = Vec::new();
    for entry in file {
        let key = entry.key.as_str();
        if SINGLE.contains(&key) && known.contains(&key) {
            said.wrong(entry.line, &format!("{key} comes more than once"));
        } else {
            known.push(key);
            top(entry, draft, said);
        }
    }
}

fn top(entry: &Entry, draft: &mut Draft, said: &mut Said) {
    match entry.key.as_str() {
        "vault" => {
            if let Some(block) = one(entry, said) {
                draft.server = server(block, said);
            }
        }
        "auto_auth" => {
            if let Some(block) = one(entry, said) {
                draft.auto_auth = Some(method::read(block, said));
            }
        }
        "template" | "templates" => {
            for block in said.blocks(entry) {
                if let Some(file) = template::read(block, entry.line, said) {
                    if draft.outputs.iter().any(|known| known.name == file.output.name) {
                        said.wrong(entry.line, "two templates have this destination");
                    }
                    draft.outputs.push(file.output);
                    draft.notify.extend(file.notify);
                }
            }
        }
        "env_template" => draft.program.env_template(entry, said),
        "exec" => {
            if let Some(block) = one(entry, said) {
                draft.program.exec(block, said);
            }
        }
        "template_config" => {
            if let Some(block) = one(entry, said) {
                draft.refresh = refresh(block, said);
            }
        }
        "listener" | "listeners" => draft.endpoints.listener(entry, said),
        "cache" | "api_proxy" => draft.endpoints.forwards(entry, said),
        "exit_after_auth" => draft.once |= said.flag(entry),
        "log_level" => match said.text(entry).as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some(level @ ("trace" | "debug" | "info" | "warn" | "error")) => draft.log.level = level.to_owned(),
            Some("notice") => draft.log.level = "info".to_owned(),
            Some("warning") => draft.log.level = "warn".to_owned(),
            Some("err") => draft.log.level = "error".to_owned(),
            _ => said.wrong(entry.line, "log_level is none of trace, debug, info, warn, error"),
        },
        "log_format" => {
            let format = said.text(entry).unwrap_or_default();
            draft.log.json = format == "json";
            if !matches!(format.as_str(), "json" | "standard") {
                said.note(entry, "it is neither json nor standard, so lines are plain");
            }
        }
        _ => idle(entry, said),
    }
}

/// What has no counterpart: harmless, or refused.
fn idle(entry: &Entry, said: &mut Said) {
    match entry.key.as_str() {
        "pid_file" => said.note(entry, "the agent is its container's only process"),
        "disable_idle_connections" | "disable_keep_alives" => {
            said.note(entry, "the agent keeps two connections at most");
        }
        "log_file" | "log_rotate_duration" | "log_rotate_bytes" | "log_rotate_max_files" => {
            said.note(entry, "the log goes to stderr");
        }
        "telemetry" => said.note(entry, "metrics are served on the agent's own socket"),
        "api_addr" | "cluster_addr" | "cluster_name" | "disable_mlock" | "plugin_directory" | "ui" => {
            said.note(entry, "it is of the server's configuration, and Vault Agent does not read it either");
        }
        _ => said.unknown(entry, "the configuration"),
    }
}

/// The only block of its name in a file.
fn one<'a>(entry: &'a Entry, said: &mut Said) -> Option<&'a Block> {
    match said.blocks(entry).as_slice() {
        [block] => Some(block),
        [] => None,
        _ => {
            said.wrong(entry.line, &format!("{} comes more than once", entry.key));
            None
        }
    }
}

fn server(block: &Block, said: &mut Said) -> Server {
    let mut server = Server::default();
    for entry in block {
        match entry.key.as_str() {
            "address" => server.address = said.text(entry).unwrap_or_default(),
            "ca_cert" => server.ca_file = said.filled(entry),
            "ca_path" => server.ca_dir = said.filled(entry),
            "client_cert" => server.client_cert_file = said.filled(entry),
            "client_key" => server.client_key_file = said.filled(entry),
            "tls_skip_verify" => server.skip_verify = said.flag(entry),
            "tls_server_name" => server.server_name = said.filled(entry),
            "namespace" => server.namespace = said.filled(entry),
            "retry" => said.note(entry, "the agent retries for ever, with a back-off for each secret"),
            _ => said.unknown(entry, "vault"),
        }
    }
    server
}

fn refresh(block: &Block, said: &mut Said) -> Refresh {
    let mut refresh = Refresh::default();
    for entry in block {
        match entry.key.as_str() {
            "static_secret_render_interval" => {
                let interval = said.duration(entry).filter(|interval| !interval.is_zero());
                let interval = interval.map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
                refresh.static_interval_ms = interval.unwrap_or(refresh.static_interval_ms);
            }
            "lease_renewal_threshold" => {
                refresh.lease_renewal_threshold = said.share(entry).filter(|share| *share > 0.0);
            }
            "exit_on_retry_failure" => {
                said.idle(entry, "the agent retries for ever, with a back-off for each secret");
            }
            "max_connections_per_host" => said.note(entry, "the agent keeps two connections at most"),
            _ => said.unknown(entry, "template_config"),
        }
    }
    refresh
}

fn finish(draft: Draft, base: Option<&AgentConfig>, env: &Env, mut said: Said) -> Result<Loaded, Cause> {
    let Draft { server, auto_auth, mut outputs, notify, refresh, log, endpoints, once, program } = draft;
    let listener = endpoints.finish(&mut said);
    let auto_auth = auto_auth.unwrap_or_default();
    if auto_auth.auth.is_none() && said.wrong.is_empty() {
        said.wrong(0, "there is no auto_auth with a method");
    }
    if outputs.is_empty() && auto_auth.sinks.is_empty() && program.is_empty() && said.wrong.is_empty() {
        said.wrong(0, "there is neither a template nor a sink");
    }
    let mut state_dir = env.get(STATE_DIR_VARIABLE).cloned().unwrap_or_else(|| STATE_DIR.to_owned());
    let (environment, program) = program.finish(&state_dir, &mut said);
    outputs.extend(environment);
    let (Some(mut auth), []) = (auto_auth.auth, said.wrong.as_slice()) else {
        return Err(malformed(&said.wrong.join("; ")));
    };
    let mut server = overlay(server, auto_auth.namespace, env);
    let mut lifecycle = Lifecycle {
        shape: if once { Shape::InitOnly } else { Shape::Sidecar },
        revoke: false,
        exit_on_login_failure: false,
        revoke_grace_seconds: 0,
        start_deadline_seconds: None,
    };
    let variable = |names: &[&str]| names.iter().find_map(|name| env.get(*name)).cloned();
    let mut pod = PodIdentity {
        namespace: variable(&["NAMESPACE", "POD_NAMESPACE"]).unwrap_or_else(|| "unknown".to_owned()),
        service_account: variable(&["SERVICE_ACCOUNT"]).unwrap_or_else(|| "unknown".to_owned()),
    };
    let mut metrics_port = None;
    if let Some(base) = base {
        server = over(server, &base.server);
        (lifecycle, pod, state_dir) = (base.lifecycle.clone(), base.pod.clone(), base.state_dir.clone());
        metrics_port = base.metrics_port;
        let usual = auth.token_file.starts_with("/var/run/secrets/kubernetes.io/serviceaccount/");
        if usual && !base.auth.token_file.is_empty() {
            auth.token_file.clone_from(&base.auth.token_file);
        }
    }
    lifecycle.exit_on_login_failure |= auto_auth.exit_on_error;
    lifecycle.revoke &= !auth.method.borrows_token();
    let config = AgentConfig {
        version: VERSION,
        dialect: Dialect::Vault,
        pod,
        server,
        auth,
        logins: Vec::new(),
        outputs,
        notify,
        token_sinks: auto_auth.sinks,
        listener,
        metrics_port,
        refresh,
        lifecycle,
        state_dir,
        log,
    };
    Ok(Loaded { config, files: Vec::new(), once, notes: said.notes, program })
}

/// The environment wins over the files; OpenBao's names over Vault's.
fn overlay(mut server: Server, method_namespace: Option<String>, env: &Env) -> Server {
    let variable = |name: &str| {
        let found = ["BAO", "VAULT"].iter().find_map(|prefix| env.get(&format!("{prefix}_{name}")));
        found.filter(|value| !value.is_empty()).cloned()
    };
    server.address = variable("ADDR").unwrap_or(server.address);
    if server.address.is_empty() {
        server.address = "https://127.0.0.1:8200".to_owned();
    }
    server.namespace = variable("NAMESPACE").or(server.namespace).or(method_namespace);
    server.ca_pem = variable("CACERT_BYTES");
    server.ca_file = variable("CACERT").or(server.ca_file);
    server.ca_dir = variable("CAPATH").or(server.ca_dir);
    server.client_cert_file = variable("CLIENT_CERT").or(server.client_cert_file);
    server.client_key_file = variable("CLIENT_KEY").or(server.client_key_file);
    server.server_name = variable("TLS_SERVER_NAME").or(server.server_name);
    server.skip_verify = variable("SKIP_VERIFY").and_then(|text| parse_bool(&text)).unwrap_or(server.skip_verify);
    server.proxy = variable("PROXY_ADDR").or_else(|| variable("HTTP_PROXY"));
    let seconds = variable("CLIENT_TIMEOUT").and_then(|text| text.trim_end_matches('s').parse().ok());
    server.timeout_seconds = seconds.unwrap_or(60).max(1);
    server
}

/// What the webhook says of the connection wins over all of it.
fn over(files: Server, base: &Server) -> Server {
    let trust = base.ca_pem.is_some() || base.ca_file.is_some() || base.ca_dir.is_some();
    let (ca, own) = if trust { (base.clone(), true) } else { (files.clone(), false) };
    Server {
        address: if base.address.is_empty() { files.address } else { base.address.clone() },
        namespace: base.namespace.clone().or(files.namespace),
        ca_pem: ca.ca_pem,
        ca_file: ca.ca_file,
        ca_dir: ca.ca_dir,
        client_cert_file: base.client_cert_file.clone().or(files.client_cert_file),
        client_key_file: base.client_key_file.clone().or(files.client_key_file),
        server_name: base.server_name.clone().or(files.server_name),
        skip_verify: base.skip_verify || (files.skip_verify && !own),
        proxy: base.proxy.clone().or(files.proxy),
        no_proxy: base.no_proxy.clone().or(files.no_proxy),
        timeout_seconds: base.timeout_seconds,
    }
}
