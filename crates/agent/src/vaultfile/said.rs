//! One value at a time, and what a person has to be told about it: file, line, words. Values are never quoted.

use std::time::Duration;

use sidekey_core::goparse::{parse_bool, parse_duration};

use crate::hcl::{Block, Entry, Value};

/// Most problems that are told at once.
const MAX_TOLD: usize = 12;

/// What was found in the files.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The file at hand.
    pub(super) file: String,
    /// What keeps the agent from starting.
    pub(super) wrong: Vec<String>,
    /// What has no effect, and why.
    pub(super) notes: Vec<String>,
    more_wrong: usize,
    more_notes: usize,
}

/// The first of them in full, and how many follow: none is dropped without a word.
fn tell(told: &mut Vec<String>, more: &mut usize, words: String) {
    if *more == 0 && told.len() < MAX_TOLD {
        return told.push(words);
    }
    *more += 1;
    told.truncate(MAX_TOLD);
    told.push(format!("and {more} more"));
}

impl Said {
    fn place(&self, line: usize) -> String {
        if line == 0 { self.file.clone() } else { format!("{} line {line}", self.file) }
    }

    /// Something that cannot be served as it stands.
    pub(super) fn wrong(&mut self, line: usize, words: &str) {
        let told = format!("{}: {words}", self.place(line));
        tell(&mut self.wrong, &mut self.more_wrong, told);
    }

    /// Something that is understood and has no effect.
    pub(super) fn note(&mut self, entry: &Entry, reason: &str) {
        let told = format!("{}: {} has no effect: {reason}", self.place(entry.line), entry.key);
        tell(&mut self.notes, &mut self.more_notes, told);
    }

    /// A flag whose `true` has no effect.
    pub(super) fn idle(&mut self, entry: &Entry, reason: &str) {
        if self.flag(entry) {
            self.note(entry, reason);
        }
    }

    /// A key that nobody knows.
    pub(super) fn unknown(&mut self, entry: &Entry, block: &str) {
        self.wrong(entry.line, &format!("{block} has no `{}`", shown(&entry.key)));
    }

    fn shape<T>(&mut self, entry: &Entry, found: Option<T>, shape: &str) -> Option<T> {
        if found.is_none() {
            self.wrong(entry.line, &format!("{} is not {shape}", entry.key));
        }
        found
    }

    /// Text; a number is taken as it was written.
    pub(super) fn text(&mut self, entry: &Entry) -> Option<String> {
        let found = match &entry.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            _ => None,
        };
        self.shape(entry, found, "text in quotes")
    }

    /// Text that is not empty.
    pub(super) fn filled(&mut self, entry: &Entry) -> Option<String> {
        self.text(entry).filter(|text| !text.is_empty())
    }

    /// Text, if it is one; nothing is said when not.
    pub(super) fn word(&self, entry: &Entry) -> Option<String> {
        if let Value::Text(text) = &entry.value { Some(text.clone()) } else { None }
    }

    /// A boolean, or one in quotes.
    pub(super) fn flag(&mut self, entry: &Entry) -> bool {
        let found = match &entry.value {
            Value::Bool(flag) => Some(*flag),
            Value::Text(text) => parse_bool(text),
            Value::Number(number) => parse_bool(number),
            _ => None,
        };
        self.shape(entry, found, "true or false").unwrap_or_default()
    }

    /// A duration in quotes, or seconds.
    pub(super) fn duration(&mut self, entry: &Entry) -> Option<Duration> {
        let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
        let found = match &entry.value {
            Value::Number(text) => seconds(text),
            Value::Text(text) => parse_duration(text).or_else(|| seconds(text)),
            _ => None,
        };
        self.shape(entry, found, "a duration such as \"30s\", or seconds")
    }

    /// Permission bits: octal in quotes or with a zero before it, else as JSON has numbers.
    pub(super) fn mode(&mut self, entry: &Entry) -> Option<u32> {
        let octal = |text: &str| u32::from_str_radix(text.trim_start_matches("0o"), 8).ok();
        let found = match &entry.value {
            Value::Text(text) => octal(text),
            Value::Number(text) if text.starts_with('0') => octal(text),
            Value::Number(text) => text.parse().ok(),
            _ => None,
        };
        self.shape(entry, found.filter(|mode| *mode <= 0o777), "permission bits such as \"0640\"")
    }

    /// A share of a lease.
    pub(super) fn share(&mut self, entry: &Entry) -> Option<f64> {
        let text = self.text(entry)?;
        let found = text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
        self.shape(entry, found, "a number from 0 to 1")
    }

    /// A block, or each of a list of blocks.
    pub(super) fn blocks<'a>(&mut self, entry: &'a Entry) -> Vec<&'a Block> {
        let found = match &entry.value {
            Value::Block(block) => Some(vec![block]),
            Value::List(items) => {
                items.iter().map(|item| if let Value::Block(block) = item { Some(block) } else { None }).collect()
            }
            _ => None,
        };
        self.shape(entry, found, "a block").unwrap_or_default()
    }

    /// Blocks with a type: as their label, as `type`, or in JSON as the one key around them.
    pub(super) fn typed<'a>(&mut self, entry: &'a Entry) -> Vec<(String, &'a Block)> {
        let blocks = self.blocks(entry);
        let mut found = Vec::new();
        for block in blocks {
            let label = entry.labels.first().cloned();
            let kind = block.iter().find(|entry| entry.key == "type").and_then(|entry| self.text(entry));
            match (label.or(kind), block.as_slice()) {
                (Some(kind), _) => found.push((kind, block)),
                (None, [only]) if only.key != "config" => {
                    let inner = self.blocks(only);
                    found.extend(inner.into_iter().map(|block| (only.key.clone(), block)));
                }
                (None, _) => self.wrong(entry.line, &format!("{} has no type", entry.key)),
            }
        }
        found
    }
}

/// A key as a message may show it.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect()
}
