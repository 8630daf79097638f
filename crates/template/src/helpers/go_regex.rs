//! Go's regular expressions in the words of an engine that knows ASCII alone: classes are told range by range, and what ignores
//! case carries the other cases itself (<https://pkg.go.dev/regexp/syntax>).

use super::char_set::{CharSet, cases};
use super::unicode;
use crate::failure::Failure;

/// Characters that a pattern's classes may have folded, each looked at by itself, and ranges of Unicode's classes.
const EFFORT: u32 = 1 << 20;

/// What looking a class of Unicode up costs of that, beside its ranges.
const LOOK_UP: usize = 64;

const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// The pattern as the engine reads it.
///
/// # Errors
/// What Go refuses and the engine would take, and what is too large.
pub(crate) fn translated(pattern: &str) -> Result<String, Failure> {
    let start = Translation { rest: pattern, out: String::new(), ignores_case: vec![false], effort: EFFORT };
    start.run()
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
    /// Whether case is ignored, for each group that is open.
    ignores_case: Vec<bool>,
    effort: u32,
}

/// What one item of a class or an escape stands for.
enum Item {
    One(char),
    Set(CharSet),
}

fn bad(what: &str) -> Failure {
    Failure::new(format!("the pattern is not a regular expression: {what}"))
}

impl Translation<'_> {
    fn run(mut self) -> Result<String, Failure> {
        let mut repeated = Repeated::default();
        while let Some(c) = self.rest.chars().next() {
            let from = self.rest;
            match c {
                '\\' => self.escape()?,
                '[' => {
                    let class = self.class()?;
                    self.out.push_str(&class);
                }
                '(' => self.open()?,
                ')' => {
                    self.ignores_case.truncate(self.ignores_case.len().saturating_sub(1).max(1));
                    self.keep(1);
                }
                '{' if !counts(from) => self.literal(1, '{'),
                '{' => self.keep(from.find('}').map_or(1, |end| end + 1)),
                '|' | '*' | '+' | '?' | '.' | '^' | '$' => self.keep(1),
                c => self.literal(c.len_utf8(), c),
            }
            repeated.next(&from[..from.len() - self.rest.len()])?;
        }
        Ok(self.out)
    }

    /// Takes what the engine reads as Go does.
    fn keep(&mut self, length: usize) {
        self.out.push_str(&self.rest[..length]);
        self.rest = &self.rest[length..];
    }

    fn folds(&self) -> bool {
        self.ignores_case.last().is_some_and(|ignores| *ignores)
    }

    /// One character for itself, with its other cases where they count.
    fn literal(&mut self, length: usize, c: char) {
        self.rest = &self.rest[length..];
        let mut set = vec![(c, c)];
        if self.folds() {
            cases(c, |other| set.push((other, other)));
        }
        if let [_] = set[..] {
            self.out.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
        } else {
            self.out.push_str(&CharSet::of(&set).class());
        }
    }

    /// `(`, and the flags behind it.
    fn open(&mut self) -> Result<(), Failure> {
        let inner = self.folds();
        let Some(flags) = self.rest.strip_prefix("(?") else {
            self.ignores_case.push(inner);
            self.keep(1);
            return Ok(());
        };
        if flags.starts_with('P') || flags.starts_with('<') {
            self.ignores_case.push(inner);
            self.keep(if flags.starts_with('P') { 3 } else { 2 });
            return self.name();
        }
        let end = flags.find([':', ')']).ok_or_else(|| bad("a group does not end"))?;
        let (on, off) = flags[..end].split_once('-').map_or((&flags[..end], None), |(on, off)| (on, Some(off)));
        let known = |flags: &str| flags.chars().all(|flag| "imsU".contains(flag));
        if !known(on) || off.is_some_and(|off| off.is_empty() || !known(off)) {
            return Err(bad("Go knows the flags i, m, s and U"));
        }
        let ignores = off.map_or(inner || on.contains('i'), |off| !off.contains('i') && (inner || on.contains('i')));
        let scoped = flags[end..].starts_with(':');
        if scoped {
            self.ignores_case.push(ignores);
        } else if let Some(last) = self.ignores_case.last_mut() {
            *last = ignores;
        }
        if !scoped && end == 0 {
            self.rest = &flags[1..];
            return Ok(());
        }
        self.keep(2 + end + 1);
        Ok(())
    }

    /// `<name>`; a name may begin with a digit to Go, not to the engine, but such a group can be named by its number alone.
    fn name(&mut self) -> Result<(), Failure> {
        let end = self.rest.find('>').filter(|_| self.rest.starts_with('<'));
        let end = end.ok_or_else(|| bad("the name of a group does not end"))?;
        self.keep(end + 1);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Failure> {
        let c = self.rest[1..].chars().next().ok_or_else(|| bad("it ends with a backslash"))?;
        match c {
            'A' | 'z' | 'b' | 'B' => {
                self.keep(2);
                return Ok(());
            }
            'Q' => {
                let quoted = &self.rest[2..];
                let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                text.chars().for_each(|c| self.literal(0, c));
                self.rest = rest;
                return Ok(());
            }
            _ => {}
        }
        match self.escaped()? {
            (Item::One(c), length) => self.literal(length, c),
            (Item::Set(set), length) => {
                self.out.push_str(&set.class());
                self.rest = &self.rest[length..];
            }
        }
        Ok(())
    }

    /// What the escape at the front stands for, inside of a class and outside.
    fn escaped(&mut self) -> Result<(Item, usize), Failure> {
        let c = self.rest[1..].chars().next().ok_or_else(|| bad("it ends with a backslash"))?;
        let ranges = match c {
            'd' | 'D' => DIGIT,
            's' | 'S' => SPACE,
            'w' | 'W' => WORD,
            'p' | 'P' => return self.unicode(),
            _ => return one(&self.rest[1..]).map(|(c, length)| (Item::One(c), 1 + length)),
        };
        let set = self.cased(CharSet::of(ranges))?;
        Ok((Item::Set(if c.is_ascii_uppercase() { set.negated() } else { set }), 2))
    }

    /// `\pL`, `\p{Greek}`, `\P{^Lu}`, and how long it is.
    fn unicode(&mut self) -> Result<(Item, usize), Failure> {
        let unknown = || bad("there is no such class of Unicode");
        let text = self.rest[2..].chars().next().map(|c| &self.rest[2..2 + c.len_utf8()]).ok_or_else(unknown)?;
        let (name, length) = match self.rest.find('}').filter(|_| text == "{") {
            Some(end) => (&self.rest[3..end], end + 1),
            None => (text, 2 + text.len()),
        };
        let (name, turned) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let set = unicode::set(name).ok_or_else(unknown)?;
        let cost = u32::try_from(LOOK_UP + set.len()).unwrap_or(u32::MAX);
        let left = self.effort.checked_sub(cost);
        self.effort = left.ok_or_else(|| Failure::new("the pattern has too many classes of Unicode"))?;
        let set = self.cased(set)?;
        Ok((Item::Set(if turned == self.rest.starts_with("\\p") { set.negated() } else { set }), length))
    }

    /// The set with all cases, where they count.
    fn cased(&mut self, set: CharSet) -> Result<CharSet, Failure> {
        if !self.folds() {
            return Ok(set);
        }
        let too_large = || Failure::new("the pattern ignores the case of too many characters");
        set.folded(&mut self.effort).ok_or_else(too_large)
    }

    /// A bracket class.
    fn class(&mut self) -> Result<String, Failure> {
        self.rest = &self.rest[1..];
        let negated = self.rest.strip_prefix('^');
        self.rest = negated.unwrap_or(self.rest);
        let mut set = CharSet::default();
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            let part = self.member()?;
            set.add(&part);
        }
        self.rest = &self.rest[1..];
        Ok(if negated.is_some() { set.negated() } else { set }.class())
    }

    /// One member of a class: a named set, a character, or a range.
    fn member(&mut self) -> Result<CharSet, Failure> {
        if let Some(end) = self.rest.strip_prefix("[:").and_then(|rest| rest.find(":]")) {
            let name = &self.rest[2..2 + end];
            let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
            let set =
                self.cased(CharSet::of(named(name).ok_or_else(|| bad("there is no such class of characters"))?))?;
            self.rest = &self.rest[end + 4..];
            return Ok(if negated { set.negated() } else { set });
        }
        let low = match self.character()? {
            Item::Set(set) => return Ok(set),
            Item::One(c) => c,
        };
        let mut high = low;
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.rest = &self.rest[1..];
            high = match self.character()? {
                Item::One(high) if high >= low => high,
                _ => return Err(bad("a range of characters runs backwards or ends in a class")),
            };
        }
        self.cased(CharSet::of(&[(low, high)]))
    }

    fn character(&mut self) -> Result<Item, Failure> {
        let c = self.rest.chars().next().ok_or_else(|| bad("a class of characters does not end"))?;
        let (item, length) = if c == '\\' { self.escaped()? } else { (Item::One(c), c.len_utf8()) };
        self.rest = &self.rest[length..];
        Ok(item)
    }
}

