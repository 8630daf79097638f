//! Go templates that are given their data: those of the operator's custom resources.

use std::collections::{BTreeMap, BTreeSet};

use sidekey_core::{Code, Sensitive, Value};

use crate::error::TemplateError;
use crate::fields::{Fields, Shape};
use crate::functions::Set;
use crate::go::{BRACES, MissingKey, Program};
use crate::inputs::{Frozen, Inputs, Rendered};
use crate::json;
use crate::map::Map;
use crate::value::Val;

/// Go templates with the operator's functions, parsed into one set: each can call the others by name.
///
/// Their dot is an [`Input`]. A missing key prints `<no value>`, and has no fields either.
pub struct TemplateSet(Program);

/// What templates see: the fields `Secrets`, `Metadata`, `Annotations` and `Labels` of VSO's `SecretInput`.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The secret's fields.
    pub secrets: &'a Value,
    /// A map, or nothing.
    pub metadata: Option<&'a Value>,
    /// The object's; an empty map counts as none, as to Go's reader of objects.
    pub annotations: &'a BTreeMap<String, String>,
    /// The same.
    pub labels: &'a BTreeMap<String, String>,
}

/// What has come of all templates.
pub struct Settled {
    /// In the order in which they were named.
    pub texts: Vec<Sensitive<Vec<u8>>>,
    /// The secret's fields, with what `set`, `unset` and the like have made of them.
    pub secrets: Value,
}

impl TemplateSet {
    /// Parses all of `(name, text)` and checks every function that they name, in dead branches too. What two of them define under one
    /// name is the later one's.
    ///
    /// # Errors
    /// `TemplateSyntax`, also for a name that is taken; `TemplateFunction`.
    pub fn compile<'t>(templates: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, TemplateError> {
        let (mut program, mut names) = (Program::new(Set::Operator, MissingKey::NoValue), BTreeSet::new());
        for (name, text) in templates {
            crate::bounded(name, text)?;
            if !names.insert(name) {
                return Err(TemplateError::new(Code::TemplateSyntax, name, "another template has this name"));
            }
            program.add(name, name, text, BRACES)?;
        }
        program.check("")?;
        Ok(Self(program))
    }

    /// Renders these, one after the other, on the same data: what one changes the next one sees. `frozen` is what functions of
    /// clock and chance answer from: keep it as long as the data is the same, or a file changes with nothing new in it.
    ///
    /// # Errors
    /// `TemplateRender`; its words hold no value of the data.
    pub fn render<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        input: Input<'_>,
        frozen: &Frozen,
    ) -> Result<Settled, TemplateError> {
        let (answers, env) = (BTreeMap::new(), BTreeMap::new());
        let (dot, mut texts) = (input.dot(), Vec::new());
        for name in names {
            if !self.0.has(name) {
                return Err(TemplateError::new(Code::TemplateRender, name, "there is no template of this name"));
            }
            match self.0.run(name, &dot, &Inputs { answers: &answers, env: &env, frozen })? {
                Rendered::Complete { bytes, .. } => texts.push(bytes),
                Rendered::Incomplete { .. } => {
                    return Err(TemplateError::new(Code::TemplateRender, name, "data is missing"));
                }
            }
        }
        Ok(Settled { texts, secrets: secrets(&dot)? })
    }
}

impl Input<'_> {
    fn dot(self) -> Val {
        let strings = |map: &BTreeMap<String, String>| match map.is_empty() {
            true => Val::Map(Map::nil()),
            false => Val::map(map.iter().map(|(key, text)| (key.clone(), Val::str(text.as_str()))).collect()),
        };
        let metadata = self.metadata.filter(|metadata| matches!(metadata, Value::Map(_)));
        let fields = vec![
            ("Secrets", Val::from(self.secrets)),
            ("Metadata", metadata.map_or_else(|| Val::map(BTreeMap::new()), Val::from)),
            ("Annotations", strings(self.annotations)),
            ("Labels", strings(self.labels)),
        ];
        Val::Struct(Fields::new(Shape::Input, fields))
    }
}

/// Through JSON, as Go writes what is no string into a Secret.
fn secrets(dot: &Val) -> Result<Value, TemplateError> {
    let Val::Struct(fields) = dot else { return Ok(Value::Null) };
    let secrets = fields.get("Secrets").unwrap_or(&Val::Nil);
    let wrong = |words: String| TemplateError::new(Code::TemplateRender, "", words);
    json::check(secrets).map_err(|failure| wrong(failure.message))?;
    let text = Sensitive::new(json::encode(secrets, json::PLAIN));
    let text = std::str::from_utf8(text.expose())
        .map_err(|_| wrong("a template has put bytes into the data that are no text".into()))?;
    Value::parse(text).map_err(|_| wrong("a template has put into the data what JSON has no form for".into()))
}
