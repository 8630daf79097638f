//! Who writes the agent's security context.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use sidekey_core::goparse::parse_bool;

/// How much of the agent's security context Sidekey writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecurityContext {
    /// All that pod security *restricted* asks for, and the agent's ids.
    Full,
    /// The same without the ids, which the platform gives: OpenShift's range of the namespace.
    PlatformUser,
    /// Nothing.
    None,
}

impl SecurityContext {
    /// Its word; the old boolean where there was one, as annotations have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "true",
            Self::PlatformUser => "platformUser",
            Self::None => "false",
        }
    }

    /// Reads an annotation: a boolean, or one of the words.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "full" => Some(Self::Full),
            "platformUser" => Some(Self::PlatformUser),
            "none" => Some(Self::None),
            text => parse_bool(text).map(Self::from),
        }
    }
}

impl From<bool> for SecurityContext {
    fn from(set: bool) -> Self {
        if set { Self::Full } else { Self::None }
    }
}

impl<'de> Deserialize<'de> for SecurityContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Old(bool),
            Word(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Old(set) => Ok(set.into()),
            Form::Word(word) => Self::parse(&word)
                .ok_or_else(|| D::Error::custom(format!("`{word}` is none of full, platformUser, none"))),
        }
    }
}

impl JsonSchema for SecurityContext {
    fn schema_name() -> Cow<'static, str> {
        "SecurityContext".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "boolean"],
            "pattern": "^(full|platformUser|none|1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)?$",
            "examples": ["full", "platformUser", "none"],
        })
    }
}
