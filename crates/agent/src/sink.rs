//! The token file for readers who ask for one.

use std::path::Path;
use std::time::Duration;

use sidekey_core::contract::TokenSink;
use sidekey_core::time::Time;
use sidekey_core::{Cause, Code, Sensitive};

use crate::backoff::{Backoff, random};
use crate::private;

/// A file to keep in step with the token.
pub(crate) struct Sink {
    target: TokenSink,
    stale: bool,
    retry: Backoff,
}

impl Sink {
    /// Not written yet: a killed agent may have logged in without writing it.
    pub(crate) const fn new(target: TokenSink) -> Self {
        Self { target, stale: true, retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)) }
    }

    /// There is another token.
    pub(crate) const fn outdate(&mut self) {
        self.stale = true;
        self.retry.succeeded();
    }

    /// When to try again after a failure.
    pub(crate) fn due(&self) -> Option<Time> {
        self.retry.until().filter(|_| self.stale)
    }

    /// Writes if there is something to write and it is time; its readers see the old token or the new one.
    pub(crate) fn write(&mut self, token: &Sensitive<String>, now: Time) -> Option<Result<(), Cause>> {
        if !self.stale || !self.retry.is_due(now) {
            return None;
        }
        let path = &self.target.path;
        let written = private::replace(Path::new(path), token.expose().as_bytes(), self.target.mode);
        self.stale = written.is_err();
        if self.stale {
            self.retry.failed(now, random());
        }
        Some(
            written.map_err(|error| {
                Cause::new(Code::FileWrite, format!("writing the token to {path}"), error.to_string())
            }),
        )
    }
}
