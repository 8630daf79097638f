//! An answer without its secrets: what is rendered from it cannot show one, whatever the template does.

use std::collections::BTreeMap;

use sidekey_core::lookup::Verb;
use sidekey_core::value::{Text, Value};
use sidekey_core::{Lookup, Response};

/// In the place of a text. Letters only, so that no format quotes it.
const HIDDEN: &str = "REDACTED";

/// The same shape: names of fields, of lists and of versions stay, and what is a text, a number or a lease does not.
pub(crate) fn mask(lookup: &Lookup, response: &Response) -> Response {
    let lease_id = if response.lease_id.is_empty() { String::new() } else { HIDDEN.to_owned() };
    let data = match (&response.data, lookup.verb) {
        (data, Verb::List) => data.clone(),
        (Value::Map(fields), _) if response.is_kv2() => {
            let hide = |(name, field): (&String, &Value)| {
                (name.clone(), if name == "metadata" { field.clone() } else { hidden(field) })
            };
            Value::Map(fields.iter().map(hide).collect())
        }
        (data, _) => hidden(data),
    };
    Response { lease_id, data, ..response.clone() }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::Text(text) => hidden_text(text.expose()),
        Value::Number(_) => Value::Number(Text::from("0")),
        Value::List(items) => Value::List(items.iter().map(hidden).collect()),
        Value::Map(fields) => Value::Map(fields_of(fields)),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn fields_of(fields: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    fields.iter().map(|(name, field)| (name.clone(), hidden(field))).collect()
}

/// Templates take JSON and PEM apart, so these keep their form.
fn hidden_text(text: &str) -> Value {
    if text.is_empty() {
        return Value::text("");
    }
    if let Ok(inner @ (Value::Map(_) | Value::List(_))) = Value::parse(text) {
        return Value::text(hidden(&inner).to_json().expose().as_str());
    }
    if text.trim_start().starts_with("-----BEGIN ") {
        let line = |line: &str| if line.starts_with("-----") { line.to_owned() } else { HIDDEN.to_owned() };
        return Value::text(text.lines().map(line).collect::<Vec<_>>().join("\n"));
    }
    Value::text(HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(data: &str) -> String {
        let response = Response { data: Value::parse(data).unwrap(), ..Response::default() };
        mask(&Lookup::read("a/b"), &response).data.to_json().expose().clone()
    }

    #[test]
    fn hides_every_leaf_and_keeps_the_shape() {
        let cases = [
            (
                r#"{"a":"s3cret","n":4711,"on":true,"no":null,"e":""}"#,
                r#"{"a":"REDACTED","e":"","n":0,"no":null,"on":true}"#,
            ),
            (r#"{"l":["x",["y"]]}"#, r#"{"l":["REDACTED",["REDACTED"]]}"#),
            (r#"{"j":"{\"auth\": \"x\"}"}"#, r#"{"j":"{\"auth\":\"REDACTED\"}"}"#),
            (
                r#"{"k":"-----BEGIN KEY-----\nabc\n-----END KEY-----\n"}"#,
                r#"{"k":"-----BEGIN KEY-----\nREDACTED\n-----END KEY-----"}"#,
            ),
        ];
        for (data, want) in cases {
            assert_eq!(masked(data), want);
        }
    }

    #[test]
    fn keeps_what_is_said_of_a_version_and_the_names_of_a_list() {
        let text = masked(r#"{"data":{"a":"x"},"metadata":{"version":3,"created_time":"now"}}"#);
        assert_eq!(text, r#"{"data":{"a":"REDACTED"},"metadata":{"created_time":"now","version":3}}"#);
        let list = Response { data: Value::parse(r#"{"keys":["a"]}"#).unwrap(), ..Response::default() };
        let lookup = Lookup::new(Verb::List, "a", BTreeMap::new());
        assert_eq!(mask(&lookup, &list).data.to_json().expose(), r#"{"keys":["a"]}"#);
    }
}
