//! pod + spec → plan: every decision that depends on the pod's other fields.

use sidekey_core::contract::{
    AgentConfig, Auth, Lifecycle, Listener, Login, PodIdentity, Shape, Source, TokenSink, VERSION,
};
use sidekey_core::{Cause, Code};

use crate::amend;
use crate::changes;
use crate::directories::{Directory, directories};
use crate::environment::{self, Delivery, Environment};
use crate::explain::{FileLine, Origin, Trace};
use crate::identity::{Identity, identity, shut_out};
use crate::outcome::Facts;
use crate::outputs::{TOKEN_FILE, outputs};
use crate::pod::{List, Names, Pod};
use crate::quantity::Quantity;
use crate::resources::{Budget, budgets};
use crate::settings::Settings;
use crate::spec::{InjectSpec, Place, Secret};
use crate::targets::{Target, targets};
use crate::token::{Token, token};

/// Where the agent keeps what nobody else may see.
pub(crate) const STATE_DIR: &str = "/sidekey/state";

/// What to add to one pod.
pub(crate) struct Plan<'a> {
    pub(crate) targets: Vec<Target<'a>>,
    /// `None` where the login shows none.
    pub(crate) token: Option<Token>,
    pub(crate) identity: Identity,
    pub(crate) budget: Budget,
    /// Of the one-shot init container, where it differs.
    pub(crate) init_budget: Option<Budget>,
    pub(crate) directories: Vec<Directory>,
    /// `None` where no variable is asked for.
    pub(crate) environment: Option<Environment<'a>>,
    /// Containers of ours, in the order in which they start.
    pub(crate) agents: Vec<Agent>,
}

/// One container of ours.
pub(crate) struct Agent {
    pub(crate) name: &'static str,
    pub(crate) list: List,
    /// The app waits for its first complete set.
    pub(crate) probe: bool,
    pub(crate) config: AgentConfig,
}

/// What is collected on the way.
pub(crate) struct Notes<'a> {
    pub(crate) warnings: &'a mut Vec<String>,
    pub(crate) trace: &'a mut Trace,
}

/// Decides all of it.
///
/// # Errors
/// A pod that cannot be injected as asked.
pub(crate) fn plan<'a>(
    pod: &Pod<'a>,
    spec: &InjectSpec,
    facts: &Facts,
    settings: &Settings,
    notes: &mut Notes<'_>,
) -> Result<Plan<'a>, Cause> {
    refuse(pod, spec)?;
    let login = &spec.own().login;
    let shows = login.method.shows_service_account();
    let token = shows.then(|| token(pod, login, spec.dialect)).transpose()?;
    let targets = targets(pod, spec, settings, notes.warnings);
    let identity = identity(pod, spec, &targets, notes.trace)?;
    let directories = directories(spec)?;
    let native = is_native(pod, spec, facts, settings);
    let environment = environment::plan(pod, spec, facts, settings, (&targets, native), notes)?;
    let in_memory = environment.iter().filter(|environment| environment.delivery != Delivery::Exec).count();
    let (budget, init_budget) = budgets(pod, spec, settings, directories.len() + in_memory, notes.warnings)?;
    figures(["cpu", "memory"], &budget, notes.trace);
    if let Some(budget) = &init_budget {
        figures(["init cpu", "init memory"], budget, notes.trace);
    }
    let mut config = config(pod, spec, facts, token.as_ref(), &identity)?;
    if spec.secrets.iter().any(|secret| !secret.reactions.is_empty()) {
        let groups: Vec<&str> = config.outputs.iter().map(|output| output.group.as_str()).collect();
        config.notify = changes::notify(pod, spec, &groups, identity.ids, notes)?;
    }
    if spec.extras.config_map.is_some() {
        by_files(spec, &mut config, notes.warnings);
    }
    readable(pod, (&targets, &directories), &identity, &config, notes.warnings);
    files(&config, spec, notes.trace);
    shape(pod, spec, facts, settings, native, notes);
    config.outputs.extend(environment.as_ref().and_then(|environment| environment.output(spec)));
    let agents = agents(spec, native, config);
    amend::warn_of_unused(spec, &agents, notes.warnings);
    notes.warnings.extend(misplaced(pod, spec, init_budget.is_some(), &agents));
    Ok(Plan { targets, token, identity, budget, init_budget, directories, environment, agents })
}