/// The character that an escape stands for, its text behind the backslash, and how long that is.
fn one(escape: &str) -> Result<(char, usize), Failure> {
    let digits = |from: usize, most: usize, radix| {
        escape[from..].chars().take(most).take_while(|c: &char| c.is_digit(radix)).count()
    };
    let code = |text: &str, radix| u32::from_str_radix(text, radix).ok().and_then(char::from_u32);
    let unknown = || bad("Go does not know one of its escapes");
    let c = escape.chars().next().ok_or_else(unknown)?;
    let plain = match c {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        // One digit alone but 0 would refer to a group.
        '0'..='7' if c == '0' || digits(0, 2, 8) == 2 => {
            let length = digits(0, 3, 8);
            return Ok((code(&escape[..length], 8).ok_or_else(unknown)?, length));
        }
        'x' if escape.starts_with("x{") => {
            let length =
                escape.find('}').filter(|&end| end > 2 && digits(2, end - 2, 16) == end - 2).ok_or_else(unknown)?;
            return Ok((code(&escape[2..length], 16).ok_or_else(unknown)?, length + 1));
        }
        'x' if digits(1, 2, 16) == 2 => return Ok((code(&escape[1..3], 16).ok_or_else(unknown)?, 3)),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(unknown()),
    };
    Ok((plain, 1))
}

