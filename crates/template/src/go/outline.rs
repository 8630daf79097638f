//! A Go template before gotmpl sees it: text and actions told apart as Go's lexer does, what is open closes.
//!
//! gotmpl trims white space that is Go's none (U+00A0), and after a comment that trims only before. So the text is trimmed
//! here, comments are dropped, and the rest is written anew between delimiters that no template holds.

use std::ops::Range;

use super::blocks::Blocks;
use super::{Delimiters, lexical};
use crate::failure::Failure;

/// The delimiters of the rewritten text: two of Unicode's noncharacters.
pub(super) const PRIVATE: Delimiters<'static> = Delimiters { left: "\u{ffffe}", right: "\u{fffff}" };

/// What Go's trim markers take, and what separates words.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A template rewritten, and the way back to its own places.
pub(super) struct Outline {
    pub(super) text: String,
    /// Where a piece begins in `text`, and where it stands in the source.
    pieces: Vec<(usize, usize)>,
}

impl Outline {
    /// Reads the whole source.
    ///
    /// # Errors
    /// What is never closed, at the place where it began; what belongs to no block.
    pub(super) fn of(source: &str, delimiters: Delimiters<'_>) -> Result<Self, Failure> {
        if let Some(at) = source.find([PRIVATE.left, PRIVATE.right].map(|mark| mark.chars().next().unwrap_or('\0'))) {
            return Err(Failure::new("the character is reserved").at(at));
        }
        let mut outline = Self { text: String::with_capacity(source.len() + 16), pieces: Vec::new() };
        let mut blocks = Blocks::new(delimiters);
        let (mut at, mut trims) = (0, false);
        while let Some(found) = source[at..].find(delimiters.left) {
            let start = at + found;
            let action = Action::read(source, start, delimiters)?;
            outline.literal(source, at..start, trims, action.trims_before);
            if let Some(body) = action.body {
                blocks.action(action.words[0], action.words[1], start)?;
                outline.text.push_str(PRIVATE.left);
                outline.piece(source, body);
                outline.text.push_str(PRIVATE.right);
            }
            (at, trims) = (action.end, action.trims_after);
        }
        outline.literal(source, at..source.len(), trims, false);
        blocks.finish()?;
        Ok(outline)
    }

    fn literal(&mut self, source: &str, range: Range<usize>, trim_start: bool, trim_end: bool) {
        let text = &source[range.clone()];
        let head = if trim_start { text.len() - text.trim_start_matches(SPACE).len() } else { 0 };
        let tail = if trim_end { text[head..].len() - text[head..].trim_end_matches(SPACE).len() } else { 0 };
        self.piece(source, range.start + head..range.end - tail);
    }

    fn piece(&mut self, source: &str, range: Range<usize>) {
        self.pieces.push((self.text.len(), range.start));
        self.text.push_str(&source[range]);
    }

    /// A failure at a place of the rewritten text, at its place in the source.
    pub(super) fn there(&self, failure: Failure) -> Failure {
        Failure { offset: failure.offset.map(|offset| self.original(offset)), ..failure }
    }

    /// The source's offset of an offset in the rewritten text.
    pub(super) fn original(&self, offset: usize) -> usize {
        let after = self.pieces.partition_point(|(begin, _)| *begin <= offset);
        after.checked_sub(1).map_or(offset, |index| self.pieces[index].1 + offset - self.pieces[index].0)
    }
}

/// One action: its body without trim markers, or none for a comment.
struct Action<'s> {
    body: Option<Range<usize>>,
    words: [&'s str; 2],
    trims_before: bool,
    trims_after: bool,
    end: usize,
}

