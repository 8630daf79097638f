//! YAML read: block and flow collections, every form of scalar, anchors, aliases, tags and merge keys, one document. What is rare or
//! would surprise is an error: complex keys, and keys that are nothing.

use super::keys::Entries;
use super::marks::Marks;
use crate::failure::Failure;
use crate::map::Map;
use crate::value::Val;

/// Deepest nesting of collections.
const MAX_DEPTH: usize = 64;

/// What YAML calls white space, and line breaks.
pub(super) const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

pub(super) type Read<T> = Result<T, Failure>;

pub(crate) struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    pub(super) marks: Marks,
}

/// The first document of the text; nothing in it is nothing.
///
/// # Errors
/// What is no YAML, or a part of it that is not served; the words name lines, never values.
pub(crate) fn document(text: &str) -> Read<Val> {
    let mut reader =
        Reader { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, depth: 0, marks: Marks::default() };
    if reader.blank()?.is_some() && reader.is_mark("---") {
        reader.at += 3;
        reader.spaces();
    }
    let column = match reader.rest().chars().next() {
        Some(c) if !matches!(c, '\n' | '\r' | '#') => Some(reader.column()),
        _ => reader.blank()?,
    };
    let Some(column) = column.filter(|_| !reader.ends()) else { return Ok(Val::Nil) };
    let value = reader.block(None, column)?;
    match reader.blank()? {
        Some(_) if !reader.ends() => Err(reader.wrong("something follows the document")),
        _ => Ok(value),
    }
}

impl<'t> Reader<'t> {
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn advance(&mut self, by: usize) {
        self.at += by;
    }

    pub(super) fn wrong(&self, what: &str) -> Failure {
        let line = self.text[..self.at].matches('\n').count() + 1;
        Failure::new(format!("the text is no YAML that is served: {what}, in its line {line}"))
    }

    fn column(&self) -> usize {
        let start = self.text[..self.at].rfind('\n').map_or(0, |line| line + 1);
        self.text[start..self.at].chars().count()
    }

    pub(super) fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// To the next line that says something; its column.
    pub(super) fn blank(&mut self) -> Read<Option<usize>> {
        loop {
            let start = self.at == 0 || self.text[..self.at].ends_with('\n');
            let indent = self.rest().len() - self.rest().trim_start_matches(' ').len();
            self.at += indent;
            let white = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
            let line = &self.rest()[white..];
            match line.chars().next() {
                None => {
                    self.at = self.text.len();
                    return Ok(None);
                }
                Some('\n' | '\r' | '#') => self.at += white + line.find('\n').map_or(line.len(), |end| end + 1),
                Some(_) if white > 0 && start => return Err(self.wrong("a tab indents")),
                Some(_) => {
                    self.at += white;
                    return Ok(Some(self.column()));
                }
            }
        }
    }

    /// Whether the line says nothing more.
    pub(super) fn line_ends(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with(['\n', '\r', '#'])
    }

    /// `---` or `...` at the start of a line.
    pub(super) fn is_mark(&self, mark: &str) -> bool {
        let after = self.rest().strip_prefix(mark);
        self.column() == 0 && after.is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\n', '\r']))
    }

    pub(super) fn ends(&self) -> bool {
        self.is_mark("---") || self.is_mark("...")
    }

    fn dash(&self) -> bool {
        self.rest()
            .strip_prefix('-')
            .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\n', '\r']))
    }

    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.wrong("it nests too deep"));
        }
        self.depth += 1;
        let done = inner(self);
        self.depth -= 1;
        done
    }

    /// A node that begins here, in that column; lines of its own are indented deeper than `parent`.
    fn block(&mut self, parent: Option<usize>, column: usize) -> Read<Val> {
        if self.dash() {
            return self.nested(|reader| reader.sequence(column));
        }
        // Anchor and tag are the key's, if one stands on their line.
        if self.begins_key()? {
            return self.nested(|reader| reader.mapping(column));
        }
        if self.has_marks() {
            return self.marked(|reader| {
                let below = parent.unwrap_or(0);
                match reader.line_ends() {
                    true if parent.is_some() => reader.below(below, false),
                    true => reader.blank()?.map_or(Ok(Val::Nil), |column| reader.block(None, column)),
                    false => reader.block(parent, column),
                }
            });
        }
        self.scalar(parent)
    }

    fn begins_key(&mut self) -> Read<bool> {
        let (start, tag) = (self.at, self.marks.tag.take());
        let found = self.key()?.is_some();
        (self.at, self.marks.tag) = (start, tag);
        Ok(found)
    }

    fn sequence(&mut self, column: usize) -> Read<Val> {
        let mut items = Vec::new();
        self.marks.drop_tag();
        loop {
            self.at += 1;
            self.spaces();
            items.push(if self.line_ends() {
                self.below(column, false)?
            } else {
                let inner = self.column();
                self.block(Some(column), inner)?
            });
            match self.blank()? {
                Some(next) if next == column && self.dash() => {}
                Some(next) if next > column => return Err(self.wrong("a line is indented too far")),
                _ => return Ok(Val::list(items)),
            }
        }
    }

    fn mapping(&mut self, column: usize) -> Read<Val> {
        let mut entries = Entries::new();
        self.marks.drop_tag();
        loop {
            let key = self.key()?.ok_or_else(|| self.wrong("a key is missing"))?;
            self.spaces();
            let value = self
                .marked(|reader| if reader.line_ends() { reader.below(column, true) } else { reader.inline(column) })?;
            self.enter(&mut entries, key, value)?;
            match self.blank()? {
                Some(next) if next == column && !self.ends() && !self.dash() => {}
                Some(next) if next >= column && !self.ends() => return Err(self.wrong("a line is indented too far")),
                _ => return Ok(Val::Map(Map::of_yaml(entries))),
            }
        }
    }

    /// A value beside its key: a scalar or a flow, no collection of lines.
    fn inline(&mut self, column: usize) -> Read<Val> {
        if self.dash() || (!self.rest().starts_with(['{', '[']) && self.begins_key()?) {
            return Err(self.wrong("a collection begins beside a key"));
        }
        self.scalar(Some(column))
    }

    /// What stands on the lines below a dash or a key, or nothing. A list may stand right below its key.
    fn below(&mut self, column: usize, lists: bool) -> Read<Val> {
        match self.blank()? {
            Some(_) if self.ends() => Ok(Val::Nil),
            Some(next) if next > column => self.block(Some(column), next),
            Some(next) if lists && next == column && self.dash() => self.nested(|reader| reader.sequence(column)),
            _ => Ok(Val::Nil),
        }
    }

    /// What begins a form that is not served.
    pub(super) fn refuse(&self, text: &str) -> Read<()> {
        let complex = text == "?" || text.starts_with("? ");
        match text.chars().next() {
            Some('&' | '*' | '!') => Err(self.wrong("an anchor, an alias or a tag where none can be")),
            Some('%' | '@' | '`' | ',' | ']' | '}') => Err(self.wrong("a character that begins no value")),
            _ if complex => Err(self.wrong("a complex key")),
            _ => Ok(()),
        }
    }
}
