//! Whose annotations are served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::registry::{NATIVE, OPENBAO, VAULT};

/// The prefix of a dialect's annotations. What is not listed is another injector's, and not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = schema::words)]
pub enum Prefix {
    /// The native dialect.
    #[serde(rename = "sidekey.dev")]
    Native,
    /// The Vault dialect.
    #[serde(rename = "vault.hashicorp.com")]
    Vault,
    /// Its alias.
    #[serde(rename = "openbao.org")]
    Openbao,
}

impl Prefix {
    /// All of them: the default.
    pub(crate) const ALL: [Self; 3] = [Self::Native, Self::Vault, Self::Openbao];

    /// With the slash.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Native => NATIVE,
            Self::Vault => VAULT,
            Self::Openbao => OPENBAO,
        }
    }
}