/// What the shape of the agent or of the pod makes of some annotations.
fn misplaced(pod: &Pod<'_>, spec: &InjectSpec, init_resources: bool, agents: &[Agent]) -> Vec<String> {
    let one_shot = |agent: &Agent| matches!(agent.config.lifecycle.shape, Shape::Init | Shape::InitOnly);
    let mut all = Vec::new();
    if init_resources && !agents.iter().any(one_shot) {
        all.push("resources of the init container are ignored: there is none".to_owned());
    }
    if !agents.is_empty() && agents.iter().all(one_shot) {
        let asked = [(spec.listener.is_some(), "the listener"), (spec.metrics.is_some(), "metrics-port")];
        let idle = asked.iter().filter(|(asked, _)| *asked);
        all.extend(idle.map(|(_, what)| format!("{what} is ignored: no agent stays that could serve it")));
    }
    if pod.host_network() {
        let port = agents.iter().find_map(|agent| agent.config.metrics_port);
        all.extend(port.map(|port| format!("metrics-port opens port {port} of the node: the pod has hostNetwork")));
        let listener = agents.iter().find_map(|agent| agent.config.listener.as_ref());
        all.extend(listener.map(|Listener { port, .. }| {
            format!("the listener is open to all that runs on the node, at 127.0.0.1:{port}: the pod has hostNetwork")
        }));
    }
    all
}

fn refuse(pod: &Pod<'_>, spec: &InjectSpec) -> Result<(), Cause> {
    let refused =
        |answer: String, fix: &str| Err(Cause::new(Code::PodRefused, "injecting the pod", answer).with_fix(fix));
    if pod.windows() {
        return refused("Windows pods are not served".to_owned(), "Remove the annotation, or run the pod on Linux.");
    }
    if let Some(name) = pod.impostor(&Names::of(spec.dialect)) {
        return refused(
            format!("it has a container called `{name}` that is not Sidekey's"),
            "Rename or remove that container.",
        );
    }
    if spec.share_processes == Some(true) && pod.share_processes() == Some(false) {
        return refused(
            "an annotation shares the process namespace and the pod's shareProcessNamespace is false".to_owned(),
            "Make the two agree.",
        );
    }
    Ok(())
}

