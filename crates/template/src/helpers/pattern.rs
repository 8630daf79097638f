//! Regular expressions as Go reads them: `\d`, `\w`, `\s` and `\b` are ASCII, a class knows no operators.

use regex::{Captures, Regex, RegexBuilder};

use super::{Out, Text, int, text};
use crate::failure::Failure;
use crate::list::{Elem, List};
use crate::value::Val;

/// Whether a pattern that a template spells out can be used, told before it runs.
pub(crate) fn check(pattern: &str) -> Result<(), Failure> {
    regex(&[Val::str(pattern)], 0).map(drop)
}

/// Compiled when called: most templates never need one.
fn regex(args: &[Val], index: usize) -> Result<Regex, Failure> {
    compiled(text(args, index)?)
}

fn compiled(pattern: &str) -> Result<Regex, Failure> {
    if pattern.contains("\\p") || pattern.contains("\\P") {
        return Err(Failure::new("classes of Unicode are not served in patterns")
            .hint("write the ranges out, such as [a-zà-ÿ]"));
    }
    if repeats_wrongly(pattern) {
        return Err(Failure::new("the pattern repeats a repetition, or more than 1000 times"));
    }
    let built = RegexBuilder::new(&translated(pattern)).size_limit(1 << 20).dfa_size_limit(1 << 20).build();
    built.map_err(|_| Failure::new("the pattern is not a regular expression, or too large a one"))
}

/// A regular expression as Go reads it, for whoever filters names with one.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        compiled(pattern).map(Self).map_err(|failure| failure.message)
    }

    /// Whether it matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Go's pattern in the words of the regex crate.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (piece, length) = match c {
            '\\' => escape(rest),
            '[' => class(rest),
            // To Go a brace that holds no count stands for itself.
            '{' if !counts(rest) => ("\\{".to_owned(), 1),
            c => (c.to_string(), c.len_utf8()),
        };
        out.push_str(&piece);
        rest = &rest[length..];
    }
    out
}

/// What Go refuses and the regex crate takes: `a**`, `a{1001}`.
fn repeats_wrongly(pattern: &str) -> bool {
    let (mut rest, mut repeated, mut lazy) = (pattern, false, false);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' => escape(rest).1,
            '[' => class(rest).1,
            '(' if rest.starts_with("(?") => 2,
            '{' if counts(rest) => rest.find('}').map_or(1, |end| end + 1),
            c => c.len_utf8(),
        };
        let count = c == '{' && length > 1;
        let too_many = |number: &str| number.parse::<u64>().is_ok_and(|number| number > 1000);
        if count && rest[1..length - 1].split(',').any(too_many) {
            return true;
        }
        match c {
            '?' if repeated && !lazy => lazy = true,
            '*' | '+' | '?' if repeated => return true,
            '{' if count && repeated => return true,
            c => (repeated, lazy) = (matches!(c, '*' | '+' | '?') || count, false),
        }
        rest = &rest[length..];
    }
    false
}

/// Whether the text begins with `{2}`, `{2,}` or `{2,3}`.
fn counts(rest: &str) -> bool {
    let inner = rest[1..].split_once('}').map(|(inner, _)| inner.split_once(',').unwrap_or((inner, "")));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    inner.is_some_and(|(least, most)| !least.is_empty() && digits(least) && digits(most))
}

fn escape(rest: &str) -> (String, usize) {
    let Some(c) = rest[1..].chars().next() else { return (rest.to_owned(), 1) };
    let piece = match c {
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        'w' => "[0-9A-Za-z_]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        's' => "[\\t\\n\\f\\r ]".to_owned(),
        'S' => "[^\\t\\n\\f\\r ]".to_owned(),
        'b' | 'B' => format!("(?-u:\\{c})"),
        'Q' => {
            let end = rest.find("\\E").unwrap_or(rest.len());
            return (regex::escape(&rest[2..end]), (end + 2).min(rest.len()));
        }
        c => format!("\\{c}"),
    };
    (piece, 1 + c.len_utf8())
}

/// A bracket class with what is an operator to the regex crate and none to Go escaped.
fn class(rest: &str) -> (String, usize) {
    let mut out = String::from("[");
    let mut at = 1;
    if rest[at..].starts_with('^') {
        out.push('^');
        at += 1;
    }
    let mut first = true;
    while let Some(c) = rest[at..].chars().next() {
        let (piece, length) = match c {
            ']' if !first => {
                out.push(']');
                return (out, at + 1);
            }
            '\\' => escape(&rest[at..]),
            '[' if rest[at..].starts_with("[:") => {
                let end = rest[at..].find(":]").map_or(1, |end| end + 2);
                (rest[at..at + end].to_owned(), end)
            }
            ']' | '[' | '&' | '~' => (format!("\\{c}"), 1),
            '-' if out.ends_with('-') => ("\\-".to_owned(), 1),
            c => (c.to_string(), c.len_utf8()),
        };
        out.push_str(&piece);
        at += length;
        first = false;
    }
    (out, rest.len())
}

/// `regexMatch PATTERN TEXT`.
pub(crate) fn matches(args: &[Val]) -> Out {
    Ok(Val::Bool(regex(args, 0)?.is_match(text(args, 1)?)))
}

/// sprig's `regexMatch`: a pattern that is none does not match.
pub(crate) fn matches_or_not(args: &[Val]) -> Out {
    let whole = text(args, 1)?;
    match regex(args, 0) {
        Err(failure) if failure.hint.is_some() => Err(failure),
        found => Ok(Val::Bool(found.is_ok_and(|regex| regex.is_match(whole)))),
    }
}

