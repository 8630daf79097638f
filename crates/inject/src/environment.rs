//! Environment variables of the app: the kubelet reads them from a file, or the container's command becomes `sidekey-agent exec`.

use serde_json::{Value, json};
use sidekey_core::contract::{EnvSource, EnvSyntax, Format, FormatSource, Layout, Output, Source, Variable};
use sidekey_core::path::RelPath;
use sidekey_core::{Cause, Code};

use crate::annotations::Entry;
use crate::explain::Origin;
use crate::outcome::Facts;
use crate::patch::init_place;
use crate::plan::Notes;
use crate::pod::{List, Names, Pod, items, text};
use crate::reader::Reader;
use crate::registry::Field;
use crate::settings::{EnvFiles, Settings};
use crate::spec::{EnvSpec, EnvVariable, InjectSpec};
use crate::targets::Target;
use crate::value::shown;
use crate::words;

/// Volume and directory of what `exec` needs: the program and the socket.
pub(crate) const EXEC: (&str, &str) = ("sidekey-exec", "/sidekey/exec");
/// Volume and directory of the file that the kubelet reads; no container of the app mounts it.
pub(crate) const FILE: (&str, &str) = ("sidekey-env", "/sidekey/env");
/// Of the output: no annotation's file can be called so.
const NAME: &str = "the environment";
const SOCKET: &str = "env.sock";
const ENV_FILE: &str = "env";
const PROGRAM: &str = "/sidekey/exec/sidekey-agent";

/// What one pod's variables need.
pub(crate) struct Environment<'a> {
    pub(crate) delivery: Delivery,
    pub(crate) targets: Vec<Target<'a>>,
}

/// How they get into the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// `fileKeyRef`: the kubelet reads a file at each start of a container.
    File(EnvSyntax),
    /// The command is `sidekey-agent exec`.
    Exec,
}

/// Reads the variables, in the order of their names.
///
/// # Errors
/// `AnnotationValue` for a name or a value that cannot be one.
pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<EnvSpec, Cause> {
    let found = reader.found.suffixed().filter(|(_, field, _)| *field == Field::Env);
    let variables = found.map(|(name, _, entry)| variable(name, &entry)).collect::<Result<Vec<_>, _>>()?;
    if variables.is_empty() {
        for entry in [Field::EnvOnChange, Field::EnvExec].iter().filter_map(|field| reader.found.get(*field)) {
            reader.warn(format!("{} is ignored: no environment variable is asked for", entry.key));
        }
        return Ok(EnvSpec::default());
    }
    let restart = reader.word(Field::EnvOnChange, words::restarts)?;
    let exec = reader.flag(Field::EnvExec)?;
    for variable in &variables {
        let value = format!("{} of {}", variable.name, variable.shown());
        reader.trace.choose("environment", value, Origin::Annotation(variable.key.clone()));
    }
    Ok(EnvSpec { variables, restart: restart.unwrap_or(false), exec })
}

fn variable(name: &str, entry: &Entry<'_>) -> Result<EnvVariable, Cause> {
    let refused = |answer: String, fix: &str| {
        Err(Cause::new(Code::AnnotationValue, format!("reading annotation {}", entry.key), answer).with_fix(fix))
    };
    let mut bytes = name.bytes();
    let head = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !head || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name.starts_with("SIDEKEY_") {
        let fix = "Use letters, digits and `_`, not first a digit, and no SIDEKEY_ at the beginning.";
        return refused(format!("`{}` cannot be the name of a variable", shown(name)), fix);
    }
    let (path, field) = match entry.value.trim().split_once('#') {
        Some((path, field)) => (path, Some(field)),
        None => (entry.value.trim(), None),
    };
    if path.is_empty() || field.is_some_and(|field| field.is_empty() || field.contains('#')) {
        let fix = "Write PATH#FIELD, such as secret/data/web#password; PATH alone for a secret of one field.";
        return refused(format!("`{}` is not a path and a field", shown(entry.value)), fix);
    }
    let field = field.map(str::to_owned);
    Ok(EnvVariable { name: name.to_owned(), key: entry.key.to_owned(), path: path.to_owned(), field })
}

/// Decides how the variables get there; `None` where there are none.
///
/// # Errors
/// `AnnotationConflict`, `PodRefused`, `CommandUnknown`.
pub(crate) fn plan<'a>(
    pod: &Pod<'a>,
    spec: &InjectSpec,
    facts: &Facts,
    settings: &Settings,
    (targets, native): (&[Target<'a>], bool),
    notes: &mut Notes<'_>,
) -> Result<Option<Environment<'a>>, Cause> {
    let Some(first) = spec.environment.variables.first() else { return Ok(None) };
    waits(spec, &first.key)?;
    let (delivery, why) = delivery(spec, facts, settings, notes);
    let named = |target: &&Target<'a>| target.list == List::Regular || spec.containers.is_some();
    let mut targets: Vec<Target<'a>> = targets.iter().filter(named).copied().collect();
    if delivery == Delivery::Exec {
        targets.retain(|target| !is_late(pod, spec, target, notes.warnings));
    }
    for target in &targets {
        in_time(pod, spec, settings, target)?;
        free(target, spec)?;
        if delivery == Delivery::Exec {
            runs(target, native, &first.key, spec)?;
            unseen(target, spec, notes.warnings);
        }
    }
    leased(spec, notes.warnings);
    let how = match delivery {
        Delivery::File(_) => "fileKeyRef: the kubelet reads them at each start",
        Delivery::Exec => "sidekey-agent exec; not in probes, hooks, kubectl exec",
    };
    notes.trace.choose("environment by", how, Origin::Derived(why.into()));
    Ok(Some(Environment { delivery, targets }))
}

