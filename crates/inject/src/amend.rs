//! The user's own JSON patches for containers of ours: applied last, to what is built.

use k8s_openapi::api::core::v1::Container;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sidekey_core::contract::{ENV, Shape};
use sidekey_core::{Cause, Code};

use crate::operations::raw;
use crate::plan::Agent;
use crate::pod::{items, text};
use crate::reader::Reader;
use crate::registry::Field;
use crate::spec::{Amendment, Amendments, InjectSpec};

/// Reads both; empty, `null` and `[]` are no patch.
///
/// # Errors
/// `AnnotationValue` when one is no list of operations.
pub(crate) fn amendments(reader: &Reader<'_>) -> Result<Amendments, Cause> {
    Ok(Amendments { sidecar: read(reader, Field::JsonPatch)?, init: read(reader, Field::InitJsonPatch)? })
}

fn read(reader: &Reader<'_>, field: Field) -> Result<Option<Amendment>, Cause> {
    let Some(entry) = reader.found.get(field).filter(|entry| !entry.value.is_empty()) else { return Ok(None) };
    let read = serde_json::from_str::<Option<json_patch::Patch>>(entry.value);
    let operations = read.map_err(|error| {
        let answer = format!("it is no JSON patch: {error}");
        Cause::new(Code::AnnotationValue, format!("reading annotation {}", entry.key), answer).with_fix(
            r#"Write a JSON array of operations, such as [{"op": "add", "path": "/lifecycle", "value": {}}]."#,
        )
    })?;
    let operations = operations.filter(|operations| !operations.0.is_empty());
    Ok(operations.map(|operations| Amendment { key: entry.key.to_owned(), operations }))
}

/// The patch for a container of this shape, if there is one.
pub(crate) fn of(spec: &InjectSpec, shape: Shape) -> Option<&Amendment> {
    match shape {
        Shape::Native | Shape::Sidecar => spec.amendments.sidecar.as_ref(),
        Shape::Init | Shape::InitOnly => spec.amendments.init.as_ref(),
    }
}

/// Applies a patch. Name and configuration stay ours: Sidekey knows its container by the one, the agent what to do by the other.
///
/// # Errors
/// `AnnotationConflict`: a path that is not there, a value that no container can have, a changed configuration.
pub(crate) fn amend(
    container: &RawValue,
    amendment: &Amendment,
    warnings: &mut Vec<String>,
) -> Result<Box<RawValue>, Cause> {
    let refused = |answer: String| {
        Cause::new(Code::AnnotationConflict, format!("applying annotation {}", amendment.key), answer)
            .with_fix("Correct the operation; `sidekey inject` shows the container without the annotation.")
    };
    let before: Value = serde_json::from_str(container.get()).map_err(|error| refused(error.to_string()))?;
    let mut after = before.clone();
    // Today's sidecar always has one, and patches add to it.
    after["lifecycle"] = json!({});
    json_patch::patch(&mut after, &amendment.operations).map_err(|error| refused(error.to_string()))?;
    if !after.is_object() {
        return Err(refused("the result is no container".to_owned()));
    }
    if after.get("lifecycle") == Some(&json!({})) {
        after.as_object_mut().map(|fields| fields.remove("lifecycle"));
    }
    if after["name"] != before["name"] {
        warnings.push(format!("{} renames the agent's container: it stays {}", amendment.key, text(&before, "name")));
        after["name"] = before["name"].clone();
    }
    if configuration(&after) != configuration(&before) {
        return Err(refused(format!("it changes the agent's {ENV}")));
    }
    if after.get("command") != before.get("command") || after["args"] != before["args"] {
        warnings.push(format!("{} replaces what the agent's container runs", amendment.key));
    }
    serde_json::from_value::<Container>(after.clone())
        .map_err(|error| refused(format!("the result is no container: {error}")))?;
    raw(&after)
}

/// All variables that carry the contract; of two of one name the last would win.
fn configuration(container: &Value) -> Vec<&Value> {
    items(container, "env").iter().filter(|variable| text(variable, "name").starts_with(ENV)).collect()
}

/// Says which patch has no container.
pub(crate) fn warn_of_unused(spec: &InjectSpec, agents: &[Agent], warnings: &mut Vec<String>) {
    let all = [(&spec.amendments.sidecar, "sidecar"), (&spec.amendments.init, "init container")];
    for (amendment, what) in all {
        let Some(amendment) = amendment else { continue };
        let used = agents.iter().filter_map(|agent| of(spec, agent.config.lifecycle.shape)).any(|one| one == amendment);
        if !used {
            warnings.push(format!("{} is ignored: the agent has no {what} in this pod", amendment.key));
        }
    }
}
