//! A parsed handlebars template before it ever renders: every helper exists, no partials, and printed paths are made strict.

use std::collections::BTreeSet;

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement, TemplateMapping};
use serde_json::Value as Json;
use sidekey_core::{Code, Lookup};

use super::helpers;
use crate::failure::Failure;
use crate::functions::{self, HANDLEBARS, Serve};
use crate::suggest;

/// A mistake at a place that handlebars knows by line and column.
pub(super) struct Mistake {
    pub(super) code: Code,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What the template's literals alone tell.
#[derive(Default)]
pub(super) struct Asked {
    /// Those that any rendering asks for, as long as secrets exist.
    pub(super) lookups: BTreeSet<Lookup>,
    /// Files that are read in whatever branch.
    pub(super) files: BTreeSet<String>,
}

/// Rewrites what prints a path, and answers what is asked for with literals.
pub(super) fn check(template: &mut Template) -> Result<Asked, Mistake> {
    let mut asked = Asked::default();
    walk(template, &mut asked)?;
    Ok(asked)
}

fn walk(template: &mut Template, asked: &mut Asked) -> Result<(), Mistake> {
    let Template { elements, mapping, .. } = template;
    let mut last = (1, 1);
    for (index, element) in elements.iter_mut().enumerate() {
        if let Some(place) = mapping.get(index) {
            last = (place.0, place.1);
        }
        let here = |(code, failure): (Code, Failure)| Mistake {
            code,
            line: last.0,
            column: last.1,
            message: failure.message,
            hint: failure.hint,
        };
        match element {
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                expression(call, asked).map_err(here)?;
            }
            TemplateElement::HelperBlock(call) => {
                arguments(call, asked).and_then(|()| named(&call.name)).map_err(here)?;
                bodies(call, asked)?;
                otherwise(call, mapping.get(index));
            }
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            _ => return Err(here(partial())),
        }
    }
    Ok(())
}

/// Only the body of `with` and `each` over a secret runs for certain.
fn bodies(call: &mut HelperTemplate, asked: &mut Asked) -> Result<(), Mistake> {
    let certain = matches!(call.name.as_name(), Some("with" | "each")) && asks(call);
    let mut doubtful = Asked::default();
    if let Some(body) = &mut call.template {
        walk(body, if certain { &mut *asked } else { &mut doubtful })?;
    }
    if let Some(inverse) = &mut call.inverse {
        walk(inverse, &mut doubtful)?;
    }
    asked.files.append(&mut doubtful.files);
    Ok(())
}

/// A `with` or `each` without an else-branch gets one that fails when there is nothing, unless it is being fetched.
fn otherwise(call: &mut HelperTemplate, place: Option<&TemplateMapping>) {
    let name = match call.name.as_name() {
        Some("with") => helpers::NOTHING_WITH,
        Some("each") => helpers::NOTHING_EACH,
        _ => return,
    };
    if call.inverse.is_none() {
        let mut nothing = Box::new(call.clone());
        (nothing.block_param, nothing.template, nothing.block, nothing.chain) = (None, None, false, false);
        nothing.name = Parameter::Name(name.to_owned());
        let mut inverse = Template::new();
        inverse.elements.push(TemplateElement::Expression(nothing));
        inverse.mapping.extend(place.cloned());
        call.inverse = Some(inverse);
    }
}

/// Whether the first argument is a literal lookup itself.
fn asks(call: &HelperTemplate) -> bool {
    let Some(Parameter::Subexpression(inner)) = call.params.first() else { return false };
    matches!(inner.as_element(), TemplateElement::Expression(inner) if literal_lookup(inner).is_some())
}

fn partial() -> (Code, Failure) {
    let failure = Failure::new("partials are not served")
        .hint("an annotation's template is whole: write the text where it is needed");
    (Code::TemplateFunction, failure)
}

/// `{{path}}` becomes `{{print path}}` with our own print; a helper's name stays a call.
fn expression(call: &mut HelperTemplate, asked: &mut Asked) -> Result<(), (Code, Failure)> {
    arguments(call, asked)?;
    if !call.params.is_empty() || !call.hash.is_empty() {
        return named(&call.name);
    }
    let name = call.name.as_name().unwrap_or_default();
    if functions::helper(name).is_some() {
        return named(&call.name);
    }
    if let Parameter::Subexpression(inner) = &call.name {
        nested(inner.as_element(), asked)?;
    }
    let path = match &call.name {
        // The grammar reads a bare name as a helper's name, never as a path.
        Parameter::Name(name) => {
            Parameter::parse(name).map_err(|_| (Code::TemplateSyntax, Failure::new("the name is not valid")))?
        }
        other => other.clone(),
    };
    call.params.push(path);
    call.name = Parameter::Name(helpers::PRINT.to_owned());
    Ok(())
}

fn arguments(call: &HelperTemplate, asked: &mut Asked) -> Result<(), (Code, Failure)> {
    asked.lookups.extend(literal_lookup(call));
    if let (Some("file"), [Parameter::Literal(Json::String(path))]) = (call.name.as_name(), call.params.as_slice()) {
        asked.files.insert(path.trim().to_owned());
    }
    for param in call.params.iter().chain(call.hash.values()) {
        if let Parameter::Subexpression(inner) = param {
            nested(inner.as_element(), asked)?;
        }
    }
    Ok(())
}

fn nested(element: &TemplateElement, asked: &mut Asked) -> Result<(), (Code, Failure)> {
    let TemplateElement::Expression(call) = element else { return Ok(()) };
    arguments(call, asked)?;
    named(&call.name)
}

fn named(name: &Parameter) -> Result<(), (Code, Failure)> {
    let name = name.as_name().unwrap_or_default();
    let failure = match functions::helper(name) {
        Some(function) if matches!(function.serve, Serve::Refused) => {
            Failure::new(format!("helper `{name}` is refused")).hint(function.about)
        }
        Some(_) => return Ok(()),
        None => {
            let served = HANDLEBARS.iter().filter(|function| !matches!(function.serve, Serve::Refused));
            let failure = Failure::new(format!("helper `{name}` is not known"));
            match suggest::nearest(name, served.map(|function| function.name)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("see docs/reference/templates.md for what is served"),
            }
        }
    };
    Err((Code::TemplateFunction, failure))
}

fn literal_lookup(call: &HelperTemplate) -> Option<Lookup> {
    let literal = |param: &Parameter| if let Parameter::Literal(json) = param { Some(json.clone()) } else { None };
    let [path] = call.params.as_slice() else { return None };
    let Some(Json::String(path)) = literal(path) else { return None };
    let hash: Option<Vec<(String, Json)>> =
        call.hash.iter().map(|(key, value)| Some((key.clone(), literal(value)?))).collect();
    helpers::lookup(call.name.as_name()?, &path, hash?.iter().map(|(key, value)| (key.as_str(), value))).ok().flatten()
}
