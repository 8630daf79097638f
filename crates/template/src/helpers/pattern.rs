//! Regular expressions as Go reads them: `\d`, `\w`, `\s` and `\b` are ASCII, a class knows no operators.

use regex_lite::{Captures, Regex, RegexBuilder};

use super::go_regex::translated;
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
    let built = RegexBuilder::new(&translated(pattern)?).size_limit(1 << 20).nest_limit(250).build();
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

/// `regexMatch PATTERN TEXT`.
pub(crate) fn matches(args: &[Val]) -> Out {
    Ok(Val::Bool(regex(args, 0)?.is_match(text(args, 1)?)))
}

/// sprig's `regexMatch`: a pattern that is none does not match.
pub(crate) fn matches_or_not(args: &[Val]) -> Out {
    let whole = text(args, 1)?;
    Ok(Val::Bool(regex(args, 0).is_ok_and(|regex| regex.is_match(whole))))
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
    use crate::helpers::bytes;

    /// What Go 1.26 makes of `ReplaceAllString(TEXT, "<$0>")`; nothing where it refuses the pattern.
    #[test]
    fn finds_what_go_finds() {
        let cases = [
            ("^\\d+\\w*$", "12ab", Some("<12ab>")),
            ("\\d", "٣3", Some("٣<3>")),
            ("\\w+", "é_a9", Some("é<_a9>")),
            ("\\s", "a\x0bb c", Some("a\x0bb< >c")),
            ("\\S", "\x0b ", Some("<\x0b> ")),
            ("[^\\s]", "\x0b \n", Some("<\x0b> \n")),
            ("\\bé", "é aé", Some("é a<é>")),
            ("[]a]+", "x]a", Some("x<]a>")),
            ("[^]a]", "]ax", Some("]a<x>")),
            ("[[]", "[[", Some("<[><[>")),
            ("[a&&b]+", "a&&b", Some("<a&&b>")),
            ("[a~~b]+", "a~b", Some("<a~b>")),
            ("[[:alpha:]+--]+", "a+,-b", Some("<a+,-b>")),
            ("[[:^digit:]]", "1a", Some("1<a>")),
            ("[[:punct:]]", "a.$b", Some("a<.><$>b")),
            ("[[:foo:]]", "a", None),
            ("[a-]", "a-b", Some("<a><->b")),
            ("[a\\-z]", "b-z", Some("b<-><z>")),
            ("[z-a]", "a", None),
            ("[a-\\d]", "a", None),
            ("[\\x{100}-\\x{17f}]", "āa", Some("<ā>a")),
            ("\\Qa.b\\E.", "a.bc", Some("<a.bc>")),
            ("\\Qa.b", "a.b", Some("<a.b>")),
            ("\\x41\\101\\x{e9}", "AAé", Some("<AAé>")),
            ("\\12", "\n", Some("<\n>")),
            ("\\1", "a", None),
            ("\\0", "\x00a", Some("<\x00>a")),
            ("\\_\\-\\/", "_-/", Some("<_-/>")),
            ("\\é", "é", None),
            ("\\e", "e", None),
            ("\\C", "a", None),
            ("a\\Z", "a", None),
            ("\\Aa\\z", "a", Some("<a>")),
            ("(?i)k", "kKK", Some("<k><K><K>")),
            ("(?i)[k-s]+", "KſSKt", Some("<KſSK>t")),
            ("(?i)É", "éÉe", Some("<é><É>e")),
            ("(?i)ß", "ẞßss", Some("<ẞ><ß>ss")),
            ("(?i)ς", "ΣσςS", Some("<Σ><σ><ς>S")),
            ("(?i)ı", "ıIi", Some("<ı>Ii")),
            ("(?i)\\W", "ſa-K", Some("ſa<->K")),
            ("(?i)[[:upper:]]+", "aſKé", Some("<aſK>é")),
            ("(?i)[[:^upper:]]", "aA1", Some("aA<1>")),
            ("(?i)[^k]", "kKKl", Some("kKK<l>")),
            ("(?i)[à-þ]+", "ÀÞÿ", Some("<ÀÞ>ÿ")),
            ("(?i:a)a", "AaAA", Some("<Aa>AA")),
            ("(?i)a(?-i)a", "AaAA", Some("<Aa>AA")),
            ("((?i)a)a", "AaAA", Some("<Aa>AA")),
            ("(?i)a(?-i:k)k", "AkKAKk", Some("<AkK>AKk")),
            ("(?x)a b", "ab", None),
            ("(?s).", "\n", Some("<\n>")),
            (".", "\na", Some("\n<a>")),
            ("(?m)^a$", "b\na\n", Some("b\n<a>\n")),
            ("(?U)a+", "aa", Some("<a><a>")),
            ("(?)a", "a", Some("<a>")),
            ("(?-)a", "a", None),
            ("(?#x)a", "a", None),
            ("(?P<n>a)(?<m>b)", "ab", Some("<ab>")),
            ("(?P=n)", "a", None),
            ("(?=a)", "a", None),
            ("a{,2}", "a{,2}", Some("<a{,2}>")),
            ("a{2}", "aaa", Some("<aa>a")),
            ("{", "{", Some("<{>")),
            ("x{a}", "x{a}", Some("<x{a}>")),
            ("\\b{start}", "{start}", Some("{start}")),
            ("a**", "a", None),
            ("a*?", "aa", Some("<>a<>a<>")),
            ("a{1001}", "a", None),
            ("a{2}{3}", "a", None),
            ("^*", "a", Some("<>a<>")),
            ("a||b", "ab", Some("<a>b<>")),
            ("()", "ab", Some("<>a<>b<>")),
            ("x*", "axb", Some("<>a<x>b<>")),
            ("[^\\x00-\\x{10FFFF}]", "a", Some("a")),
            ("[a", "a", None),
            ("(a", "a", None),
            ("a)", "a", None),
            ("a\\", "a", None),
            ("é{2}", "éé", Some("<éé>")),
            ("(?i)é{2}", "éÉ", Some("<éÉ>")),
        ];
        for (pattern, text, want) in cases {
            let args = [Val::str(pattern), Val::str("<$0>"), Val::str(text)];
            let got =
                replace_all(&args).ok().map(|found| String::from_utf8(bytes(&[found], 0).unwrap().to_vec()).unwrap());
            assert_eq!(got.as_deref(), want, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn ends_soon_on_a_pattern_made_to_cost() {
        let fold = format!("(?i){}", "[\\x{42}-\\x{10ffff}]".repeat(500));
        assert!(compiled(&fold).is_err());
        assert!(compiled("((a{900}){900}){900}").is_err());
        assert!(compiled(&"(".repeat(100_000)).is_err());
    }
}
