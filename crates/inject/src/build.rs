//! plan → containers and volumes, typed, as the API server will read them; a field newer than these types would be raw.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, ContainerResizePolicy, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, ExecAction, ObjectFieldSelector, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext as ContainerSecurity, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;
use serde_json::value::RawValue;
use sidekey_core::contract::{Dialect, Shape};
use sidekey_core::{AgentConfig, Cause, Code};

use crate::cloud;
use crate::directories;
use crate::environment::{self, Delivery};
use crate::identity::Ids;
use crate::operations::raw;
use crate::plan::{Agent, Plan, STATE_DIR};
use crate::pod::{Pod, items, text};
use crate::quantity::Quantity;
use crate::resources::{Budget, Pair};
use crate::settings::{SecurityContext, Settings};
use crate::spec::{InjectSpec, Secret};
use crate::token;
use crate::trust;

const STATE: &str = "sidekey-state";
/// Volume of Vault Agent's own files, named and placed as today.
const FILES: &str = "vault-config";
const FILES_DIR: &str = "/vault/configs";
/// The probe blocks below its own timeout and tries again at once: readiness is seen within a moment of it.
const PROBE_TIMEOUT_SECONDS: i32 = 10;
/// The agent itself knows when to give up.
const PROBE_FAILURES: i32 = 1_000_000_000;

/// One container of ours as JSON text.
///
/// # Errors
/// `ConfigMalformed` when the contract does not read back as it was written.
pub(crate) fn container(
    plan: &Plan<'_>,
    agent: &Agent,
    pod: &Pod<'_>,
    spec: &InjectSpec,
) -> Result<Box<RawValue>, Cause> {
    let one_shot = matches!(agent.config.lifecycle.shape, Shape::Init | Shape::InitOnly);
    let mut args = vec!["run".to_owned()];
    args.extend(one_shot.then(|| "--once".to_owned()));
    args.extend(spec.extras.config_map.iter().flat_map(|_| ["--config".to_owned(), config_file(one_shot)]));
    let built = Container {
        name: agent.name.to_owned(),
        image: Some(spec.image.clone()),
        image_pull_policy: spec.pull.policy.map(|policy| policy.as_str().to_owned()),
        args: Some(args),
        env: Some(environment(&agent.config, spec)?),
        ports: agent.config.metrics_port.map(port),
        resources: Some(resources(plan.init_budget.as_ref().filter(|_| one_shot).unwrap_or(&plan.budget))),
        resize_policy: (!one_shot).then(resize),
        restart_policy: (agent.config.lifecycle.shape == Shape::Native).then(|| "Always".to_owned()),
        security_context: (plan.identity.context != SecurityContext::None).then(|| security(plan.identity.ids)),
        startup_probe: agent.probe.then(probe),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(plan, pod, spec)?),
        ..Container::default()
    };
    let variables = cloud::environment(pod, &agent.config.auth.method);
    copy(raw(&built)?, pod, spec, variables)
}

fn port(number: u16) -> Vec<ContainerPort> {
    let name = Some("sidekey-metrics".to_owned());
    vec![ContainerPort { container_port: number.into(), name, ..ContainerPort::default() }]
}

/// Every volume of ours, in a fixed order.
pub(crate) fn volumes(plan: &Plan<'_>, spec: &InjectSpec, settings: &Settings) -> Vec<Volume> {
    let mut volumes = vec![memory(STATE, &plan.budget.state_size)];
    let own = plan.token.as_ref().filter(|token| token.own());
    volumes.extend(own.map(|own| tokens(&own.volume, spec, settings)));
    volumes.extend(plan.directories.iter().map(|one| memory(&one.volume, &plan.budget.secrets_size)));
    volumes.extend(plan.environment.as_ref().map(|environment| match environment.delivery {
        Delivery::File(_) => memory(environment.place().0, &plan.budget.secrets_size),
        Delivery::Exec => program(environment.place().0),
    }));
    let (extra, tls) = extra_names(spec.dialect);
    volumes.extend(spec.extras.extra_secret.as_ref().map(|secret| kubernetes_secret(extra.0, secret)));
    volumes.extend(spec.extras.tls_secret.as_ref().map(|secret| kubernetes_secret(tls.0, secret)));
    volumes.extend(spec.extras.config_map.as_ref().map(|name| config_map(name)));
    volumes.extend(trust::volume(&spec.places));
    volumes
}

