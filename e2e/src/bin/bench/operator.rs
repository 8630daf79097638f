//! The operator on a real API server, with many static secrets: cold sync, quiet period, changes, failures.
//!
//! `CRDs → namespaces, one login, objects → operator up → all synced → quiet window → changes → table`
//!
//! fakevault serves, since no reader of ten thousand secrets is what a Vault of a bench is for; its time is not the operator's.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey_fakevault::{FakeVault, Options, RoleSpec};

use crate::figure::{Budget, Table};
use crate::kubernetes::Kubernetes;
use crate::{alone, megabytes};

const GROUP: &str = "/apis/secrets.hashicorp.com/v1beta1";

/// Between two looks at a secret; the operator looks after 80 to 90 % of it.
const REFRESH: Duration = Duration::from_secs(60);

/// Objects that fail for ever.
const FAILING: usize = 100;

/// Secrets that are changed.
const CHANGED: usize = 500;

/// What is budgeted for ten thousand objects.
const OBJECTS: usize = 10_000;

/// # Errors
/// Why there are no figures.
pub(crate) fn measure(table: &mut Table) -> Result<(), String> {
    let needed = |name: &str| env::var(name).map_err(|_| format!("{name} is not set (e2e/bench.sh)"));
    let (api, config, binary) = (needed("BENCH_API")?, needed("BENCH_KUBECONFIG")?, needed("BENCH_SIDEKEY")?);
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let objects = number("OBJECTS").unwrap_or(OBJECTS).max(1);
    let window = Duration::from_secs(number("WINDOW").unwrap_or(180) as u64);
    let vault = serve(objects);
    let cluster = Kubernetes::new(&api);
    let sidekey = |arguments: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(arguments).env("KUBECONFIG", &config).stdin(Stdio::null());
        command
    };
    let applied = sidekey(&["crds", "--apply"]).stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
    if !applied.success() {
        return Err("sidekey crds --apply failed; its words are above".to_owned());
    }
    create(&cluster, vault, objects);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let operator = Operator::start(sidekey(&["operator"]), folder.path())?;
    let cold = operator.until(|numbers| synced(numbers) >= objects, Duration::from_secs(600))?;
    let cold = cold.duration_since(begun);
    // Statuses and events of the first sync are written, and every object has its place in the period.
    sleep(REFRESH);
    let quiet = Quiet::watch(&operator, vault, objects, window)?;
    let late = changes(&cluster, vault, objects)?;
    let cap = if objects == OBJECTS { "" } else { ", fewer than the budget's" };
    table.note(format!(
        "operator: {objects} VaultStaticSecrets at 60 s{cap} and {FAILING} that fail, a real API server, fakevault; quiet for {} s; {} changes; \
         compared to the Vault Secrets Operator 1.4.1 at 3000 (152 MB, 0.19 core, 58 status writes a second), measured once, not in this run",
        window.as_secs(),
        late.len()
    ));
    let mut add = |name: &str, unit, value, budget| table.figures.push(alone(name, unit, value, budget));
    add("operator resident, quiet", "MB", quiet.resident, Budget::AtMost(64.0 * 1.048_576));
    add("operator CPU, quiet", "cores", quiet.cores, Budget::AtMost(0.5));
    add("operator writes, quiet", "", quiet.writes, Budget::AtMost(0.0));
    add("operator cold sync of all", "s", cold.as_secs_f64(), Budget::AtMost(60.0));
    add("operator change to Secret, p99", "s", percentile(&late, 0.99), Budget::AtMost(REFRESH.as_secs_f64() + 1.0));
    add("operator requests per failing object and minute", "", quiet.failing, Budget::AtMost(2.1));
    Ok(())
}

/// A server whose every secret the one role may read, but for those that fail.
fn serve(objects: usize) -> &'static FakeVault {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap_or_else(|error| panic!("{error}")).block_on(async {
            let options = Options { tls: false, ..Options::default() };
            let fake = FakeVault::start(options).await.unwrap_or_else(|error| panic!("fakevault: {error}"));
            // It serves for as long as the process lives.
            let _ = send.send(&*Box::leak(Box::new(fake)));
            std::future::pending::<()>().await;
        });
    });
    let fake: &'static FakeVault = receive.recv().unwrap_or_else(|error| panic!("fakevault: {error}"));
    fake.enable_jwt("auth/jwt");
    let role = RoleSpec {
        service_accounts: vec!["bench".into()],
        namespaces: vec!["bench-0".into()],
        audience: Some("vault".into()),
        policies: vec!["bench".into()],
        ttl: Duration::from_secs(24 * 3600),
        ..RoleSpec::default()
    };
    fake.role("auth/jwt", "bench", role);
    fake.policy("bench", &[("secret/data/web/*", &["read"])]);
    fake.kv2("secret");
    for index in 0..objects {
        fake.put(&format!("secret/web/{index}"), json!({ "user": "app", "password": format!("first-{index}") }));
    }
    fake
}

