//! RFC 6902 operations whose values are JSON text already: they are written once, and never become a tree here.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, MoveOperation, PatchOperation};
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
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Add { path: String, value: Box<RawValue> },
    Move { from: String, path: String },
}

/// Why a patch does not apply.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// A value does not read back.
    #[error("an operation's value cannot be read: {0}")]
    Value(#[from] serde_json::Error),
    /// A path is no JSON pointer.
    #[error("{0} is no JSON pointer")]
    Pointer(String),
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
        let operations = self.0.iter().map(Operation::read).collect::<Result<Vec<_>, _>>()?;
        Ok(json_patch::patch(pod, &operations)?)
    }

    /// `path` is a JSON pointer, escaped.
    pub(crate) fn add<T: Serialize + ?Sized>(&mut self, path: String, value: &T) -> Result<(), Cause> {
        self.0.push(Operation::Add { path, value: raw(value)? });
        Ok(())
    }

    /// The index is that of the list without the moved element.
    pub(crate) fn shift(&mut self, from: String, path: String) {
        self.0.push(Operation::Move { from, path });
    }

    /// Appends to the list at `path`; one that is absent, null or empty is written whole.
    pub(crate) fn append<T: Serialize>(&mut self, path: &str, empty: bool, values: &[T]) -> Result<(), Cause> {
        if empty && !values.is_empty() {
            return self.add(path.to_owned(), values);
        }
        values.iter().try_for_each(|value| self.add(format!("{path}/-"), value))
    }
}

impl Operation {
    fn read(&self) -> Result<PatchOperation, ApplyError> {
        let pointer = |text: &String| PointerBuf::parse(text.as_str()).map_err(|_| ApplyError::Pointer(text.clone()));
        Ok(match self {
            Self::Add { path, value } => {
                PatchOperation::Add(AddOperation { path: pointer(path)?, value: serde_json::from_str(value.get())? })
            }
            Self::Move { from, path } => {
                PatchOperation::Move(MoveOperation { from: pointer(from)?, path: pointer(path)? })
            }
        })
    }
}

/// A value's text.
pub(crate) fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Cause> {
    to_raw_value(value).map_err(|error| Cause::new(Code::WebhookInternal, "building the patch", error.to_string()))
}
