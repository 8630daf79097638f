//! RFC 6902 operations whose values are JSON text already: they are written once, and never become a tree here.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sidekey_core::{Cause, Code};
use thiserror::Error;

/// A patch: serialises to the JSON array of RFC 6902, the same pod to the same bytes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Patch(Vec<Operation>);

#[derive(Clone, Debug, Serialize)]
struct Operation {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
}

/// Why a patch does not apply.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// An operation does not read back.
    #[error("an operation cannot be read: {0}")]
    Operation(#[from] serde_json::Error),
    /// A path is not there.
    #[error(transparent)]
    Path(#[from] json_patch::PatchError),
}

impl Patch {
    /// Whether it changes nothing.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies it.
    ///
    /// # Errors
    /// [`ApplyError`], when `pod` is not the pod it was made for.
    pub fn apply(&self, pod: &mut Value) -> Result<(), ApplyError> {
        let operations: json_patch::Patch = serde_json::from_value(serde_json::to_value(self)?)?;
        Ok(json_patch::patch(pod, &operations)?)
    }

    /// `path` is a JSON pointer, escaped.
    pub(crate) fn add<T: Serialize + ?Sized>(&mut self, path: String, value: &T) -> Result<(), Cause> {
        self.0.push(Operation { op: "add", from: None, path, value: Some(raw(value)?) });
        Ok(())
    }

    /// The index is that of the list without the moved element.
    pub(crate) fn shift(&mut self, from: String, path: String) {
        self.0.push(Operation { op: "move", from: Some(from), path, value: None });
    }

    /// Appends to the list at `path`; one that is absent, null or empty is written whole.
    pub(crate) fn append<T: Serialize>(&mut self, path: &str, empty: bool, values: &[T]) -> Result<(), Cause> {
        if empty && !values.is_empty() {
            return self.add(path.to_owned(), values);
        }
        values.iter().try_for_each(|value| self.add(format!("{path}/-"), value))
    }
}

/// A value's text.
pub(crate) fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Cause> {
    to_raw_value(value).map_err(|error| Cause::new(Code::WebhookInternal, "building the patch", error.to_string()))
}
