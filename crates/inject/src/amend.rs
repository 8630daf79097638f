//! The user's own JSON patches for containers of ours: applied last, to what is built.

use json_patch::PatchOperation;
use k8s_openapi::api::core::v1::Container;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sidekey_core::contract::{ENV, Shape};
use sidekey_core::{Cause, Code};

use crate::annotations::LONGEST;
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
    apply(&mut after, &amendment.operations.0).map_err(refused)?;
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

/// Copies double what is there, again and again: all of them together may not be longer than a pod's annotations.
fn apply(container: &mut Value, operations: &[PatchOperation]) -> Result<(), String> {
    let mut room = LONGEST;
    for (index, operation) in operations.iter().enumerate() {
        if let PatchOperation::Copy(copy) = operation
            && let Some(source) = container.pointer(copy.from.as_str())
        {
            room = left(source, room).ok_or_else(|| format!("its copies are longer than {LONGEST} bytes"))?;
        }
        json_patch::patch(container, std::slice::from_ref(operation)).map_err(|mut error| {
            error.operation = index;
            error.to_string()
        })?;
    }
    Ok(())
}

/// What is left of `room` once `value` is in it; a node counts as much as it takes at least.
fn left(value: &Value, room: usize) -> Option<usize> {
    let room = room.checked_sub(16)?;
    match value {
        Value::String(text) => room.checked_sub(text.len()),
        Value::Array(values) => values.iter().try_fold(room, |room, value| left(value, room)),
        Value::Object(fields) => {
            fields.iter().try_fold(room, |room, (key, value)| left(value, room.checked_sub(key.len())?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(room),
    }
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