/// consul-template's `regexReplaceAll PATTERN REPLACEMENT TEXT`; `$1` and `${name}` are groups.
pub(crate) fn replace_all(args: &[Val]) -> Out {
    replaced(&regex(args, 0)?, text(args, 2)?, text(args, 1)?)
}

/// sprig's `regexReplaceAll PATTERN TEXT REPLACEMENT`.
pub(crate) fn replace_all_last(args: &[Val]) -> Out {
    replaced(&regex(args, 0)?, text(args, 1)?, text(args, 2)?)
}

/// sprig's `regexReplaceAllLiteral PATTERN TEXT REPLACEMENT`.
pub(crate) fn replace_all_literal(args: &[Val]) -> Out {
    let (pattern, whole, replacement) = (regex(args, 0)?, text(args, 1)?, text(args, 2)?);
    each_match(&pattern, whole, |_, out| out.push(replacement.as_bytes()))
}

fn replaced(pattern: &Regex, whole: &str, replacement: &str) -> Out {
    each_match(pattern, whole, |groups, out| expand(replacement, groups, out))
}

fn each_match(
    pattern: &Regex,
    whole: &str,
    mut write: impl FnMut(&Captures<'_>, &mut Text) -> Result<(), Failure>,
) -> Out {
    let mut out = Text::default();
    let mut end = 0;
    for groups in pattern.captures_iter(whole) {
        let Some(found) = groups.get(0) else { continue };
        out.push(&whole.as_bytes()[end..found.start()])?;
        write(&groups, &mut out)?;
        end = found.end();
    }
    out.push(&whole.as_bytes()[end..])?;
    Ok(out.done())
}

/// Go's `Expand`: a name is as long as it can be; what is no name leaves its dollar as it is.
fn expand(replacement: &str, groups: &Captures<'_>, out: &mut Text) -> Result<(), Failure> {
    let mut rest = replacement;
    while let Some((text, after)) = rest.split_once('$') {
        out.push(text.as_bytes())?;
        rest = if let Some(tail) = after.strip_prefix('$') {
            out.push(b"$")?;
            tail
        } else if let Some((name, tail)) = group_name(after) {
            let number = name.parse::<usize>().ok();
            let found = number.map_or_else(|| groups.name(name), |number| groups.get(number));
            out.push(found.map_or("", |found| found.as_str()).as_bytes())?;
            tail
        } else {
            out.push(b"$")?;
            after
        };
    }
    out.push(rest.as_bytes())
}

fn group_name(text: &str) -> Option<(&str, &str)> {
    let (inner, braced) = text.strip_prefix('{').map_or((text, false), |inner| (inner, true));
    let end = inner.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let tail = if braced { inner[end..].strip_prefix('}')? } else { &inner[end..] };
    (end > 0).then_some((&inner[..end], tail))
}

/// `regexFind PATTERN TEXT`: the first match, or an empty text.
pub(crate) fn find(args: &[Val]) -> Out {
    let whole = text(args, 1)?;
    Ok(Val::str(regex(args, 0)?.find(whole).map_or("", |found| found.as_str())))
}

/// `regexFindAll PATTERN TEXT COUNT`; a negative count means all.
pub(crate) fn find_all(args: &[Val]) -> Out {
    let (pattern, whole, most) = (regex(args, 0)?, text(args, 1)?, count(args, 2)?);
    let found: Vec<&str> = pattern.find_iter(whole).take(most).map(|found| found.as_str()).collect();
    Ok(if found.is_empty() { Val::List(List::nil(Elem::Text)) } else { Val::texts(found) })
}

fn count(args: &[Val], index: usize) -> Result<usize, Failure> {
    Ok(usize::try_from(int(args, index)?).unwrap_or(usize::MAX))
}

/// `regexSplit PATTERN TEXT COUNT`, as Go splits: no empty piece before an empty match at the start.
pub(crate) fn split(args: &[Val]) -> Out {
    let (pattern, whole, most) = (regex(args, 0)?, text(args, 1)?, count(args, 2)?);
    if most == 0 {
        return Ok(Val::List(List::nil(Elem::Text)));
    }
    if whole.is_empty() && !text(args, 0)?.is_empty() {
        return Ok(Val::texts([""]));
    }
    let mut pieces = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in pattern.find_iter(whole) {
        if pieces.len() + 1 >= most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            pieces.push(&whole[begin..end]);
        }
        begin = found.end();
    }
    if end != whole.len() {
        pieces.push(&whole[begin..]);
    }
    Ok(Val::texts(pieces))
}

/// `regexQuoteMeta TEXT`.
pub(crate) fn quote_meta(args: &[Val]) -> Out {
    let mut out = String::new();
    for c in text(args, 0)?.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Val::str(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_gos_patterns() {
        let cases = [
            (r"^\d+\w*$", "^[0-9]+[0-9A-Za-z_]*$"),
            (r"[]a[]", r"[\]a\[]"),
            (r"[^\w&&~-]", r"[^[0-9A-Za-z_]\&\&\~-]"),
            (r"[[:alpha:]+--]", r"[[:alpha:]+-\-]"),
            (r"\Qa.b\E.", r"a\.b."),
            (r"\bé\\[", r"(?-u:\b)é\\["),
        ];
        for (pattern, want) in cases {
            assert_eq!(translated(pattern), want, "{pattern}");
        }
    }
}