/// The field that says what a volume is.
pub(crate) const fn kind(volume: &Volume) -> &'static str {
    match (&volume.empty_dir, &volume.secret, &volume.config_map) {
        (Some(_), ..) => "emptyDir",
        (_, Some(_), _) => "secret",
        (.., Some(_)) => "configMap",
        _ => "projected",
    }
}

/// The mount of the program and its socket: nothing that a container of the app could change.
pub(crate) fn exec_mount() -> VolumeMount {
    mount(environment::EXEC.0, environment::EXEC.1, true)
}

/// Reads the contract back as the agent will, before anyone is promised that it can.
fn environment(config: &AgentConfig, spec: &InjectSpec) -> Result<Vec<EnvVar>, Cause> {
    let broken = |answer: String| Cause::new(Code::ConfigMalformed, "writing the agent's configuration", answer);
    let variables = config.to_env().map_err(|error| broken(error.to_string()))?;
    let json: Cow<'_, str> = match variables.as_slice() {
        [(_, whole)] => Cow::Borrowed(whole),
        parts => parts.iter().map(|(_, part)| part.as_str()).collect(),
    };
    let read: AgentConfig = serde_json::from_str(&json).map_err(|error| broken(error.to_string()))?;
    if read != *config {
        return Err(broken("it does not read back as it was written".to_owned()));
    }
    let mut all: Vec<EnvVar> =
        variables.into_iter().map(|(name, value)| EnvVar { name, value: Some(value), value_from: None }).collect();
    // What templates of Vault Agent's own files ask for is known in the pod alone.
    if spec.extras.config_map.is_some() || spec.secrets.iter().any(Secret::may_read_environment) {
        all.extend(POD.map(|(name, field)| of_pod(name, field)));
    }
    Ok(all)
}

/// What templates and commands know of the pod beside today's agent as well.
const POD: [(&str, &str); 3] =
    [("NAMESPACE", "metadata.namespace"), ("HOST_IP", "status.hostIP"), ("POD_IP", "status.podIP")];

fn of_pod(name: &str, field: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: field.to_owned(), ..ObjectFieldSelector::default() };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

fn resources(budget: &Budget) -> ResourceRequirements {
    let all = [("cpu", &budget.cpu), ("memory", &budget.memory), ("ephemeral-storage", &budget.ephemeral)];
    let side = |pick: fn(&Pair) -> &Option<Quantity>| {
        let found = all.iter().filter_map(|(name, pair)| Some(((*name).to_owned(), pick(pair).as_ref()?)));
        let map: BTreeMap<_, _> = found.map(|(name, amount)| (name, ApiQuantity(amount.as_str().to_owned()))).collect();
        (!map.is_empty()).then_some(map)
    };
    ResourceRequirements {
        limits: side(|pair| &pair.limit),
        requests: side(|pair| &pair.request),
        ..ResourceRequirements::default()
    }
}

fn resize() -> Vec<ContainerResizePolicy> {
    let keep =
        |name: &str| ContainerResizePolicy { resource_name: name.to_owned(), restart_policy: "NotRequired".to_owned() };
    vec![keep("cpu"), keep("memory")]
}

/// What pod security *restricted* asks for.
fn security(ids: Option<Ids>) -> ContainerSecurity {
    ContainerSecurity {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        run_as_group: ids.map(|ids| ids.group),
        run_as_non_root: Some(ids.is_none_or(|ids| ids.user != 0)),
        run_as_user: ids.map(|ids| ids.user),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..ContainerSecurity::default()
    }
}

fn probe() -> Probe {
    let command = ["/sidekey-agent", "ready", "--wait"].map(str::to_owned).to_vec();
    Probe {
        exec: Some(ExecAction { command: Some(command) }),
        failure_threshold: Some(PROBE_FAILURES),
        period_seconds: Some(1),
        timeout_seconds: Some(PROBE_TIMEOUT_SECONDS),
        ..Probe::default()
    }
}

/// Volume name and mount path of the user's extra Secret, and of the TLS one.
const fn extra_names(dialect: Dialect) -> ((&'static str, &'static str), (&'static str, &'static str)) {
    match dialect {
        Dialect::Vault => (("extra-secrets", "/vault/custom"), ("vault-tls-secrets", "/vault/tls")),
        Dialect::Native => (("sidekey-extra", "/sidekey/custom"), ("sidekey-tls", "/sidekey/tls")),
    }
}

