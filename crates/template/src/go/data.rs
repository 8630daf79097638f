//! The functions that ask the inputs: Vault's answers, the environment, the frozen time.

use std::collections::BTreeMap;

use sidekey_core::Lookup;
use sidekey_core::lookup::Verb;

use super::Run;
use crate::failure::Failure;
use crate::fields::{Fields, Shape};
use crate::files::{Place, nowhere};
use crate::helpers::{Out, Text, bytes, text};
use crate::list::{Elem, List};
use crate::value::Val;

/// `secret PATH ["KEY=VALUE" …]`.
pub(crate) fn secret(run: &mut Run<'_>, args: &[Val]) -> Out {
    ask(run, "secret", args)
}

/// `secrets PATH`.
pub(crate) fn secrets(run: &mut Run<'_>, args: &[Val]) -> Out {
    ask(run, "secrets", args)
}

/// `pkiCert PATH ["KEY=VALUE" …]`: a certificate as consul-template hands it out, each part one PEM text that ends its line.
/// The answer is kept and replaced by the planner, so the destination file is not read back.
pub(crate) fn pki_cert(run: &mut Run<'_>, args: &[Val]) -> Out {
    let answer = ask(run, "pkiCert", args)?;
    let Val::Struct(fields) = &answer else { return Ok(answer) };
    let data = fields.get("Data");
    let part = |key: &str| match data {
        Some(Val::Map(map)) => map.get(key).map_or_else(|| Val::str(""), |part| pem(&part)),
        _ => Val::str(""),
    };
    let mut parts = vec![("Cert", part("certificate")), ("Key", part("private_key")), ("CA", part("issuing_ca"))];
    parts.push(("CAChain", chain(data)));
    let own = Val::Struct(Fields::new(Shape::Secret, parts.clone()));
    parts.push(("Data", own));
    Ok(Val::Struct(Fields::new(Shape::Secret, parts)))
}

fn chain(data: Option<&Val>) -> Val {
    match data {
        Some(Val::Map(map)) => match map.get("ca_chain") {
            Some(Val::List(items)) => texts(items.iter().map(pem).collect()),
            _ => texts(Vec::new()),
        },
        _ => texts(Vec::new()),
    }
}

fn texts(items: Vec<Val>) -> Val {
    Val::List(List::new(Elem::Text, items))
}

fn pem(text: &Val) -> Val {
    let text = text.bytes().unwrap_or_default().trim_ascii_end();
    if text.is_empty() { Val::str("") } else { Val::str([text, b"\n"].concat()) }
}

fn ask(run: &mut Run<'_>, name: &str, args: &[Val]) -> Out {
    if name == "secret" && !args.is_empty() && text(args, 0)?.trim().is_empty() {
        return Err(Failure::new("the path is empty"));
    }
    let texts = (0..args.len()).map(|index| text(args, index)).collect::<Result<Vec<_>, _>>()?;
    Ok(lookup(name, &texts)?.map_or(Val::Nil, |lookup| run.ask(lookup)))
}

/// What a call asks for; an empty path asks for nothing, as in consul-template.
///
/// # Errors
/// A parameter without `=`.
pub(super) fn lookup(name: &str, args: &[&str]) -> Result<Option<Lookup>, Failure> {
    let Some((path, rest)) = args.split_first() else { return Ok(None) };
    if path.trim().is_empty() {
        return Ok(None);
    }
    let mut params = BTreeMap::new();
    for pair in rest.iter().filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::new("a parameter is not of the form KEY=VALUE").hint("write secret \"path\" \"key=value\"")
        })?;
        params.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    let verb = match name {
        "secret" if rest.is_empty() => Verb::Read,
        "secret" | "pkiCert" => Verb::Write,
        "secrets" => Verb::List,
        _ => return Ok(None),
    };
    Ok(Some(Lookup::new(verb, path, params)))
}

/// `file PATH`: what it holds; an empty path is an empty text, as in consul-template.
pub(crate) fn file(run: &mut Run<'_>, args: &[Val]) -> Out {
    let path = text(args, 0)?;
    if path.is_empty() {
        return Ok(Val::str(""));
    }
    let held = run.file(path.trim()).ok_or_else(nowhere)?;
    held.map(|bytes| Val::str(bytes.expose().as_slice())).map_err(Failure::new)
}

pub(crate) fn env(run: &mut Run<'_>, args: &[Val]) -> Out {
    Ok(Val::str(run.variable(text(args, 0)?).unwrap_or_default()))
}

pub(crate) fn env_or_default(run: &mut Run<'_>, args: &[Val]) -> Out {
    let default = text(args, 1)?;
    Ok(Val::str(run.variable(text(args, 0)?).unwrap_or(default)))
}

pub(crate) fn must_env(run: &mut Run<'_>, args: &[Val]) -> Out {
    let name = text(args, 0)?;
    run.variable(name)
        .filter(|value| !value.is_empty())
        .map(Val::str)
        .ok_or_else(|| Failure::new(format!("variable {name} is not set in the agent's container, or empty")))
}

/// `expandenv TEXT`: `$NAME` and `${NAME}` as variables, as Go's `os.ExpandEnv` reads them.
pub(crate) fn expand_env(run: &mut Run<'_>, args: &[Val]) -> Out {
    let (mut rest, mut out) = (bytes(args, 0)?, Text::default());
    while let Some(at) = rest.iter().position(|byte| *byte == b'$').filter(|at| at + 1 < rest.len()) {
        out.push(&rest[..at])?;
        let (name, length) = variable_name(&rest[at + 1..]);
        match std::str::from_utf8(name) {
            Ok("") if length == 0 => out.push(b"$")?,
            Ok(name) => out.push(run.variable(name).unwrap_or_default().as_bytes())?,
            Err(_) => {}
        }
        rest = &rest[at + 1 + length..];
    }
    out.push(rest)?;
    Ok(out.done())
}

/// The name that stands behind a `$`, and how many bytes it takes up with its braces; braces around nothing take up their own.
fn variable_name(rest: &[u8]) -> (&[u8], usize) {
    let special = |byte: u8| byte.is_ascii_digit() || b"*#$@!?-".contains(&byte);
    match rest {
        [b'{', ..] => match rest.iter().position(|byte| *byte == b'}') {
            Some(end) => (&rest[1..end], end + 1),
            None => (&[], 1),
        },
        [first, ..] if special(*first) => (&rest[..1], 1),
        _ => {
            let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
            (&rest[..end], end)
        }
    }
}

/// `executeTemplate NAME [DOT]`.
pub(crate) fn execute_template(run: &mut Run<'_>, args: &[Val]) -> Out {
    let dot = args.get(1).cloned().unwrap_or(Val::Void);
    run.template_text(text(args, 0)?, &dot)
}

/// `writeToFile PATH USER GROUP MODE [FLAGS] CONTENT`: one more file; prints nothing.
pub(crate) fn write_to_file(run: &mut Run<'_>, args: &[Val]) -> Out {
    let place = Place::parse(text(args, 0)?, text(args, 1)?, text(args, 2)?, text(args, 3)?)?;
    let flags = if args.len() > 5 { text(args, 4)? } else { "" };
    run.files.add(place, flags, bytes(args, args.len() - 1)?)?;
    Ok(Val::str(""))
}

/// `fail TEXT`: the template's own error. What does not stand in the template may hold a value, and is not shown.
pub(crate) fn fail(run: &mut Run<'_>, args: &[Val]) -> Out {
    let words = text(args, 0)?;
    Err(if run.program.says(words) {
        Failure::new(words)
    } else {
        Failure::new("the template says that it cannot go on").hint("its words may hold values, so they are not shown")
    })
}
