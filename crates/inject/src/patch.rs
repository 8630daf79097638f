//! plan → RFC 6902 operations, for what is not there yet. A pod that has everything gives no operation.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sidekey_core::contract::Dialect;
use sidekey_core::{Cause, Code};

use crate::amend;
use crate::build;
use crate::directories;
use crate::environment::{self, Delivery};
use crate::operations::Patch;
use crate::plan::{Agent, Plan};
use crate::pod::{List, Names, Pod, is_ours, items, text};
use crate::registry::{Field, OPENBAO, VAULT};
use crate::rules;
use crate::settings::Settings;
use crate::spec::{InjectSpec, Metrics};
use crate::targets::Target;

/// The operations. Mounts come before containers, so their indexes are those of the pod as it came.
///
/// # Errors
/// `AnnotationConflict` when a name or a mount path is taken.
pub(crate) fn patch(
    plan: &Plan<'_>,
    pod: &Pod<'_>,
    spec: &InjectSpec,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Result<Patch, Cause> {
    let mut patch = Patch::default();
    patch.append("/spec/volumes", pod.volumes().is_empty(), &missing_volumes(plan, pod, spec, settings)?)?;
    for target in &plan.targets {
        let path = format!("/spec/{}/{}/volumeMounts", target.list.name(), target.index);
        let none = items(target.container, "volumeMounts").is_empty();
        patch.append(&path, none, &missing_mounts(plan, target, spec)?)?;
        environment(&mut patch, plan, target, spec)?;
    }
    for agent in &plan.agents {
        match place(pod, agent, spec, settings) {
            Place::Right => {}
            Place::Move { from, to } => patch.shift(from, to),
            Place::New(at) => {
                let container = build::container(plan, agent, pod, spec)?;
                let container = match amend::of(spec, agent.config.lifecycle.shape) {
                    Some(amendment) => {
                        let container = amend::amend(&container, amendment, warnings)?;
                        rules::check_image(&container, settings, &agent.config.pod.namespace)?;
                        container
                    }
                    None => container,
                };
                insert(&mut patch, pod, agent, at, container)?;
            }
        }
    }
    if let Some(share) = spec.share_processes.filter(|share| pod.share_processes() != Some(*share)) {
        patch.add("/spec/shareProcessNamespace".to_owned(), &share)?;
    }
    pull_secrets(&mut patch, pod, spec)?;
    let asked = plan.agents.iter().any(|agent| agent.config.metrics_port.is_some());
    scrape(&mut patch, pod, spec.metrics.filter(|metrics| asked && metrics.scrape), warnings)?;
    status(&mut patch, pod, spec.dialect)?;
    Ok(patch)
}

/// A container's variables: references at the front of its list, or another command.
fn environment(patch: &mut Patch, plan: &Plan<'_>, target: &Target<'_>, spec: &InjectSpec) -> Result<(), Cause> {
    let Some(environment) = plan.environment.as_ref().filter(|environment| environment.has(target)) else {
        return Ok(());
    };
    let container = format!("/spec/{}/{}", target.list.name(), target.index);
    match environment.delivery {
        Delivery::Exec => match environment::command(target, spec) {
            Some(words) => patch.add(format!("{container}/command"), &words),
            None => Ok(()),
        },
        Delivery::File(_) => {
            let (path, missing) = (format!("{container}/env"), environment::missing_variables(target, spec));
            if items(target.container, "env").is_empty() {
                return patch.append(&path, true, &missing);
            }
            missing.iter().rev().try_for_each(|variable| patch.add(format!("{path}/0"), variable))
        }
    }
}

/// What is to be done with a container of ours.
enum Place {
    Right,
    /// Another webhook's container got in front of it or behind it.
    Move {
        from: String,
        to: String,
    },
    /// It is not there yet.
    New(usize),
}

fn place(pod: &Pod<'_>, agent: &Agent, spec: &InjectSpec, settings: &Settings) -> Place {
    let at = match agent.list {
        List::Init => init_place(pod, spec, settings),
        List::Regular => pod.containers(List::Regular).len(),
    };
    match pod.ours(agent.name) {
        Some((List::Init, index)) if index != at => {
            let path = |index| format!("/spec/{}/{index}", agent.list.name());
            Place::Move { from: path(index), to: path(at) }
        }
        Some(_) => Place::Right,
        None => Place::New(at),
    }
}

fn insert(patch: &mut Patch, pod: &Pod<'_>, agent: &Agent, at: usize, container: Box<RawValue>) -> Result<(), Cause> {
    let list = format!("/spec/{}", agent.list.name());
    if pod.containers(agent.list).is_empty() {
        patch.append(&list, true, &[container])
    } else {
        patch.add(format!("{list}/{at}"), &container)
    }
}

/// Our place among the init containers of others: the Vault dialect's is the end, the native one's the beginning, but
/// behind the native proxies of a mesh, without which there is no network.
pub(crate) fn init_place(pod: &Pod<'_>, spec: &InjectSpec, settings: &Settings) -> usize {
    let names = Names::of(spec.dialect);
    let others = || pod.containers(List::Init).iter().filter(|one| !is_ours(one, &names));
    let proxy = |one: &&Value| {
        text(one, "restartPolicy") == "Always" && settings.mesh_containers.iter().any(|name| name == text(one, "name"))
    };
    match (spec.start.first, spec.dialect) {
        (true, _) => 0,
        (false, Dialect::Vault) => others().count(),
        (false, Dialect::Native) => others().collect::<Vec<_>>().iter().rposition(proxy).map_or(0, |index| index + 1),
    }
}

/// A volume of ours that the pod already has must be of the same kind: it is from an earlier call, or the user wrote it.
fn missing_volumes(
    plan: &Plan<'_>,
    pod: &Pod<'_>,
    spec: &InjectSpec,
    settings: &Settings,
) -> Result<Vec<Volume>, Cause> {
    let mut missing = build::volumes(plan, spec, settings);
    for known in pod.volumes() {
        let name = text(known, "name");
        let Some(at) = missing.iter().position(|volume| volume.name == name) else { continue };
        if known.get(build::kind(&missing[at])).is_none() {
            let answer = format!("the pod has a volume called `{name}` of another kind");
            return Err(Cause::new(Code::AnnotationConflict, "adding the agent's volumes", answer)
                .with_fix("Give the pod's own volume another name."));
        }
        missing.remove(at);
    }
    Ok(missing)
}

fn missing_mounts(plan: &Plan<'_>, target: &Target<'_>, spec: &InjectSpec) -> Result<Vec<VolumeMount>, Cause> {
    let known = items(target.container, "volumeMounts");
    let mut missing = Vec::new();
    let mine = plan.directories.iter().filter(|directory| directory.is_for(target));
    for mount in mine.flat_map(|directory| directory.mounts(spec.dialect)) {
        match known.iter().find(|known| text(known, "mountPath").trim_end_matches('/') == mount.mount_path) {
            None => missing.push(mount),
            Some(known) if directories::same(known, &mount) => {}
            Some(known) => return Err(taken(target, known, &mount.mount_path, spec)),
        }
    }
    let exec = plan.environment.as_ref().is_some_and(|one| one.delivery == Delivery::Exec && one.has(target));
    let mounted = known.iter().any(|mount| text(mount, "name") == environment::EXEC.0);
    missing.extend((exec && !mounted).then(build::exec_mount));
    directories::apart(&missing, &format!("container `{}`", text(target.container, "name")), spec)?;
    Ok(missing)
}

fn taken(target: &Target<'_>, mount: &Value, dir: &str, spec: &InjectSpec) -> Cause {
    let (container, other) = (text(target.container, "name"), text(mount, "name"));
    let answer = format!("container `{container}` mounts volume `{other}` at {dir} already");
    let key = Field::VolumePath.row().full_key(spec.dialect);
    Cause::new(Code::AnnotationConflict, "mounting the secrets", answer)
        .with_fix(format!("Choose another directory with {key}."))
}

/// Those that the pod has not, after its own.
fn pull_secrets(patch: &mut Patch, pod: &Pod<'_>, spec: &InjectSpec) -> Result<(), Cause> {
    let known = pod.pull_secrets();
    let missing = spec.pull.secrets.iter().filter(|name| !known.iter().any(|one| text(one, "name") == *name));
    let missing: Vec<Value> = missing.map(|name| json!({ "name": name })).collect();
    patch.append("/spec/imagePullSecrets", known.is_empty(), &missing)
}

/// What many Prometheus installations go by. One annotation of the pod's own means that somebody else is scraped.
fn scrape(patch: &mut Patch, pod: &Pod<'_>, metrics: Option<Metrics>, warnings: &mut Vec<String>) -> Result<(), Cause> {
    let Some(Metrics { port, .. }) = metrics else { return Ok(()) };
    let wanted = [("scrape", "true".to_owned()), ("port", port.to_string()), ("path", "/metrics".to_owned())];
    let known = |name: &str| pod.annotations().and_then(|map| map.get(&format!("prometheus.io/{name}"))?.as_str());
    if wanted.iter().any(|(name, value)| known(name).is_some_and(|known| known != value)) {
        warnings.push("metrics-scrape is ignored: the pod has prometheus.io annotations of its own".to_owned());
        return Ok(());
    }
    for (name, value) in wanted.iter().filter(|(name, _)| known(name).is_none()) {
        patch.add(format!("/metadata/annotations/prometheus.io~1{name}"), value)?;
    }
    Ok(())
}

/// The mark people and tools look for, and the known injector's own where the pod asks that one too.
fn status(patch: &mut Patch, pod: &Pod<'_>, dialect: Dialect) -> Result<(), Cause> {
    let Some(map) = pod.annotations() else { return Ok(()) };
    let theirs = Field::Inject.row().key(Dialect::Vault).map_or("", |key| key.name);
    let asks = [VAULT, OPENBAO].iter().any(|prefix| map.contains_key(&format!("{prefix}{theirs}")));
    for marked in [Dialect::Native, Dialect::Vault] {
        let key = Field::Status.row().full_key(marked);
        let wanted = marked == dialect || (marked == Dialect::Vault && asks);
        if wanted && map.get(&key).and_then(Value::as_str) != Some("injected") {
            patch.add(format!("/metadata/annotations/{}", key.replace('/', "~1")), "injected")?;
        }
    }
    Ok(())
}
