//! One answer of Vault, with every field optional.

use sidekey_core::{Response, Sensitive, Value};

use crate::ask::Ask;
use crate::error::{Class, VaultError};
use crate::grant::{flag, text, texts};

/// Status, the headers that matter, and the body. No `Debug`: the body holds secrets.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Retry-After` in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) location: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Sensitive<Vec<u8>>,
}

/// The JSON object of a 2xx answer; empty for 204.
#[derive(Default)]
pub(crate) struct Answer(pub(crate) Value);

/// Longest wait believed of a `Retry-After`, seconds.
const MAX_RETRY_AFTER: u64 = 3_600;

impl Reply {
    /// The object, or the error Vault means.
    pub(crate) fn read(&self, ask: &Ask) -> Result<Answer, VaultError> {
        let object = self.object();
        if (200..300).contains(&self.status) {
            return match object {
                Some(value) => Ok(Answer(value)),
                None if self.body.expose().is_empty() => Ok(Answer::default()),
                None => Err(self.foreign(ask)),
            };
        }
        let mut error = match &object {
            Some(object) => self.refused(ask, object),
            // Vault redirects without JSON.
            None if matches!(self.status, 307 | 308) => {
                VaultError::answered(ask.method.as_str(), &ask.path, self.status, Some(&[]))
            }
            None => self.foreign(ask),
        };
        error.retry_after =
            self.retry_after.map(|seconds| std::time::Duration::from_secs(seconds.min(MAX_RETRY_AFTER)));
        Err(error)
    }

    /// The body as an object, whatever the status; `sys/health` speaks through both.
    pub(crate) fn object(&self) -> Option<Value> {
        let text = std::str::from_utf8(self.body.expose()).ok()?;
        Value::parse(text).ok().filter(|value| value.as_map().is_some())
    }

    fn refused(&self, ask: &Ask, object: &Value) -> VaultError {
        let mut said = texts(object, "errors").unwrap_or_default();
        said.extend(texts(object, "warnings").unwrap_or_default());
        let mut error = VaultError::answered(ask.method.as_str(), &ask.path, self.status, Some(&said));
        if let (404, Some(metadata)) = (self.status, object.get("data").and_then(|data| data.get("metadata"))) {
            error.class = Class::Deleted;
            error.detail = Some(gone(metadata));
        }
        error
    }

    fn foreign(&self, ask: &Ask) -> VaultError {
        let mut error = VaultError::answered(ask.method.as_str(), &ask.path, self.status, None);
        let plain = self.body.expose().as_slice();
        if plain.starts_with(b"Client sent an HTTP request to an HTTPS server") {
            error.detail = Some("the server speaks HTTPS, the address says http://".to_owned());
        } else if (200..300).contains(&self.status) {
            error.class = Class::Protocol;
        }
        error
    }
}

/// `version 3 was deleted at 2026-…` of KV v2's metadata.
fn gone(metadata: &Value) -> String {
    let version =
        metadata.get("version").and_then(Value::as_u64).map_or_else(String::new, |version| format!(" {version}"));
    match (flag(metadata, "destroyed"), text(metadata, "deletion_time")) {
        (true, _) => format!("version{version} was destroyed"),
        (false, time) if time.is_empty() => format!("version{version} was deleted"),
        (false, time) => crate::error::clean(&format!("version{version} was deleted at {time}")),
    }
}

