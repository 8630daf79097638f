//! Go's built-in printers and escapers.

use super::{print as printer, sprintf};
use crate::helpers::{Out, text};
use crate::value::Val;

pub(crate) fn print(args: &[Val]) -> Out {
    Ok(Val::str(printer::print(args)))
}

pub(crate) fn println(args: &[Val]) -> Out {
    Ok(Val::str(printer::println(args)))
}

pub(crate) fn printf(args: &[Val]) -> Out {
    sprintf::sprintf(text(args, 0)?, &args[1..]).map(Val::str)
}

pub(crate) fn html(args: &[Val]) -> Out {
    Ok(Val::str(gotmpl::html_escape(&joined(args))))
}

pub(crate) fn js(args: &[Val]) -> Out {
    Ok(Val::str(gotmpl::js_escape(&joined(args))))
}

pub(crate) fn urlquery(args: &[Val]) -> Out {
    Ok(Val::str(gotmpl::url_encode(&joined(args))))
}

/// As `print`, but nothing is a text of its own, as an action prints it.
fn joined(args: &[Val]) -> String {
    let shown = |value: &Val| if value.is_nothing() { Val::str("<no value>") } else { value.clone() };
    let out = printer::print(&args.iter().map(shown).collect::<Vec<_>>());
    String::from_utf8_lossy(&out).into_owned()
}
