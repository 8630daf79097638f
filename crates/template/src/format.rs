//! The stock formats: one secret's user data → entries → a handlebars template of `templates/`. `raw` is one field's bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use sidekey_core::contract::{Format, FormatSource};
use sidekey_core::{Code, Lookup, Sensitive, Value};

use crate::engine::Engine;
use crate::error::TemplateError;
use crate::failure::Failure;
use crate::hbs::HandlebarsTemplate;
use crate::helpers::{Out, quoting, shell};
use crate::inputs::{Inputs, Rendered};
use crate::value::Val;
use crate::{connection, suggest, yaml};

/// The template of a format; `None` for `raw`, which adds nothing to the field.
pub(crate) const fn stock(format: Format) -> Option<(&'static str, &'static str)> {
    match format {
        Format::Env => Some(("env", include_str!("../../../templates/env.hbs"))),
        Format::Json => Some(("json", include_str!("../../../templates/json.hbs"))),
        Format::Yaml => Some(("yaml", include_str!("../../../templates/yaml.hbs"))),
        Format::Properties => Some(("properties", include_str!("../../../templates/properties.hbs"))),
        Format::Map => Some(("map", include_str!("../../../templates/map.hbs"))),
        Format::Ini => Some(("ini", include_str!("../../../templates/ini.hbs"))),
        Format::Pgpass => Some(("pgpass", include_str!("../../../templates/pgpass.hbs"))),
        Format::Mycnf => Some(("mycnf", include_str!("../../../templates/mycnf.hbs"))),
        Format::Netrc => Some(("netrc", include_str!("../../../templates/netrc.hbs"))),
        Format::Dockerconfigjson => Some(("dockerconfigjson", include_str!("../../../templates/dockerconfigjson.hbs"))),
        Format::Jdbc => Some(("jdbc", include_str!("../../../templates/jdbc.hbs"))),
        Format::Pem => Some(("pem", include_str!("../../../templates/pem.hbs"))),
        Format::Raw => None,
    }
}

/// One secret in a stock format.
pub(crate) struct FormatFile {
    name: String,
    format: Format,
    field: Option<String>,
    lookup: Lookup,
    template: Option<HandlebarsTemplate>,
}

impl FormatFile {
    pub(crate) fn compile(name: &str, source: &FormatSource) -> Result<Self, TemplateError> {
        let lookup = Lookup::read(&source.path);
        if lookup.path.is_empty() {
            return Err(TemplateError::new(Code::TemplateSyntax, name, "the secret's path is empty"));
        }
        let template = match stock(source.format) {
            Some((_, text)) => Some(HandlebarsTemplate::compile(name, text)?),
            None => None,
        };
        Ok(Self { name: name.to_owned(), format: source.format, field: source.field.clone(), lookup, template })
    }

    fn write(&self, data: &Value, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        let wrong = |failure: Failure| failure.into_error(Code::FormatData, &self.name, "");
        let data = data.as_map().ok_or_else(|| wrong(Failure::new("the answer has no fields")))?;
        match &self.template {
            Some(template) => {
                let context = context(self.format, data).map_err(wrong)?;
                template.render_on(inputs, context).map(|rendered| self.finished(rendered))
            }
            None => {
                let bytes = Sensitive::new(field_bytes(self.field.as_deref(), data).map_err(wrong)?);
                Ok(Rendered::Complete { bytes, used: BTreeSet::new(), files: Vec::new() })
            }
        }
    }
}

/// What the format's template sees.
fn context(format: Format, data: &BTreeMap<String, Value>) -> Result<Json, Failure> {
    match format {
        Format::Ini => {
            let section = |value: &Value| matches!(value, Value::Map(_));
            let (sections, entries): (BTreeMap<_, _>, BTreeMap<_, _>) =
                data.clone().into_iter().partition(|(_, value)| section(value));
            let sections = sections.iter().filter_map(|(key, value)| Some((key, value.as_map()?)));
            let sections =
                sections.map(|(key, fields)| Ok(json!({ "key": key, "entries": self::entries(format, fields)? })));
            Ok(
                json!({ "entries": self::entries(format, &entries)?, "sections": sections.collect::<Result<Vec<_>, Failure>>()? }),
            )
        }
        Format::Env | Format::Json | Format::Yaml | Format::Properties | Format::Map | Format::Raw => {
            Ok(json!({ "entries": entries(format, data)? }))
        }
        _ => connection::context(format, data),
    }
}

