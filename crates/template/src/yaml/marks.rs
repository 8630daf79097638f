//! Anchors, aliases and tags of the reader.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plain;
use super::read::{BLANK, Read, Reader};
use crate::value::Val;

/// The tags of YAML itself, written out.
const OWN: &str = "tag:yaml.org,2002:";

/// What anchors name, and the tag of the node that is read.
#[derive(Default)]
pub(super) struct Marks {
    anchors: BTreeMap<String, Val>,
    pub(super) tag: Option<String>,
    /// Entries that merge keys have copied.
    pub(super) merged: usize,
}

impl Marks {
    /// A collection is what it is, whatever its tag.
    pub(super) fn drop_tag(&mut self) {
        self.tag = None;
    }

    /// From here on the name stands for the value.
    pub(super) fn anchor(&mut self, name: String, value: Val) {
        self.anchors.insert(name, value);
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
            let word = self.word()?.to_owned();
            match word.strip_prefix('&') {
                Some(_) if anchor.is_some() => return Err(self.wrong("an anchor that is none")),
                Some(name) => anchor = Some(name.to_owned()),
                None => self.marks.tag = Some(word),
            }
            self.spaces();
        }
        let value = node(self)?;
        // A node that is not there has no text, which its tag may still want to be one.
        let value = if self.marks.tag.is_some() { self.tagged(String::new(), false)? } else { value };
        if let Some(anchor) = anchor {
            self.marks.anchor(anchor, value.clone());
        }
        Ok(value)
    }

    /// `&name`, `*name` or a tag; names are of letters and digits of ASCII, `_` and `-`.
    pub(super) fn word(&mut self) -> Read<&str> {
        let rest = self.rest();
        let end = rest.find(|c| BLANK.contains(&c) || matches!(c, ',' | ']' | '}')).unwrap_or(rest.len());
        let end = match rest.strip_prefix(['&', '*']) {
            Some(name) => {
                1 + name.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).unwrap_or(name.len())
            }
            // A tag of YAML has a comma of its own.
            None if rest.starts_with("!<") => rest.find('>').map_or(end, |end| end + 1),
            None => end,
        };
        let after = rest[end..].chars().next();
        if end == 1 && !rest.starts_with('!') || after.is_some_and(|c| !BLANK.contains(&c) && !"?:,]}%@`".contains(c)) {
            return Err(self.wrong("an anchor, an alias or a tag that is none"));
        }
        self.advance(end);
        Ok(&rest[..end])
    }

    /// `*name`: what the anchor of this name stands before.
    pub(super) fn alias(&mut self) -> Read<Val> {
        let name = self.word()?[1..].to_owned();
        self.anchored(&name)
    }

    pub(super) fn anchored(&self, name: &str) -> Read<Val> {
        let found = self.marks.anchors.get(name).cloned();
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
                let digits = text.replace(['\n', '\r'], "");
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
}
