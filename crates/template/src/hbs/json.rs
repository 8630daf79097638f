//! handlebars computes with serde_json's values: the way there and back.

use serde_json::{Map, Number, Value as Json};
use sidekey_core::Value;

use crate::failure::Failure;
use crate::value::Val;

/// A secret's data. A number that serde_json would write with other digits (`1.50`, more than 64 bits) stays text.
pub(super) fn of_data(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(text) => number(text.expose()),
        Value::Text(text) => Json::String(text.expose().to_owned()),
        Value::List(items) => Json::Array(items.iter().map(of_data).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, item)| (key.clone(), of_data(item))).collect()),
    }
}

fn number(text: &str) -> Json {
    let exact = text.parse::<Number>().ok().filter(|number| number.to_string() == text);
    exact.map_or_else(|| Json::String(text.to_owned()), Json::Number)
}

/// What a function answered.
///
/// # Errors
/// Bytes that are not UTF-8: handlebars writes text only.
pub(super) fn of_value(value: &Val) -> Result<Json, Failure> {
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| {
            Failure::new("the bytes are not UTF-8 text").hint("use a Go template, or format raw, for binary files")
        })
    };
    Ok(match value {
        Val::Absent | Val::Void | Val::Nil => Json::Null,
        Val::Bool(flag) => Json::Bool(*flag),
        Val::Int(n) | Val::Long(n) => Json::from(*n),
        Val::Uint(n) => Json::from(*n),
        Val::Float(f) => Number::from_f64(*f).map_or(Json::Null, Json::Number),
        Val::Str(bytes) => Json::String(text(bytes)?),
        Val::Number(bytes) => number(&text(bytes)?),
        Val::List(items) => Json::Array(items.iter().map(of_value).collect::<Result<_, _>>()?),
        Val::Map(map) => {
            let map = map.borrow();
            let entries = map.iter().map(|(key, item)| Ok((key.clone(), of_value(item)?)));
            Json::Object(entries.collect::<Result<Map<_, _>, Failure>>()?)
        }
        Val::Object(object) => Json::String(object.text()),
        Val::Struct(fields) => {
            let entries = fields.iter().map(|(key, item)| Ok(((*key).to_owned(), of_value(item)?)));
            Json::Object(entries.collect::<Result<Map<_, _>, Failure>>()?)
        }
    })
}
