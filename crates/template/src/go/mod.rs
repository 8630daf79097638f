//! Go's text/template in consul-template's dialect: text → outline (trimmed, all closes) → gotmpl's tree → check (names
//! exist) → run.
//!
//! gotmpl parses the actions. Running is ours: its executor has no positions, quotes values in its errors, knows no numbers
//! as received, and cannot stop at missing data. Its parser takes an unclosed block for closed and ends at a stray
//! `{{end}}`; the outline refuses both before.

mod blocks;
pub(crate) mod builtin;
mod check;
pub(crate) mod data;
mod eval;
mod exec;
pub(crate) mod frozen;
pub(crate) mod keys;
mod lexical;
mod outline;
pub(crate) mod print;
mod quote;
mod scratch;
mod sprintf;
mod syntax;

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::parse::{ListNode, Parser, SmolStr};
use sidekey_core::{Code, Lookup};

pub(crate) use exec::Run;
use outline::{Outline, PRIVATE};

use crate::engine::Engine;
use crate::error::TemplateError;
use crate::failure::Failure;
use crate::functions::Set;
use crate::inputs::{Inputs, Rendered};
use crate::value::Val;

/// What a key that a map does not have yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingKey {
    /// An error.
    Error,
    /// Nothing of the map's type, as consul-template sets it: fields of nothing are an error.
    Zero,
    /// No value, as Go does unless told otherwise: neither has any of its fields.
    NoValue,
}

/// Parsed and checked templates that can call each other.
pub(crate) struct Program {
    sources: Vec<Source>,
    templates: BTreeMap<SmolStr, Defined>,
    functions: Set,
    missing: MissingKey,
    asked: check::Asked,
    limits: Limits,
}

/// What a template may not do.
pub(crate) struct Limits {
    /// A missing key is an error.
    pub(crate) strict: bool,
    /// Below which `file` stays.
    pub(crate) sandbox: Option<String>,
    /// Functions that fail when they are called, by name or with `*`.
    pub(crate) denied: Vec<String>,
}

impl Limits {
    const fn new() -> Self {
        Self { strict: false, sandbox: None, denied: Vec::new() }
    }

    fn deny(&self, name: &str) -> bool {
        self.denied.iter().any(|pattern| matches(pattern, name))
    }
}

/// Whether the name is the pattern with something, or nothing, for each `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name
            .strip_prefix(start)
            .is_some_and(|name| (0..=name.len()).filter_map(|at| name.get(at..)).any(|name| matches(rest, name))),
    }
}

struct Source {
    name: String,
    text: String,
    outline: Outline,
}

/// A template's body, and the source that it stands in.
struct Defined {
    source: usize,
    body: ListNode,
}

/// The words between which actions stand.
#[derive(Clone, Copy)]
pub(crate) struct Delimiters<'a> {
    pub(crate) left: &'a str,
    pub(crate) right: &'a str,
}

/// The usual ones.
pub(crate) const BRACES: Delimiters<'static> = Delimiters { left: "{{", right: "}}" };

impl Program {
    pub(crate) const fn new(functions: Set, missing: MissingKey) -> Self {
        let asked = check::Asked { lookups: BTreeSet::new(), files: BTreeSet::new() };
        Self { sources: Vec::new(), templates: BTreeMap::new(), functions, missing, asked, limits: Limits::new() }
    }

    /// Adds one source, whose text outside every definition is the template `key`.
    pub(crate) fn add(
        &mut self,
        name: &str,
        key: &str,
        text: &str,
        delimiters: Delimiters<'_>,
    ) -> Result<(), TemplateError> {
        let refused = |failure: Failure| failure.into_error(Code::TemplateSyntax, name, text);
        let outline = Outline::of(text, delimiters).map_err(refused)?;
        let there = |failure: Failure| refused(outline.there(failure));
        let parsed = Parser::new(&outline.text, PRIVATE.left, PRIVATE.right).and_then(Parser::parse);
        let (body, defines) = parsed.map_err(|error| there(from_parser(&outline.text, &error)))?;
        let own = defines.into_iter().map(|define| (define.name, define.body, define.pos.offset));
        for (name, body, offset) in own.chain([(SmolStr::from(key), body, 0)]) {
            self.define(name, body).map_err(|failure| there(failure.at(offset)))?;
        }
        self.sources.push(Source { name: name.to_owned(), text: text.to_owned(), outline });
        Ok(())
    }

