//! Paths with slashes, by their text alone: Go's `path` package.

use super::{Out, text};
use crate::value::Val;

pub(crate) fn base(args: &[Val]) -> Out {
    let whole = text(args, 0)?;
    let trimmed = whole.trim_end_matches('/');
    Ok(Val::str(match (whole, trimmed) {
        ("", _) => ".",
        (_, "") => "/",
        (_, trimmed) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }))
}

pub(crate) fn dir(args: &[Val]) -> Out {
    let whole = text(args, 0)?;
    Ok(Val::str(cleaned(whole.rfind('/').map_or("", |slash| &whole[..=slash]))))
}

pub(crate) fn clean(args: &[Val]) -> Out {
    Ok(Val::str(cleaned(text(args, 0)?)))
}

pub(crate) fn ext(args: &[Val]) -> Out {
    let name = text(args, 0)?.rsplit('/').next().unwrap_or("");
    Ok(Val::str(name.rfind('.').map_or("", |dot| &name[dot..])))
}

pub(crate) fn is_abs(args: &[Val]) -> Out {
    Ok(Val::Bool(text(args, 0)?.starts_with('/')))
}

/// The shortest path that means the same.
pub(crate) fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            ("..", None) if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