fn refused(key: &str, answer: impl Into<String>, fix: impl Into<String>) -> Cause {
    Cause::new(Code::PodRefused, format!("reading annotation {key}"), answer).with_fix(fix)
}

/// Nothing sets a variable once a container has started.
fn waits(spec: &InjectSpec, key: &str) -> Result<(), Cause> {
    let conflict = |answer: &str, fix: &str| {
        Err(Cause::new(Code::AnnotationConflict, format!("reading annotation {key}"), answer).with_fix(fix))
    };
    if !spec.start.pre_populate {
        return conflict(
            "pre-populate is false, and a variable must be there before the app starts",
            "Remove one of them.",
        );
    }
    if spec.extras.config_map.is_some() {
        return conflict("the agent-configmap says what is delivered", "Remove one of them.");
    }
    Ok(())
}

fn delivery(spec: &InjectSpec, facts: &Facts, settings: &Settings, notes: &mut Notes<'_>) -> (Delivery, &'static str) {
    match (settings.env_files.resolve(facts.env_files), settings.env_files) {
        _ if spec.environment.restart => (Delivery::Exec, "env-on-change"),
        _ if spec.environment.exec => (Delivery::Exec, "env-exec"),
        (Some(syntax), EnvFiles::On) => (Delivery::File(syntax), "settings envFiles"),
        (Some(syntax), _) => (Delivery::File(syntax), "every kubelet reads env files"),
        (None, EnvFiles::On) => {
            let words = "the settings' envFiles is on, and not every kubelet reads one form of env files: variables come by exec";
            notes.warnings.push(words.to_owned());
            (Delivery::Exec, "kubelets of several versions")
        }
        (None, EnvFiles::Off) => (Delivery::Exec, "settings envFiles"),
        (None, EnvFiles::Auto) => (Delivery::Exec, "not every kubelet reads env files unasked"),
    }
}

/// An init container that starts before the agent would wait for it for ever.
fn in_time(pod: &Pod<'_>, spec: &InjectSpec, settings: &Settings, target: &Target<'_>) -> Result<(), Cause> {
    if target.list == List::Regular || target.index >= init_place(pod, spec, settings) {
        return Ok(());
    }
    let answer = format!("init container `{}` starts before the agent", text(target.container, "name"));
    Err(refused(&Field::Env.row().full_key(spec.dialect), answer, "Leave it out of the containers, or set init-first."))
}

/// The container must not say the same thing itself.
fn free(target: &Target<'_>, spec: &InjectSpec) -> Result<(), Cause> {
    for known in items(target.container, "env") {
        let Some(variable) = spec.environment.variables.iter().find(|one| one.name == text(known, "name")) else {
            continue;
        };
        if !is_ours(known) {
            let answer = format!("container `{}` sets {} itself", text(target.container, "name"), variable.name);
            return Err(Cause::new(Code::AnnotationConflict, format!("reading annotation {}", variable.key), answer)
                .with_fix("Remove one of the two."));
        }
    }
    Ok(())
}

fn is_ours(variable: &Value) -> bool {
    variable.pointer("/valueFrom/fileKeyRef/volumeName").and_then(Value::as_str) == Some(FILE.0)
}

/// Another webhook's container, whose command is not known, that came after ours: the pod's people cannot mend it.
fn is_late(pod: &Pod<'_>, spec: &InjectSpec, target: &Target<'_>, warnings: &mut Vec<String>) -> bool {
    let known = !items(target.container, "command").is_empty() || spec.containers.is_some();
    let late = !known && pod.ours(Names::of(spec.dialect).agent).is_some();
    if late {
        let name = text(target.container, "name");
        warnings.push(format!("container {name} came later and has no command: it gets no environment variables"));
    }
    late
}

/// What `exec` needs: an agent that stays, and a command to run.
fn runs(target: &Target<'_>, native: bool, key: &str, spec: &InjectSpec) -> Result<(), Cause> {
    let name = text(target.container, "name");
    if spec.start.only {
        return Err(refused(key, "init-only leaves no agent that hands the variables over", "Remove init-only."));
    }
    if target.list == List::Init && !native {
        let answer = format!("init container `{name}` starts before a classic sidecar, which hands the variables over");
        return Err(refused(key, answer, "Leave it out of the containers; only a native sidecar runs beside it."));
    }
    if !items(target.container, "command").is_empty() {
        return Ok(());
    }
    let answer = format!("container `{name}` has no command, and what its image runs is not known here");
    Err(Cause::new(Code::CommandUnknown, format!("reading annotation {key}"), answer).with_fix(format!(
        "Write the image's ENTRYPOINT as `command` of `{name}`, and its CMD as `args` (`crane config IMAGE` or `docker inspect IMAGE` \
         shows both); or name other containers with {}; or have the kubelet read env files (settings envFiles).",
        Field::Containers.row().full_key(spec.dialect).trim_end_matches("[-<NAME>]")
    )))
}

