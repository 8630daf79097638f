//! The one table of annotations: parser, error texts, did-you-mean, `explain` and docs/reference/annotations.md read it.

mod compat;
mod page;
mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use sidekey_core::contract::Dialect;

pub use compat::compatibility;
pub use page::page;
pub use table::{Field, TABLE};

/// Prefix of the Vault dialect.
pub const VAULT: &str = "vault.hashicorp.com/";
/// Alias of [`VAULT`]; where both give a key, this one wins.
pub const OPENBAO: &str = "openbao.org/";
/// Prefix of the native dialect.
pub const NATIVE: &str = "sidekey.dev/";

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// What it says.
    pub field: Field,
    /// Shape of its value.
    pub kind: Kind,
    /// Its key in the Vault dialect.
    pub vault: Option<Key>,
    /// Its key in the native dialect.
    pub native: Option<Key>,
    /// Whether anything comes of it.
    pub effect: Effect,
    /// One line.
    pub doc: &'static str,
}

/// A key of one dialect.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Without the prefix. `-<NAME>` at the end is a suffix that must be there, `[-<NAME>]` one that may be.
    pub pattern: &'static str,
    /// Without its suffix: `secret` of `secret-<NAME>`, `path` of `path[-<NAME>]`.
    pub name: &'static str,
    /// Whether it may stand without a suffix, and with one.
    pub suffix: Suffix,
    /// What counts when the annotation is absent.
    pub default: Fallback,
}

/// Whether `-<NAME>` follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Suffix {
    Never,
    Maybe,
    Always,
}

