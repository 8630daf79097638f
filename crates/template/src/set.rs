//! Go templates that are given their data: those of the operator's custom resources.

use std::collections::BTreeMap;

use sidekey_core::{Code, Sensitive, Value};

use crate::error::TemplateError;
use crate::functions::Set;
use crate::go::{BRACES, MissingKey, Program};
use crate::inputs::{Frozen, Inputs, Rendered};
use crate::value::Val;

/// Go templates with the operator's functions, parsed into one set: each can call the others by name.
///
/// Their dot is what [`TemplateSet::render`] is given. A missing key prints `<no value>`, and has no fields either.
pub struct TemplateSet(Program);

impl TemplateSet {
    /// Parses all of `(name, text)` and checks every function that they name, in dead branches too.
    ///
    /// # Errors
    /// `TemplateSyntax`, also for a name that is taken; `TemplateFunction`.
    pub fn compile<'t>(templates: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, TemplateError> {
        let mut program = Program::new(Set::Operator, MissingKey::NoValue);
        for (name, text) in templates {
            crate::bounded(name, text)?;
            if program.has(name) {
                return Err(TemplateError::new(Code::TemplateSyntax, name, "another template has this name"));
            }
            program.add(name, name, text, BRACES)?;
        }
        program.check("")?;
        Ok(Self(program))
    }

    /// Renders one of them. `frozen` is what functions of clock and chance answer from: keep it as long as the data is the same,
    /// or a file changes with nothing new in it.
    ///
    /// # Errors
    /// `TemplateRender`; its words hold no value of the data.
    pub fn render(&self, name: &str, data: &Value, frozen: Frozen) -> Result<Sensitive<Vec<u8>>, TemplateError> {
        if !self.0.has(name) {
            return Err(TemplateError::new(Code::TemplateRender, name, "there is no template of this name"));
        }
        let (answers, env) = (BTreeMap::new(), BTreeMap::new());
        match self.0.run(name, &Val::from(data), &Inputs { answers: &answers, env: &env, frozen })? {
            Rendered::Complete { bytes, .. } => Ok(bytes),
            Rendered::Incomplete { .. } => Err(TemplateError::new(Code::TemplateRender, name, "data is missing")),
        }
    }
}
