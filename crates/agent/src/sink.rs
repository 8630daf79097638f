//! The token file for readers who ask for one.

use std::path::Path;

use sidekey_core::contract::TokenSink;
use sidekey_core::{Cause, Code, Sensitive};

use crate::private;

/// Replaces the file; its readers see the old token or the new one.
///
/// # Errors
/// `FileWrite`.
pub(crate) fn write(sink: &TokenSink, token: &Sensitive<String>) -> Result<(), Cause> {
    private::replace(Path::new(&sink.path), token.expose().as_bytes(), sink.mode)
        .map_err(|error| Cause::new(Code::FileWrite, format!("writing the token to {}", sink.path), error.to_string()))
}
