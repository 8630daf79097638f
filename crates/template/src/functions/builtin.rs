//! Go's own functions, which every set has.

use super::{Function, evaluator, pure, refused};
use crate::go;
use crate::helpers::compare;

/// Sorted by name; one row, one line.
#[rustfmt::skip]
pub(crate) static BUILTIN: &[Function] = &[
    evaluator("and", "and A B …", "The first that is false, else the last; those after it are not computed."),
    refused("call", "No value of a template is a function."),
    pure("eq", "eq A B …", "Whether A equals one of the others; numbers of secrets are strings.", "aaa*", compare::eq),
    pure("ge", "ge A B", "A >= B.", "aa", compare::ge),
    pure("gt", "gt A B", "A > B.", "aa", compare::gt),
    pure("html", "html VALUE …", "HTML escapes.", "a*", go::builtin::html),
    pure("index", "index COLLECTION KEY …", "The element; a map's missing key is nothing.", "aa*", compare::index),
    pure("js", "js VALUE …", "JavaScript escapes.", "a*", go::builtin::js),
    pure("le", "le A B", "A <= B.", "aa", compare::le),
    pure("len", "len VALUE", "Bytes of a string, elements of a list or map.", "a", compare::len),
    pure("lt", "lt A B", "A < B.", "aa", compare::lt),
    pure("ne", "ne A B", "Whether they differ.", "aa", compare::ne),
    pure("not", "not VALUE", "Whether it is false, zero, empty or nothing.", "a", compare::not),
    evaluator("or", "or A B …", "The first that is true, else the last; those after it are not computed."),
    pure("print", "print VALUE …", "As Go's `fmt.Sprint`.", "a*", go::builtin::print),
    pure("printf", "printf FORMAT VALUE …", "As Go's `fmt.Sprintf`.", "sa*", go::builtin::printf),
    pure("println", "println VALUE …", "As Go's `fmt.Sprintln`.", "a*", go::builtin::println),
    pure("slice", "slice VALUE [FROM [TO]]", "A part of a string's bytes or of a list.", "aa?a?a?", compare::slice),
    pure("urlquery", "urlquery VALUE …", "URL query escapes.", "a*", go::builtin::urlquery),
];
