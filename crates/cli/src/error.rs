//! How a command ends when it does not end well.

use std::io;

use sidekey_core::Cause;

/// A command's failure; its variant is the exit code.
#[derive(Debug)]
pub(crate) enum Error {
    /// What was given cannot be read: 2.
    Input(Cause),
    /// The work failed: 1.
    Failed(String),
    /// All is said already: 1.
    Denied,
    /// Standard output: 1.
    Output(io::Error),
}

impl Error {
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Failed(_) | Self::Denied | Self::Output(_) => 1,
        }
    }

    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Input(cause) => Some(cause.to_string()),
            Self::Failed(message) => Some(message.clone()),
            Self::Denied => None,
            Self::Output(error) => Some(format!("cannot write the output: {error}")),
        }
    }
}
