//! How the contract travels: `SIDEKEY_CONFIG`, or its numbered parts.

use serde::Deserialize;
use thiserror::Error;

use super::{AgentConfig, VERSION};

/// Name of the variable, and the stem of its numbered parts.
pub const ENV: &str = "SIDEKEY_CONFIG";

/// Longest value of one variable, in bytes. Linux allows 128 KiB for `NAME=value` (`MAX_ARG_STRLEN`).
pub const MAX_ENV_BYTES: usize = 96 * 1024;

/// Why a contract could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ContractError {
    /// No variable is set.
    #[error("neither {ENV} nor {ENV}_0 is set")]
    Absent,
    /// Not the JSON of this version.
    #[error("{ENV} cannot be read: {0}")]
    Malformed(String),
    /// Another version.
    #[error("{ENV} has version {0}, this agent reads version {VERSION}")]
    Version(u32),
}

impl AgentConfig {
    /// The variables that carry it, in order. The kubelet expands `$(NAME)` and `$$` in values
    /// (Kubernetes API, `EnvVar.value`), so every `$` is written as its JSON escape.
    ///
    /// # Errors
    /// [`ContractError::Malformed`] when a number is not finite.
    pub fn to_env(&self) -> Result<Vec<(String, String)>, ContractError> {
        let json = serde_json::to_string(self).map_err(|error| ContractError::Malformed(error.to_string()))?;
        let json = json.replace('$', "\\u0024");
        if json.len() <= MAX_ENV_BYTES {
            return Ok(vec![(ENV.to_owned(), json)]);
        }
        Ok(split(&json)
            .into_iter()
            .enumerate()
            .map(|(index, part)| (format!("{ENV}_{index}"), part.to_owned()))
            .collect())
    }

    /// Reads what [`Self::to_env`] wrote; `variable` looks one name up.
    ///
    /// # Errors
    /// [`ContractError`]; a message may quote a field's name, never a value of ours that is secret, as there is none.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ContractError> {
        let json = match variable(ENV) {
            Some(json) => json,
            None => (0..).map_while(|index| variable(&format!("{ENV}_{index}"))).collect(),
        };
        if json.is_empty() { Err(ContractError::Absent) } else { Self::from_json(&json) }
    }

    /// Reads the JSON itself; a wrong version is reported before an unknown field.
    ///
    /// # Errors
    /// [`ContractError`].
    pub fn from_json(json: &str) -> Result<Self, ContractError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: serde_json::Error| ContractError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_str(json).map_err(malformed)?;
        if version != VERSION {
            return Err(ContractError::Version(version));
        }
        serde_json::from_str(json).map_err(malformed).and_then(Self::whole)
    }
}

/// Parts of at most [`MAX_ENV_BYTES`], cut between characters.
fn split(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while text.len() > MAX_ENV_BYTES {
        let cut = text.floor_char_boundary(MAX_ENV_BYTES);
        let (part, rest) = text.split_at(cut);
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}
