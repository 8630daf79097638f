//! Whether a pod is to be injected at all, and by whose rules.

use serde_json::{Map, Value};
use sidekey_core::contract::Dialect;
use sidekey_core::goparse::parse_bool;
use sidekey_core::{Cause, Code};

use crate::Stop;
use crate::annotations::Annotations;
use crate::outcome::{Facts, SkipReason};
use crate::pod::{Names, Pod};
use crate::registry::{Field, Kind, OPENBAO, VAULT};

/// Namespaces of Kubernetes itself.
const SYSTEM: [&str; 2] = ["kube-system", "kube-public"];

/// The switch, the status, the phase, the namespace, in this order.
pub(crate) fn read(pod: &Pod<'_>, found: &Annotations<'_>, facts: &Facts) -> Result<Dialect, Stop> {
    let Some(switch) = found.get(Field::Inject) else { return Err(Stop::Skip(SkipReason::NotAsked)) };
    let on = parse_bool(switch.value).ok_or_else(|| switch.refused(Kind::Bool))?;
    let dialect = switch.dialect;
    if !on {
        return Err(Stop::Skip(SkipReason::SwitchedOff));
    }
    if marked(pod, dialect) {
        return Err(Stop::Skip(SkipReason::AlreadyInjected));
    }
    if pod.annotations().is_some_and(|map| map.contains_key("kubernetes.io/config.mirror")) {
        return Err(Stop::Skip(SkipReason::MirrorPod));
    }
    if !matches!(pod.phase(), "" | "Pending") {
        return Err(Stop::Skip(SkipReason::NotPending));
    }
    if SYSTEM.contains(&facts.namespace.as_str()) {
        let attempted = format!("injecting a pod of namespace {}", facts.namespace);
        return Err(Stop::Deny(Cause::new(
            Code::NamespaceRefused,
            attempted,
            "Kubernetes' own namespaces are not served",
        )));
    }
    Ok(dialect)
}

/// The known injector goes by the mark alone: a pod with its mark and without our container is another injector's, or is meant
/// to be left alone, also when it asks in our own dialect besides. With our container, what is missing is looked for.
fn marked(pod: &Pod<'_>, dialect: Dialect) -> bool {
    let names = Names::of(dialect);
    let ours = pod.ours(names.agent).or_else(|| pod.ours(names.init)).is_some();
    let theirs = Field::Status.row().key(Dialect::Vault).map_or("", |key| key.name);
    let mark =
        |map: &Map<String, Value>, prefix| map.get(&format!("{prefix}{theirs}")).is_some_and(|it| it == "injected");
    !ours && pod.annotations().is_some_and(|map| [VAULT, OPENBAO].iter().any(|prefix| mark(map, prefix)))
}
