//! Maps: shared and changeable, as Go's are. `set` on one name is seen through every other.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::failure::Failure;
use crate::key;
use crate::value::Val;

/// A map by reference; sorted by the bytes of its keys.
#[derive(Clone)]
pub(crate) struct Map(Rc<Cell>);

struct Cell {
    kind: Kind,
    /// Go's nil map: empty for ever, and `null` in JSON.
    nil: bool,
    entries: RefCell<BTreeMap<String, Val>>,
}

/// What a map is a map of, as far as types tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `map[string]interface {}`.
    Any,
    /// `map[string]string`: a missing key is an empty string.
    Texts,
    /// `map[interface {}]interface {}`, as Go reads YAML: JSON has no word for it.
    Yaml,
}

impl Map {
    pub(crate) fn new(entries: BTreeMap<String, Val>) -> Self {
        Self(Rc::new(Cell { kind: Kind::Any, nil: false, entries: RefCell::new(entries) }))
    }

    /// Go's `map[string]interface {}` that was never made.
    pub(crate) fn nil() -> Self {
        Self(Rc::new(Cell { kind: Kind::Any, nil: true, entries: RefCell::default() }))
    }

    /// Go's `map[string]string`.
    pub(crate) fn of_texts(entries: BTreeMap<String, Val>) -> Self {
        Self(Rc::new(Cell { kind: Kind::Texts, nil: false, entries: RefCell::new(entries) }))
    }

    /// Go's map of what YAML says.
    pub(crate) fn of_yaml(entries: BTreeMap<String, Val>) -> Self {
        Self(Rc::new(Cell { kind: Kind::Yaml, nil: false, entries: RefCell::new(entries) }))
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.0.nil
    }

    pub(crate) fn is_of_anything(&self) -> bool {
        self.0.kind == Kind::Any
    }

    pub(crate) fn is_of_yaml(&self) -> bool {
        self.0.kind == Kind::Yaml
    }

    /// What a key of this map is to a template: only YAML's need not be texts.
    pub(crate) fn key(&self, key: &str) -> Val {
        if self.is_of_yaml() { key::value(key) } else { Val::str(key) }
    }

    /// What stands there by a key of any type, of which Go's maps of anything have many.
    pub(crate) fn by(&self, key: &Val) -> Option<Val> {
        self.get(&key::of(key)?)
    }

    /// A new map with the same keys.
    pub(crate) fn like(other: &Self, mut each: impl FnMut(&Val) -> Val) -> Self {
        let entries = other.borrow().iter().map(|(key, item)| (key.clone(), each(item))).collect();
        Self(Rc::new(Cell { kind: other.0.kind, nil: other.0.nil, entries: RefCell::new(entries) }))
    }

    pub(crate) fn borrow(&self) -> Ref<'_, BTreeMap<String, Val>> {
        self.0.entries.borrow()
    }

    pub(crate) fn get(&self, key: &str) -> Option<Val> {
        self.borrow().get(key).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.borrow().len()
    }

    /// A copy of the entries as they are now: what a loop runs over, however they change in it.
    pub(crate) fn entries(&self) -> BTreeMap<String, Val> {
        self.borrow().clone()
    }

    /// What the map yields for a key that it does not have.
    pub(crate) fn zero(&self) -> Val {
        if self.0.kind == Kind::Texts { Val::str("") } else { Val::Nil }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Changes the map for all who see it.
    ///
    /// # Errors
    /// A map that is nil, and a value that holds the map itself: it could never be printed, nor forgotten.
    pub(crate) fn insert(&self, key: &str, value: Val) -> Result<(), Failure> {
        if self.0.nil {
            return Err(Failure::new("there is no map to put this into: it is nil"));
        }
        value.weight().ok_or_else(|| Failure::new("the value nests too deep, or is too large"))?;
        if holds(&value, self) {
            return Err(Failure::new("a map cannot be put into itself"));
        }
        self.0.entries.borrow_mut().insert(key.to_owned(), value);
        Ok(())
    }

    pub(crate) fn remove(&self, key: &str) {
        let removed = self.0.entries.borrow_mut().remove(key);
        drop(removed);
    }

    pub(crate) fn go_type(&self) -> &'static str {
        match self.0.kind {
            Kind::Any => "map[string]interface {}",
            Kind::Texts => "map[string]string",
            Kind::Yaml => "map[interface {}]interface {}",
        }
    }
}

/// Whether the map is somewhere in the value, whose weight is within bounds.
fn holds(value: &Val, map: &Map) -> bool {
    match value {
        Val::Map(inner) => inner.is_same(map) || inner.borrow().values().any(|item| holds(item, map)),
        Val::List(items) => items.iter().any(|item| holds(item, map)),
        Val::Struct(fields) => fields.iter().any(|(_, item)| holds(item, map)),
        _ => false,
    }
}

impl Drop for Cell {
    /// A map grows at its innermost place without bound; each level's own drop would cost stack.
    fn drop(&mut self) {
        unnest(std::mem::take(self.entries.get_mut()).into_values());
    }
}

/// Drops values that nest however deep.
pub(crate) fn unnest(values: impl Iterator<Item = Val>) {
    let mut waiting: Vec<Val> = values.filter(|value| matches!(value, Val::List(_) | Val::Map(_))).collect();
    while let Some(value) = waiting.pop() {
        let nested = |value: &Val| matches!(value, Val::List(_) | Val::Map(_));
        match value {
            Val::Map(Map(cell)) => {
                if let Ok(mut cell) = Rc::try_unwrap(cell) {
                    waiting.extend(std::mem::take(cell.entries.get_mut()).into_values().filter(nested));
                }
            }
            Val::List(mut list) => waiting.extend(list.take().into_iter().flatten().filter(nested)),
            _ => {}
        }
    }
}
