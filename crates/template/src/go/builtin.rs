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

/// As `print`, but nothing is a text of its own and a pointer is what it points at, as an action prints them.
fn joined(args: &[Val]) -> String {
    let shown = |value: &Val| match value {
        value if value.is_nothing() => Val::str("<no value>"),
        Val::Struct(_) => {
            let mut out = Vec::new();
            printer::action(value, &mut out);
            Val::str(out)
        }
        value => value.clone(),
    };
    let out = printer::print(&args.iter().map(shown).collect::<Vec<_>>());
    String::from_utf8_lossy(&out).into_owned()
}
