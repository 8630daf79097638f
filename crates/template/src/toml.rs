//! TOML as the library of consul-template writes it: values first, then tables, each indented by its depth.

use crate::failure::Failure;
use crate::go::print;
use crate::helpers::cast;
use crate::list::Elem;
use crate::value::Val;

/// A map as a document; any other value by itself.
///
/// # Errors
/// What TOML has no form for: nothing, lists with nothing inside, numbers without a value.
pub(crate) fn document(value: &Val) -> Result<String, Failure> {
    let mut out = String::new();
    match value {
        Val::Map(_) | Val::Struct(_) => table(value, &mut Vec::new(), &mut out)?,
        Val::List(items) if items.elem() == Elem::Turns => return Err(Failure::new("TOML has no form for a loop")),
        Val::List(items) if is_tables(items)? => return Err(Failure::new("a list of tables needs a key")),
        other => element(other, &mut out)?,
    }
    Ok(out)
}

fn nothing() -> Failure {
    Failure::new("a list holds nothing as an element, which TOML cannot write")
}

/// Whether the list is written as tables of their own.
fn is_tables(items: &[Val]) -> Result<bool, Failure> {
    if items.iter().any(Val::is_nothing) {
        return Err(nothing());
    }
    Ok(!items.is_empty() && items.iter().all(|item| matches!(item, Val::Map(_) | Val::Struct(_))))
}

fn is_table(value: &Val) -> Result<bool, Failure> {
    Ok(match value {
        Val::Map(_) | Val::Struct(_) => true,
        Val::List(items) => is_tables(items)?,
        _ => false,
    })
}

/// The entries of a map that are there: values, then tables.
fn entries(value: &Val) -> Result<(Vec<(String, Val)>, usize), Failure> {
    let all: Vec<(String, Val)> = match value {
        Val::Map(map) if map.borrow().keys().any(|key| !matches!(map.key(key), Val::Str(_))) => {
            return Err(Failure::new("TOML has no form for a key that is no text"));
        }
        Val::Map(map) => map.entries().into_iter().collect(),
        Val::Struct(fields) => fields.iter().map(|(name, item)| ((*name).to_owned(), item.clone())).collect(),
        _ => Vec::new(),
    };
    let (mut values, mut tables) = (Vec::new(), Vec::new());
    for (key, item) in all {
        let nested = is_table(&item)?;
        (if nested { &mut tables } else { &mut values }).push((key, item));
    }
    let count = values.len();
    values.extend(tables);
    Ok((values, count))
}

fn table(value: &Val, path: &mut Vec<String>, out: &mut String) -> Result<(), Failure> {
    let (entries, _) = entries(value)?;
    for (key, item) in entries.into_iter().filter(|(_, item)| !is_nil(item)) {
        path.push(quoted_key(&key));
        match &item {
            Val::Map(_) | Val::Struct(_) => {
                if path.len() == 1 {
                    newline(out);
                }
                header(path, "[", "]", out);
                table(&item, path, out)?;
            }
            Val::List(items) if is_tables(items)? => {
                for part in items.iter() {
                    newline(out);
                    header(path, "[[", "]]", out);
                    table(part, path, out)?;
                }
            }
            value => {
                out.push_str(&"  ".repeat(path.len() - 1));
                out.push_str(&format!("{} = ", path.last().map_or("", String::as_str)));
                element(value, out)?;
                out.push('\n');
            }
        }
        path.pop();
    }
    Ok(())
}

fn is_nil(value: &Val) -> bool {
    value.is_nothing() || matches!(value, Val::List(items) if items.is_nil())
}

fn newline(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

fn header(path: &[String], open: &str, close: &str, out: &mut String) {
    out.push_str(&format!("{}{open}{}{close}\n", "  ".repeat(path.len() - 1), path.join(".")));
}

fn quoted_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn element(value: &Val, out: &mut String) -> Result<(), Failure> {
    match value {
        Val::Absent | Val::Void | Val::Nil => return Err(Failure::new("TOML cannot write nothing")),
        Val::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Val::Int(n) | Val::Long(n) => out.push_str(&n.to_string()),
        Val::Uint(n) => out.push_str(&n.to_string()),
        Val::Float(f) => out.push_str(&float(*f)),
        Val::Number(bytes) => out.push_str(&number(&String::from_utf8_lossy(bytes))?),
        Val::Str(bytes) => out.push_str(&quoted(&String::from_utf8_lossy(bytes))),
        Val::Object(object) if object.moment().is_some() => out.push_str(&object.json_text()),
        Val::Object(object) => out.push_str(&quoted(&object.json_text())),
        Val::List(items) => return elements(items, out),
        Val::Map(_) | Val::Struct(_) => return inline(value, out),
    }
    Ok(())
}

fn elements(items: &[Val], out: &mut String) -> Result<(), Failure> {
    out.push('[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        if item.is_nothing() {
            return Err(nothing());
        }
        element(item, out)?;
    }
    out.push(']');
    Ok(())
}

/// A table on one line; a comma follows each entry but the last of its kind, also when that one is nothing.
fn inline(value: &Val, out: &mut String) -> Result<(), Failure> {
    let (entries, values) = entries(value)?;
    let count = entries.len();
    out.push('{');
    for (place, (key, item)) in entries.iter().enumerate() {
        if !is_nil(item) {
            out.push_str(&format!("{} = ", quoted_key(key)));
            element(item, out)?;
            if place + 1 < values || (place < values && values < count) || (place >= values && place + 1 < count) {
                out.push_str(", ");
            }
        }
    }
    out.push('}');
    Ok(())
}

fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".to_owned();
    }
    if f.is_infinite() {
        return if f < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let digits = print::decimal(f);
    if digits.contains('.') { digits } else { format!("{digits}.0") }
}

/// A number of a secret by its value.
fn number(text: &str) -> Result<String, Failure> {
    if let Ok(n) = text.parse::<i64>() {
        return Ok(n.to_string());
    }
    cast::parse_float(text).map(float).ok_or_else(|| Failure::new("a number is too large for a float"))
}
