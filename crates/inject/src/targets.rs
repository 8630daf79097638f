//! The containers that get the secrets.

use serde_json::Value;
use sidekey_core::contract::Dialect;

use crate::pod::{List, Names, Pod, is_ours, text};
use crate::settings::Settings;
use crate::spec::InjectSpec;
use crate::value::shown;

/// One container of the app.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) list: List,
    pub(crate) index: usize,
    pub(crate) container: &'a Value,
    /// It gets what is not for single containers.
    pub(crate) listed: bool,
}

/// The Vault dialect's list names regular containers only, and init containers are served whenever an agent comes before
/// the app; the native one's names any container, and a mesh's containers are served only by name.
pub(crate) fn targets<'a>(
    pod: &Pod<'a>,
    spec: &InjectSpec,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Vec<Target<'a>> {
    let names = Names::of(spec.dialect);
    let has = |names: &[String], container: &Value| names.iter().any(|name| name == text(container, "name"));
    let listed = |container: &Value| match &spec.containers {
        Some(names) => has(names, container),
        None => spec.dialect == Dialect::Vault || !has(&settings.mesh_containers, container),
    };
    let wanted = |list: List, container: &Value| match (spec.dialect, list) {
        (Dialect::Vault, List::Init) => spec.start.pre_populate,
        _ => listed(container),
    };
    let singled =
        |container: &Value| spec.secrets.iter().flat_map(|one| &one.containers).any(|names| has(names, container));
    let others = pod.all().filter(|(_, _, container)| !is_ours(container, &names));
    let found: Vec<Target<'a>> = others
        .map(|(list, index, container)| Target { list, index, container, listed: wanted(list, container) })
        .filter(|target| target.listed || singled(target.container))
        .collect();
    warn_of_absent(pod, spec, warnings);
    found
}

fn warn_of_absent(pod: &Pod<'_>, spec: &InjectSpec, warnings: &mut Vec<String>) {
    let regular = spec.dialect == Dialect::Vault;
    let mut singled: Vec<&String> = spec.secrets.iter().flat_map(|one| &one.containers).flatten().collect();
    singled.sort();
    singled.dedup();
    for name in singled {
        if !pod.all().any(|(_, _, container)| text(container, "name") == name) {
            warnings.push(format!("there is no container called {} to give secrets to", shown(name)));
        }
    }
    if let Some(name) = spec.extras.copy_from.as_ref()
        && !pod.all().any(|(_, _, container)| text(container, "name") == name)
    {
        warnings.push(format!("there is no container called {} to copy volume mounts from", shown(name)));
    }
    for name in spec.containers.iter().flatten() {
        let mut all = pod.all().filter(|(list, ..)| !regular || *list == List::Regular);
        if !all.any(|(_, _, container)| text(container, "name") == name) {
            warnings.push(format!("there is no container called {} to give secrets to", shown(name)));
        }
    }
}
