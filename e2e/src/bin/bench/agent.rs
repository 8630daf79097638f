//! Sidekey's agent and Vault's, on the same work: one login, one KV secret, one lease, two files on tmpfs, over TLS.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use sidekey_core::contract::{
    AgentConfig, Auth, AuthMethod, Dialect, Engine, Layout, Lifecycle, Log, Output, PodIdentity, Refresh, Shape,
    Source, Template, VERSION,
};
use sidekey_core::path::RelPath;

use crate::figure::{Budget, Figure, Table};
use crate::process::{Activity, Memory, Running};
use crate::server::Server;
use crate::{alone, endurance, file_size, megabytes, review};

/// Starts of each; the median is what counts.
const STARTS: usize = 21;

/// Long enough for a start's garbage to be given back.
const IDLE: Duration = Duration::from_secs(5);

const KV: &str = r#"{{ with secret "secret/data/web" }}{{ .Data.data.user }} {{ .Data.data.password }}{{ end }}"#;

/// A minute in which nothing is due: the first look at a static secret comes 75 s after the start at the earliest.
const STILL: Duration = Duration::from_secs(60);

/// How one agent is started in a folder of its own.
type Recipe<'a> = &'a dyn Fn(&Path) -> (Vec<String>, Vec<(String, String)>);

/// What one agent came to.
struct Result {
    milliseconds: f64,
    memory: Memory,
    requests: usize,
    still: Activity,
}

pub(crate) fn measure(table: &mut Table) {
    let binary = need("BENCH_AGENT");
    let tmpfs = Path::new("/dev/shm");
    let folder = if tmpfs.is_dir() { tempfile::tempdir_in(tmpfs) } else { tempfile::tempdir() };
    let folder = folder.unwrap_or_else(|error| panic!("a folder: {error}"));
    let server = Server::start(Path::new(&need("BENCH_BIN")), folder.path());
    let ours = |run: &Path| sidekey(&binary, &server, run);
    let theirs = |vault: &Path, run: &Path| vault_agent(vault, &server, run);
    let mut starts = (Vec::new(), Vec::new());
    for turn in 0..STARTS {
        starts.0.push(once(folder.path(), &format!("a{turn}"), &ours));
        if let Some(vault) = &server.vault {
            starts.1.push(once(folder.path(), &format!("b{turn}"), &|run| theirs(vault, run)));
        }
    }
    let mine = idle(folder.path(), "ours", &server, starts.0, &ours);
    let other =
        server.vault.as_ref().map(|vault| idle(folder.path(), "theirs", &server, starts.1, &|run| theirs(vault, run)));
    let side = match other {
        Some(_) => "vault agent 1.21 on the same Vault, in turn",
        None => "nothing, since no Vault is built (e2e/cluster/build.sh vault); fakevault served",
    };
    table.note(format!("agent: one KV secret and one lease over TLS, {STARTS} starts, median; compared to {side}"));
    table.note(env::var("BENCH_LIBC").unwrap_or_default());
    report(table, &mine, other.as_ref());
    hundred(table, &binary, folder.path());
    endurance::measure(table, &binary, folder.path());
    let sizes = (file_size(&binary), server.vault.as_ref().and_then(|it| file_size(&it.to_string_lossy())));
    table.figures.push(Figure {
        theirs: sizes.1,
        ..alone("agent binary", "MB", sizes.0.unwrap_or_default(), Budget::AtMost(5.0))
    });
    if let Some(image) = env::var("BENCH_IMAGE").ok().and_then(|it| it.parse().ok()).map(megabytes) {
        table.figures.push(alone("agent image", "MB", image, Budget::AtMost(6.0)));
    }
}

/// Secrets of a pod that has many.
const MANY: usize = 100;

/// The same agent with many secrets, each with a file of its own.
fn hundred(table: &mut Table, binary: &str, folder: &Path) {
    let server = Server::start_fake(folder);
    let run = folder.join("hundred");
    for part in ["secrets", "state"] {
        fs::create_dir_all(run.join(part)).unwrap_or_else(|error| panic!("{}: {error}", run.display()));
    }
    let names: Vec<String> = (0..MANY).map(|number| format!("s{number}")).collect();
    let outputs = names.iter().map(|name| {
        server.put(name, serde_json::json!({"user": "app", "password": format!("of the bench, for {name}")}));
        let path = format!("secret/data/many/{name}");
        output(&run, name, &format!("{{{{ with secret {path:?} }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"))
    });
    let config = config(&server, &run, outputs.collect(), Refresh::default());
    let env = config.to_env().unwrap_or_else(|error| panic!("{error}"));
    let files: Vec<PathBuf> = names.iter().map(|name| run.join("secrets").join(name)).collect();
    let command = [binary.to_owned(), "run".to_owned()];
    let running = Running::start(&command, &env, &files, &folder.join("hundred.log"), false);
    sleep(IDLE);
    let memory = running.memory();
    let name = format!("agent resident, idle, {MANY} secrets");
    table.figures.push(alone(name, "MB", megabytes(memory.resident), Budget::AtMost(6.0)));
    table.note(format!(
        "{MANY} secrets of fakevault, a template and a file each: {:.2} MB of it anonymous",
        megabytes(memory.anonymous)
    ));
}

