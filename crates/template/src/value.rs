//! The data model both engines compute with: Go's values as far as templates can tell them apart.

use std::collections::BTreeMap;
use std::rc::Rc;

use sidekey_core::{Response, Value};
use zeroize::Zeroizing;

/// Bytes of a string, shared and wiped on the last drop. Go's strings need not be UTF-8: a keystore is a string too.
pub(crate) type Bytes = Rc<Zeroizing<Vec<u8>>>;

/// Deepest nesting that functions may build; as deep as secrets themselves may be.
const MAX_DEPTH: usize = 64;

/// One value of a running template.
#[derive(Clone)]
pub(crate) enum Val {
    /// Not fetched yet. Whatever is computed from it is absent too, so that one pass finds all that is missing.
    Absent,
    /// No data at all: the dot outside every `with`. Its fields are no data either.
    Void,
    /// JSON null, and what a missing key yields.
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(Bytes),
    /// A number of a secret, as received: to Go a named string type.
    Number(Bytes),
    List(Rc<Vec<Self>>),
    Map(Rc<BTreeMap<String, Self>>),
    /// Go struct: fields in their order; asking for another one is always an error.
    Struct(Rc<Vec<(&'static str, Self)>>),
}

impl Val {
    pub(crate) fn str(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Str(Rc::new(Zeroizing::new(bytes.into())))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(crate) fn map(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(Rc::new(entries))
    }

    /// The bytes of a string or of a number's text.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(bytes) | Self::Number(bytes) => Some(bytes.as_slice()),
            _ => None,
        }
    }

    /// Go's truth: zero, empty and nothing are false; a number of a secret is a text, so `0` is true.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Absent | Self::Void | Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(n) => *n != 0,
            Self::Uint(n) => *n != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(bytes) | Self::Number(bytes) => !bytes.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Struct(_) => true,
        }
    }

    /// What the value is, for messages; never the value itself.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "a value not fetched yet",
            Self::Void | Self::Nil => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Uint(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::Number(_) => "a number of a secret (a string to Go)",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Struct(_) => "a response",
        }
    }

    /// Go's name of the type, as `%T` prints it.
    pub(crate) const fn go_type(&self) -> &'static str {
        match self {
            Self::Absent | Self::Void | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Number(_) => "json.Number",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Struct(_) => "*dependency.Secret",
        }
    }

    /// Whether the value nests no deeper than [`MAX_DEPTH`]: dropping and printing recurse.
    pub(crate) fn is_shallow(&self) -> bool {
        fn within(value: &Val, left: usize) -> bool {
            match value {
                Val::List(items) => left > 0 && items.iter().all(|item| within(item, left - 1)),
                Val::Map(entries) => left > 0 && entries.values().all(|item| within(item, left - 1)),
                Val::Struct(fields) => left > 0 && fields.iter().all(|(_, item)| within(item, left - 1)),
                _ => true,
            }
        }
        within(self, MAX_DEPTH + 2)
    }

    /// What Go templates see of an answer: the fields of consul-template's secret.
    pub(crate) fn response(answer: &Response) -> Self {
        let warnings = answer.warnings.iter().map(|text| Self::str(text.as_str())).collect();
        Self::Struct(Rc::new(vec![
            ("RequestID", Self::str(answer.request_id.as_str())),
            ("LeaseID", Self::str(answer.lease_id.as_str())),
            ("LeaseDuration", Self::Int(i64::try_from(answer.lease_duration).unwrap_or(i64::MAX))),
            ("Renewable", Self::Bool(answer.renewable)),
            ("Data", Self::from(&answer.data)),
            ("Warnings", Self::list(warnings)),
            ("Auth", Self::Nil),
            ("WrapInfo", Self::Nil),
        ]))
    }
}

impl From<&Value> for Val {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nil,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(text) => Self::Number(Rc::new(Zeroizing::new(text.expose().as_bytes().to_vec()))),
            Value::Text(text) => Self::str(text.expose()),
            Value::List(items) => Self::list(items.iter().map(Self::from).collect()),
            Value::Map(map) => Self::map(map.iter().map(|(key, item)| (key.clone(), Self::from(item))).collect()),
        }
    }
}

impl From<&serde_json::Value> for Val {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Nil,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::Number(Rc::new(Zeroizing::new(number.to_string().into_bytes()))),
            Json::String(text) => Self::str(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from).collect()),
            Json::Object(map) => Self::map(map.iter().map(|(key, item)| (key.clone(), Self::from(item))).collect()),
        }
    }
}