    /// Of two definitions with one name in one source, one must be empty; of two sources the later one counts. As in Go.
    fn define(&mut self, name: SmolStr, body: ListNode) -> Result<(), Failure> {
        let empty = body.is_empty_tree();
        match self.templates.get(&name) {
            Some(_) if empty => {}
            Some(before) if before.source == self.sources.len() && !before.body.is_empty_tree() => {
                return Err(Failure::new(format!("template {:?} is defined twice", name.as_str())));
            }
            _ => drop(self.templates.insert(name, Defined { source: self.sources.len(), body })),
        }
        Ok(())
    }

    /// Once all sources are there: every name that they use exists.
    pub(crate) fn check(&mut self, main: &str) -> Result<(), TemplateError> {
        let asked = check::check(main, &self.templates, self.functions);
        self.asked = asked.map_err(|(code, failure)| self.error(code, failure))?;
        Ok(())
    }

    /// Whether these words are a part of the templates' own text.
    pub(super) fn says(&self, words: &str) -> bool {
        self.sources.iter().any(|source| source.text.contains(words))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.templates.contains_key(name)
    }

    /// Runs the template of this name on `dot`.
    pub(crate) fn run(&self, name: &str, dot: &Val, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        let done = Run::new(self, inputs).finish(name, dot);
        done.map_err(|failure| self.error(Code::TemplateRender, failure))
    }

    fn error(&self, code: Code, failure: Failure) -> TemplateError {
        match self.sources.get(failure.source.unwrap_or(0)) {
            Some(source) => source.outline.there(failure).into_error(code, &source.name, &source.text),
            None => TemplateError::new(code, "", failure.message),
        }
    }
}

/// A Go template of the agent.
pub(crate) struct GoTemplate(Program);

/// consul-template's own name for the template itself.
const MAIN: &str = "";

impl GoTemplate {
    /// Parses and checks.
    pub(crate) fn compile(
        name: &str,
        source: &str,
        delimiters: Delimiters<'_>,
        limits: Limits,
    ) -> Result<Self, TemplateError> {
        let missing = if limits.strict { MissingKey::Error } else { MissingKey::Zero };
        let mut program = Program::new(Set::Agent, missing);
        program.add(name, MAIN, source, delimiters)?;
        program.check(MAIN)?;
        program.limits = limits;
        Ok(Self(program))
    }
}

impl Engine for GoTemplate {
    fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        self.0.run(MAIN, &Val::Void, inputs)
    }

    fn literal_lookups(&self) -> BTreeSet<Lookup> {
        self.0.asked.lookups.clone()
    }

    fn literal_files(&self) -> BTreeSet<String> {
        self.0.asked.files.clone()
    }
}

/// gotmpl's own words for token kinds are its enum's names; its place for a bad number is behind it.
fn from_parser(text: &str, error: &gotmpl::TemplateError) -> Failure {
    let (gotmpl::TemplateError::Parse { line, col, message, .. }
    | gotmpl::TemplateError::Lex { line, col, message, .. }) = error
    else {
        return Failure::new("the template does not parse");
    };
    let words = [
        ("RightDelim", "the closing delimiter"),
        ("RightParen", "`)`"),
        ("LeftParen", "`(`"),
        ("empty command", "an expression is missing here"),
    ];
    let shown = words.iter().fold(message.clone(), |text, (from, to)| text.replace(from, to));
    let failure = Failure::new(shown.split(" (\"").next().unwrap_or(&shown));
    let Some(line_start) = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .reduce(|a, b| a + b)
        .or(Some(0))
        .filter(|_| *line > 0)
    else {
        return failure;
    };
    let offset =
        text[line_start..].char_indices().nth(col.saturating_sub(1)).map_or(text.len(), |(at, _)| line_start + at);
    if matches!(error, gotmpl::TemplateError::Lex { .. }) && message.contains("number") || message.contains("literal") {
        return failure
            .at(text[..offset].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "._+-".contains(c)).len());
    }
    failure.at(offset)
}