/// All objects, over several connections at once.
fn create(cluster: &Kubernetes, vault: &FakeVault, objects: usize) {
    let of = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({ "name": name, "namespace": "bench-0" });
        json!({ "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": kind, "metadata": metadata, "spec": spec })
    };
    cluster.create("/api/v1/namespaces", &json!({ "metadata": { "name": "bench-0" } }));
    cluster.create("/api/v1/namespaces", &json!({ "metadata": { "name": "vault-secrets-operator" } }));
    let jwt = STANDARD.encode(vault.jwt("bench-0", "bench", "vault"));
    let login = json!({ "metadata": { "name": "login" }, "data": { "jwt": jwt } });
    cluster.create("/api/v1/namespaces/bench-0/secrets", &login);
    let at = format!("{GROUP}/namespaces/bench-0");
    let connection = json!({ "address": vault.address(), "skipTLSVerify": false });
    cluster.create(&format!("{at}/vaultconnections"), &of("VaultConnection", "vault", connection));
    let method = json!({ "role": "bench", "secretRef": "login" });
    let auth = json!({ "vaultConnectionRef": "vault", "method": "jwt", "mount": "jwt", "jwt": method });
    cluster.create(&format!("{at}/vaultauths"), &of("VaultAuth", "vault", auth));
    let secret = |name: String, path: String| {
        let destination = json!({ "name": name, "create": true });
        let spec = json!({ "vaultAuthRef": "vault", "mount": "secret", "path": path, "type": "kv-v2", "refreshAfter": "60s", "destination": destination });
        cluster.create(&format!("{at}/vaultstaticsecrets"), &of("VaultStaticSecret", &name, spec));
    };
    thread::scope(|scope| {
        for part in 0..4 {
            let secret = &secret;
            scope.spawn(move || {
                for index in (part..objects).step_by(4) {
                    secret(format!("web-{index}"), format!("web/{index}"));
                }
            });
        }
    });
    for index in 0..FAILING {
        secret(format!("fails-{index}"), format!("hidden/{index}"));
    }
}

/// The operator's process and the port of its numbers.
struct Operator {
    child: Child,
    numbers: Kubernetes,
}

impl Operator {
    fn start(mut command: Command, folder: &Path) -> Result<Self, String> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let address = port.map_err(|error| error.to_string())?.to_string();
        let log = fs::File::create(folder.join("operator.log")).map_err(|error| error.to_string())?;
        let flags = [format!("--metrics-bind-address={address}"), format!("--health-probe-bind-address={address}")];
        let both = log.try_clone().map_err(|error| error.to_string())?;
        let child = command.args(flags).stdout(log).stderr(both).spawn().map_err(|error| error.to_string())?;
        Ok(Self { child, numbers: Kubernetes::new(&address) })
    }

    /// What a scrape gets; empty while nobody listens.
    fn scrape(&self) -> String {
        self.numbers.text("/metrics")
    }

    /// When the numbers are as wanted.
    fn until(&self, wanted: impl Fn(&str) -> bool, longest: Duration) -> Result<Instant, String> {
        let end = Instant::now() + longest;
        while Instant::now() < end {
            if wanted(&self.scrape()) {
                return Ok(Instant::now());
            }
            sleep(Duration::from_millis(100));
        }
        Err(format!("the operator did not get there in {} s", longest.as_secs()))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Objects that are ready.
fn synced(numbers: &str) -> usize {
    let of = "controller_resource_status{controller=\"vaultstaticsecret\"";
    numbers.lines().filter(|line| line.starts_with(of) && line.ends_with(" 1")).count()
}

/// The sum of a family's samples.
fn sum(numbers: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then(|| line.rsplit(' ').next()?.parse::<f64>().ok())?
    };
    numbers.lines().filter_map(value).sum()
}

/// A time in which nothing changes.
struct Quiet {
    resident: f64,
    cores: f64,
    writes: f64,
    failing: f64,
}

impl Quiet {
    fn watch(operator: &Operator, vault: &FakeVault, objects: usize, window: Duration) -> Result<Self, String> {
        vault.clear_requests();
        let (before, begun) = (operator.scrape(), Instant::now());
        sleep(window);
        let (after, took) = (operator.scrape(), begun.elapsed());
        let grown = |name: &str| sum(&after, name) - sum(&before, name);
        let requests = vault.requests();
        // Also what is asked to find out why, and logins that doubt a refusal: they are of those that fail, too.
        let failing = requests.iter().filter(|request| !request.path.starts_with("secret/data/web/")).count();
        // A quiet that is none because nothing was looked at would be no figure.
        let reads = requests.iter().filter(|request| request.path.starts_with("secret/data/web/")).count();
        // Looks of one moment come together for a while: whole periods count.
        let least = objects as f64 * (took.as_secs_f64() / REFRESH.as_secs_f64()).floor();
        let kept = 65_536.0_f64.min(least);
        if (reads as f64) < kept * 0.9 {
            return Err(format!("only {reads} reads in {} s, of {least:.0} that were due", took.as_secs()));
        }
        Ok(Self {
            resident: megabytes(sum(&after, "process_resident_memory_bytes") as u64),
            cores: grown("process_cpu_seconds_total") / took.as_secs_f64(),
            writes: grown("sidekey_operator_writes_total"),
            failing: failing as f64 * 60.0 / took.as_secs_f64() / FAILING as f64,
        })
    }
}

/// Seconds from a change in Vault to its Secret, of each change.
fn changes(cluster: &Kubernetes, vault: &FakeVault, objects: usize) -> Result<Vec<f64>, String> {
    let count = CHANGED.min(objects);
    let mut open: Vec<(usize, Instant)> = Vec::new();
    for turn in 0..count {
        let index = turn * (objects / count);
        vault.put(&format!("secret/web/{index}"), json!({ "user": "app", "password": format!("second-{index}") }));
        open.push((index, Instant::now()));
    }
    let mut late = Vec::new();
    let end = Instant::now() + REFRESH * 3;
    while !open.is_empty() {
        if Instant::now() > end {
            return Err(format!("{} of {count} changes never reached their Secret", open.len()));
        }
        open.retain(|(index, since)| {
            let secret = cluster.get(&format!("/api/v1/namespaces/bench-0/secrets/web-{index}"));
            let there = secret["data"]["password"] == STANDARD.encode(format!("second-{index}"));
            if there {
                late.push(since.elapsed().as_secs_f64());
            }
            !there
        });
        sleep(Duration::from_millis(50));
    }
    Ok(late)
}

fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(at - 1).copied().unwrap_or(f64::NAN)
}