impl<'s> Action<'s> {
    fn read(source: &'s str, start: usize, delimiters: Delimiters<'_>) -> Result<Self, Failure> {
        let after = start + delimiters.left.len();
        let marker = source[after..].strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACE));
        let begin = after + usize::from(marker);
        // After a trim marker and its one space, a comment may begin.
        let comment = begin + usize::from(marker);
        let action = Self { body: None, words: [""; 2], trims_before: marker, trims_after: false, end: 0 };
        if source[comment..].starts_with("/*") {
            let end = token(&source[comment..]).ok_or_else(|| unclosed('/').at(comment))?;
            return action
                .close(source, comment + end, delimiters)
                .ok_or_else(|| Failure::new("something follows the comment inside its delimiters").at(comment + end));
        }
        action.body(source, start, begin, delimiters)
    }

    /// Walks the tokens to the closing delimiter.
    fn body(
        mut self,
        source: &'s str,
        start: usize,
        begin: usize,
        delimiters: Delimiters<'_>,
    ) -> Result<Self, Failure> {
        let (mut at, mut open, mut count) = (begin, Vec::new(), 0);
        let mut before = lexical::Before::Nothing;
        loop {
            if let Some(closed) = self.close(source, at, delimiters) {
                // Go takes a pipe that leads nowhere.
                let end =
                    begin + source[begin..at].trim_end_matches(SPACE).strip_suffix('|').map_or(at - begin, str::len);
                self = Self { body: Some(begin..if count > 0 { end } else { at }), ..closed };
                return open
                    .pop()
                    .map_or(Ok(self), |paren| Err(Failure::new("this parenthesis is never closed").at(paren)));
            }
            let rest = &source[at..];
            let Some(c) = rest.chars().next() else {
                return Err(Failure::new(format!("this action is never closed with {}", delimiters.right)).at(start));
            };
            match c {
                '(' => open.push(at),
                ')' if open.pop().is_none() => return Err(Failure::new("this `)` closes nothing").at(at)),
                '/' if rest.starts_with("/*") => {
                    return Err(Failure::new("a comment stands alone between its delimiters").at(at));
                }
                _ => {}
            }
            let length = token(rest).ok_or_else(|| unclosed(c).at(at))?;
            before = lexical::check(before, &rest[..length], &rest[length..]).map_err(|failure| failure.at(at))?;
            if count < 2 && !SPACE.contains(&c) {
                self.words[count] = &rest[..length];
                count += 1;
            }
            at += length;
        }
    }

    /// The same action closed at `at`, if a closing delimiter stands there.
    fn close(&self, source: &str, at: usize, delimiters: Delimiters<'_>) -> Option<Self> {
        let rest = &source[at..];
        let marked = rest
            .strip_prefix(SPACE)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| rest.starts_with(delimiters.right));
        let skipped = if marked { 2 } else { 0 };
        (marked || rest.starts_with(delimiters.right)).then(|| Self {
            body: self.body.clone(),
            words: self.words,
            trims_before: self.trims_before,
            trims_after: marked,
            end: at + skipped + delimiters.right.len(),
        })
    }
}

fn unclosed(c: char) -> Failure {
    Failure::new(match c {
        '/' => "this comment is never closed with */",
        '\'' => "this character is never closed",
        _ => "this string is never closed",
    })
}

/// Length of the token that begins the text: a quoted string, a comment, a word, or one character. `None`: no end.
fn token(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    match first {
        '"' | '\'' => quoted(text, first),
        '`' => text[1..].find('`').map(|end| end + 2),
        '/' if text.starts_with("/*") => text[2..].find("*/").map(|end| end + 4),
        _ if lexical::begins_number(text) => Some(lexical::number_length(text)),
        c if is_word(c) => Some(text.find(|c| !is_word(c)).unwrap_or(text.len())),
        c => Some(c.len_utf8()),
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn quoted(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_as_gos_lexer_trims() {
        let delimiters = Delimiters { left: "{{", right: "}}" };
        let cases = [
            ("a {{- 1 -}} b", "a<1>b"),
            ("a {{- /* c */}} b {{/* d */ -}} e", "a b e"),
            ("\u{a0}{{- 1 -}}\u{a0}", "\u{a0}<1>\u{a0}"),
            ("{ {{- 1 }}", "{<1 >"),
            ("{{-1}}{{ \"}}\" }}", "<-1>< \"}}\" >"),
            ("{{/* c */}}{ {{- 2}}", "{<2>"),
        ];
        for (source, want) in cases {
            let outline = Outline::of(source, delimiters).unwrap_or_else(|failure| panic!("{failure:?}"));
            let shown = outline.text.replace(PRIVATE.left, "<").replace(PRIVATE.right, ">");
            assert_eq!(shown.replace("< 1", "<1").replace("< 2", "<2"), want, "{source}");
        }
    }

    #[test]
    fn finds_the_way_back() {
        let source = "é  {{- /* c */ -}}  x {{ .y }}z";
        let outline =
            Outline::of(source, Delimiters { left: "{{", right: "}}" }).unwrap_or_else(|failure| panic!("{failure:?}"));
        for word in ["é", "x", ".y", "z"] {
            let there = outline.text.find(word).unwrap_or_default();
            assert_eq!(source[outline.original(there)..].chars().next(), word.chars().next(), "{word}");
        }
    }
}