/// What is not started by `exec` does not have the variables.
fn unseen(target: &Target<'_>, spec: &InjectSpec, warnings: &mut Vec<String>) {
    let (container, name) = (target.container, text(target.container, "name"));
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|kind| container.get(kind));
    let hooks = ["/lifecycle/postStart", "/lifecycle/preStop"].map(|path| container.pointer(path));
    let exec = |one: &Option<&Value>| one.is_some_and(|one| one.get("exec").is_some());
    if probes.iter().chain(&hooks).any(exec) {
        warnings
            .push(format!("container {name}: commands of its probes and hooks do not see the environment variables"));
    }
    for variable in &spec.environment.variables {
        let reference = format!("$({})", variable.name);
        let words = ["command", "args"].into_iter().flat_map(|field| items(container, field)).filter_map(Value::as_str);
        let values = items(container, "env").iter().map(|one| text(one, "value"));
        if words.chain(values).any(|word| word.contains(&reference)) {
            warnings
                .push(format!("container {name}: Kubernetes does not know {reference}, so it stays as it is written"));
        }
    }
}

/// The webhook cannot ask Vault what has a lease; the usual names tell.
fn leased(spec: &InjectSpec, warnings: &mut Vec<String>) {
    let dynamic = |variable: &&EnvVariable| variable.path.split('/').any(|part| matches!(part, "creds" | "issue"));
    if let Some(variable) = spec.environment.variables.iter().find(dynamic).filter(|_| !spec.environment.restart) {
        warnings.push(format!(
            "{}: a leased credential is replaced before its end, and the app keeps the one it began with: set env-on-change to restart",
            variable.key
        ));
    }
}

impl Environment<'_> {
    /// What the agent renders for them.
    pub(crate) fn output(&self, spec: &InjectSpec) -> Option<Output> {
        let (dir, file, syntax, layout) = match self.delivery {
            Delivery::File(syntax) => (FILE.1, ENV_FILE, syntax, Layout::Plain),
            Delivery::Exec => (EXEC.1, SOCKET, EnvSyntax::Nul, Layout::Served),
        };
        let variables = spec.environment.variables.iter().map(EnvVariable::contract).collect();
        Some(Output {
            name: NAME.to_owned(),
            dir: dir.to_owned(),
            file: RelPath::parse(file).ok()?,
            source: Source::Environment(EnvSource { syntax, variables, restart: spec.environment.restart }),
            // The kubelet is root, and nobody else reads it.
            mode: (layout == Layout::Plain).then_some(0o400),
            group: NAME.to_owned(),
            layout,
            optional: false,
            max_stale_seconds: None,
            login: 0,
            pinned: false,
        })
    }

    /// Volume and directory in the agent.
    pub(crate) const fn place(&self) -> (&'static str, &'static str) {
        match self.delivery {
            Delivery::File(_) => FILE,
            Delivery::Exec => EXEC,
        }
    }

    pub(crate) fn has(&self, target: &Target<'_>) -> bool {
        self.targets.iter().any(|one| one.list == target.list && one.index == target.index)
    }
}

/// The variables that a container still lacks, for the front of its list, so that its own may refer to them. Newer than the typed
/// ones.
pub(crate) fn missing_variables(target: &Target<'_>, spec: &InjectSpec) -> Vec<Value> {
    let known = |name: &str| items(target.container, "env").iter().any(|one| text(one, "name") == name);
    let variables = spec.environment.variables.iter().filter(|variable| !known(&variable.name));
    let reference = |name: &str| json!({ "volumeName": FILE.0, "path": ENV_FILE, "key": name });
    variables
        .map(|variable| json!({ "name": variable.name, "valueFrom": { "fileKeyRef": reference(&variable.name) } }))
        .collect()
}

/// The command by way of `exec`; `None` where it is so already.
pub(crate) fn command(target: &Target<'_>, spec: &InjectSpec) -> Option<Vec<Value>> {
    let own = items(target.container, "command");
    if own.first().and_then(Value::as_str) == Some(PROGRAM) {
        return None;
    }
    let socket = format!("{}/{SOCKET}", EXEC.1);
    let mut words = vec![json!(PROGRAM), json!("exec"), json!("--socket"), json!(socket)];
    words.extend(spec.environment.restart.then(|| json!("--on-change=restart")));
    words.push(json!("--"));
    words.extend(own.iter().cloned());
    Some(words)
}

impl EnvVariable {
    fn contract(&self) -> Variable {
        let source = FormatSource { format: Format::Raw, path: self.path.clone(), field: self.field.clone() };
        Variable { name: self.name.clone(), source: Source::Format(source) }
    }

    fn shown(&self) -> String {
        self.field.as_ref().map_or_else(|| self.path.clone(), |field| format!("{}#{field}", self.path))
    }
}