impl FormatFile {
    /// A URL is the whole file; lines end with a newline.
    fn finished(&self, rendered: Rendered) -> Rendered {
        match rendered {
            Rendered::Complete { bytes, used, files } if self.format == Format::Jdbc => {
                Rendered::Complete { bytes: Sensitive::new(bytes.expose().trim_ascii_end().to_vec()), used, files }
            }
            other => other,
        }
    }
}

impl Engine for FormatFile {
    fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        let Some(answer) = inputs.answers.get(&self.lookup) else {
            return Ok(Rendered::Incomplete { missing: self.literal_lookups() });
        };
        Ok(match self.write(answer.user_data(), inputs)? {
            Rendered::Complete { bytes, files, .. } => {
                Rendered::Complete { bytes, used: self.literal_lookups(), files }
            }
            incomplete => incomplete,
        })
    }

    fn literal_lookups(&self) -> BTreeSet<Lookup> {
        BTreeSet::from([self.lookup.clone()])
    }
}

/// A function that a format's template calls.
type Quote = fn(&[Val]) -> Out;

/// Whether the format can hold the field, so that an error names the field and not a place of the stock template.
pub(crate) fn fits(field: &str, text: &str, quote: Quote) -> Result<(), Failure> {
    let quoted = quote(&[Val::str(text)]);
    quoted.map(drop).map_err(|failure| Failure { message: format!("field `{field}`: {}", failure.message), ..failure })
}

/// What the templates of `templates/` see of each field; numbers stand in them as received.
fn entries(format: Format, data: &BTreeMap<String, Value>) -> Result<Vec<Json>, Failure> {
    let mut entries = Vec::new();
    for (key, value) in data {
        let text = plain(value);
        let quotes: Option<(Quote, Quote)> = match format {
            Format::Env => Some((shell::env_name, shell::shell)),
            Format::Ini => Some((quoting::ini_key, quoting::ini)),
            _ => None,
        };
        if let Some((name, quote)) = quotes {
            name(&[Val::str(key.as_str())])?;
            fits(key, text.expose(), quote)?;
        }
        let yaml = yaml::entry(&Val::from(value));
        entries.push(json!({
            "key": key,
            "text": text.expose(),
            "json_value": pretty_json(value),
            "yaml_key": yaml::key(key),
            "yaml_value": String::from_utf8_lossy(yaml.strip_suffix(b"\n").unwrap_or(&yaml)),
        }));
    }
    Ok(entries)
}

/// A text as it is, anything else as compact JSON.
fn plain(value: &Value) -> Sensitive<String> {
    value.as_text().map_or_else(|| value.to_json(), Sensitive::from)
}

/// Indented to stand one level deep.
fn pretty_json(value: &Value) -> String {
    let style = crate::json::Style { html: false, pretty: true };
    String::from_utf8_lossy(&crate::json::encode(&Val::from(value), style)).replace('\n', "\n  ")
}

fn field_bytes(field: Option<&str>, data: &BTreeMap<String, Value>) -> Result<Vec<u8>, Failure> {
    let names = || data.keys().map(String::as_str);
    let value = match field {
        Some(name) => data.get(name).ok_or_else(|| {
            let failure = Failure::new(format!("the secret has no field `{name}`"));
            match suggest::nearest(name, names()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("it has: {}", names().collect::<Vec<_>>().join(", "))),
            }
        })?,
        None if data.len() == 1 => data.values().next().unwrap_or(&Value::Null),
        None => {
            let failure = Failure::new(format!("format raw writes one field, and the secret has {}", data.len()));
            return Err(failure.hint(format!("name one of: {}", names().collect::<Vec<_>>().join(", "))));
        }
    };
    Ok(plain(value).expose().as_bytes().to_vec())
}
