//! The lines of a watch.

use http_body_util::BodyExt;
use kube::client::Body;
use sidekey_runtime::failure::chain;

use crate::api::{ApiError, Failure, LONGEST};

/// An open watch. Each line is one event, as JSON.
pub struct Lines {
    what: String,
    body: Body,
    read: Vec<u8>,
}

impl Lines {
    pub(crate) const fn new(what: String, body: Body) -> Self {
        Self { what, body, read: Vec::new() }
    }

    /// The next line; none at the watch's end.
    ///
    /// # Errors
    /// The watch broke off, or a line grew beyond all bounds.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.read.len() > LONGEST {
                return Err(self.broke("a line without an end".to_owned()));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| self.broke(chain(&error)))?;
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }

    fn broke(&self, why: String) -> ApiError {
        ApiError { what: self.what.clone(), failure: Failure::Transport(why) }
    }
}
