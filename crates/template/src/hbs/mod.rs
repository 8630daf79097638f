//! handlebars, strict: bounds → handlebars' tree → check (helpers exist, no partials) → render.
//!
//! Every printed path becomes a call of our own helper, since handlebars prints null as nothing and a map as `[object]`.
//! The data it computes with are serde_json's, which are not wiped on drop; Go templates and `raw` leave no copies.

mod bounds;
mod check;
pub(crate) mod helpers;
mod json;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use handlebars::{
    Context, Handlebars, Output, RenderContext, RenderError, RenderErrorReason, Renderable, Template, no_escape,
};
use sidekey_core::{Code, Lookup, Sensitive};
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::error::TemplateError;
use crate::failure::Failure;
use crate::helpers::MAX_BYTES;
use crate::inputs::{Inputs, Rendered};

/// A handlebars template that parsed and calls nothing unknown.
pub(crate) struct HandlebarsTemplate {
    name: String,
    template: Template,
    asked: check::Asked,
}

/// What one rendering asked for.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) used: BTreeSet<Lookup>,
    pub(crate) missing: BTreeSet<Lookup>,
}

impl HandlebarsTemplate {
    pub(crate) fn compile(name: &str, source: &str) -> Result<Self, TemplateError> {
        let syntax = |failure: Failure| failure.into_error(Code::TemplateSyntax, name, source);
        bounds::check(source).map_err(syntax)?;
        let mut template = Template::compile(source).map_err(|error| from_parser(name, source, &error))?;
        let asked = check::check(&mut template).map_err(|failure| {
            let place = |n: usize| u32::try_from(n).ok();
            let (line, column) = (place(failure.line), place(failure.column));
            TemplateError {
                line,
                column,
                hint: failure.hint,
                ..TemplateError::new(failure.code, name, failure.message)
            }
        })?;
        Ok(Self { name: name.to_owned(), template, asked })
    }

    fn run(
        &self,
        inputs: &Inputs<'_>,
        record: &Mutex<Record>,
        context: &Context,
    ) -> Result<Sensitive<Vec<u8>>, RenderError> {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(no_escape);
        helpers::register(&mut registry, inputs, record);
        let mut out = Bounded(Zeroizing::default());
        self.template.render(&registry, context, &mut RenderContext::new(None), &mut out)?;
        Ok(Sensitive::new(std::mem::take(&mut *out.0)))
    }

    /// Renders on a context of our own: the stock formats' way in.
    pub(crate) fn render_on(&self, inputs: &Inputs<'_>, data: serde_json::Value) -> Result<Rendered, TemplateError> {
        let record = Mutex::new(Record::default());
        let done = self.run(inputs, &record, &Context::from(data));
        let record = record.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !record.missing.is_empty() {
            return Ok(Rendered::Incomplete { missing: record.missing });
        }
        match done {
            Ok(bytes) => Ok(Rendered::Complete { bytes, used: record.used, files: Vec::new() }),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// Only words of our own: handlebars may quote a value.
    fn explain(&self, error: &RenderError) -> TemplateError {
        let place = |n: Option<usize>| n.and_then(|n| u32::try_from(n).ok());
        let failure = reason(error.reason());
        TemplateError {
            line: place(error.line_no),
            column: place(error.column_no),
            hint: failure.hint,
            ..TemplateError::new(Code::TemplateRender, &self.name, failure.message)
        }
    }
}

impl Engine for HandlebarsTemplate {
    fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        self.render_on(inputs, serde_json::Value::Object(serde_json::Map::new()))
    }

    fn literal_lookups(&self) -> BTreeSet<Lookup> {
        self.asked.lookups.clone()
    }

    fn literal_files(&self) -> BTreeSet<String> {
        self.asked.files.clone()
    }
}

fn reason(reason: &RenderErrorReason) -> Failure {
    match reason {
        RenderErrorReason::NestedError(inner) => match inner.downcast_ref::<helpers::Failed>() {
            Some(failed) => failed.0.clone(),
            None => Failure::new("a helper failed"),
        },
        RenderErrorReason::MissingVariable(Some(path)) => Failure::new(format!("`{path}` is not in the data")),
        RenderErrorReason::HelperNotFound(name) => Failure::new(format!("helper `{name}` is not known")),
        RenderErrorReason::ParamNotFoundForIndex(name, index) => {
            Failure::new(format!("{name}: argument {} is missing", index + 1))
        }
        RenderErrorReason::InvalidParamType(want) => Failure::new(format!("an argument is not {want}")),
        RenderErrorReason::BlockContentRequired => Failure::new("the block is empty"),
        RenderErrorReason::IOError(_) => crate::helpers::too_long(),
        _ => Failure::new("the template does not fit its data"),
    }
}

fn from_parser(name: &str, source: &str, error: &handlebars::TemplateError) -> TemplateError {
    use handlebars::TemplateErrorReason as Reason;
    // handlebars tells no place of an argument; the first that is written so is shown.
    let param = if let Reason::InvalidParam(param) = error.reason() { param.as_str() } else { "" };
    let message = match error.reason() {
        Reason::MismatchingClosedHelper(open, close) | Reason::MismatchingClosedDecorator(open, close) => {
            format!("block {open} is open, but {close} is closed")
        }
        Reason::InvalidSyntax(_) => {
            "handlebars does not understand this, or a block before it is not closed".to_owned()
        }
        Reason::InvalidParam(param) => format!("the argument {param} is not valid"),
        _ => "the template does not parse".to_owned(),
    };
    let found =
        Failure::new(message).at(source.find(param).unwrap_or(0)).into_error(Code::TemplateSyntax, name, source);
    match error.pos().map(|(line, column)| (u32::try_from(line).ok(), u32::try_from(column).ok())) {
        Some((line, column)) => TemplateError { line, column, ..found },
        None => found,
    }
}

/// Output up to the bound; wiped.
struct Bounded(Zeroizing<Vec<u8>>);

impl Output for Bounded {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        if self.0.len() + text.len() > MAX_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
