//! Keys that never leave Vault, for secrets that are kept elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sidekey_core::{Sensitive, Value};

use crate::ask::Ask;
use crate::client::Client;
use crate::error::{Class, VaultError};

impl Client {
    /// Encrypts with the transit key `key` of the engine at `mount`; Vault's ciphertext, `vault:v1:…`.
    ///
    /// # Errors
    /// [`VaultError`]; [`Class::Denied`] without `update` on `<mount>/encrypt/<key>`.
    pub async fn encrypt(
        &self,
        token: &Sensitive<String>,
        mount: &str,
        key: &str,
        plaintext: &Sensitive<Vec<u8>>,
    ) -> Result<String, VaultError> {
        let body = format!("{{\"plaintext\":\"{}\"}}", STANDARD.encode(plaintext.expose()));
        let ask = Ask::put(format!("{mount}/encrypt/{key}"), body.into_bytes()).with_token(token).repeatable();
        let answer = self.ask(&ask).await?;
        let ciphertext = answer.0.get("data").and_then(|data| data.get("ciphertext")).and_then(Value::as_text);
        ciphertext.map(str::to_owned).ok_or_else(|| ask.error(Class::Shape))
    }

    /// What [`Self::encrypt`] was given.
    ///
    /// # Errors
    /// [`VaultError`]; [`Class::BadRequest`] for what this key did not encrypt.
    pub async fn decrypt(
        &self,
        token: &Sensitive<String>,
        mount: &str,
        key: &str,
        ciphertext: &str,
    ) -> Result<Sensitive<Vec<u8>>, VaultError> {
        let body = serde_json::json!({ "ciphertext": ciphertext }).to_string();
        let ask = Ask::put(format!("{mount}/decrypt/{key}"), body.into_bytes()).with_token(token).repeatable();
        let answer = self.ask(&ask).await?;
        let plaintext = answer.0.get("data").and_then(|data| data.get("plaintext")).and_then(Value::as_text);
        let decoded = plaintext.and_then(|plaintext| STANDARD.decode(plaintext).ok());
        decoded.map(Sensitive::new).ok_or_else(|| ask.error(Class::Shape))
    }
}
