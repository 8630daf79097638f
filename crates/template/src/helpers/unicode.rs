//! Unicode's categories and scripts as Go has them, for `\p{…}` in patterns.

use super::char_set::CharSet;

/// A set a line: its names, and then each range as how far it is from the end of the one before and how long it is, in base 36; a
/// length of one is left out. `.ci/consul-template -write` makes it.
const SETS: &str = include_str!("unicode.txt");

/// Names of what has no line of its own, and the first letters of the lines that it is made of.
const UNIONS: [(&[&str], &[&str]); 8] = [
    (&["l", "letter"], &["l"]),
    (&["lc", "casedletter"], &["ll", "lt", "lu"]),
    (&["m", "mark", "combiningmark"], &["m"]),
    (&["n", "number"], &["n"]),
    (&["p", "punctuation", "punct"], &["p"]),
    (&["s", "symbol"], &["s"]),
    (&["z", "separator"], &["z"]),
    (&["assigned"], &["c", "l", "m", "n", "p", "s", "z"]),
];

/// The characters of a category or a script; case, spaces, `_` and `-` in the name do not count.
pub(crate) fn set(name: &str) -> Option<CharSet> {
    let name: String = name.chars().filter(|c| !" _-".contains(*c)).map(|c| c.to_ascii_lowercase()).collect();
    if let Some((_, starts)) = UNIONS.iter().find(|(names, _)| names.contains(&&*name)) {
        return Some(union(starts));
    }
    match &*name {
        "any" => Some(CharSet::of(&[('\0', char::MAX)])),
        "ascii" => Some(CharSet::of(&[('\0', '\x7f')])),
        "cn" | "unassigned" => Some(union(UNIONS[7].1).negated()),
        "c" | "other" => {
            let mut all = union(UNIONS[7].1).negated();
            all.add(&union(&["c"]));
            Some(all)
        }
        name => lines().find(|(names, _)| names.split(' ').any(|known| known == name)).map(|(_, told)| ranges(told)),
    }
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    SETS.lines().filter_map(|line| line.split_once(':'))
}

/// All categories that begin so.
fn union(starts: &[&str]) -> CharSet {
    let mut all = CharSet::default();
    for (names, told) in lines() {
        let category = names.split(' ').next().filter(|name| name.len() == 2);
        if category.is_some_and(|category| starts.iter().any(|start| category.starts_with(start))) {
            all.add(&ranges(told));
        }
    }
    all
}

fn ranges(told: &str) -> CharSet {
    let (mut next, mut out) = (0, Vec::new());
    let number = |digits| u32::from_str_radix(digits, 36).unwrap_or_default();
    for range in told.split_ascii_whitespace() {
        let (gap, length) = range.split_once('.').map_or((range, 1), |(gap, length)| (gap, number(length)));
        let low = next + number(gap);
        next = low + length;
        if let (Some(low), Some(high)) = (char::from_u32(low), char::from_u32(next - 1)) {
            out.push((low, high));
        }
    }
    CharSet::of(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the numbers of Go's own parser, surrogates taken off.
    #[test]
    fn has_as_many_characters_as_go() {
        let cases = [
            ("L", 136_104),
            ("Letter", 136_104),
            ("Lu", 1_831),
            ("l-u", 1_831),
            ("LC", 4_095),
            ("C", 965_096 - 2_048),
            ("Cn", 825_345),
            ("Assigned", 288_767 - 2_048),
            ("Cs", 0),
            ("cntrl", 65),
            ("digit", 680),
            ("Greek", 518),
            ("Old_Italic", 39),
            ("Any", 0x11_0000 - 2_048),
            ("ASCII", 128),
        ];
        for (name, want) in cases {
            assert_eq!(set(name).map(CharSet::count), Some(want), "{name}");
        }
        assert!(["", "Zzzz", "é", "Lu:", "L u x"].iter().all(|name| set(name).is_none()));
    }
}
