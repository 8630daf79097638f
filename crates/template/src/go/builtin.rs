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

/// One argument prints as an action does, several as `print`.
fn joined(args: &[Val]) -> String {
    let mut out = Vec::new();
    match args {
        [one] => printer::action(one, &mut out),
        many => out = printer::print(many),
    }
    String::from_utf8_lossy(&out).into_owned()
}
