//! Lists: Go's slices, which remember what they are slices of.

use std::ops::Deref;
use std::rc::Rc;

use crate::value::Val;

/// What a list is a list of, as far as `%T` and JSON tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elem {
    Any,
    Text,
    Int,
    /// Lists of anything.
    Lists,
    /// What `loop` answers: to Go a channel, which can only be ranged over.
    Turns,
}

/// A list that never changes; sharing it is cheap.
#[derive(Clone)]
pub(crate) struct List {
    elem: Elem,
    /// `None` is Go's nil slice: it prints as an empty list, and is null in JSON.
    items: Option<Rc<Vec<Val>>>,
}

impl List {
    pub(crate) fn new(elem: Elem, items: Vec<Val>) -> Self {
        Self { elem, items: Some(Rc::new(items)) }
    }

    /// Go's nil slice.
    pub(crate) const fn nil(elem: Elem) -> Self {
        Self { elem, items: None }
    }

    pub(crate) const fn is_nil(&self) -> bool {
        self.items.is_none()
    }

    /// The elements, if nobody else holds them.
    pub(crate) fn take(&mut self) -> Option<Vec<Val>> {
        self.items.take().and_then(|items| Rc::try_unwrap(items).ok())
    }

    pub(crate) const fn elem(&self) -> Elem {
        self.elem
    }

    pub(crate) const fn go_type(&self) -> &'static str {
        match self.elem {
            Elem::Any => "[]interface {}",
            Elem::Text => "[]string",
            Elem::Int => "[]int",
            Elem::Lists => "[][]interface {}",
            Elem::Turns => "<-chan int64",
        }
    }
}

impl Deref for List {
    type Target = [Val];

    fn deref(&self) -> &[Val] {
        self.items.as_ref().map_or(&[], |items| items.as_slice())
    }
}

impl Drop for List {
    /// Lists nest as deep as a template makes them; each level's own drop would cost stack.
    fn drop(&mut self) {
        crate::map::unnest(self.take().into_iter().flatten());
    }
}