fn report(table: &mut Table, mine: &Result, other: Option<&Result>) {
    let mut line = |name: &str, unit, budget, value: &dyn Fn(&Result) -> f64| {
        table.figures.push(Figure { theirs: other.map(value), ..alone(name, unit, value(mine), budget) });
    };
    line("agent resident, idle", "MB", Budget::AtMostAndShare(4.0, 1.0 / 20.0), &|it| megabytes(it.memory.resident));
    line("agent anonymous, idle", "MB", Budget::AtMost(0.5), &|it| megabytes(it.memory.anonymous));
    if mine.memory.cgroup > 0 {
        line("agent cgroup, idle", "MB", Budget::None, &|it| megabytes(it.memory.cgroup));
    }
    line("agent wake-ups a minute, idle", "", Budget::AtMost(2.0), &|it| count(it.still.wakeups));
    line("agent CPU a minute, idle", "ms", Budget::Share(1.0 / 10.0), &|it| it.still.cpu.as_secs_f64() * 1e3);
    line("exec to files written", "ms", Budget::Share(1.0 / 5.0), &|it| it.milliseconds);
    line("requests at start", "", Budget::AtMost(3.0), &|it| count(it.requests as u64));
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// One start and its end; milliseconds.
fn once(folder: &Path, name: &str, recipe: Recipe<'_>) -> f64 {
    start(folder, name, recipe, false).took.as_secs_f64() * 1e3
}

fn idle(folder: &Path, name: &str, server: &Server, mut starts: Vec<f64>, recipe: Recipe<'_>) -> Result {
    starts.sort_by(f64::total_cmp);
    let before = server.requests();
    let running = start(folder, name, recipe, true);
    sleep(IDLE);
    let requests = server.requests() - before;
    let (memory, begun) = (running.memory(), running.activity());
    sleep(STILL);
    let still = running.activity().since(begun);
    Result { milliseconds: starts[starts.len() / 2], memory, requests, still }
}

fn start(folder: &Path, name: &str, recipe: Recipe<'_>, weigh: bool) -> Running {
    let run = folder.join(name);
    for part in ["secrets", "state"] {
        fs::create_dir_all(run.join(part)).unwrap_or_else(|error| panic!("{}: {error}", run.display()));
    }
    let (command, env) = recipe(&run);
    Running::start(&command, &env, &files(&run), &folder.join(format!("{name}.log")), weigh)
}

fn files(run: &Path) -> [PathBuf; 2] {
    [run.join("secrets/kv"), run.join("secrets/lease")]
}

fn sidekey(binary: &str, server: &Server, run: &Path) -> (Vec<String>, Vec<(String, String)>) {
    let outputs = vec![output(run, "kv", KV), output(run, "lease", server.lease)];
    let env = config(server, run, outputs, Refresh::default()).to_env().unwrap_or_else(|error| panic!("{error}"));
    (vec![binary.to_owned(), "run".to_owned()], env)
}

/// A file from a Go template.
pub(crate) fn output(run: &Path, name: &str, template: &str) -> Output {
    Output {
        name: name.to_owned(),
        dir: text(&run.join("secrets")),
        file: RelPath::parse(name).unwrap_or_else(|error| panic!("{name}: {error}")),
        source: Source::Template(Template::inline(Engine::Go, template)),
        mode: None,
        group: name.to_owned(),
        layout: Layout::Plain,
        optional: false,
        login: 0,
        pinned: false,
        max_stale_seconds: None,
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What a webhook would hand over, for a folder on this machine.
pub(crate) fn config(server: &Server, run: &Path, outputs: Vec<Output>, refresh: Refresh) -> AgentConfig {
    let token = run.join("token");
    fs::write(&token, &server.token).unwrap_or_else(|error| panic!("{}: {error}", token.display()));
    AgentConfig {
        version: VERSION,
        dialect: Dialect::Vault,
        pod: PodIdentity { namespace: review::NAMESPACE.to_owned(), service_account: review::ACCOUNT.to_owned() },
        server: sidekey_core::contract::Server {
            address: server.address.clone(),
            ca_file: Some(text(&server.ca)),
            timeout_seconds: 60,
            ..sidekey_core::contract::Server::default()
        },
        auth: Auth {
            method: AuthMethod::Kubernetes,
            mount: "auth/kubernetes".to_owned(),
            role: "bench".to_owned(),
            token_file: text(&token),
            min_backoff_ms: 1_000,
            max_backoff_ms: 300_000,
        },
        outputs,
        logins: Vec::new(),
        notify: Vec::new(),
        token_sinks: Vec::new(),
        listener: None,
        metrics_port: None,
        refresh,
        lifecycle: Lifecycle {
            shape: Shape::Native,
            revoke: true,
            exit_on_login_failure: false,
            revoke_grace_seconds: 0,
            start_deadline_seconds: None,
        },
        state_dir: text(&run.join("state")),
        log: Log::default(),
    }
}

fn vault_agent(vault: &Path, server: &Server, run: &Path) -> (Vec<String>, Vec<(String, String)>) {
    let token = run.join("token");
    fs::write(&token, &server.token).unwrap_or_else(|error| panic!("{}: {error}", token.display()));
    let [kv, lease] = files(run);
    let template =
        |contents: &str, file: &Path| format!("template {{\n contents = {contents:?}\n destination = {file:?}\n}}\n");
    let config = format!(
        "vault {{\n address = {:?}\n ca_cert = {:?}\n}}\nauto_auth {{\n method \"kubernetes\" {{\n mount_path = \"auth/kubernetes\"\n \
         config = {{\n role = \"bench\"\n token_path = {token:?}\n }}\n }}\n}}\n{}{}",
        server.address,
        server.ca,
        template(KV, &kv),
        template(server.lease, &lease)
    );
    let file = run.join("agent.hcl");
    fs::write(&file, config).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let command = [vault.to_string_lossy().into_owned(), "agent".to_owned(), format!("-config={}", file.display())];
    (command.to_vec(), vec![("HOME".to_owned(), run.to_string_lossy().into_owned())])
}

fn need(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start this with `make bench`"))
}
