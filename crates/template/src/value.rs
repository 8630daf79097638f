//! The data model both engines compute with: Go's values as far as templates can tell them apart.

use std::collections::BTreeMap;
use std::rc::Rc;

use sidekey_core::{Response, Value};
use zeroize::Zeroizing;

use crate::fields::{Fields, Shape};
use crate::list::{Elem, List};
use crate::map::Map;
use crate::object::Object;

/// Bytes of a string, shared and wiped on the last drop. Go's strings need not be UTF-8: a keystore is a string too.
pub(crate) type Bytes = Rc<Zeroizing<Vec<u8>>>;

/// Deepest nesting of a value that is printed, compared or copied; as deep as secrets themselves may be.
const MAX_DEPTH: usize = 66;

/// Most elements of a value, counted along every path to them: shared parts count as often as they would print.
const MAX_NODES: usize = 1 << 20;

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
    /// Go's `int`: literals, lengths, indexes.
    Int(i64),
    /// Go's `int64`: what arithmetic and parsing answer.
    Long(i64),
    Uint(u64),
    Float(f64),
    Str(Bytes),
    /// A number of a secret, as received: to Go a named string type.
    Number(Bytes),
    List(List),
    Map(Map),
    /// Go struct: fields in their order; asking for another one is always an error.
    Struct(Fields),
    /// A value with methods: a moment, a version.
    Object(Rc<dyn Object>),
}

impl Val {
    pub(crate) fn str(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Str(Rc::new(Zeroizing::new(bytes.into())))
    }

    pub(crate) fn number(text: impl Into<Vec<u8>>) -> Self {
        Self::Number(Rc::new(Zeroizing::new(text.into())))
    }

    /// A list of anything.
    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(Elem::Any, items))
    }

    /// A list of strings.
    pub(crate) fn texts<T: Into<Vec<u8>>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(List::new(Elem::Text, items.into_iter().map(Self::str).collect()))
    }

    pub(crate) fn map(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(Map::new(entries))
    }

    /// The bytes of a string or of a number's text.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(bytes) | Self::Number(bytes) => Some(bytes.as_slice()),
            _ => None,
        }
    }

    /// What Go has no value for: null, missing, not fetched.
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Absent | Self::Void | Self::Nil)
    }

    /// Go's truth: zero, empty and nothing are false; a number of a secret is a text, so `0` is true.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Absent | Self::Void | Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(n) | Self::Long(n) => *n != 0,
            Self::Uint(n) => *n != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(bytes) | Self::Number(bytes) => !bytes.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.borrow().is_empty(),
            Self::Struct(_) | Self::Object(_) => true,
        }
    }

    /// What the value is, for messages; never the value itself.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "a value not fetched yet",
            Self::Void | Self::Nil => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Long(_) | Self::Uint(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::Number(_) => "a number of a secret (a string to Go)",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Struct(_) => "a response",
            Self::Object(object) => object.kind(),
        }
    }

    /// Go's name of the type, as `%T` prints it.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Absent | Self::Void | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Long(_) => "int64",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Number(_) => "json.Number",
            Self::List(items) => items.go_type(),
            Self::Map(entries) => entries.go_type(),
            Self::Struct(fields) => fields.go_type(),
            Self::Object(object) => object.go_type(),
        }
    }

    /// Elements and nesting within bounds; answers the number of elements. `None`: too deep or too large.
    pub(crate) fn weight(&self) -> Option<usize> {
        let mut left = MAX_NODES;
        weigh(self, MAX_DEPTH, &mut left)?;
        Some(MAX_NODES - left)
    }

    /// What Go templates see of an answer: the fields of consul-template's secret.
    pub(crate) fn response(answer: &Response) -> Self {
        Self::Struct(Fields::new(
            Shape::Secret,
            vec![
                ("RequestID", Self::str(answer.request_id.as_str())),
                ("LeaseID", Self::str(answer.lease_id.as_str())),
                ("LeaseDuration", Self::Int(i64::try_from(answer.lease_duration).unwrap_or(i64::MAX))),
                ("Renewable", Self::Bool(answer.renewable)),
                (
                    "Data",
                    if answer.data == Value::Null { Self::map(BTreeMap::new()) } else { Self::from(&answer.data) },
                ),
                ("Warnings", warnings(answer)),
                ("Auth", auth(&answer.auth)),
                ("WrapInfo", Self::Nil),
            ],
        ))
    }
}

fn warnings(answer: &Response) -> Val {
    if answer.warnings.is_empty() {
        return Val::List(List::nil(Elem::Text));
    }
    Val::texts(answer.warnings.iter().map(String::as_str))
}

/// The fields of consul-template's `SecretAuth`; nothing for an answer that brings no token.
fn auth(auth: &Value) -> Val {
    if !matches!(auth, Value::Map(_)) {
        return Val::Nil;
    }
    let text = |key| auth.get(key).and_then(Value::as_text).unwrap_or_default();
    let policies = match auth.get("policies") {
        Some(Value::List(items)) => items.iter().filter_map(Value::as_text).collect(),
        _ => Vec::new(),
    };
    let metadata = match auth.get("metadata") {
        Some(Value::Map(map)) => map.iter().map(|(key, item)| (key.clone(), Val::from(item))).collect(),
        _ => BTreeMap::new(),
    };
    let duration = auth.get("lease_duration").and_then(Value::as_u64).unwrap_or_default();
    Val::Struct(Fields::new(
        Shape::Secret,
        vec![
            ("ClientToken", Val::str(text("client_token"))),
            ("Accessor", Val::str(text("accessor"))),
            ("Policies", Val::texts(policies)),
            ("Metadata", Val::Map(Map::of_texts(metadata))),
            ("LeaseDuration", Val::Int(i64::try_from(duration).unwrap_or(i64::MAX))),
            ("Renewable", Val::Bool(matches!(auth.get("renewable"), Some(Value::Bool(true))))),
        ],
    ))
}

fn weigh(value: &Val, depth: usize, left: &mut usize) -> Option<()> {
    *left = left.checked_sub(1)?;
    match value {
        Val::List(items) => {
            let depth = depth.checked_sub(1)?;
            items.iter().try_for_each(|item| weigh(item, depth, left))
        }
        Val::Map(entries) => {
            let depth = depth.checked_sub(1)?;
            entries.borrow().values().try_for_each(|item| weigh(item, depth, left))
        }
        Val::Struct(fields) => {
            let depth = depth.checked_sub(1)?;
            fields.iter().try_for_each(|(_, item)| weigh(item, depth, left))
        }
        _ => Some(()),
    }
}

impl From<&Value> for Val {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nil,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(text) => Self::number(text.expose()),
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
            Json::Number(number) => Self::number(number.to_string()),
            Json::String(text) => Self::str(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from).collect()),
            Json::Object(map) => Self::map(map.iter().map(|(key, item)| (key.clone(), Self::from(item))).collect()),
        }
    }
}
