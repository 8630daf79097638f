//! Names in snake and kebab case: where one word ends and the next begins, as sprig's library sees it.

use super::case::{is_separator, is_upper, lower};
use super::{Out, text};
use crate::value::Val;

pub(crate) fn snakecase(args: &[Val]) -> Out {
    Ok(Val::str(joined(text(args, 0)?, '_')))
}

pub(crate) fn kebabcase(args: &[Val]) -> Out {
    Ok(Val::str(joined(text(args, 0)?, '-')))
}

/// What a run of characters is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Number,
    /// Begins with a capital.
    Capital,
    Letters,
    Separator,
    Punctuation,
    Other,
}

/// The first run of the text.
fn first_run(text: &str) -> Option<(Run, &str)> {
    let first = text.chars().next()?;
    let until = |stop: &dyn Fn(char) -> bool| text.find(stop).unwrap_or(text.len());
    let (run, end) = if is_separator(first) {
        (Run::Separator, until(&|c| !is_separator(c)))
    } else if is_punctuation(first) {
        (Run::Punctuation, until(&|c| !is_punctuation(c)))
    } else if is_upper(first) {
        (Run::Capital, capital(text, first))
    } else if is_letter(first) {
        (Run::Letters, until(&|c| !is_letter(c) || is_upper(c)))
    } else if first.is_numeric() {
        (Run::Number, until(&|c| !c.is_numeric()))
    } else {
        (Run::Other, until(&|c| is_separator(c) || is_letter(c) || c.is_numeric() || is_punctuation(c)))
    };
    Some((run, &text[..end]))
}

/// `HTTPStatus` ends after `HTTP`: the last capital before small letters begins the next word.
fn capital(text: &str, first: char) -> usize {
    let after = &text[first.len_utf8()..];
    let Some(second) = after.chars().next() else { return text.len() };
    if !is_upper(second) {
        let tail = after.find(|c: char| !is_letter(c) || is_upper(c)).unwrap_or(after.len());
        return first.len_utf8() + if is_letter(second) { tail } else { 0 };
    }
    let end = text.find(|c: char| !is_upper(c)).unwrap_or(text.len());
    let small_follows = text[end..].chars().next().is_some_and(is_letter);
    let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
    if small_follows { end - last } else { end }
}

/// A letter, but no ideograph.
fn is_letter(c: char) -> bool {
    c.is_alphabetic()
        && !matches!(c, '\u{2160}'..='\u{2188}' | '\u{24b6}'..='\u{24e9}' | '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}'
            | '\u{20000}'..='\u{2b81d}')
}

/// Unicode's punctuation, which `$+<=>^|~` and the backquote are not.
fn is_punctuation(c: char) -> bool {
    (c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c))
        || matches!(c, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
            | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}')
}

struct Runs<'t> {
    run: Option<Run>,
    word: &'t str,
    rest: &'t str,
}

impl<'t> Runs<'t> {
    fn advance(&mut self) {
        let next = first_run(self.rest);
        self.run = next.map(|(run, _)| run);
        self.word = next.map_or("", |(_, word)| word);
        self.rest = &self.rest[self.word.len()..];
    }

    fn is_word(&self) -> bool {
        matches!(self.run, Some(Run::Number | Run::Capital | Run::Letters | Run::Other))
    }
}

/// Words with the connector between; separators become connectors, punctuation stays.
fn joined(text: &str, connector: char) -> String {
    let mut out = String::new();
    let mut runs = Runs { run: None, word: "", rest: text };
    runs.advance();
    while !runs.rest.is_empty() {
        let (run, word) = (runs.run, runs.word);
        push(&mut out, run, word, connector);
        runs.advance();
        match run {
            Some(Run::Number) => absorb(&mut out, &mut runs, connector),
            Some(Run::Separator | Run::Punctuation) | None => {}
            _ if runs.run == Some(Run::Number) => number_after_word(&mut out, &mut runs, connector),
            _ if runs.is_word() => out.push(connector),
            _ => {}
        }
    }
    push(&mut out, runs.run, runs.word, connector);
    out
}

/// Small letters and digits right after a number belong to it.
fn absorb(out: &mut String, runs: &mut Runs<'_>, connector: char) {
    while matches!(runs.run, Some(Run::Letters | Run::Number)) {
        push(out, runs.run, runs.word, connector);
        runs.advance();
    }
    if runs.is_word() {
        out.push(connector);
    }
}

/// `Bld4Floor` is `bld4_floor`, `HTTP2xx` is `http_2xx`.
fn number_after_word(out: &mut String, runs: &mut Runs<'_>, connector: char) {
    if runs.rest.is_empty() {
        return;
    }
    let number = runs.word;
    runs.advance();
    if runs.run == Some(Run::Letters) {
        out.push(connector);
        out.push_str(number);
        absorb(out, runs, connector);
    } else {
        out.push_str(number);
        if runs.is_word() {
            out.push(connector);
        }
    }
}

fn push(out: &mut String, run: Option<Run>, word: &str, connector: char) {
    match run {
        Some(Run::Separator) => out.extend(word.chars().map(|_| connector)),
        Some(Run::Capital) => out.extend(word.chars().map(lower)),
        _ => out.push_str(word),
    }
}
