//! Go structs: fields in their order, and what the type is called.

use std::ops::Deref;
use std::rc::Rc;

use crate::value::Val;

/// What its type tells of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// What a secret function answers.
    Secret,
    /// What a template of the operator has for its dot.
    Input,
}

/// A pointer to a struct.
#[derive(Clone)]
pub(crate) struct Fields(Rc<Typed>);

struct Typed {
    shape: Shape,
    all: Vec<(&'static str, Val)>,
}

impl Fields {
    pub(crate) fn new(shape: Shape, all: Vec<(&'static str, Val)>) -> Self {
        Self(Rc::new(Typed { shape, all }))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Val> {
        self.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    pub(crate) fn go_type(&self) -> &'static str {
        match self.0.shape {
            Shape::Secret => "*dependency.Secret",
            Shape::Input => "*helpers.SecretInput",
        }
    }

    /// The field's name in JSON.
    pub(crate) fn json_name(&self, field: &str) -> String {
        match self.0.shape {
            Shape::Secret => field.to_owned(),
            Shape::Input => field.to_lowercase(),
        }
    }
}

impl Deref for Fields {
    type Target = [(&'static str, Val)];

    fn deref(&self) -> &Self::Target {
        &self.0.all
    }
}
