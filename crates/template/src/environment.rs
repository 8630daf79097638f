//! Several values as environment variables, in the form that their reader takes. What a form cannot carry is refused: a value
//! that arrives changed would be worse than none.

use std::collections::BTreeSet;

use sidekey_core::contract::{EnvSource, EnvSyntax};
use sidekey_core::{Code, Lookup, Sensitive};

use crate::engine::Engine;
use crate::error::TemplateError;
use crate::failure::Failure;
use crate::inputs::{Inputs, Rendered};
use crate::{Compiled, compile};

/// The kubelet 1.34 takes no longer value.
const LONGEST_PLAIN: usize = 32 << 10;

/// The kubelet reads lines of less than this.
const LONGEST_LINE: usize = 64 << 10;

/// Linux takes no longer `NAME=value` with its end (`execve(2)`, `MAX_ARG_STRLEN`).
const LONGEST: usize = 128 << 10;

/// The variables of one program.
pub(crate) struct Environment {
    syntax: EnvSyntax,
    variables: Vec<(String, Compiled)>,
}

impl Environment {
    pub(crate) fn compile(name: &str, source: &EnvSource) -> Result<Self, TemplateError> {
        let mut variables = Vec::with_capacity(source.variables.len());
        for variable in &source.variables {
            if variable.name.is_empty() || variable.name.contains(['=', '\0', '\n']) {
                return Err(TemplateError::new(Code::TemplateSyntax, name, "a variable's name cannot be one"));
            }
            variables.push((variable.name.clone(), compile(&variable.name, &variable.source, None)?));
        }
        Ok(Self { syntax: source.syntax, variables })
    }

    fn write(&self, name: &str, value: &[u8], out: &mut Vec<u8>) -> Result<(), TemplateError> {
        let refused = |failure: Failure| failure.into_error(Code::FormatData, name, "");
        fits(self.syntax, name, value).map_err(|message| {
            refused(
                Failure::new(message).hint("take it from a file, or set the variables by exec: annotation env-exec"),
            )
        })?;
        let (before, after): (&[u8], &[u8]) = match self.syntax {
            EnvSyntax::Plain => (b"=", b"\n"),
            EnvSyntax::Quoted => (b"='", b"'\n"),
            EnvSyntax::Nul => (b"=", b"\0"),
        };
        [name.as_bytes(), before, value, after].into_iter().for_each(|part| out.extend_from_slice(part));
        Ok(())
    }
}

impl Engine for Environment {
    fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        let (mut used, mut missing, mut failed) = (BTreeSet::new(), BTreeSet::new(), None);
        let mut beside = Vec::new();
        let mut values = Vec::with_capacity(self.variables.len());
        for (name, compiled) in &self.variables {
            match compiled.render(inputs) {
                Ok(Rendered::Complete { bytes, used: more, files }) => {
                    used.extend(more);
                    beside.extend(files);
                    values.push((name, bytes));
                }
                Ok(Rendered::Incomplete { missing: more }) => missing.extend(more),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (missing.is_empty(), failed) {
            (false, _) => return Ok(Rendered::Incomplete { missing }),
            (true, Some(error)) => return Err(error),
            (true, None) => {}
        }
        // Room for all of it: what a growing buffer leaves behind is not wiped.
        let length = values.iter().map(|(name, bytes)| name.len() + bytes.expose().len() + 4).sum();
        let mut out = Sensitive::new(Vec::with_capacity(length));
        for (name, bytes) in &values {
            self.write(name, bytes.expose(), out.expose_mut())?;
        }
        Ok(Rendered::Complete { bytes: out, used, files: beside })
    }

    fn literal_lookups(&self) -> BTreeSet<Lookup> {
        self.variables.iter().flat_map(|(_, compiled)| compiled.literal_lookups()).collect()
    }

    fn literal_files(&self) -> BTreeSet<String> {
        self.variables.iter().flat_map(|(_, compiled)| compiled.literal_files()).collect()
    }
}

/// Whether the reader of a form gets back what was written, byte for byte.
fn fits(syntax: EnvSyntax, name: &str, value: &[u8]) -> Result<(), &'static str> {
    if value.contains(&0) {
        return Err("the value has a zero byte, which no environment variable can hold");
    }
    if name.len() + value.len() + 2 > LONGEST {
        return Err("the value is longer than the 128 KiB that Linux allows a variable");
    }
    if syntax == EnvSyntax::Nul {
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(value) else { return Err("the value is not UTF-8, which an env file must be") };
    let longest = text.split('\n').map(|line| line.len() + name.len() + 4).max().unwrap_or(0);
    match syntax {
        _ if text.is_empty() => Err("the value is empty, which the kubelet takes for absent"),
        _ if longest >= LONGEST_LINE => Err("the value has a longer line than the kubelet reads"),
        EnvSyntax::Plain if text.len() > LONGEST_PLAIN => Err("the value is longer than the kubelet's 32 KiB"),
        EnvSyntax::Plain if text.contains('\n') => Err("the value has a line break, which a kubelet 1.34 cannot read"),
        EnvSyntax::Plain if text.trim() != text => {
            Err("the value begins or ends with a space, which a kubelet 1.34 drops")
        }
        EnvSyntax::Plain if text.ends_with('\\') => Err("the value ends with a backslash, which a kubelet 1.34 drops"),
        EnvSyntax::Quoted if text.contains('\'') => Err("the value has a single quote, which an env file cannot hold"),
        EnvSyntax::Quoted if text.contains("\r\n") => {
            Err("the value has a carriage return before a line break, which the kubelet drops")
        }
        _ => Ok(()),
    }
}
