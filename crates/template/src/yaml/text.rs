//! Scalars and flow collections of the reader.

use super::keys::Entries;
use super::plain;
use super::read::{BLANK, Read, Reader};
use crate::map::Map;
use crate::value::Val;

impl Reader<'_> {
    /// A scalar or a flow collection that begins here; what follows on its line is checked.
    pub(super) fn scalar(&mut self, parent: Option<usize>) -> Read<Val> {
        let value = match self.peek() {
            Some('|' | '>') => return self.literal(parent),
            Some('"' | '\'') => {
                let text = self.quoted()?;
                self.tagged(text, true)?
            }
            Some('[' | '{') => self.nested(Self::flow)?,
            Some('*') => self.alias()?,
            _ => return self.bare(parent),
        };
        let before = self.rest();
        self.spaces();
        if self.rest().starts_with('#') && before.starts_with('#') || !self.line_ends() {
            return Err(self.wrong("something follows a value"));
        }
        Ok(value)
    }

    /// A bare text, which may go on below, further in than its parent.
    fn bare(&mut self, parent: Option<usize>) -> Read<Val> {
        self.refuse(self.rest().split('\n').next().unwrap_or_default())?;
        let mut out = self.bare_line()?.to_owned();
        loop {
            let start = (self.rest(), self.rest().len());
            let column = self.blank()?;
            let between = &start.0[..start.1 - self.rest().len()];
            let comment = between.lines().any(|line| line.trim_start().starts_with('#'));
            let breaks = between.matches('\n').count();
            let goes_on = column.is_some_and(|column| parent.is_none_or(|parent| column > parent)) && !self.ends();
            if !goes_on || comment {
                return if goes_on {
                    Err(self.wrong("a text goes on after a comment"))
                } else {
                    self.tagged(out, false)
                };
            }
            out.push_str(&if breaks > 1 { "\n".repeat(breaks - 1) } else { " ".to_owned() });
            out.push_str(self.bare_line()?);
        }
    }

    fn bare_line(&mut self) -> Read<&str> {
        let line = self.rest().split('\n').next().unwrap_or_default();
        let end = plain::end(line, false).unwrap_or(line.len());
        if line[end..].starts_with(':') {
            return Err(self.wrong("a colon inside a bare text; quote it"));
        }
        self.advance(end);
        Ok(line[..end].trim_end_matches(BLANK))
    }

    /// A text in quotes, over lines too.
    pub(super) fn quoted(&mut self) -> Read<String> {
        let mark = self.peek().unwrap_or('"');
        self.advance(1);
        let mut out = String::new();
        loop {
            let c = self.peek().ok_or_else(|| self.wrong("a quote is never closed"))?;
            match c {
                '\n' | '\r' => self.fold(&mut out),
                '\\' if mark == '"' => self.escape(&mut out)?,
                c if c == mark => {
                    self.advance(1);
                    if mark == '"' || self.peek() != Some('\'') {
                        return Ok(out);
                    }
                    out.push('\'');
                    self.advance(1);
                }
                c => {
                    out.push(c);
                    self.advance(c.len_utf8());
                }
            }
        }
    }

    /// A line break inside quotes is a space, empty lines are line breaks; spaces around go.
    fn fold(&mut self, out: &mut String) {
        out.truncate(out.trim_end_matches([' ', '\t']).len());
        let white = self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
        let breaks = self.rest()[..white].matches('\n').count();
        out.push_str(&if breaks > 1 { "\n".repeat(breaks - 1) } else { " ".to_owned() });
        self.advance(white);
    }

    fn escape(&mut self, out: &mut String) -> Read<()> {
        let wrong = |reader: &Self| reader.wrong("an escape that is none");
        let c = self.rest()[1..].chars().next().ok_or_else(|| wrong(self))?;
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '\n' => {
                self.advance(2);
                self.spaces();
                return Ok(());
            }
            _ => 0,
        };
        if digits > 0 {
            let code = self.rest().get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
            out.push(code.and_then(char::from_u32).ok_or_else(|| wrong(self))?);
            self.advance(2 + digits);
            return Ok(());
        }
        const NAMED: &str =
            "0\0a\u{7}b\u{8}t\t\t\tn\nv\u{b}f\u{c}r\re\u{1b}\"\"//\\\\N\u{85}_\u{a0}L\u{2028}P\u{2029}  ";
        let mut named = NAMED.chars();
        while let (Some(name), Some(value)) = (named.next(), named.next()) {
            if name == c {
                out.push(value);
                self.advance(1 + c.len_utf8());
                return Ok(());
            }
        }
        Err(wrong(self))
    }

    /// `[…]` or `{…}`.
    fn flow(&mut self) -> Read<Val> {
        let list = self.peek() == Some('[');
        let close = if list { ']' } else { '}' };
        let (mut items, mut entries) = (Vec::new(), Entries::new());
        self.advance(1);
        self.marks.drop_tag();
        loop {
            self.flow_blank();
            if self.peek() == Some(close) {
                self.advance(1);
                return Ok(if list { Val::list(items) } else { Val::Map(Map::of_yaml(entries)) });
            }
            if list {
                let item = self.flow_value()?;
                self.flow_blank();
                items.push(if self.peek() == Some(':') { self.lone_pair(&item)? } else { item });
            } else {
                let key = self.flow_key()?;
                self.flow_blank();
                let value = if self.peek() == Some(':') { self.flow_after_colon()? } else { Val::Nil };
                self.enter(&mut entries, key, value)?;
            }
            self.flow_blank();
            match self.peek() {
                Some(',') => self.advance(1),
                Some(c) if c == close => {}
                _ => return Err(self.wrong("a comma or a bracket is missing")),
            }
        }
    }

    /// White space, line breaks and comments, which mean nothing inside brackets.
    pub(super) fn flow_blank(&mut self) {
        loop {
            let rest = self.rest();
            self.advance(rest.len() - rest.trim_start_matches(BLANK).len());
            if !self.rest().starts_with('#') {
                return;
            }
            let comment = self.rest().find('\n').unwrap_or(self.rest().len());
            self.advance(comment);
        }
    }

    fn flow_value(&mut self) -> Read<Val> {
        if self.has_marks() {
            return self.marked(|reader| {
                reader.flow_blank();
                if matches!(reader.peek(), Some(',' | ']' | '}')) { Ok(Val::Nil) } else { reader.flow_value() }
            });
        }
        match self.peek() {
            Some('[' | '{') => self.nested(Self::flow),
            Some('*') => self.alias(),
            Some('"' | '\'') => {
                let text = self.quoted()?;
                self.tagged(text, true)
            }
            _ => {
                let text = self.flow_text()?;
                self.tagged(text, false)
            }
        }
    }

    pub(super) fn flow_text(&mut self) -> Read<String> {
        self.refuse(self.rest())?;
        if self.rest().starts_with("- ") || self.rest().starts_with(['|', '>']) {
            return Err(self.wrong("a dash or a block inside brackets"));
        }
        let end = plain::end(self.rest(), true).unwrap_or(self.rest().len());
        let text = self.rest()[..end].trim_end_matches(BLANK).to_owned();
        self.advance(end);
        let goes_on = self
            .rest()
            .trim_start_matches(BLANK)
            .chars()
            .next()
            .is_some_and(|c| !matches!(c, ',' | ']' | '}' | ':' | '#'));
        if goes_on || text.is_empty() || text.starts_with('-') && text.len() == 1 {
            return Err(self.wrong("a value inside brackets that is none, or on several lines; quote it"));
        }
        Ok(text)
    }

    /// A value behind the colon that is here, or nothing.
    pub(super) fn flow_after_colon(&mut self) -> Read<Val> {
        self.advance(1);
        self.flow_blank();
        if matches!(self.peek(), Some(',' | ']' | '}')) { Ok(Val::Nil) } else { self.flow_value() }
    }

    /// `|` keeps lines, `>` folds them; `-` and `+` say what becomes of the last breaks, a digit how far it is indented.
    fn literal(&mut self, parent: Option<usize>) -> Read<Val> {
        let head = self.rest().split('\n').next().unwrap_or_default();
        let (marks, comment) = head.split_at(head.find([' ', '\t', '#', '\r']).unwrap_or(head.len()));
        let folds = marks.starts_with('>');
        let digit = marks[1..].chars().find_map(|c| c.to_digit(10));
        let count = |wanted: &[char]| marks[1..].chars().filter(|c| wanted.contains(c)).count();
        let fine = marks[1..].chars().all(|c| matches!(c, '+' | '-' | '1'..='9'))
            && count(&['+', '-']) <= 1
            && marks.len() <= 3;
        if !fine || !(comment.trim().is_empty() || comment.trim_start().starts_with('#') && !comment.starts_with('#')) {
            return Err(self.wrong("a block that begins oddly"));
        }
        self.advance(head.len() + usize::from(self.rest().len() > head.len()));
        let least = parent.map_or(1, |parent| parent + 1);
        let told = digit.and_then(|digit| usize::try_from(digit).ok()).map(|digit| digit + parent.unwrap_or(0));
        let lines = self.literal_lines(told, least)?;
        let mut text = if folds { folded(&lines) } else { lines.concat() };
        let kept = text.trim_end_matches('\n').len();
        match (marks.contains('+'), marks.contains('-')) {
            (true, _) => {}
            (_, true) => text.truncate(kept),
            _ => text.truncate(if kept == 0 { 0 } else { (kept + 1).min(text.len()) }),
        }
        self.tagged(text, true)
    }

    /// The lines without their indentation, each with its break.
    fn literal_lines(&mut self, told: Option<usize>, least: usize) -> Read<Vec<String>> {
        let (mut indent, mut lines) = (told, Vec::new());
        while !self.rest().is_empty() {
            let line = self.rest().split_inclusive('\n').next().unwrap_or_default();
            let body = line.trim_end_matches(['\n', '\r']);
            let spaces = body.len() - body.trim_start_matches(' ').len();
            if spaces == body.len() && indent.is_none_or(|indent| spaces <= indent) {
                lines.push("\n".to_owned());
            } else {
                let wanted = *indent.get_or_insert(spaces);
                if spaces < wanted || wanted < least || self.ends() {
                    break;
                }
                lines.push(format!("{}{}", &body[wanted..], if line.ends_with('\n') { "\n" } else { "" }));
            }
            self.advance(line.len());
        }
        Ok(lines)
    }
}

/// Single breaks between lines become spaces, save around lines that are indented further.
fn folded(lines: &[String]) -> String {
    let mut out = String::new();
    let (mut pending, mut deeper) = (0, true);
    for line in lines {
        let body = line.trim_end_matches('\n');
        if body.is_empty() {
            pending += 1;
            continue;
        }
        let spaced = body.starts_with([' ', '\t']);
        if !out.is_empty() || pending > 0 {
            match (deeper || spaced, pending) {
                (true, pending) => out.push_str(&"\n".repeat(pending + usize::from(!out.is_empty()))),
                (false, 0) => out.push(' '),
                (false, pending) => out.push_str(&"\n".repeat(pending)),
            }
        }
        out.push_str(body);
        (pending, deeper) = (0, spaced);
    }
    let last = lines.iter().rev().find(|line| line.as_str() != "\n").is_some_and(|line| line.ends_with('\n'));
    out.push_str(&"\n".repeat(pending + usize::from(last)));
    out
}
