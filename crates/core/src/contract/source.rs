//! Where bytes come from: templates and stock formats.

use serde::{Deserialize, Serialize};

use super::is_default;

/// Where an output's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Source {
    /// A user's template.
    #[serde(rename_all = "camelCase")]
    Template(Template),
    /// One secret in a stock format.
    Format(FormatSource),
    /// Several values, each an environment variable.
    Environment(EnvSource),
}

/// A template and how to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Template {
    /// Its language.
    pub engine: Engine,
    /// Its text, unless `file` is given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// A file in the agent container to read the text from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Left delimiter; Go templates only.
    #[serde(default = "left", skip_serializing_if = "is_left")]
    pub left: String,
    /// Right delimiter; Go templates only.
    #[serde(default = "right", skip_serializing_if = "is_right")]
    pub right: String,
    /// Go templates: a missing key is an error in place of `<no value>`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub error_on_missing_key: bool,
    /// Go templates: the directory that `file` does not leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Go templates: functions that fail when they are called; `*` stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
}

impl Template {
    /// Inline text with the language's usual delimiters.
    pub fn inline(engine: Engine, text: impl Into<String>) -> Self {
        Self {
            engine,
            text: text.into(),
            file: None,
            left: left(),
            right: right(),
            error_on_missing_key: false,
            sandbox: None,
            denied: Vec::new(),
        }
    }
}

/// One secret in a stock format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FormatSource {
    /// The format.
    pub format: Format,
    /// Vault path.
    pub path: String,
    /// The one field of `raw`; without it the secret must have exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Environment variables, for a reader that hands them to a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvSource {
    /// What the reader reads.
    pub syntax: EnvSyntax,
    /// In the order in which they are written.
    pub variables: Vec<Variable>,
    /// Whether the reader starts its program anew after a change.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restart: bool,
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub source: Source,
}

/// How variables are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvSyntax {
    /// `NAME=value`, a line each, without quotes: what a kubelet 1.34 reads (KEP-3721, alpha).
    Plain,
    /// `NAME='value'`, the value as it is between the quotes: what a kubelet reads from 1.35 on.
    Quoted,
    /// `NAME=value`, each ended by a zero byte, as the kernel has them: what `sidekey-agent exec` reads.
    Nul,
}

/// A template's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// consul-template's dialect of Go's text/template.
    Go,
    /// handlebars, strict, without HTML escapes.
    Handlebars,
}

/// The stock formats; each structured one is a template of `templates/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `KEY="value"` lines, quoted for shells and dotenv readers.
    Env,
    /// One JSON object.
    Json,
    /// One YAML mapping.
    Yaml,
    /// Java properties.
    Properties,
    /// One field's bytes, nothing added.
    Raw,
    /// `key: value` lines.
    Map,
    /// An INI file; maps are sections.
    Ini,
    /// PostgreSQL's password file.
    Pgpass,
    /// A MySQL option file.
    Mycnf,
    /// A netrc file.
    Netrc,
    /// A registry's login, as `docker login` and `kubectl create secret docker-registry` write it.
    Dockerconfigjson,
    /// The URL of a database, with user and password.
    Jdbc,
    /// Key, certificate and chain.
    Pem,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 13] = [
        Self::Env,
        Self::Json,
        Self::Yaml,
        Self::Properties,
        Self::Raw,
        Self::Map,
        Self::Ini,
        Self::Pgpass,
        Self::Mycnf,
        Self::Netrc,
        Self::Dockerconfigjson,
        Self::Jdbc,
        Self::Pem,
    ];

    /// How people and the contract write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Properties => "properties",
            Self::Raw => "raw",
            Self::Map => "map",
            Self::Ini => "ini",
            Self::Pgpass => "pgpass",
            Self::Mycnf => "mycnf",
            Self::Netrc => "netrc",
            Self::Dockerconfigjson => "dockerconfigjson",
            Self::Jdbc => "jdbc",
            Self::Pem => "pem",
        }
    }

    /// The format of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

fn left() -> String {
    "{{".to_owned()
}

fn right() -> String {
    "}}".to_owned()
}

fn is_left(text: &str) -> bool {
    text == "{{"
}

fn is_right(text: &str) -> bool {
    text == "}}"
}