fn mounts(plan: &Plan<'_>, pod: &Pod<'_>, spec: &InjectSpec) -> Result<Vec<VolumeMount>, Cause> {
    let mut mounts = vec![mount(STATE, STATE_DIR, false)];
    mounts.extend(plan.token.as_ref().map(|token| mount(&token.volume, &token.directory, true)));
    mounts.extend(cloud::mount(pod, &spec.own().login.method));
    mounts.extend(plan.directories.iter().map(|one| mount(&one.volume, &one.dir, false)));
    mounts.extend(
        plan.environment.as_ref().map(|environment| mount(environment.place().0, environment.place().1, false)),
    );
    let (extra, tls) = extra_names(spec.dialect);
    mounts.extend(spec.extras.extra_secret.is_some().then(|| mount(extra.0, extra.1, true)));
    mounts.extend(spec.extras.tls_secret.is_some().then(|| mount(tls.0, tls.1, true)));
    mounts.extend(spec.extras.config_map.is_some().then(|| mount(FILES, FILES_DIR, true)));
    let trusts = spec.places.iter().any(|place| place.bundle.is_some());
    mounts.extend(trusts.then(|| mount(trust::VOLUME, trust::DIRECTORY, true)));
    directories::apart(&mounts, "the agent's container", spec)?;
    Ok(mounts)
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// What the agent has of other containers, raw: variables, and the mounts of one but for service account tokens and paths that
/// are taken.
fn copy(
    container: Box<RawValue>,
    pod: &Pod<'_>,
    spec: &InjectSpec,
    variables: Vec<&Value>,
) -> Result<Box<RawValue>, Cause> {
    let named = |name: &String| pod.all().find(|(_, _, one)| text(one, "name") == name);
    let source = spec.extras.copy_from.as_ref().and_then(named).map(|(_, _, source)| source);
    if source.is_none() && variables.is_empty() {
        return Ok(container);
    }
    let mut value: Value = serde_json::from_str(container.get()).unwrap_or_default();
    if let Some(own) = value.get_mut("env").and_then(Value::as_array_mut) {
        own.extend(variables.into_iter().cloned());
    }
    if let (Some(source), Some(own)) = (source, value.get_mut("volumeMounts").and_then(Value::as_array_mut)) {
        copy_mounts(source, own);
    }
    raw(&value)
}

fn copy_mounts(source: &Value, own: &mut Vec<Value>) {
    for mount in items(source, "volumeMounts") {
        let path = text(mount, "mountPath");
        let taken =
            own.iter().any(|known| text(known, "mountPath").trim_end_matches('/') == path.trim_end_matches('/'));
        if !taken && !path.to_ascii_lowercase().contains("serviceaccount") {
            own.push(mount.clone());
        }
    }
}

fn memory(name: &str, size: &Quantity) -> Volume {
    let source = EmptyDirVolumeSource {
        medium: Some("Memory".to_owned()),
        size_limit: Some(ApiQuantity(size.as_str().to_owned())),
    };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

/// A program is no secret, and its pages can be given back, unlike those of a memory volume.
fn program(name: &str) -> Volume {
    let source = EmptyDirVolumeSource { medium: None, size_limit: Some(ApiQuantity("64Mi".to_owned())) };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

/// One token for each audience.
fn tokens(name: &str, spec: &InjectSpec, settings: &Settings) -> Volume {
    let source = |(at, audience): (usize, &Option<String>)| {
        let projection = ServiceAccountTokenProjection {
            audience: audience.clone(),
            expiration_seconds: Some(settings.token_expiration_seconds.into()),
            path: token::file_name(at),
        };
        VolumeProjection { service_account_token: Some(projection), ..VolumeProjection::default() }
    };
    let sources = spec.audiences().into_iter().enumerate().map(source).collect();
    let projected = ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() };
    Volume { name: name.to_owned(), projected: Some(projected), ..Volume::default() }
}

fn config_file(one_shot: bool) -> String {
    format!("{FILES_DIR}/{}", if one_shot { "config-init.hcl" } else { "config.hcl" })
}

fn config_map(name: &str) -> Volume {
    let source = ConfigMapVolumeSource { name: name.to_owned(), ..ConfigMapVolumeSource::default() };
    Volume { name: FILES.to_owned(), config_map: Some(source), ..Volume::default() }
}

fn kubernetes_secret(name: &str, secret: &str) -> Volume {
    let source = SecretVolumeSource { secret_name: Some(secret.to_owned()), ..SecretVolumeSource::default() };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}
