//! Empty values and what stands in for them.

use super::{Out, wanted};
use crate::value::Val;

/// `default FALLBACK VALUE`.
pub(crate) fn default(args: &[Val]) -> Out {
    let value = args.get(1).unwrap_or(&Val::Nil);
    Ok(if value.truth() { value.clone() } else { args[0].clone() })
}

/// `coalesce VALUE …`: the first that is not empty.
pub(crate) fn coalesce(args: &[Val]) -> Out {
    Ok(args.iter().find(|value| value.truth()).cloned().unwrap_or(Val::Nil))
}

/// `ternary YES NO CONDITION`.
pub(crate) fn ternary(args: &[Val]) -> Out {
    match args[2] {
        Val::Bool(yes) => Ok(args[usize::from(!yes)].clone()),
        _ => Err(wanted(args, 2, "a boolean")),
    }
}

pub(crate) fn empty(args: &[Val]) -> Out {
    Ok(Val::Bool(!args[0].truth()))
}

/// Whether none is empty.
pub(crate) fn all(args: &[Val]) -> Out {
    Ok(Val::Bool(args.iter().all(Val::truth)))
}

/// Whether one is not empty.
pub(crate) fn any(args: &[Val]) -> Out {
    Ok(Val::Bool(args.iter().any(Val::truth)))
}
