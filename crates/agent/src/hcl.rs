//! HCL1 and JSON as Vault Agent's files are written, into one tree that knows its lines.
//!
//! Small on purpose: no references, no functions, and `${…}` stays as it stands. Input, depth and errors are bounded; an
//! error names a line and never quotes a value, which may be a secret.

/// Longest file, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// Deepest nesting.
const MAX_DEPTH: usize = 24;

/// A block's entries in their order; a key may come several times.
pub(crate) type Block = Vec<Entry>;

/// `key "label" … = value`.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    /// Of blocks: `sink "file" {`.
    pub(crate) labels: Vec<String>,
    pub(crate) value: Value,
}

/// A value. A number is the text it was.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Block(Block),
}

/// Where it went wrong, and what was hoped for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) words: &'static str,
}

/// Reads a whole file; one that begins with `{` is JSON, or a body in braces.
pub(crate) fn parse(text: &str) -> Result<Block, Wrong> {
    if text.len() > MAX_BYTES {
        return Err(Wrong { line: 1, words: "the file is longer than 1 MiB" });
    }
    let mut reader = Reader { rest: text.trim_start_matches('\u{feff}'), line: 1 };
    reader.blank()?;
    let braces = reader.take('{');
    let block = reader.body(braces, 0)?;
    reader.blank()?;
    if reader.rest.is_empty() { Ok(block) } else { Err(reader.wrong("nothing after the closing brace")) }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    const fn wrong(&self, words: &'static str) -> Wrong {
        Wrong { line: self.line, words }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest.starts_with(c);
        if found {
            self.advance(c.len_utf8());
        }
        found
    }

    /// Blanks and comments.
    fn blank(&mut self) -> Result<(), Wrong> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").ok_or_else(|| self.wrong("the end of the comment"))?;
                self.advance(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn body(&mut self, braces: bool, depth: usize) -> Result<Block, Wrong> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("less than 24 levels"));
        }
        let mut block = Block::new();
        loop {
            self.blank()?;
            while self.take(',') {
                self.blank()?;
            }
            if braces && self.take('}') {
                return Ok(block);
            }
            if self.rest.is_empty() {
                return if braces { Err(self.wrong("a closing brace")) } else { Ok(block) };
            }
            block.push(self.entry(depth)?);
        }
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, Wrong> {
        let line = self.line;
        let key = self.key()?;
        let mut labels = Vec::new();
        loop {
            self.blank()?;
            match self.peek() {
                Some('=' | ':') => {
                    self.advance(1);
                    self.blank()?;
                    let value = self.value(depth)?;
                    return Ok(Entry { key, line, labels, value });
                }
                Some('{') => {
                    self.advance(1);
                    let value = Value::Block(self.body(true, depth + 1)?);
                    return Ok(Entry { key, line, labels, value });
                }
                _ if labels.len() < 4 => labels.push(self.key()?),
                _ => return Err(self.wrong("an equals sign or an opening brace")),
            }
        }
    }

    /// A name, or one in quotes.
    fn key(&mut self) -> Result<String, Wrong> {
        if self.take('"') {
            return self.quoted();
        }
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let length = self.rest.find(|c: char| !part(c)).unwrap_or(self.rest.len());
        if length == 0 {
            return Err(self.wrong("a name"));
        }
        Ok(self.advance(length).to_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        match self.peek() {
            Some('"') => {
                self.advance(1);
                self.quoted().map(Value::Text)
            }
            Some('{') => {
                self.advance(1);
                self.body(true, depth + 1).map(Value::Block)
            }
            Some('[') => {
                self.advance(1);
                self.list(depth + 1).map(Value::List)
            }
            Some('<') => self.heredoc().map(Value::Text),
            Some(_) => self.word(),
            None => Err(self.wrong("a value")),
        }
    }

    fn word(&mut self) -> Result<Value, Wrong> {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
        let length = self.rest.find(|c: char| !part(c)).unwrap_or(self.rest.len());
        let line = self.line;
        let word = self.advance(length);
        match word {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            number if number.parse::<f64>().is_ok_and(f64::is_finite) || octal_or_hex(number) => {
                Ok(Value::Number(number.to_owned()))
            }
            _ => Err(Wrong { line, words: "a value: text in quotes, a number, true, false, a list or a block" }),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, Wrong> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("less than 24 levels"));
        }
        let mut items = Vec::new();
        loop {
            self.blank()?;
            if self.take(']') {
                return Ok(items);
            }
            items.push(self.value(depth)?);
            self.blank()?;
            if !self.take(',') && !self.rest.starts_with(']') {
                return Err(self.wrong("a comma or a closing bracket"));
            }
        }
    }

    /// Behind the opening quote. Within `${…}` quotes and line ends are text.
    fn quoted(&mut self) -> Result<String, Wrong> {
        let (mut text, mut inside) = (String::new(), 0_usize);
        loop {
            let Some(c) = self.peek() else { return Err(self.wrong("the closing quote")) };
            if inside == 0 && c == '\n' {
                return Err(self.wrong("the closing quote on the same line; a heredoc (<<EOF) has several"));
            }
            self.advance(c.len_utf8());
            match c {
                '"' if inside == 0 => return Ok(text),
                '\\' if inside == 0 => text.push(self.escape()?),
                '$' if self.rest.starts_with('{') => {
                    self.advance(1);
                    inside += 1;
                    text.push_str("${");
                }
                '{' if inside > 0 => {
                    inside += 1;
                    text.push(c);
                }
                '}' if inside > 0 => {
                    inside -= 1;
                    text.push(c);
                }
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        let c = self.peek().ok_or_else(|| self.wrong("the closing quote"))?;
        self.advance(c.len_utf8());
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'a' => '\u{7}',
            'v' => '\u{b}',
            '"' | '\\' | '/' => c,
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            _ => return Err(self.wrong("an escape such as \\n, \\\" or \\\\")),
        })
    }

    /// JSON writes what is beyond four digits as two halves.
    fn code(&mut self, digits: usize) -> Result<char, Wrong> {
        let first = self.hex(digits)?;
        let whole = if digits == 4 && (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
            self.advance(2);
            let second = self.hex(4)?;
            0x1_0000 + ((first - 0xd800) << 10) + second.wrapping_sub(0xdc00)
        } else {
            first
        };
        char::from_u32(whole).ok_or_else(|| self.wrong("the code of a character"))
    }

    fn hex(&mut self, digits: usize) -> Result<u32, Wrong> {
        let text = self.rest.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let number = number.ok_or_else(|| self.wrong("hexadecimal digits"))?;
        self.advance(digits);
        Ok(number)
    }

    /// `<<EOF` up to a line that holds the word alone; `<<-EOF` takes the common indentation off.
    fn heredoc(&mut self) -> Result<String, Wrong> {
        if !self.rest.starts_with("<<") {
            return Err(self.wrong("a value"));
        }
        self.advance(2);
        let indented = self.take('-');
        let end = self.rest.find('\n').ok_or_else(|| self.wrong("a line after the heredoc's word"))?;
        let word = self.advance(end).trim();
        if word.is_empty() {
            return Err(self.wrong("the heredoc's word"));
        }
        self.advance(1);
        let mut lines = Vec::new();
        loop {
            if self.rest.is_empty() {
                return Err(self.wrong("the heredoc's end"));
            }
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            let line = self.advance(length);
            if line.trim() == word {
                return Ok(joined(&lines, indented));
            }
            lines.push(line);
            self.take('\n');
        }
    }
}

fn joined(lines: &[&str], indented: bool) -> String {
    let blanks = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(blanks).min().unwrap_or(0);
    let cut = if indented { common } else { 0 };
    lines.iter().map(|line| format!("{}\n", line.get(cut..).unwrap_or_default())).collect()
}

fn octal_or_hex(word: &str) -> bool {
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    hex.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
#[path = "hcl_tests.rs"]
mod tests;
