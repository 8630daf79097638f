//! Why a template cannot be used.

use std::fmt;

use sidekey_core::{Cause, Code};

/// A failure at a place of a template. Holds template text and key names, never a value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// `TemplateSyntax`, `TemplateFunction`, `TemplateRender`, `TemplateFile` or `FormatData`.
    pub code: Code,
    /// The template's name: the suffix of its annotation.
    pub template: String,
    /// 1-based.
    pub line: Option<u32>,
    /// 1-based, in characters.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl TemplateError {
    pub(crate) fn new(code: Code, template: &str, message: impl Into<String>) -> Self {
        Self { code, template: template.to_owned(), line: None, column: None, message: message.into(), hint: None }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template {}", self.template)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for TemplateError {}

impl From<TemplateError> for Cause {
    fn from(error: TemplateError) -> Self {
        let place = match (error.line, error.column) {
            (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
            (Some(line), None) => format!(" at line {line}"),
            _ => String::new(),
        };
        let attempted = match error.code {
            Code::TemplateSyntax | Code::TemplateFunction => format!("reading template {}{place}", error.template),
            _ => format!("rendering template {}{place}", error.template),
        };
        let cause = Self::new(error.code, attempted, error.message);
        match error.hint {
            Some(hint) => cause.with_fix(sentence(&hint)),
            None => cause,
        }
    }
}

fn sentence(hint: &str) -> String {
    let mut chars = hint.chars();
    let head = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if hint.ends_with(['.', '?']) { "" } else { "." };
    format!("{head}{}{end}", chars.as_str())
}