/// The sets of POSIX by their names.
fn named(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => DIGIT,
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

/// Whether the text begins with `{2}`, `{2,}` or `{2,3}`.
fn counts(rest: &str) -> bool {
    let inner = rest[1..].split_once('}').map(|(inner, _)| inner.split_once(',').unwrap_or((inner, "")));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    inner.is_some_and(|(least, most)| !least.is_empty() && digits(least) && digits(most))
}

/// What Go refuses and the engine takes: `a**`, `a{1001}`.
#[derive(Default)]
struct Repeated {
    repeated: bool,
    lazy: bool,
}

impl Repeated {
    fn next(&mut self, token: &str) -> Result<(), Failure> {
        let refused = || Failure::new("the pattern repeats a repetition, or more than 1000 times");
        let count = token.len() > 1 && token.starts_with('{');
        let too_many = |number: &str| number.parse::<u64>().is_ok_and(|number| number > 1000);
        if count && token[1..token.len() - 1].split(',').any(too_many) {
            return Err(refused());
        }
        match token {
            "?" if self.repeated && !self.lazy => self.lazy = true,
            "*" | "+" | "?" if self.repeated => return Err(refused()),
            _ if count && self.repeated => return Err(refused()),
            _ => (self.repeated, self.lazy) = (matches!(token, "*" | "+" | "?") || count, false),
        }
        Ok(())
    }
}
