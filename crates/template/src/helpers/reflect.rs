//! What a value is, in Go's words.

use super::{Out, text};
use crate::list::Elem;
use crate::value::Val;

pub(crate) fn type_of(args: &[Val]) -> Out {
    Ok(Val::str(args[0].go_type()))
}

/// `typeIs TYPE VALUE`.
pub(crate) fn type_is(args: &[Val]) -> Out {
    Ok(Val::Bool(text(args, 0)? == args[1].go_type()))
}

/// `typeIsLike TYPE VALUE`: a pointer to the type will do.
pub(crate) fn type_is_like(args: &[Val]) -> Out {
    let (wanted, found) = (text(args, 0)?, args[1].go_type());
    Ok(Val::Bool(wanted == found || found.strip_prefix('*') == Some(wanted)))
}

pub(crate) fn kind_of(args: &[Val]) -> Out {
    Ok(Val::str(kind(&args[0])))
}

/// `kindIs KIND VALUE`.
pub(crate) fn kind_is(args: &[Val]) -> Out {
    Ok(Val::Bool(text(args, 0)? == kind(&args[1])))
}

fn kind(value: &Val) -> &'static str {
    match value {
        Val::Absent | Val::Void | Val::Nil => "invalid",
        Val::Bool(_) => "bool",
        Val::Int(_) => "int",
        Val::Long(_) => "int64",
        Val::Uint(_) => "uint64",
        Val::Float(_) => "float64",
        Val::Str(_) | Val::Number(_) => "string",
        Val::List(items) if items.elem() == Elem::Turns => "chan",
        Val::List(_) => "slice",
        Val::Map(_) => "map",
        Val::Struct(fields) if fields.is_pointer() => "ptr",
        Val::Struct(_) => "struct",
        Val::Object(object) => object.go_kind(),
    }
}
