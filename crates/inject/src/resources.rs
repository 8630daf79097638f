//! How much the agent may use: requests never above limits, memory volumes within the memory limit, Guaranteed stays so.

use serde_json::Value;
use sidekey_core::{Cause, Code};

use crate::pod::{Names, Pod, is_ours};
use crate::quantity::Quantity;
use crate::reader::Asked;
use crate::registry::Field;
use crate::settings::Settings;
use crate::spec::{InjectSpec, ResourceSpec};

/// What goes into the container and its volumes; `None` leaves an entry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) cpu: Pair,
    pub(crate) memory: Pair,
    pub(crate) ephemeral: Pair,
    /// Size limit of each volume of secrets.
    pub(crate) secrets_size: Quantity,
    /// Size limit of the private volume.
    pub(crate) state_size: Quantity,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) request: Option<Quantity>,
    pub(crate) limit: Option<Quantity>,
}

/// The sidecar's, and the init container's where its annotations ask for another; both write to the same volumes.
///
/// # Errors
/// As [`budget`].
pub(crate) fn budgets(
    pod: &Pod<'_>,
    spec: &InjectSpec,
    settings: &Settings,
    volumes: usize,
    warnings: &mut Vec<String>,
) -> Result<(Budget, Option<Budget>), Cause> {
    let mut sidecar = budget(pod, (spec, &spec.resources), settings, volumes, warnings)?;
    let Some(asked) = &spec.init_resources else { return Ok((sidecar, None)) };
    let init = budget(pod, (spec, asked), settings, volumes, warnings)?;
    sidecar.secrets_size = sidecar.secrets_size.min(init.secrets_size.clone());
    sidecar.state_size = sidecar.state_size.min(init.state_size.clone());
    Ok((sidecar, Some(init)))
}

/// Decides all of it for `volumes` volumes of secrets.
///
/// # Errors
/// `AnnotationConflict` when the pod itself asks for a request above a limit.
fn budget(
    pod: &Pod<'_>,
    (spec, asked): (&InjectSpec, &ResourceSpec),
    settings: &Settings,
    volumes: usize,
    warnings: &mut Vec<String>,
) -> Result<Budget, Cause> {
    let (limits, requests) = (&asked.limits, &asked.requests);
    let refuse = |what: &'static str| move || conflict(what, spec, asked.init);
    let guaranteed = guaranteed(pod, &Names::of(spec.dialect));
    let defaults = &settings.resources;
    let of_own = |what, amount| Some(amount).filter(|_| !pod.budgets(what));
    let (request, limit) = (of_own("cpu", &defaults.cpu_request), of_own("cpu", &defaults.cpu_limit));
    let mut cpu = pair(&requests.cpu, &limits.cpu, request, limit).ok_or_else(refuse("CPU"))?;
    if guaranteed {
        cpu = guaranteed_cpu(cpu, asked, &defaults.cpu_guaranteed);
    }
    let Fit { limit, secrets, state, warning } = fit(&memory_limit(pod, &limits.memory), settings, volumes);
    warnings.extend(warning);
    let asked = if limits.memory == Asked::Default { Asked::Default } else { asked_of(limit.clone()) };
    let request = of_own("memory", &defaults.memory_request);
    let mut memory = pair(&requests.memory, &asked, request, limit.as_ref()).ok_or_else(refuse("memory"))?;
    if guaranteed && memory.limit.is_some() {
        memory.request.clone_from(&memory.limit);
    }
    let ephemeral = pair(&requests.ephemeral, &limits.ephemeral, None, None).ok_or_else(refuse("ephemeral storage"))?;
    Ok(Budget { cpu, memory, ephemeral, secrets_size: secrets, state_size: state })
}

/// A pod that has a budget as a whole (`spec.resources`, 1.34) needs none of a container's: the API server refuses a pod whose
/// containers request more than the pod has.
fn memory_limit(pod: &Pod<'_>, asked: &Asked) -> Asked {
    if *asked == Asked::Default && pod.budgets("memory") { Asked::Removed } else { asked.clone() }
}

fn asked_of(quantity: Option<Quantity>) -> Asked {
    quantity.map_or(Asked::Removed, Asked::Of)
}

