//! The settings file as a JSON Schema, from the types that read it: draft 7, which is what Helm checks values by.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

use super::Settings;

impl Settings {
    /// The schema of the file. Values have their own types in it: text that YAML reads as a number or a boolean stands in quotes.
    pub fn schema() -> Value {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<Self>();
        Plain.transform(&mut schema);
        schema.insert("title".to_owned(), "Settings of Sidekey".into());
        schema.to_value()
    }
}

/// What [`words`] leaves for the description, which a field's own comment replaces.
const MEANINGS: &str = "x-meanings";

/// All the way down: one line for a description, and no format, which is Rust's and not JSON Schema's.
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        schema.remove("format");
        let meanings = schema.remove(MEANINGS);
        if let Some(Value::String(text)) = schema.get_mut("description") {
            let words = meanings.as_ref().and_then(Value::as_str).unwrap_or_default();
            *text = text.split_whitespace().chain(words.split_whitespace()).collect::<Vec<_>>().join(" ");
        }
        transform_subschemas(self, schema);
    }
}

/// Of an enum: its words as one list, and what they mean in its description.
pub(super) fn words(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.remove("oneOf") else { return };
    let mut all = Vec::new();
    let mut meanings = Vec::new();
    for variant in variants {
        let several = variant["enum"].as_array().cloned().unwrap_or_default();
        let words: Vec<Value> = variant.get("const").cloned().into_iter().chain(several).collect();
        if let (Some(about), [Value::String(word)]) = (variant["description"].as_str(), words.as_slice()) {
            meanings.push(format!("`{word}`: {about}"));
        }
        all.extend(words);
    }
    if !meanings.is_empty() {
        schema.insert(MEANINGS.to_owned(), meanings.join(" ").into());
    }
    schema.insert("enum".to_owned(), all.into());
}

/// The same; YAML 1.1, which Helm and most editors read, takes `on` and `off` for booleans.
pub(super) fn switch(schema: &mut Schema) {
    words(schema);
    if let Some(Value::Array(all)) = schema.get_mut("enum") {
        all.extend([true.into(), false.into()]);
    }
    schema.remove("type");
}

/// A field's former name: either, never both.
pub(super) fn alias(schema: &mut Schema) {
    let now = schema.pointer("/properties/securityContext").cloned();
    if let (Some(mut former), Some(Value::Object(all))) = (now, schema.get_mut("properties")) {
        former["description"] = "The former name of `securityContext`.".into();
        if let Some(former) = former.as_object_mut() {
            former.remove("default");
        }
        all.insert("setSecurityContext".to_owned(), former);
    }
    schema.insert("not".to_owned(), json!({ "required": ["securityContext", "setSecurityContext"] }));
}
