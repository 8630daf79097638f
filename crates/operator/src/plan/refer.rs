//! reference → the object that it names, if that admits who asks; or a cause that says what is missing, and where its namesake is.
//!
//! | reference | is |
//! |---|---|
//! | empty | `default` of the operator's namespace |
//! | `NAME` | of the asking object's namespace; where there is none, the cluster-wide object of the name |
//! | `NAMESPACE/NAME` | of that namespace |

use std::sync::Arc;

use serde::Deserialize;
use sidekey_cluster::labels;
use sidekey_core::{Cause, Code};

use super::auth::{Asking, House, invalid};
use crate::cache::Cache;
use crate::types::Kind;
use crate::types::object::{Key, Object};
use crate::types::selector::Selector;

/// Who may use an object, as the specs of all kinds write it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Admission {
    allowed_namespaces: Vec<String>,
    namespace_selector: Option<Selector>,
}

/// The namespace that an object's references without one are of: its own, or, of a cluster-wide object, the operator's.
pub fn home<'a>(key: &'a Key, house: &'a House) -> &'a str {
    if key.kind.is_cluster() { &house.namespace } else { &key.namespace }
}

/// The object that a reference names.
///
/// # Errors
/// The reference is malformed, or there is no such object.
pub fn to<'c>(
    cache: &'c Cache,
    house: &House,
    asking: Asking<'_>,
    kind: Kind,
) -> Result<(Key, &'c Arc<Object>), Cause> {
    let text = asking.reference.map(str::trim).filter(|text| !text.is_empty());
    let (namespace, name) = match text.map(|text| text.split('/').collect::<Vec<_>>()).as_deref() {
        None => (house.namespace.as_str(), "default"),
        Some([name]) => (home(asking.key, house), *name),
        Some([namespace, name]) if !namespace.is_empty() && !name.is_empty() => {
            let object = find(cache, kind, namespace, name, asking.key)?;
            return Ok((Key::new(kind, *namespace, *name), object));
        }
        Some(_) => {
            let text = text.unwrap_or_default();
            let words = format!("the reference {text:?} is neither NAME nor NAMESPACE/NAME");
            return Err(invalid(asking.key, &words));
        }
    };
    if let Some(object) = cache.find(kind, namespace, name) {
        return Ok((Key::new(kind, namespace, name), object));
    }
    let wide = cluster_wide(kind).and_then(|kind| Some((kind, cache.find(kind, "", name)?)));
    match wide {
        Some((kind, object)) => Ok((Key::new(kind, "", name), object)),
        None => find(cache, kind, namespace, name, asking.key).map(|object| (Key::new(kind, namespace, name), object)),
    }
}

const fn cluster_wide(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::VaultConnection => Some(Kind::ClusterVaultConnection),
        Kind::VaultAuth => Some(Kind::ClusterVaultAuth),
        _ => None,
    }
}

/// Finds an object, or says that it is missing and where its namesake is.
///
/// # Errors
/// There is none.
pub fn find<'c>(
    cache: &'c Cache,
    kind: Kind,
    namespace: &str,
    name: &str,
    asking: &Key,
) -> Result<&'c Arc<Object>, Cause> {
    if let Some(object) = cache.find(kind, namespace, name) {
        return Ok(object);
    }
    let attempted = format!("resolving a reference of {asking}");
    let cause =
        Cause::new(Code::ReferenceMissing, attempted, format!("there is no {} {namespace}/{name}", kind.name()));
    Err(match cache.namesake(kind, namespace, name) {
        Some(other) => cause.with_fix(format!(
            "Create it; or refer to {other}/{name}, which is there, if its allowedNamespaces has {}.",
            asking.namespace
        )),
        None => cause,
    })
}

/// Whether an object may be used from this namespace.
///
/// # Errors
/// It may not.
pub fn admit(
    cache: &Cache,
    house: &House,
    target: &Key,
    object: &Object,
    from: &str,
    asking: &Key,
) -> Result<(), Cause> {
    let Admission { allowed_namespaces, namespace_selector } =
        object.spec().map_err(|words| invalid(target, &words))?;
    let listed = admits(&allowed_namespaces, &target.namespace, from);
    let (admitted, answer) = match target.kind {
        kind if kind.is_cluster() => {
            let own = cache.labels(from).cloned().unwrap_or_default();
            let selected = namespace_selector.is_some_and(|selector| labels::Selector::from(&selector).selects(&own));
            (
                listed || selected || from == house.namespace,
                format!("neither its allowedNamespaces nor its namespaceSelector admit {from}"),
            )
        }
        Kind::VaultAuth => {
            let everybodys = *target.namespace == *house.namespace && &*target.name == "default";
            (listed || everybodys, format!("its allowedNamespaces do not have {from}"))
        }
        _ => {
            let shared = house.open_references || *target.namespace == *house.namespace;
            (listed || shared, format!("its allowedNamespaces do not have {from}"))
        }
    };
    if admitted { Ok(()) } else { Err(refused(target, asking, answer)) }
}

/// Whether a list of namespaces lets this consumer in: its own namespace always, `*` all.
pub fn admits(allowed: &[String], own: &str, consumer: &str) -> bool {
    own == consumer || matches!(allowed, [only] if only == "*") || allowed.iter().any(|name| name == consumer)
}

/// The target does not let in who asks.
pub(super) fn refused(target: &Key, asking: &Key, answer: String) -> Cause {
    Cause::new(Code::ReferenceRefused, format!("using {target} for {asking}"), answer)
}
