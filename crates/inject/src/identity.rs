//! Who the agent runs as, and which mode lets the app read.

use sidekey_core::contract::Dialect;
use sidekey_core::{Cause, Code};

use crate::explain::{Origin, Trace};
use crate::pod::{List, Pod, text};
use crate::registry::Field;
use crate::settings::SecurityContext;
use crate::spec::InjectSpec;
use crate::targets::Target;

/// A uid that belongs to nobody: the one of images without a user of their own.
const NOBODY: i64 = 65_532;

/// The agent's user, if we set one, and the mode of files that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// How much of the security context is ours to write.
    pub(crate) context: SecurityContext,
    /// `None` leaves them to the platform.
    pub(crate) ids: Option<Ids>,
    /// `None` is the agent's default for the dialect, 0644.
    pub(crate) mode: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: i64,
    pub(crate) group: i64,
}

/// Decides both.
///
/// # Errors
/// `PodRefused` when the pod asks for the app's user and the app declares none, or root.
pub(crate) fn identity(
    pod: &Pod<'_>,
    spec: &InjectSpec,
    targets: &[Target<'_>],
    trace: &mut Trace,
) -> Result<Identity, Cause> {
    let shared_user = shared(pod, targets, "runAsUser").filter(|user| *user != 0);
    let user = if spec.user.same { Some(first_user(pod, spec.dialect)?) } else { spec.user.user };
    let chosen = user.or(shared_user).unwrap_or(NOBODY);
    let shared_group = shared(pod, targets, "runAsGroup").filter(|_| user.is_none());
    let group = spec.user.group.or(shared_group).unwrap_or(chosen);
    let context = spec.user.context;
    let ids = (context == SecurityContext::Full).then_some(Ids { user: chosen, group });
    let same_user = ids.is_some() && shared_user == Some(chosen);
    let mode = match (spec.dialect, pod.fs_group()) {
        (Dialect::Vault, _) => None,
        (Dialect::Native, Some(_)) => Some(0o440),
        (Dialect::Native, None) if same_user => Some(0o400),
        (Dialect::Native, None) => Some(0o444),
    };
    trace_user(spec, ids, shared_user, trace);
    Ok(Identity { context, ids, mode })
}

fn trace_user(spec: &InjectSpec, ids: Option<Ids>, shared: Option<i64>, trace: &mut Trace) {
    let Some(ids) = ids else {
        return trace.choose("user", "the platform's choice", Origin::Derived("set-security-context".into()));
    };
    let why = match (spec.user.same, spec.user.user, shared) {
        (true, ..) => "the first container's user",
        (_, Some(_), _) => "run-as-user",
        (.., Some(_)) => "the one user of the app's containers",
        (.., None) => "the app's user is not declared",
    };
    trace.choose("user", format!("{}:{}", ids.user, ids.group), Origin::Derived(why.into()));
}

/// The one id that all containers declare.
fn shared(pod: &Pod<'_>, targets: &[Target<'_>], field: &str) -> Option<i64> {
    let mut ids = targets.iter().map(|target| pod.declared(target.container, field));
    let first = ids.next()??;
    ids.all(|id| id == Some(first)).then_some(first)
}

/// The Vault dialect looks at the container alone, as today.
fn first_user(pod: &Pod<'_>, dialect: Dialect) -> Result<i64, Cause> {
    let container = pod.containers(List::Regular).first();
    let own = container.and_then(|one| one.get("securityContext")?.get("runAsUser")?.as_i64());
    let pods = container.and_then(|one| pod.declared(one, "runAsUser"));
    let user = if dialect == Dialect::Vault { own } else { pods };
    user.filter(|user| *user != 0).ok_or_else(|| {
        let name = container.map_or("", |one| text(one, "name"));
        let answer = format!("the first container, `{name}`, declares no user other than root");
        let key = Field::RunAsSameUser.row().full_key(dialect);
        Cause::new(Code::PodRefused, format!("reading annotation {key}"), answer)
            .with_fix("Set securityContext.runAsUser of that container, or name the agent's user with run-as-user.")
    })
}

/// A container that cannot read a file of `mode`, as far as its ids are declared.
pub(crate) fn shut_out<'a>(pod: &Pod<'_>, targets: &[Target<'a>], ids: Option<Ids>, mode: u32) -> Option<&'a str> {
    let ids = ids?;
    let file_group = pod.fs_group().unwrap_or(ids.group);
    let cannot = |target: &&Target<'a>| match pod.declared(target.container, "runAsUser") {
        Some(0) => false,
        Some(user) if user == ids.user => mode & 0o400 == 0,
        Some(_) if in_group(pod, target, file_group) => mode & 0o040 == 0,
        Some(_) => mode & 0o004 == 0,
        None if in_group(pod, target, file_group) && mode & 0o040 != 0 => false,
        None => mode & 0o004 == 0 && never_root(pod, target),
    };
    targets.iter().find(cannot).map(|target| text(target.container, "name"))
}

fn in_group(pod: &Pod<'_>, target: &Target<'_>, group: i64) -> bool {
    let listed = pod.security("supplementalGroups").and_then(|groups| groups.as_array());
    let supplemental = listed.is_some_and(|groups| groups.iter().any(|id| id.as_i64() == Some(group)));
    supplemental || pod.fs_group() == Some(group) || pod.declared(target.container, "runAsGroup") == Some(group)
}

fn never_root(pod: &Pod<'_>, target: &Target<'_>) -> bool {
    let own = target.container.get("securityContext").and_then(|context| context.get("runAsNonRoot"));
    own.or_else(|| pod.security("runAsNonRoot")).and_then(serde_json::Value::as_bool).unwrap_or(false)
}