/// The side that the pod names moves the other one along; `None` when it names both and they contradict.
fn pair(
    request: &Asked,
    limit: &Asked,
    request_default: Option<&Quantity>,
    limit_default: Option<&Quantity>,
) -> Option<Pair> {
    let resolve = |asked: &Asked, default: Option<&Quantity>| match asked {
        Asked::Default => default.cloned(),
        Asked::Removed => None,
        Asked::Of(quantity) => Some(quantity.clone()),
    };
    let mut pair = Pair { request: resolve(request, request_default), limit: resolve(limit, limit_default) };
    let crossed = matches!((&pair.request, &pair.limit), (Some(request), Some(limit)) if request > limit);
    match (crossed, request, limit) {
        (false, ..) => {}
        (true, Asked::Of(_), Asked::Of(_)) => return None,
        (true, Asked::Of(_), _) => pair.limit.clone_from(&pair.request),
        (true, ..) => pair.request.clone_from(&pair.limit),
    }
    Some(pair)
}

fn conflict(what: &str, spec: &InjectSpec, init: bool) -> Cause {
    let rows = match what {
        "CPU" if init => (Field::InitRequestsCpu, Field::InitLimitsCpu),
        "memory" if init => (Field::InitRequestsMemory, Field::InitLimitsMemory),
        "CPU" => (Field::RequestsCpu, Field::LimitsCpu),
        "memory" => (Field::RequestsMemory, Field::LimitsMemory),
        _ => (Field::RequestsEphemeral, Field::LimitsEphemeral),
    };
    let (request, limit) = (rows.0.row().full_key(spec.dialect), rows.1.row().full_key(spec.dialect));
    Cause::new(
        Code::AnnotationConflict,
        format!("reading annotations {request} and {limit}"),
        format!("the {what} request is above the {what} limit"),
    )
    .with_fix("Lower the request or raise the limit.")
}

/// A request that equals its limit, from whichever side the pod names.
fn guaranteed_cpu(cpu: Pair, asked: &ResourceSpec, default: &Quantity) -> Pair {
    let both = match (&asked.limits.cpu, &asked.requests.cpu, &cpu.limit) {
        (_, _, None) => return cpu,
        (Asked::Of(limit), ..) => limit.clone(),
        (_, Asked::Of(request), _) => request.clone(),
        (_, _, Some(limit)) => limit.min(default).clone(),
    };
    Pair { request: Some(both.clone()), limit: Some(both) }
}

/// Every container has requests equal to limits for CPU and memory; an absent request is the limit, as the API server
/// fills it in.
fn guaranteed(pod: &Pod<'_>, ours: &Names) -> bool {
    let mut others = pod.all().filter(|(_, _, one)| !is_ours(one, ours)).peekable();
    others.peek().is_some() && others.all(|(_, _, one)| ["cpu", "memory"].iter().all(|what| equal(one, what)))
}

fn equal(container: &Value, what: &str) -> bool {
    let read = |kind: &str| {
        let amount = container.get("resources")?.get(kind)?.get(what)?;
        amount.as_str().map_or_else(|| Quantity::parse(&amount.to_string()), Quantity::parse)
    };
    match (read("limits"), read("requests")) {
        (Some(limit), request) => !limit.is_zero() && request.is_none_or(|request| request == limit),
        (None, _) => false,
    }
}

struct Fit {
    limit: Option<Quantity>,
    secrets: Quantity,
    state: Quantity,
    warning: Option<String>,
}

/// Pages of a memory volume count against the container that wrote them, so the limit holds the process and all volumes. A
/// limit of the pod's own shrinks the volumes, down to 1 MiB each.
fn fit(asked: &Asked, settings: &Settings, volumes: usize) -> Fit {
    let (secrets, state) = (&settings.secrets_size, &settings.state_size);
    let base = settings.resources.memory_base.as_mebibytes();
    let count = u64::try_from(volumes).unwrap_or(u64::MAX);
    let full = base.saturating_add(secrets.as_mebibytes().saturating_mul(count)).saturating_add(state.as_mebibytes());
    let whole = |limit| Fit { limit, secrets: secrets.clone(), state: state.clone(), warning: None };
    let limit = match asked {
        Asked::Default => return whole(Some(Quantity::mebibytes(full))),
        Asked::Removed => return whole(None),
        Asked::Of(limit) if limit.as_mebibytes() >= full => return whole(Some(limit.clone())),
        Asked::Of(limit) => limit,
    };
    let process = base.min(16);
    let share = limit.as_mebibytes().saturating_sub(process) / (count + 1);
    if share == 0 {
        let least = Quantity::mebibytes(process + count + 1);
        let warning =
            Some(format!("a memory limit of {limit} is too small for the agent and its volumes; it is {least}"));
        return Fit { limit: Some(least), secrets: Quantity::mebibytes(1), state: Quantity::mebibytes(1), warning };
    }
    let shrunk = |size: &Quantity| Quantity::mebibytes(share.min(size.as_mebibytes()));
    Fit { limit: Some(limit.clone()), secrets: shrunk(secrets), state: shrunk(state), warning: None }
}
