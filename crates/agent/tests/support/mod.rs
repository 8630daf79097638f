//! The whole agent in process against the fake server, with one clock for both that tests move on.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod running;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidekey_agent::clock::Clock;
use sidekey_agent::exit::Exit;
use sidekey_agent::status::Status;
use sidekey_agent::supervisor::{Platform, Supervisor};
use sidekey_core::AgentConfig;
use sidekey_core::planner::Time;
use sidekey_fakevault::{DatabaseRole, FakeVault, Options, RoleSpec};
use sidekey_runtime::drain::{self, Trigger};
use tempfile::TempDir;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;

/// No test waits longer for anything.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// A server, a pod's directories, and the clock of both.
pub(crate) struct Bench {
    pub(crate) fake: FakeVault,
    pub(crate) dir: TempDir,
    skew: Arc<AtomicU64>,
    pub(crate) config: Value,
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) trigger: Trigger,
    pub(crate) task: JoinHandle<Exit>,
}

pub(crate) const MOUNT: &str = "auth/kubernetes";

impl Bench {
    /// KV v2 at `secret`, a database, role `web` with a policy that reads both and nothing else beside `default`.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        sidekey_runtime::provider::install();
        let fake = FakeVault::start(options).await.unwrap();
        fake.enable_kubernetes(MOUNT);
        fake.policy("web", &[("secret/data/*", &["read"]), ("kv1/*", &["read"]), ("database/creds/*", &["read"])]);
        fake.role(MOUNT, "web", role());
        fake.kv2("secret");
        fake.put("secret/web", json!({"user": "app", "password": "one"}));
        fake.database("database", "app", DatabaseRole::default());
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(path("secrets")).unwrap();
        std::fs::create_dir(path("state")).unwrap();
        std::fs::write(path("termination"), "").unwrap();
        std::fs::write(path("jwt"), format!("{}\n", fake.jwt("shop", "web", "vault"))).unwrap();
        let config = json!({
            "version": 1,
            "dialect": "native",
            "pod": {"namespace": "shop", "serviceAccount": "web"},
            "server": {"address": fake.address(), "caPem": fake.ca_pem(), "timeoutSeconds": 5},
            "auth": {"method": "kubernetes", "mount": MOUNT, "role": "web", "tokenFile": path("jwt")},
            "outputs": [],
            "refresh": {"staticIntervalMs": 60_000},
            "lifecycle": {"shape": "native", "revoke": true},
            "stateDir": path("state"),
        });
        Self { fake, dir, skew: Arc::default(), config }
    }

    /// Adds a file in a stock format; `more` is merged into the output.
    pub(crate) fn format(mut self, file: &str, format: &str, path: &str, more: Value) -> Self {
        self.push(file, &json!({"kind": "format", "format": format, "path": path}), more);
        self
    }

    /// Adds a file from a Go template.
    pub(crate) fn go(mut self, file: &str, text: &str, more: Value) -> Self {
        self.push(file, &json!({"kind": "template", "engine": "go", "text": text}), more);
        self
    }

    fn push(&mut self, file: &str, source: &Value, more: Value) {
        let mut output = json!({
            "name": file, "dir": self.path("secrets"), "file": file, "group": file, "layout": "plain", "source": source,
        });
        merge(&mut output, more);
        self.config["outputs"].as_array_mut().unwrap().push(output);
    }

    /// Changes the configuration.
    pub(crate) fn set(mut self, changes: Value) -> Self {
        merge(&mut self.config, changes);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> AgentConfig {
        AgentConfig::from_json(&self.config.to_string()).unwrap()
    }

    pub(crate) fn platform(&self) -> Platform {
        // The server's clock counts what was skipped before this agent began.
        self.skew.store(0, Ordering::Relaxed);
        let (skew, base, begun) = (self.skew.clone(), self.fake.now(), Instant::now());
        let clock = Clock::new(move || {
            let elapsed = u64::try_from((base + begun.elapsed()).as_millis()).unwrap();
            Time::from_millis(1_000_000 + elapsed + skew.load(Ordering::Relaxed))
        });
        Platform {
            clock,
            boot: "this boot".to_owned(),
            env: BTreeMap::from([("POD".to_owned(), "web-0".to_owned())]),
            termination: self.path("termination"),
            longest_sleep: Duration::from_millis(3),
        }
    }

    /// A file as Vault Agent reads it: where the server is, how to log in, and `more`.
    pub(crate) fn vault_file(&self, more: &str) -> PathBuf {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        std::fs::write(self.path("ca.crt"), self.fake.ca_pem()).unwrap();
        let text = format!(
            r#"
            vault {{
              address = "{}"
              ca_cert = "{}"
            }}
            auto_auth {{
              method "kubernetes" {{
                config = {{ role = "web", token_path = "{}" }}
              }}
            }}
            template_config {{ static_secret_render_interval = "1s" }}
            {more}
            "#,
            self.fake.address(),
            path("ca.crt"),
            path("jwt"),
        );
        let (file, new) = (self.path("agent.hcl"), self.path("agent.hcl.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &file).unwrap();
        file
    }

    pub(crate) fn start(&self) -> Agent {
        self.start_as(&self.config(), false)
    }

    pub(crate) fn start_as(&self, config: &AgentConfig, once: bool) -> Agent {
        let (trigger, drain) = drain::channel();
        let supervisor = Supervisor::new(config.clone(), once, self.platform());
        Agent { trigger, task: tokio::spawn(supervisor.run(drain)) }
    }

    /// Moves both clocks on, a second at a time, and lets the agent work in between.
    pub(crate) async fn pass(&self, time: Duration) {
        self.pass_and(time, |_| {}).await;
    }

    /// [`Self::pass`] with something to look at each second.
    pub(crate) async fn pass_and(&self, time: Duration, mut each: impl FnMut(&Self)) {
        for _ in 0..time.as_secs() {
            self.jump(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(8)).await;
            each(self);
        }
    }

    /// [`Self::pass`] in steps of five seconds, for long times in which nothing has to happen at its second.
    pub(crate) async fn idle(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            self.jump(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
    }

    /// Replaces the service account token, as the kubelet does before it ends.
    pub(crate) fn new_jwt(&self) {
        std::fs::write(self.path("jwt"), self.fake.jwt("shop", "web", "vault")).unwrap();
    }

    /// Moves both clocks at once.
    pub(crate) fn jump(&self, time: Duration) {
        self.fake.advance(time);
        self.skew.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// What the running agent answers on its socket, head and all.
    pub(crate) async fn get(&self, path: &str) -> String {
        let (socket, path) = (self.path("state/agent.sock"), path.to_owned());
        let asked = spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        asked.await.unwrap()
    }

    pub(crate) fn status(&self) -> Option<Status> {
        Status::load(self.path("state").to_str()?).ok()
    }

    pub(crate) fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.path("secrets").join(file)).ok()
    }

    /// Waits until `holds`, in real time.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < LONG, "never came: {what}; {:?}", self.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn ready(&self) {
        self.until("ready", |bench| self.is_ready(bench)).await;
    }

    fn is_ready(&self, bench: &Self) -> bool {
        bench.status().is_some_and(|status| status.line().starts_with("ready"))
    }

    /// The line of `ready`.
    pub(crate) fn line(&self) -> String {
        self.status().map_or_else(String::new, |status| status.line())
    }

    pub(crate) fn logins(&self) -> usize {
        self.fake.count("POST", &format!("{MOUNT}/login"))
    }
}

impl Agent {
    /// As SIGTERM does; the exit code.
    pub(crate) async fn stop(self) -> Exit {
        self.trigger.start();
        self.exit().await
    }

    pub(crate) async fn exit(self) -> Exit {
        tokio::time::timeout(LONG, self.task).await.expect("the agent ends").unwrap()
    }

    /// As SIGKILL does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(crate) fn role() -> RoleSpec {
    RoleSpec { policies: vec!["web".to_owned()], ttl: Duration::from_secs(3_600), ..RoleSpec::default() }
}

/// A policy that grants only `read`: not even what `default` grants.
pub(crate) fn read_only() -> RoleSpec {
    RoleSpec { no_default_policy: true, ..role() }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What is said to a subscriber of the test's own: the whole agent of a test runs on its thread.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Log {
    /// At the level that the agent has in a pod, for as long as the guard lives.
    pub(crate) fn record() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(LevelFilter::INFO)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines, and forgets them.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