/// What counts when an annotation is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing.
    None,
    /// This value.
    Is(&'static str),
    /// That field of the settings.
    Settings(&'static str),
    /// What the words say.
    Derived(&'static str),
}

/// Whether anything comes of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Yes.
    Now,
    /// Without an effect, for this reason.
    Never(&'static str),
}

/// Shape of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Kind::shape` says it")]
pub enum Kind {
    Bool,
    Int,
    Uint,
    Share,
    Duration,
    Seconds,
    Quantity,
    Mode,
    Path,
    List,
    Json,
    Template,
    Text,
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// What a value looks like, to follow `write`.
    pub fn shape(self) -> String {
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Int => "a whole number".to_owned(),
            Self::Uint => "a whole number that is not negative".to_owned(),
            Self::Share => "a number from 0 to 1".to_owned(),
            Self::Duration => "a duration such as `30s` or `5m`".to_owned(),
            Self::Seconds => "a duration such as `30s` or `5m`, or seconds".to_owned(),
            Self::Quantity => "a Kubernetes quantity such as `500m` or `64Mi`".to_owned(),
            Self::Mode => "octal permission bits such as `0640`".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::List => "names, separated by commas".to_owned(),
            Self::Json => "a JSON array of patch operations".to_owned(),
            Self::Template => "a template".to_owned(),
            Self::Text => "text".to_owned(),
            Self::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Key {
    const fn new(pattern: &'static str, default: Fallback) -> Self {
        let bytes = pattern.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'[' && bytes[end] != b'<' {
            end += 1;
        }
        let suffix = match bytes.len() - end {
            0 => Suffix::Never,
            _ if bytes[end] == b'[' => Suffix::Maybe,
            _ => Suffix::Always,
        };
        let dash = matches!(suffix, Suffix::Always) as usize;
        Self { pattern, name: pattern.split_at(end - dash).0, suffix, default }
    }
}

impl Field {
    /// Its row.
    pub fn row(self) -> &'static Annotation {
        &TABLE[self as usize]
    }

    /// What to call it in a trace: the native key, else the Vault one.
    pub fn label(self) -> &'static str {
        let key = self.row().native.or(self.row().vault);
        key.map_or("", |key| key.name)
    }
}

impl Annotation {
    /// The key in a dialect.
    pub const fn key(&self, dialect: Dialect) -> Option<Key> {
        match dialect {
            Dialect::Vault => self.vault,
            Dialect::Native => self.native,
        }
    }

    /// The full key in a dialect, for messages; the other dialect's where this one has none.
    pub fn full_key(&self, dialect: Dialect) -> String {
        let vault = self.vault.map(|key| (VAULT, key));
        let native = self.native.map(|key| (NATIVE, key));
        let found = match dialect {
            Dialect::Vault => vault.or(native),
            Dialect::Native => native.or(vault),
        };
        found.map_or_else(String::new, |(prefix, key)| format!("{prefix}{}", key.pattern))
    }
}

/// A key of ours, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    Plain(Field),
    Suffixed(Field, &'a str),
    Unknown,
}

struct Index {
    plain: HashMap<&'static str, Field>,
    /// The same keys, for what is nearly one of them.
    words: Vec<Word<'static>>,
    families: Vec<(&'static str, Field)>,
}

impl Index {
    /// Longer names first: `agent-inject-template-file` before `agent-inject-template`.
    fn of(dialect: Dialect) -> Self {
        let keys = || TABLE.iter().filter_map(move |row| Some((row.key(dialect)?, row.field)));
        let plain = keys().filter(|(key, _)| key.suffix != Suffix::Always).map(|(key, field)| (key.name, field));
        let words = plain.clone().map(|(name, _)| Word::of(name)).collect();
        let families = keys().filter(|(key, _)| key.suffix != Suffix::Never).map(|(key, field)| (key.name, field));
        let mut families: Vec<_> = families.collect();
        families.sort_by_key(|(name, _)| (std::cmp::Reverse(name.len()), *name));
        Self { plain: plain.collect(), words, families }
    }
}

static VAULT_INDEX: LazyLock<Index> = LazyLock::new(|| Index::of(Dialect::Vault));
static NATIVE_INDEX: LazyLock<Index> = LazyLock::new(|| Index::of(Dialect::Native));

fn index(dialect: Dialect) -> &'static Index {
    match dialect {
        Dialect::Vault => &VAULT_INDEX,
        Dialect::Native => &NATIVE_INDEX,
    }
}

/// Finds a key (without its prefix) in the table.
pub(crate) fn parse(dialect: Dialect, key: &str) -> Parsed<'_> {
    let index = index(dialect);
    if let Some(field) = index.plain.get(key) {
        return Parsed::Plain(*field);
    }
    let suffixed =
        index.families.iter().find_map(|(name, field)| Some((*field, key.strip_prefix(name)?.strip_prefix('-')?)));
    match suffixed {
        Some((field, suffix)) if !suffix.is_empty() => Parsed::Suffixed(field, suffix),
        _ => Parsed::Unknown,
    }
}

/// The known key that a person most likely meant, if any is near.
pub(crate) fn nearest(dialect: Dialect, key: &str) -> Option<String> {
    let lower = key.to_ascii_lowercase();
    let index = index(dialect);
    let near = |typed: Word<'_>, name: Word<'_>, length: usize| distance(typed, name, length.min(key.len()) / 5 + 1);
    let families = index.families.iter().filter_map(|(name, _)| {
        let (head, tail) = head(&lower, key, name.matches('-').count());
        let tail = if tail.is_empty() { "<NAME>" } else { tail };
        Some((near(Word::of(head), Word::of(name), name.len() + 1 + tail.len())?, format!("{name}-{tail}")))
    });
    let typed = Word::of(&lower);
    let plain =
        index.words.iter().filter_map(|name| Some((near(typed, *name, name.text.len())?, name.text.to_owned())));
    plain.chain(families).min().map(|(_, known)| known)
}

/// As many parts of `lower` as a name with so many dashes has, and the rest of `key` as it was typed.
fn head<'a>(lower: &'a str, key: &'a str, dashes: usize) -> (&'a str, &'a str) {
    match lower.match_indices('-').nth(dashes) {
        Some((at, _)) => (&lower[..at], &key[at + 1..]),
        None => (lower, ""),
    }
}

/// Levenshtein's distance in bytes, if it is not above `bound`. What is farther is given up as soon as that is clear: a key is
/// held against every known one, and a pod may have many that are unknown.
fn distance(left: Word<'_>, right: Word<'_>, bound: usize) -> Option<usize> {
    // Each letter that the other one lacks takes an edit.
    let lacking = (left.letters & !right.letters).count_ones().max((right.letters & !left.letters).count_ones());
    let (left, right) = (left.text, right.text.as_bytes());
    if left.len().abs_diff(right.len()).max(lacking as usize) > bound {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in (1_usize..).zip(left.bytes()) {
        // Cells farther from the diagonal than the bound are above it, whatever they hold.
        let (low, high) = (i.saturating_sub(bound).max(1), (i + bound).min(right.len()));
        let mut diagonal = row[low - 1];
        row[low - 1] = if low == 1 { i } else { bound + 1 };
        let mut least = row[low - 1];
        for j in low..=high {
            let replaced = diagonal + usize::from(a != right[j - 1]);
            diagonal = row[j];
            row[j] = replaced.min(row[j] + 1).min(row[j - 1] + 1);
            least = least.min(row[j]);
        }
        if least > bound {
            return None;
        }
    }
    row.last().copied().filter(|cost| *cost <= bound)
}

/// A text, and which bytes are in it, several to a bit.
#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    letters: u64,
}

impl<'t> Word<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, letters: text.bytes().fold(0, |found, byte| found | 1 << (byte % 64)) }
    }
}

#[cfg(test)]
mod tests;
