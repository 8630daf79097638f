//! Response wrapping: tokens for others, and secret ids: where the wrapping comes from, and whether somebody was there before.

use std::time::Duration;

use sidekey_core::{Cause, Code, Sensitive, Value};
use vaultrs::api::sys::requests::{UnwrapRequest, WrappingLookupRequest};
use zeroize::Zeroize;

use crate::ask::Ask;
use crate::client::Client;
use crate::error::{Class, VaultError, clean};
use crate::grant::text;
use crate::login::Unready;

impl Client {
    /// The token in a wrapping: `wrap_info` as JSON, as Vault Agent writes it into a sink.
    ///
    /// # Errors
    /// [`VaultError`]; the `default` policy grants it.
    pub async fn wrap_token(&self, token: &Sensitive<String>, ttl: Duration) -> Result<Sensitive<String>, VaultError> {
        let body = Value::Map([("token".to_owned(), Value::text(token.expose().as_str()))].into()).to_json();
        let ask = Ask::put("sys/wrapping/wrap", body.expose().as_bytes().to_vec()).with_token(token).wrapped(ttl);
        let answer = self.ask(&ask).await?;
        let info = answer.0.get("wrap_info").filter(|info| info.as_map().is_some());
        info.map(Value::to_json).ok_or_else(|| ask.error(Class::Shape))
    }

    /// Takes the secret id out of its wrapping, which must have been made by `path`. The token is spent by this.
    ///
    /// # Errors
    /// [`Unready::Cause`] with `AuthWrappingUsed` or `AuthWrappingPath` when somebody may have been there before.
    pub async fn unwrap_secret_id(
        &self,
        wrapping: &Sensitive<String>,
        path: &str,
    ) -> Result<Sensitive<String>, Unready> {
        let mut request = WrappingLookupRequest { token: wrapping.expose().clone() };
        let lookup = Ask::of(&request).map(Ask::repeatable);
        request.token.zeroize();
        let answer = self.ask(&lookup.map_err(Unready::Vault)?).await.map_err(|error| refused(error, path))?;
        let made_by = answer.0.get("data").map(|data| text(data, "creation_path")).unwrap_or_default();
        if made_by.trim_matches('/') != path.trim_matches('/') {
            let answer = format!("it was made by {}: a possible interception", clean(&made_by));
            return Err(Cause::new(Code::AuthWrappingPath, attempted(path), answer).into());
        }
        let unwrap = Ask::of(&UnwrapRequest { token: None }).map_err(Unready::Vault)?.with_token(wrapping);
        let answer = self.ask(&unwrap).await.map_err(|error| refused(error, path))?;
        let secret = answer.0.get("data").and_then(|data| data.get("secret_id")).and_then(Value::as_text);
        secret.filter(|id| !id.is_empty()).map(Sensitive::from).ok_or_else(|| {
            Cause::new(Code::AuthSecretId, attempted(path), "there is no secret_id in the wrapping").into()
        })
    }
}

fn attempted(path: &str) -> String {
    format!("unwrapping the secret id made by {path}")
}

/// A wrapping token answers once: after that, and after its time, Vault no longer knows it.
fn refused(error: VaultError, path: &str) -> Unready {
    if matches!(error.class, Class::BadRequest | Class::InvalidToken | Class::Denied) {
        let answer = format!("{}: used or expired, a possible interception", error.answer());
        return Cause::new(Code::AuthWrappingUsed, attempted(path), answer).into();
    }
    Unready::Vault(error)
}
