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
mod outline;
mod print;
mod quote;
mod scratch;
mod sprintf;

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::parse::{ListNode, Parser, SmolStr};
use sidekey_core::{Code, Lookup};

pub(crate) use exec::Run;
use outline::{Outline, PRIVATE};

use crate::engine::Engine;
use crate::error::TemplateError;
use crate::failure::Failure;
use crate::inputs::{Inputs, Rendered};

/// A Go template that parsed and calls nothing unknown.
pub(crate) struct GoTemplate {
    name: String,
    source: String,
    outline: Outline,
    body: ListNode,
    defines: BTreeMap<SmolStr, ListNode>,
    strict: bool,
    lookups: BTreeSet<Lookup>,
}

/// The words between which actions stand.
#[derive(Clone, Copy)]
pub(crate) struct Delimiters<'a> {
    pub(crate) left: &'a str,
    pub(crate) right: &'a str,
}

impl GoTemplate {
    /// Parses and checks; `strict` makes a missing key an error.
    pub(crate) fn compile(
        name: &str,
        source: &str,
        delimiters: Delimiters<'_>,
        strict: bool,
    ) -> Result<Self, TemplateError> {
        let refused = |code| move |failure: Failure| failure.into_error(code, name, source);
        let outline = Outline::of(source, delimiters).map_err(refused(Code::TemplateSyntax))?;
        let there =
            |failure: Failure| Failure { offset: failure.offset.map(|offset| outline.original(offset)), ..failure };
        let (body, defines) = parse(&outline.text).map_err(there).map_err(refused(Code::TemplateSyntax))?;
        let lookups = check::check(&body, &defines).map_err(|(code, failure)| refused(code)(there(failure)))?;
        Ok(Self { name: name.to_owned(), source: source.to_owned(), outline, body, defines, strict, lookups })
    }
}

type Defines = BTreeMap<SmolStr, ListNode>;

/// The tree of the rewritten text. Of two definitions with one name, one must be empty, as in Go.
fn parse(text: &str) -> Result<(ListNode, Defines), Failure> {
    let parsed = Parser::new(text, PRIVATE.left, PRIVATE.right).and_then(Parser::parse);
    let (body, parsed) = parsed.map_err(|error| from_parser(text, &error))?;
    let mut defines = Defines::new();
    for define in parsed {
        let empty = define.body.is_empty_tree();
        match defines.get(&define.name) {
            Some(_) if empty => continue,
            Some(before) if !before.is_empty_tree() => {
                let twice = Failure::new(format!("template {:?} is defined twice", define.name.as_str()));
                return Err(twice.at(define.pos.offset));
            }
            _ => defines.insert(define.name, define.body),
        };
    }
    Ok((body, defines))
}

impl Engine for GoTemplate {
    fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError> {
        Run::new(self, inputs).finish().map_err(|failure| {
            let offset = failure.offset.map(|offset| self.outline.original(offset));
            Failure { offset, ..failure }.into_error(Code::TemplateRender, &self.name, &self.source)
        })
    }

    fn literal_lookups(&self) -> BTreeSet<Lookup> {
        self.lookups.clone()
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
