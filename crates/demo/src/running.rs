//! A patched pod's agent, running, and the files its app would see.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Doing as _, Failure};
use crate::kubelet;
use crate::process::Agent;
use crate::rootfs::RootFs;
use crate::sample;
use crate::screen::Step;
use crate::world::World;

/// An agent in its container.
pub(crate) struct Running {
    pub pod: String,
    pub agent: Agent,
    /// The files of the first set, as the containers name them.
    pub files: Vec<String>,
}

/// The container that carries the agent's configuration.
pub(crate) fn is_agent(container: &Value) -> bool {
    let env = container["env"].as_array().into_iter().flatten();
    env.filter_map(|variable| variable["name"].as_str()).any(|name| name.starts_with("SIDEKEY_CONFIG"))
}

/// Starts the agent of a patched pod as a node would.
///
/// # Errors
/// There is no agent in the pod, or it cannot be started.
pub(crate) fn start(world: &World, program: &Path, pod: &Value) -> Result<Agent, Failure> {
    let container = kubelet::containers(pod).find(|one| is_agent(one)).doing("finding the agent's container")?;
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or("default");
    let (namespace, account) = (text("/metadata/namespace"), text("/spec/serviceAccountName"));
    let root = RootFs::build(program, pod, container, |audience| world.vault.jwt(namespace, account, audience))?;
    Agent::start(root, container)
}

/// Starts the agent and waits for its startup probe; what came of it.
///
/// # Errors
/// The agent or its probe cannot be run.
pub(crate) async fn run(world: &World, program: &Path, pod: &Value) -> Result<(Running, Step), Failure> {
    let mark = world.mark();
    let agent = start(world, program, pod)?;
    let (ready, line) = agent.probe().await?;
    let (took, requests) = (agent.started.elapsed(), world.since(mark));
    let files = files(&agent, pod);
    let running = Running { pod: sample::name(pod).to_owned(), agent, files };
    let step = describe(&running, &line, took, &requests);
    let held = ready && !running.files.is_empty() && once_each(&requests, took);
    let step = if ready { step } else { running.agent.with_log(step) };
    Ok((running, step.held(held)))
}

/// One login and one request per secret; a slow machine may already have looked at something again.
fn once_each(requests: &[String], took: Duration) -> bool {
    let logins = requests.iter().filter(|request| request.ends_with("/login")).count();
    let again = usize::try_from(took.as_secs()).unwrap_or(0);
    logins == 1 && requests.len() <= 3 + again
}

fn describe(running: &Running, line: &str, took: Duration, requests: &[String]) -> Step {
    let agent = &running.agent;
    let mut step = Step::new("files", &running.pod, "the real agent has written the files")
        .field("process", agent.root.way.text());
    for (variable, value) in &agent.env {
        step = step.field("environment", format!("{variable}, {} bytes", value.len()));
    }
    step = step.field("startup probe", format!("{line}  ({:.0} ms after the start)", took.as_secs_f64() * 1e3));
    for (index, request) in requests.iter().enumerate() {
        step = step.field(if index == 0 { "asked Vault" } else { "" }, request);
    }
    for file in &running.files {
        step = step.field("file", file).quote(&agent.read(file).unwrap_or_default());
    }
    let way = format!("{:?}", agent.root.way);
    step.facts(json!({ "way": way, "probe": line, "milliseconds": took.as_secs_f64() * 1e3, "requests": requests, "files": running.files }))
}

/// The files in the memory volumes that the app mounts too.
fn files(agent: &Agent, pod: &Value) -> Vec<String> {
    let apps = pod["spec"]["containers"].as_array().into_iter().flatten().filter(|one| !is_agent(one));
    let mut found = Vec::new();
    for (path, volume) in apps.flat_map(|app| kubelet::mounts(pod, app)) {
        if volume["emptyDir"]["medium"] != "Memory" {
            continue;
        }
        for entry in std::fs::read_dir(agent.root.path(&path)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // `..data` and the like are the layout, not the files.
            if !name.starts_with("..") && entry.path().is_file() {
                found.push(path.join(name).display().to_string());
            }
        }
    }
    found.sort();
    found
}
