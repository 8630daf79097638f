//! One answer: Vault's envelope, its errors, or nothing.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::spec::Flavour;

/// A status, a body and the headers that matter.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(crate) fn errors<T: Into<String>>(status: u16, errors: impl IntoIterator<Item = T>) -> Self {
        let errors: Vec<String> = errors.into_iter().map(Into::into).collect();
        Self { status, body: Some(json!({ "errors": errors })), headers: Vec::new() }
    }

    pub(crate) fn error(status: u16, error: impl Into<String>) -> Self {
        Self::errors(status, [error.into()])
    }

    /// What a token without the capability gets.
    pub(crate) fn denied() -> Self {
        Self::error(403, "1 error occurred:\n\t* permission denied\n\n")
    }

    /// 404 without a word: nothing is there.
    pub(crate) fn nothing() -> Self {
        Self::errors(404, [""; 0])
    }

    pub(crate) fn unsupported_operation() -> Self {
        Self::error(405, "1 error occurred:\n\t* unsupported operation\n\n")
    }

    pub(crate) fn unsupported_path() -> Self {
        Self::error(404, "1 error occurred:\n\t* unsupported path\n\n")
    }

    pub(crate) const fn no_content() -> Self {
        Self { status: 204, body: None, headers: Vec::new() }
    }

    /// A body without the envelope.
    pub(crate) const fn bare(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The parts of a successful answer.
#[derive(Default)]
pub(crate) struct Envelope {
    pub data: Value,
    pub auth: Value,
    pub lease_id: String,
    pub lease: Duration,
    pub renewable: bool,
    pub warnings: Vec<String>,
    /// Vault's word for the engine; OpenBao has none.
    pub mount_type: &'static str,
}

impl Envelope {
    pub(crate) fn data(data: Value, mount_type: &'static str) -> Self {
        Self { data, mount_type, ..Self::default() }
    }

    pub(crate) fn answer(self, request_id: String, flavour: Flavour) -> Answer {
        self.with_status(200, request_id, flavour)
    }

    pub(crate) fn with_status(self, status: u16, request_id: String, flavour: Flavour) -> Answer {
        let mut body = Map::new();
        body.insert("request_id".to_owned(), request_id.into());
        body.insert("lease_id".to_owned(), self.lease_id.into());
        body.insert("renewable".to_owned(), self.renewable.into());
        body.insert("lease_duration".to_owned(), self.lease.as_secs().into());
        body.insert("data".to_owned(), self.data);
        body.insert("wrap_info".to_owned(), Value::Null);
        let warnings = if self.warnings.is_empty() { Value::Null } else { self.warnings.into() };
        body.insert("warnings".to_owned(), warnings);
        body.insert("auth".to_owned(), self.auth);
        if flavour == Flavour::Vault {
            body.insert("mount_type".to_owned(), self.mount_type.into());
        }
        Answer { status, body: Some(body.into()), headers: Vec::new() }
    }
}
