//! Anchors, aliases, tags and merge keys of the reader.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plain;
use super::read::{BLANK, Reader};
use crate::failure::Failure;
use crate::value::Val;

type Read<T> = Result<T, Failure>;

/// The tags of YAML itself, written out.
const OWN: &str = "tag:yaml.org,2002:";

/// What anchors name, and the tag of the node that is read.
#[derive(Default)]
pub(super) struct Marks {
    anchors: BTreeMap<String, Val>,
    tag: Option<String>,
}

impl Marks {
    /// A collection is what it is, whatever its tag.
    pub(super) fn drop_tag(&mut self) {
        self.tag = None;
    }
}

impl Reader<'_> {
    /// Whether an anchor or a tag begins here.
    pub(super) fn has_marks(&self) -> bool {
        matches!(self.peek(), Some('&' | '!'))
    }

    /// Reads anchor and tag, and the node behind them.
    pub(super) fn marked(&mut self, node: impl FnOnce(&mut Self) -> Read<Val>) -> Read<Val> {
        let mut anchor = None;
        while self.has_marks() {
            let word = self.word().to_owned();
            match word.strip_prefix('&') {
                Some(name) if name.is_empty() || anchor.is_some() => return Err(self.wrong("an anchor that is none")),
                Some(name) => anchor = Some(name.to_owned()),
                None => self.marks.tag = Some(word),
            }
            self.spaces();
        }
        let value = node(self)?;
        // A node that is not there has no text, which its tag may still want to be one.
        let value = if self.marks.tag.is_some() { self.tagged(String::new(), false)? } else { value };
        if let Some(anchor) = anchor {
            self.marks.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn word(&mut self) -> &str {
        let rest = self.rest();
        let end = rest.find(|c| BLANK.contains(&c) || matches!(c, ',' | ']' | '}')).unwrap_or(rest.len());
        // A tag of YAML has a comma of its own.
        let end = if rest.starts_with("!<") { rest.find('>').map_or(end, |end| end + 1) } else { end };
        self.advance(end);
        &rest[..end]
    }

    /// `*name`: what the anchor of this name stands before.
    pub(super) fn alias(&mut self) -> Read<Val> {
        let name = self.word()[1..].to_owned();
        let found = self.marks.anchors.get(&name).cloned();
        found.ok_or_else(|| self.wrong("an alias without an anchor before it"))
    }

    /// A scalar's value: by its tag, else a text in quotes or what a bare one stands for.
    pub(super) fn tagged(&mut self, text: String, quoted: bool) -> Read<Val> {
        let Some(tag) = self.marks.tag.take() else {
            return Ok(if quoted { Val::str(text) } else { plain::resolve(&text) });
        };
        let long = tag.strip_prefix("!<").and_then(|tag| tag.strip_suffix('>')).and_then(|tag| tag.strip_prefix(OWN));
        let Some(kind) = tag.strip_prefix("!!").or(long) else { return Ok(Val::str(text)) };
        match (kind, plain::resolve(&text)) {
            ("str", _) => Ok(Val::str(text)),
            ("binary", _) => {
                let digits: String = text.split_whitespace().collect();
                STANDARD.decode(digits).map(Val::str).map_err(|_| self.wrong("a !!binary that is no base 64"))
            }
            ("float", Val::Int(n)) => Ok(Val::Float(crate::helpers::cast::to_float(&Val::Int(n)))),
            ("int", value @ (Val::Int(_) | Val::Uint(_)))
            | ("float", value @ Val::Float(_))
            | ("bool", value @ Val::Bool(_))
            | ("null", value @ Val::Nil) => Ok(value),
            ("int" | "float" | "bool" | "null", _) => Err(self.wrong("a value that its tag does not fit")),
            _ => Ok(Val::str(text)),
        }
    }

    /// Whether the key that begins here merges: a bare `<<`.
    pub(super) fn merges(&self) -> bool {
        self.rest().strip_prefix("<<").is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(':'))
    }

    /// Puts a key into a mapping; a merge key puts what its maps have.
    pub(super) fn enter(&self, entries: &mut BTreeMap<String, Val>, merges: bool, key: String, value: Val) -> Read<()> {
        if !merges {
            entries.insert(key, value);
            return Ok(());
        }
        let maps: Vec<&Val> = match &value {
            Val::List(items) => items.iter().rev().collect(),
            one => vec![one],
        };
        for map in maps {
            let Val::Map(map) = map else { return Err(self.wrong("a merge key of something that is no map")) };
            entries.extend(map.entries());
        }
        Ok(())
    }
}
