//! A set of characters, as a bracket class names it, and the letters that are one another's cases, as Go's `unicode.SimpleFold`
//! knows them.

use std::fmt::Write as _;

/// What the letters' own upper and lower cases do not tell: groups of more than two, and those whose capital has several letters.
const GROUPS: &str = "Kk\u{212a} Ssſ µΜμ Åå\u{212b} ßẞ Ǆǅǆ Ǉǈǉ Ǌǋǌ Ǳǲǳ \u{345}Ιι\u{1fbe} Ββϐ Εεϵ Θθϑϴ Κκϰ Ππϖ Ρρϱ Σςσ Φφϕ \
    Ωω\u{2126} Ввᲀ Ддᲁ Ооᲂ Ссᲃ Ттᲄᲅ Ъъᲆ Ѣѣᲇ ᲈꙊꙋ Ṡṡẛ ᾀᾈ ᾁᾉ ᾂᾊ ᾃᾋ ᾄᾌ ᾅᾍ ᾆᾎ ᾇᾏ ᾐᾘ ᾑᾙ ᾒᾚ ᾓᾛ ᾔᾜ ᾕᾝ ᾖᾞ ᾗᾟ ᾠᾨ ᾡᾩ ᾢᾪ ᾣᾫ ᾤᾬ ᾥᾭ ᾦᾮ ᾧᾯ ᾳᾼ ῃῌ ῳῼ";

/// No character outside has another case.
const CASED: [(char, char); 4] =
    [('A', '\u{2d2d}'), ('\u{a640}', '\u{abbf}'), ('\u{ff21}', '\u{ff5a}'), ('\u{10400}', '\u{1e943}')];

/// Characters as ranges, both ends included, in any order until they are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct CharSet(Vec<(char, char)>);

impl CharSet {
    /// The characters of these ranges.
    pub(crate) fn of(ranges: &[(char, char)]) -> Self {
        Self(ranges.to_vec())
    }

    /// How many ranges it was told by.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// How many characters are in it.
    #[cfg(test)]
    pub(crate) fn count(mut self) -> usize {
        self.settle();
        self.0.iter().map(|&(low, high)| (low..=high).count()).sum()
    }

    /// Adds what another one has.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// With the other cases of each; `effort` goes down by each character looked at, and without any left there is no answer.
    pub(crate) fn folded(mut self, effort: &mut u32) -> Option<Self> {
        self.settle();
        let mut found = Vec::new();
        let cased = |&(low, high): &(char, char)| CASED.map(|(from, to)| (low.max(from), high.min(to)));
        for (low, high) in self.0.iter().flat_map(cased) {
            for c in low..=high {
                *effort = effort.checked_sub(1)?;
                cases(c, |other| found.push((other, other)));
            }
        }
        self.0.extend(found);
        Some(self)
    }

    /// All others.
    pub(crate) fn negated(mut self) -> Self {
        self.settle();
        let (mut out, mut next) = (Vec::new(), Some('\0'));
        for (low, high) in self.0 {
            match (next, before(low)) {
                (Some(from), Some(to)) if from <= to => out.push((from, to)),
                _ => {}
            }
            next = after(high);
        }
        out.extend(next.map(|from| (from, char::MAX)));
        Self(out)
    }

    /// In order, and what touches made one.
    fn settle(&mut self) {
        self.0.sort_unstable();
        let mut out: Vec<(char, char)> = Vec::with_capacity(self.0.len());
        for &(low, high) in &self.0 {
            match out.last_mut() {
                Some(last) if after(last.1).is_none_or(|next| low <= next) => last.1 = last.1.max(high),
                _ => out.push((low, high)),
            }
        }
        self.0 = out;
    }