/// What follows from several annotations at once.
fn figures(names: [&'static str; 2], budget: &Budget, trace: &mut Trace) {
    for (what, pair) in names.into_iter().zip([&budget.cpu, &budget.memory]) {
        let shown = |amount: &Option<Quantity>| amount.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let figures = format!("{} to {}", shown(&pair.request), shown(&pair.limit));
        trace.choose(
            what,
            figures,
            Origin::Derived("annotations, settings, sizes of volumes, class of the pod".into()),
        );
    }
}

/// The contract but for what differs between two containers of one pod.
fn config(
    pod: &Pod<'_>,
    spec: &InjectSpec,
    facts: &Facts,
    token: Option<&Token>,
    identity: &Identity,
) -> Result<AgentConfig, Cause> {
    let sink_mode = identity.mode.unwrap_or(0o640);
    Ok(AgentConfig {
        version: VERSION,
        dialect: spec.dialect,
        pod: PodIdentity { namespace: facts.namespace.clone(), service_account: pod.service_account().to_owned() },
        server: spec.own().server.clone(),
        auth: auth(spec, spec.own(), token),
        logins: spec.places.iter().skip(1).map(|place| another(spec, place, token)).collect(),
        outputs: outputs(spec, identity.mode)?,
        notify: Vec::new(),
        token_sinks: spec.token_sink.then(|| sink(spec, sink_mode)).into_iter().collect(),
        listener: None,
        metrics_port: None,
        refresh: spec.refresh.clone(),
        lifecycle: lifecycle(spec, Shape::Native),
        state_dir: STATE_DIR.to_owned(),
        log: spec.log.clone(),
    })
}

fn auth(spec: &InjectSpec, place: &Place, token: Option<&Token>) -> Auth {
    let login = &place.login;
    let token_file = token.map(|token| token.file_of(spec, place)).or_else(|| login.token_file.clone());
    Auth {
        method: login.method.clone(),
        mount: login.mount.clone(),
        role: login.role.clone(),
        token_file: token_file.unwrap_or_default(),
        min_backoff_ms: login.min_backoff_ms,
        max_backoff_ms: login.max_backoff_ms,
    }
}

fn another(spec: &InjectSpec, place: &Place, token: Option<&Token>) -> Login {
    let server = Some(&place.server).filter(|server| **server != spec.own().server).cloned();
    Login { server, auth: auth(spec, place, token) }
}

/// Vault Agent's own files say what is written; of the annotations only volumes are left.
fn by_files(spec: &InjectSpec, config: &mut AgentConfig, warnings: &mut Vec<String>) {
    if !spec.secrets.is_empty() || spec.token_sink {
        warnings
            .push("files and token of the annotations are not written: the agent-configmap says what is".to_owned());
    }
    config.logins.clear();
    (config.outputs, config.notify, config.token_sinks) = (Vec::new(), Vec::new(), Vec::new());
}

fn sink(spec: &InjectSpec, mode: u32) -> TokenSink {
    TokenSink { path: format!("{}/{TOKEN_FILE}", spec.dir), mode, ..TokenSink::default() }
}

/// A one-shot container must not revoke: its token's leases are in use.
fn lifecycle(spec: &InjectSpec, shape: Shape) -> Lifecycle {
    let lasting = matches!(shape, Shape::Native | Shape::Sidecar);
    Lifecycle {
        shape,
        revoke: lasting && spec.end.revoke && !spec.own().login.method.borrows_token(),
        exit_on_login_failure: spec.start.exit_on_login_failure,
        revoke_grace_seconds: if shape == Shape::Sidecar { spec.end.grace_seconds } else { 0 },
        start_deadline_seconds: spec.start.deadline_seconds,
    }
}

/// An agent that is there already keeps its shape.
fn is_native(pod: &Pod<'_>, spec: &InjectSpec, facts: &Facts, settings: &Settings) -> bool {
    if let Some((list, _)) = pod.ours(Names::of(spec.dialect).agent) {
        return list == List::Init;
    }
    // A patch for the init container asks for one.
    let split = spec.amendments.init.is_some() && spec.start.pre_populate && spec.start.native != Some(true);
    settings.native_sidecars.resolve(facts.native_sidecars) && spec.start.native != Some(false) && !split
}

fn shape(pod: &Pod<'_>, spec: &InjectSpec, facts: &Facts, settings: &Settings, native: bool, notes: &mut Notes<'_>) {
    if pod.ours(Names::of(spec.dialect).agent).is_some() {
        return;
    }
    if spec.start.native == Some(true) && !settings.native_sidecars.resolve(facts.native_sidecars) {
        notes.warnings.push("native-sidecar is ignored: not every node has native sidecars".to_owned());
    }
    let shape = match (spec.start.pre_populate, spec.start.only, native) {
        (false, true, _) => "none",
        (true, true, _) => "one-shot init container",
        (_, false, true) => "native sidecar",
        (true, false, false) => "init container and sidecar",
        (false, false, false) => "sidecar",
    };
    notes.trace.choose("shape", shape, Origin::Derived("nodes, settings and annotations".into()));
}

fn agents(spec: &InjectSpec, native: bool, config: AgentConfig) -> Vec<Agent> {
    let names = Names::of(spec.dialect);
    let agent = |config, name, list, probe, shape| {
        // One-shot containers are gone before anybody could ask.
        let lasting = matches!(shape, Shape::Native | Shape::Sidecar);
        let listener = spec.listener.clone().filter(|_| lasting);
        let metrics_port = spec.metrics.map(|metrics| metrics.port).filter(|_| lasting);
        let config = AgentConfig { lifecycle: lifecycle(spec, shape), listener, metrics_port, ..config };
        Agent { name, list, probe, config }
    };
    match (spec.start.pre_populate, spec.start.only, native) {
        (false, true, _) => vec![],
        (true, true, _) => vec![agent(config, names.init, List::Init, false, Shape::InitOnly)],
        (wait, false, true) => vec![agent(config, names.agent, List::Init, wait, Shape::Native)],
        (true, false, false) => vec![
            agent(config.clone(), names.init, List::Init, false, Shape::Init),
            agent(config, names.agent, List::Regular, false, Shape::Sidecar),
        ],
        (false, false, false) => vec![agent(config, names.agent, List::Regular, false, Shape::Sidecar)],
    }
}

/// Warns about files that a container of the app will not be able to read.
fn readable(
    pod: &Pod<'_>,
    (targets, directories): (&[Target<'_>], &[Directory]),
    identity: &Identity,
    config: &AgentConfig,
    warnings: &mut Vec<String>,
) {
    let shared = directories.first().map_or("", |directory| &directory.dir);
    let files = config.outputs.iter().map(|it| (it.name.as_str(), it.dir.as_str(), it.mode.unwrap_or(0o644)));
    let sink = config.token_sinks.iter().map(|sink| ("token", shared, sink.mode));
    for (name, dir, mode) in files.chain(sink) {
        let home = directories.iter().find(|directory| directory.dir == dir);
        let readers = targets.iter().filter(|target| home.is_some_and(|home| home.is_for(target)));
        let readers: Vec<Target<'_>> = readers.copied().collect();
        if let Some(container) = shut_out(pod, &readers, identity.ids, mode) {
            warnings.push(format!("container {container} cannot read {name}: its mode {mode:04o} shuts that user out"));
        }
    }
}

fn files(config: &AgentConfig, spec: &InjectSpec, trace: &mut Trace) {
    for (output, secret) in config.outputs.iter().zip(&spec.secrets) {
        trace.files.push(FileLine {
            path: secret.destination(),
            content: content(secret),
            mode: format!("{:04o}", output.mode.unwrap_or(0o644)),
            group: output.group.clone(),
            login: (spec.places.len() > 1).then(|| spec.places[output.login].name()),
            from: secret.key.clone(),
        });
    }
}

fn content(secret: &Secret) -> String {
    let what = match (&secret.source, &secret.template) {
        (Source::Template(template), Some(_)) => {
            return template.file.as_ref().map_or_else(|| template.text.clone(), |file| format!("template of {file}"));
        }
        (Source::Template(_), None) => "default template",
        (Source::Format(source), _) => source.format.word(),
        (Source::Environment(_), _) => "environment",
    };
    format!("{what} of {}", secret.path)
}
