//! docs/reference/settings.md: the text of `page.md`, and tables of fields out of the schema.

use serde_json::Value;

use super::Settings;

const TEXT: &str = include_str!("page.md");
const HEAD: &str = "| field | value | default | meaning |\n|---|---|---|---|\n";

/// The page, as Markdown.
pub fn page() -> String {
    let schema = Settings::schema();
    let mut page = String::new();
    for line in TEXT.lines() {
        match line.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
            Some(fields) => {
                page.push_str(HEAD);
                page.extend(fields.split(' ').map(|field| row(&schema, field)));
            }
            None => page.extend([line, "\n"]),
        }
    }
    page
}

fn row(schema: &Value, field: &str) -> String {
    let found = field.split('.').fold(schema, |schema, name| &schema["properties"][name]);
    let meaning = found["description"].as_str().unwrap_or_default();
    format!("| `{field}` | {} | {} | {meaning} |\n", shape(found), default(found))
}

/// What a value looks like.
fn shape(schema: &Value) -> String {
    let words = [&schema["enum"], &schema["examples"]].into_iter().find_map(Value::as_array);
    if let Some(words) = words {
        let words = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`"));
        return words.collect::<Vec<_>>().join(", ");
    }
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    let of = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match (of, schema["minimum"].as_u64()) {
        (Some("integer"), Some(least)) => format!("whole number, {least} at least"),
        (Some("array"), _) if schema["items"]["type"] == "object" => "list of `names` and `policy`".to_owned(),
        (Some("array"), _) => format!("list of {}", shape(&schema["items"])),
        (Some("object"), _) => "map of text".to_owned(),
        (Some("boolean"), _) => "`true` or `false`".to_owned(),
        _ => "text".to_owned(),
    }
}

fn default(schema: &Value) -> String {
    match schema.get("default") {
        None if schema["type"] == "array" || schema["type"] == "object" => "empty".to_owned(),
        None => "unset".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "empty".to_owned(),
        Some(Value::Array(items)) => {
            let items = items.iter().filter_map(Value::as_str).map(|item| format!("`{item}`"));
            items.collect::<Vec<_>>().join(", ")
        }
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
    }
}
