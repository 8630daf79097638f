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
    /// A certificate and its key: sprig hands it over itself, and no pointer to it.
    Certificate,
}

/// A struct, or a pointer to one.
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
            Shape::Certificate => "sprig.certificate",
        }
    }

    /// Whether it is a pointer to the struct.
    pub(crate) fn is_pointer(&self) -> bool {
        self.0.shape != Shape::Certificate
    }

    /// The field's name in JSON.
    pub(crate) fn json_name(&self, field: &str) -> String {
        match self.0.shape {
            Shape::Secret | Shape::Certificate => field.to_owned(),
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
