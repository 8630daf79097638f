//! Version constraints: `>= 1.2, < 2`, `^1.2`, `~1.2.3`, `1.2 - 1.4`, `1.x`, joined by spaces, commas and `||`.

use std::cmp::Ordering;

use super::semver::{Version, compare_prerelease};

/// One of these groups must allow all.
pub(super) struct Constraint(Vec<Vec<Bound>>);

/// One comparison.
struct Bound {
    operator: Operator,
    version: Version,
    /// Numbers that are said, from the left; what is missing or `x` is not.
    said: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Not,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

const OPERATORS: [(&str, Operator); 11] = [
    (">=", Operator::AtLeast),
    ("=>", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=<", Operator::AtMost),
    ("!=", Operator::Not),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Constraint {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self(text.split("||").map(group).collect::<Option<_>>()?))
    }

    pub(super) fn allows(&self, version: &Version) -> bool {
        self.0.iter().any(|group| group.iter().all(|bound| bound.allows(version)))
    }
}

/// Comparisons that all hold. A hyphen between spaces makes two bounds of two versions.
fn group(text: &str) -> Option<Vec<Bound>> {
    let mut bounds = Vec::new();
    let mut rest = text.trim();
    loop {
        let (operator, after) = operator(rest);
        let (word, after) = word(after.trim_start());
        let tail = after.trim_start();
        if let Some(end) = tail.strip_prefix("- ").filter(|_| after.starts_with(char::is_whitespace)) {
            let (upper, after) = self::word(end.trim_start());
            bounds.push(Bound::of(Operator::AtLeast, word)?);
            bounds.push(Bound::of(Operator::AtMost, upper)?);
            rest = after.trim_start();
        } else {
            bounds.push(Bound::of(operator, word)?);
            rest = tail;
        }
        let comma = rest.strip_prefix(',').map(str::trim_start);
        match comma {
            None if rest.is_empty() => return Some(bounds),
            // Without a comma, a space must stand between.
            None if rest.len() == after.len() && !tail.is_empty() => return None,
            None => {}
            Some(next) => rest = next,
        }
    }
}

fn operator(text: &str) -> (Operator, &str) {
    let found = OPERATORS.iter().find_map(|(word, operator)| Some((*operator, text.strip_prefix(*word)?)));
    found.unwrap_or((Operator::Equal, text))
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len()))
}

impl Bound {
    fn of(operator: Operator, text: &str) -> Option<Self> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let core_end = bare.find(['-', '+']).unwrap_or(bare.len());
        let (core, extra) = bare.split_at(core_end);
        let parts: Vec<&str> = core.split('.').collect();
        let any = |part: &&str| matches!(*part, "x" | "X" | "*");
        let said = parts.iter().position(any).unwrap_or(parts.len());
        if parts.len() > 3 || core.is_empty() {
            return None;
        }
        let numbers: Vec<&str> = parts[..said].iter().copied().chain(std::iter::repeat_n("0", 3 - said)).collect();
        // Of a partly said version, only the prerelease counts.
        let kept = if said < 3 { extra.split('+').next().unwrap_or("") } else { extra };
        Some(Self { operator, version: Version::parse(&format!("{}{kept}", numbers.join(".")))?, said })
    }

    fn allows(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        // A constraint on releases never takes a prerelease, except `!=` of a whole version.
        if !version.pre.is_empty() && self.version.pre.is_empty() && !(self.operator == Operator::Not && self.said == 3)
        {
            return false;
        }
        match self.operator {
            Operator::Equal if self.said == 3 => order.is_eq(),
            Operator::Equal | Operator::Tilde => order.is_ge() && self.within_tilde(version),
            Operator::Not => self.differs(version, order),
            Operator::Greater => self.exceeded(version, order),
            Operator::Less => order.is_lt(),
            Operator::AtLeast => order.is_ge(),
            Operator::AtMost if self.said == 3 => order.is_le(),
            Operator::AtMost => {
                let [major, minor, _] = self.version.numbers;
                let theirs = version.numbers;
                theirs[0] < major || (theirs[0] == major && (self.said == 1 || theirs[1] <= minor))
            }
            Operator::Caret => order.is_ge() && self.within_caret(version),
        }
    }

    /// The same major, and the same minor if one is said.
    fn within_tilde(&self, version: &Version) -> bool {
        let anything = self.version.numbers == [0, 0, 0] && !matches!(self.said, 1 | 2);
        let [major, minor, _] = self.version.numbers;
        anything || (version.numbers[0] == major && (self.said == 1 || version.numbers[1] == minor))
    }

    /// The first number that is not zero stays.
    fn within_caret(&self, version: &Version) -> bool {
        let ([major, minor, patch], theirs) = (self.version.numbers, version.numbers);
        if major > 0 || self.said == 1 {
            theirs[0] == major
        } else if minor > 0 || self.said == 2 {
            theirs[0] == 0 && theirs[1] == minor
        } else {
            theirs == [0, 0, patch]
        }
    }

    fn differs(&self, version: &Version, order: Ordering) -> bool {
        let ([major, minor, patch], theirs) = (self.version.numbers, version.numbers);
        match self.said {
            3 => order.is_ne(),
            _ if theirs[0] != major => true,
            1 => false,
            _ if theirs[1] != minor => true,
            2 => {
                (!version.pre.is_empty() || !self.version.pre.is_empty())
                    && compare_prerelease(&version.pre, &self.version.pre).is_ne()
            }
            _ => theirs[2] != patch || order.is_ne(),
        }
    }

    fn exceeded(&self, version: &Version, order: Ordering) -> bool {
        let [major, minor, _] = self.version.numbers;
        match self.said {
            1 => version.numbers[0] > major,
            2 => version.numbers[0] > major || (version.numbers[0] == major && version.numbers[1] > minor),
            _ => order.is_gt(),
        }
    }
}