impl Answer {
    /// Takes `data` out, with its envelope; clears nothing that is not needed further.
    pub(crate) fn into_response(self, ask: &Ask) -> Result<Response, VaultError> {
        if self.0.get("wrap_info").is_some_and(|info| info.as_map().is_some()) {
            return Err(ask
                .error(Class::Shape)
                .with_detail("the answer is wrapped: a control group or a wrapping rule stands before it"));
        }
        let Value::Map(mut map) = self.0 else { return Ok(Response::default()) };
        let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
        let envelope = Response {
            request_id: map.get("request_id").and_then(Value::as_text).unwrap_or_default().to_owned(),
            lease_id: map.get("lease_id").and_then(Value::as_text).unwrap_or_default().to_owned(),
            lease_duration: number(map.get("lease_duration")),
            renewable: matches!(map.get("renewable"), Some(Value::Bool(true))),
            data: map.remove("data").unwrap_or_default(),
            auth: map.remove("auth").unwrap_or_default(),
            warnings: texts(&Value::Map(map), "warnings").unwrap_or_default(),
        };
        if envelope.is_kv2() && *envelope.user_data() == Value::Null {
            let detail = envelope.data.get("metadata").map_or_else(String::new, gone);
            return Err(ask.error(Class::Deleted).with_detail(detail));
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Result<Response, VaultError> {
        let body = Sensitive::new(body.as_bytes().to_vec());
        let ask = Ask::get("secret/data/web");
        Reply { status, retry_after: None, location: None, content_type: None, body }
            .read(&ask)
            .and_then(|answer| answer.into_response(&ask))
    }

    #[test]
    fn reads_a_lease_and_an_answer_without_anything() {
        let lease = reply(
            200,
            r#"{"request_id":"r","lease_id":"database/creds/app/x","lease_duration":60,"renewable":true,
                "data":{"username":"u","n":1.50},"warnings":null,"auth":null}"#,
        )
        .ok()
        .unwrap();
        assert_eq!(
            (lease.lease_id.as_str(), lease.lease_duration, lease.renewable),
            ("database/creds/app/x", 60, true)
        );
        assert_eq!(lease.data.to_json().expose(), r#"{"n":1.50,"username":"u"}"#);
        for (status, body) in [(204, ""), (200, "{}")] {
            assert!(reply(status, body).is_ok_and(|response| response == Response::default()), "{body}");
        }
    }

    #[test]
    fn keeps_a_token_that_the_answer_brings() {
        let created = reply(
            200,
            r#"{"request_id":"r","data":null,"auth":{"client_token":"hvs.x","policies":["web"],"lease_duration":60}}"#,
        );
        let auth = created.ok().unwrap().auth;
        assert_eq!(auth.to_json().expose(), r#"{"client_token":"hvs.x","lease_duration":60,"policies":["web"]}"#);
    }

    #[test]
    fn tells_deleted_from_missing_from_foreign() {
        let deleted = r#"{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2026-11-22T13:20:41Z","destroyed":false,"created_time":"x"}}}"#;
        let destroyed =
            r#"{"data":{"data":null,"metadata":{"version":1,"deletion_time":"","destroyed":true,"created_time":"x"}}}"#;
        let cases = [
            (404, deleted, Class::Deleted, "404 version 2 was deleted at 2026-11-22T13:20:41Z"),
            (404, destroyed, Class::Deleted, "404 version 1 was destroyed"),
            (200, deleted, Class::Deleted, "version 2 was deleted at 2026-11-22T13:20:41Z"),
            (404, r#"{"errors":[]}"#, Class::Missing, "404 nothing there"),
            (
                404,
                r#"{"errors":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}"#,
                Class::Missing,
                "404 Invalid path for a versioned K/V secrets engine",
            ),
            (404, "<html>secret page</html>", Class::Protocol, "404 the body is not Vault's JSON"),
            (200, "<html>login</html>", Class::Protocol, "200 the body is not Vault's JSON"),
            (200, "[]", Class::Protocol, "200 the body is not Vault's JSON"),
            (
                400,
                "Client sent an HTTP request to an HTTPS server.\n",
                Class::Protocol,
                "400 the server speaks HTTPS, the address says http://",
            ),
            (307, "", Class::Standby, "307 only a standby answers"),
            (
                200,
                r#"{"wrap_info":{"token":"hvs.x"},"data":null}"#,
                Class::Shape,
                "the answer is wrapped: a control group or a wrapping rule stands before it",
            ),
        ];
        for (status, body, class, answer) in cases {
            let error = reply(status, body).err().unwrap();
            assert_eq!((error.class, error.answer().as_str()), (class, answer), "{status} {body}");
        }
    }
}
