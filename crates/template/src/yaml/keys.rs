//! Keys of the reader's mappings: texts, numbers and booleans, with an anchor or a tag, or what an alias stands for.

use super::plain;
use super::read::{BLANK, Read, Reader};
use crate::key;
use crate::map::Map;
use crate::value::Val;

/// Most entries that the merge keys of one text copy.
const MAX_MERGED: usize = 100_000;

/// What stands before a colon.
pub(super) enum Key {
    /// `<<`: the entries of the maps behind it.
    Merge,
    /// As [`key::of`] writes it.
    Named(String),
}

/// How a key is written.
enum Form {
    Alias(String),
    Quoted(String),
    Bare(String),
}

impl Reader<'_> {
    /// A key and its colon; `None` if the line has none. Moves behind the colon.
    pub(super) fn key(&mut self) -> Read<Option<Key>> {
        // What is left of the text behind this line.
        let left = self.rest().find('\n').map_or(0, |end| self.rest().len() - end);
        let anchor = self.key_marks()?;
        let form = match self.peek() {
            None | Some('\n' | '\r' | '[' | '{' | '|' | '>') => return Ok(None),
            Some('*') => Form::Alias(self.word()?[1..].to_owned()),
            Some('"' | '\'') => Form::Quoted(self.quoted()?),
            _ => match self.bare_key(self.rest().len() - left)? {
                Some(text) => Form::Bare(text),
                None => return Ok(None),
            },
        };
        if self.rest().len() < left {
            return Ok(None);
        }
        self.spaces();
        let after = self.rest().strip_prefix(':');
        if !after.is_some_and(|after| after.is_empty() || after.starts_with(BLANK)) {
            return Ok(None);
        }
        self.advance(1);
        self.named(form, anchor).map(Some)
    }

    /// A key inside of braces, which need not have a colon.
    pub(super) fn flow_key(&mut self) -> Read<Key> {
        let anchor = self.key_marks()?;
        self.flow_blank();
        let form = match self.peek() {
            Some('*') => Form::Alias(self.word()?[1..].to_owned()),
            Some('"' | '\'') => Form::Quoted(self.quoted()?),
            _ => Form::Bare(self.flow_text()?),
        };
        self.named(form, anchor)
    }

    /// The anchor, if there is one; a tag waits for the key's text.
    fn key_marks(&mut self) -> Read<Option<String>> {
        let mut anchor = None;
        while self.has_marks() {
            let word = self.word()?.to_owned();
            match word.strip_prefix('&') {
                Some(name) => anchor = Some(name.to_owned()),
                None => self.marks.tag = Some(word),
            }
            self.spaces();
        }
        Ok(anchor)
    }

    fn named(&mut self, form: Form, anchor: Option<String>) -> Read<Key> {
        let value = match form {
            Form::Alias(name) => self.anchored(&name)?,
            Form::Bare(text) if text == "<<" && self.marks.tag.is_none() => return Ok(Key::Merge),
            Form::Bare(text) => self.tagged(text, false)?,
            Form::Quoted(text) => self.tagged(text, true)?,
        };
        let named = self.key_of(&value)?;
        if let Some(anchor) = anchor {
            self.marks.anchor(anchor, value);
        }
        Ok(Key::Named(named))
    }

    pub(super) fn key_of(&self, value: &Val) -> Read<String> {
        key::of(value).ok_or_else(|| self.wrong("a key that is nothing, no number, or a collection"))
    }

    /// The text before a colon that ends it, within so many bytes.
    fn bare_key(&mut self, line: usize) -> Read<Option<String>> {
        let line = &self.rest()[..line];
        let end = plain::end(line, false);
        let Some(end) = end.filter(|end| line[*end..].starts_with(':')) else { return Ok(None) };
        let text = line[..end].trim_end_matches(BLANK);
        self.refuse(text)?;
        self.advance(end);
        Ok(Some(text.to_owned()))
    }

    /// Puts a key into a mapping; a merge key puts what its maps have.
    pub(super) fn enter(&mut self, entries: &mut Entries, key: Key, value: Val) -> Read<()> {
        let key = match key {
            Key::Merge => return self.merge(entries, &value),
            Key::Named(key) => key,
        };
        entries.insert(key, value);
        Ok(())
    }

    fn merge(&mut self, entries: &mut Entries, value: &Val) -> Read<()> {
        let maps: Vec<&Val> = match value {
            Val::List(items) => items.iter().rev().collect(),
            one => vec![one],
        };
        for map in maps {
            let Val::Map(map) = map else { return Err(self.wrong("a merge key of something that is no map")) };
            self.marks.merged += map.len();
            if self.marks.merged > MAX_MERGED {
                return Err(self.wrong("its merge keys copy too much"));
            }
            entries.extend(map.entries());
        }
        Ok(())
    }

    /// `[key: value]`: a map of one entry, in a list.
    pub(super) fn lone_pair(&mut self, key: &Val) -> Read<Val> {
        let key = self.key_of(key)?;
        let value = self.flow_after_colon()?;
        Ok(Val::Map(Map::of_yaml(Entries::from([(key, value)]))))
    }
}

/// What a mapping gathers.
pub(super) type Entries = std::collections::BTreeMap<String, Val>;
