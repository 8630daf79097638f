//! Names for things that must not be shown.

use std::fmt::Write;

use ring::digest::{SHA256, digest};

/// SHA-256 in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