    /// As a bracket class that any engine of regular expressions reads.
    pub(crate) fn class(mut self) -> String {
        self.settle();
        let mut out = String::from("[");
        if self.0.is_empty() {
            out.push_str("^\\u{0}-\\u{10ffff}");
        }
        for (low, high) in self.0 {
            bound(&mut out, low);
            if low != high {
                out.push('-');
                bound(&mut out, high);
            }
        }
        out.push(']');
        out
    }
}

fn bound(out: &mut String, c: char) {
    if c.is_alphanumeric() {
        out.push(c);
    } else {
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    }
}

fn after(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

fn before(c: char) -> Option<char> {
    ('\0'..c).next_back()
}

/// Tells each other case of a letter. The dotless i has none to Go, though its capital is `I`.
pub(crate) fn cases(c: char, mut tell: impl FnMut(char)) {
    if c == 'ı' {
        return;
    }
    if let Some(group) = special(c) {
        return group.chars().filter(|&other| other != c).for_each(tell);
    }
    let other = single(c.to_lowercase()).filter(|&lower| lower != c).or_else(|| single(c.to_uppercase()));
    if let Some(other) = other.filter(|&other| other != c) {
        tell(other);
    }
}

/// The group it is in; few of ASCII are in one, and most patterns are ASCII.
fn special(c: char) -> Option<&'static str> {
    if c.is_ascii() && !matches!(c, 'K' | 'k' | 'S' | 's') {
        return None;
    }
    let at = GROUPS.find(c)?;
    let start = GROUPS[..at].rfind(' ').map_or(0, |space| space + 1);
    GROUPS[start..].split(' ').next()
}

fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(c: char) -> String {
        let mut out = String::new();
        cases(c, |other| out.push(other));
        out
    }

    #[test]
    fn knows_the_cases_that_go_knows() {
        let table = [
            ('a', "A"),
            ('Z', "z"),
            ('k', "K\u{212a}"),
            ('\u{212a}', "Kk"),
            ('ſ', "Ss"),
            ('i', "I"),
            ('ı', ""),
            ('İ', ""),
            ('é', "É"),
            ('ß', "ẞ"),
            ('ǅ', "Ǆǆ"),
            ('Σ', "ςσ"),
            ('ᾈ', "ᾀ"),
            ('ж', "Ж"),
            ('ᲈ', "Ꙋꙋ"),
            ('1', ""),
            ('字', ""),
        ];
        for (c, want) in table {
            assert_eq!(others(c), want, "{c}");
        }
    }

    #[test]
    fn each_is_a_case_of_its_cases() {
        let mut cased = 0;
        for c in '\0'..=char::MAX {
            cased += usize::from(!others(c).is_empty());
            for other in others(c).chars() {
                assert!(others(other).contains(c), "{c} of {other}");
                assert!(CASED.iter().any(|(low, high)| (low..=high).contains(&&c)), "{c:?}");
            }
        }
        // Go 1.26 has 2 878 (Unicode 15); what came later makes the rest.
        assert!((2878..3000).contains(&cased), "{cased}");
    }

    #[test]
    fn negates_folds_and_tells() {
        let set = |ranges| CharSet::of(ranges);
        assert_eq!(set(&[('b', 'c'), ('a', 'a'), ('x', 'x')]).class(), "[a-cx]");
        assert_eq!(set(&[('a', char::MAX)]).negated().class(), "[\\u{0}-\\u{60}]");
        assert_eq!(set(&[('\0', '\u{d7ff}')]).negated().class(), "[\\u{e000}-\\u{10ffff}]");
        assert_eq!(set(&[('\0', char::MAX)]).negated().class(), "[^\\u{0}-\\u{10ffff}]");
        assert_eq!(CharSet::default().negated().class(), "[\\u{0}-\\u{10ffff}]");
        let folded = |ranges, mut effort| set(ranges).folded(&mut effort).map(CharSet::class);
        assert_eq!(folded(&[('j', 'l')], 9).as_deref(), Some("[J-Lj-l\u{212a}]"));
        assert_eq!(folded(&[('a', 'z')], 9), None);
    }
}
