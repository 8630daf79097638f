//! source → compile (parse, walk, refuse) → render(answers) → bytes, or what is missing
//!
//! Two languages behind one trait: `go` is consul-template's dialect of Go's text/template, `hbs` is handlebars; a format
//! is a stock handlebars template of `templates/`. Rendering is a function of its inputs: no clock, no randomness, no I/O; what
//! `file` reads is an input too.

mod connection;
mod engine;
mod environment;
mod error;
mod failure;
mod fields;
mod files;
mod format;
mod functions;
mod go;
mod hbs;
mod helpers;
mod inputs;
mod json;
mod key;
mod list;
mod map;
mod object;
pub mod reference;
mod set;
mod suggest;
mod toml;
mod value;
mod yaml;

use std::collections::BTreeSet;

use sidekey_core::contract::{self, Source};
use sidekey_core::{Code, Lookup};

pub use error::TemplateError;
pub use files::{Account, ExtraFile};
pub use helpers::pattern::Pattern;
pub use inputs::{Answers, Frozen, Inputs, Rendered};
pub use set::{Input, Settled, TemplateSet};

use engine::Engine;

/// Longest template text; all annotations of a pod together are at most 256 KiB.
const MAX_SOURCE: usize = 512 << 10;

/// A template that parsed, and calls nothing that is not served. Cheap to keep; renders any number of times.
pub struct Compiled(Box<dyn Engine>);

/// Parses `source` and checks every function it names, in dead branches too.
///
/// `file_text` is the text of the file that [`contract::Template::file`] names; the caller reads it.
///
/// # Errors
/// `TemplateSyntax`, `TemplateFunction`; `TemplateFile` when a file is named and `file_text` is `None`.
pub fn compile(name: &str, source: &Source, file_text: Option<&str>) -> Result<Compiled, TemplateError> {
    let engine: Box<dyn Engine> = match source {
        Source::Format(source) => Box::new(format::FormatFile::compile(name, source)?),
        Source::Environment(source) => Box::new(environment::Environment::compile(name, source)?),
        Source::Template(template) => {
            let text = text(name, template, file_text)?;
            match template.engine {
                contract::Engine::Handlebars => Box::new(hbs::HandlebarsTemplate::compile(name, text)?),
                contract::Engine::Go => {
                    let delimiters = go::Delimiters { left: &template.left, right: &template.right };
                    let limits = go::Limits {
                        strict: template.error_on_missing_key,
                        sandbox: template.sandbox.clone(),
                        denied: template.denied.clone(),
                    };
                    Box::new(go::GoTemplate::compile(name, text, delimiters, limits)?)
                }
            }
        }
    };
    Ok(Compiled(engine))
}

fn text<'t>(
    name: &str,
    template: &'t contract::Template,
    file_text: Option<&'t str>,
) -> Result<&'t str, TemplateError> {
    let text = match &template.file {
        Some(file) => {
            file_text.ok_or_else(|| TemplateError::new(Code::TemplateFile, name, format!("{file} is not there")))?
        }
        None => &template.text,
    };
    bounded(name, text)?;
    if template.left.is_empty() || template.right.is_empty() {
        return Err(TemplateError::new(Code::TemplateSyntax, name, "a delimiter is empty"));
    }
    Ok(text)
}

pub(crate) fn bounded(name: &str, text: &str) -> Result<(), TemplateError> {
    if text.len() > MAX_SOURCE {
        let message = format!("the template is longer than {} KiB", MAX_SOURCE >> 10);
        return Err(TemplateError::new(Code::TemplateSyntax, name, message));
    }
    Ok(())
}

impl Compiled {
    /// Renders once with what is there.
    ///
    /// # Errors
    /// `TemplateRender`, `FormatData`; only when nothing is missing: with missing data the answer is what is missing.
    pub fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        self.0.render(inputs)
    }

    /// The lookups whose path and parameters are literals and that every rendering asks for: those in a branch that may not
    /// run are left out, since asking can create a credential. To fetch at once at start; more may turn out missing.
    pub fn literal_lookups(&self) -> BTreeSet<Lookup> {
        self.0.literal_lookups()
    }

    /// The files that `file` reads by a literal path, in whatever branch: a change of one is a reason to render again.
    pub fn literal_files(&self) -> BTreeSet<String> {
        self.0.literal_files()
    }
}
