//! Quoting for the files of database clients and tools: what their readers read back byte for byte, or an error.

use super::{Out, text};
use crate::failure::Failure;
use crate::value::Val;

/// A text that stands on one line whatever the format's escapes are.
fn line(args: &[Val]) -> Result<&str, Failure> {
    let value = text(args, 0)?;
    match value.chars().find(|c| matches!(c, '\n' | '\r' | '\0')) {
        None => Ok(value),
        Some(_) => Err(Failure::new("a line break or a NUL byte cannot stand in this format")
            .hint("encode the field with base64, or use the format raw")),
    }
}

/// Escapes as `\n` and so on; anything else as it is.
fn escaped(value: &str, named: &[(char, char)]) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match named.iter().find(|(from, _)| *from == c) {
            Some((_, to)) => out.extend(['\\', *to]),
            None => out.push(c),
        }
    }
    out
}

/// A value of an INI file: bare where it can be, else in double quotes with the escapes of git, systemd and PHP.
pub(crate) fn ini(args: &[Val]) -> Out {
    let value = text(args, 0)?;
    if value.contains('\0') {
        return line(args).map(Val::str);
    }
    let special = |c: char| matches!(c, '"' | '\'' | '\\' | ';' | '#' | '\n' | '\r' | '\t' | '$' | '`');
    let bare = !value.is_empty() && !value.contains(special) && value.trim() == value && !value.starts_with(['=', '[']);
    if bare {
        return Ok(args[0].clone());
    }
    let named = [('"', '"'), ('\\', '\\'), ('\n', 'n'), ('\r', 'r'), ('\t', 't')];
    Ok(Val::str(format!("\"{}\"", escaped(value, &named))))
}

/// A key or a section of an INI file, which knows no quotes there.
pub(crate) fn ini_key(args: &[Val]) -> Out {
    let name = line(args)?;
    let odd = name.contains(['=', ':', '[', ']', ';', '#', '"', '\'', '\\']) || name.trim() != name;
    if odd || name.is_empty() {
        return Err(Failure::new(format!("the key {name:?} is no name in an INI file"))
            .hint("rename the key in the secret, or choose the format json or yaml"));
    }
    Ok(args[0].clone())
}

/// A field of PostgreSQL's password file. A lone `*` would match everything, a `#` begin a comment.
pub(crate) fn pgpass(args: &[Val]) -> Out {
    let value = line(args)?;
    let text = escaped(value, &[(':', ':'), ('\\', '\\')]);
    Ok(Val::str(if value == "*" || value.starts_with('#') { format!("\\{text}") } else { text }))
}

/// A value of a MySQL option file.
pub(crate) fn mycnf(args: &[Val]) -> Out {
    let value = text(args, 0)?;
    if value.contains('\0') {
        return line(args).map(Val::str);
    }
    let named = [('"', '"'), ('\\', '\\'), ('\n', 'n'), ('\r', 'r'), ('\t', 't'), ('\u{8}', 'b')];
    Ok(Val::str(format!("\"{}\"", escaped(value, &named))))
}

/// A word of a netrc file: in quotes only where it must be, since not every reader knows them.
pub(crate) fn netrc(args: &[Val]) -> Out {
    let value = line(args)?;
    let special = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '#');
    if !value.is_empty() && !value.contains(special) {
        return Ok(args[0].clone());
    }
    Ok(Val::str(format!("\"{}\"", escaped(value, &[('"', '"'), ('\\', '\\')]))))
}

/// A part of a URL: everything but letters, digits and `-._~` as `%XX`.
pub(crate) fn url(args: &[Val]) -> Out {
    Ok(Val::str(super::url::encoded(text(args, 0)?, "")))
}

/// A property of a SQL Server URL.
pub(crate) fn braces(args: &[Val]) -> Out {
    Ok(Val::str(format!("{{{}}}", line(args)?.replace('}', "}}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Quote = fn(&[Val]) -> Out;

    fn answer(out: Out) -> String {
        out.map_or_else(|failure| failure.message, |value| String::from_utf8(value.bytes().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn quotes_for_each_reader() {
        let cases: [(Quote, &str, &str); 16] = [
            (ini, "plain = x", "plain = x"),
            (ini, "a;b \"q\" \\ \n", "\"a;b \\\"q\\\" \\\\ \\n\""),
            (ini, "", "\"\""),
            (ini, " lead", "\" lead\""),
            (ini_key, "a=b", "the key \"a=b\" is no name in an INI file"),
            (pgpass, "a:b\\c", "a\\:b\\\\c"),
            (pgpass, "*", "\\*"),
            (pgpass, "#x", "\\#x"),
            (pgpass, "a\nb", "a line break or a NUL byte cannot stand in this format"),
            (mycnf, "p#\"w\\\n'", "\"p#\\\"w\\\\\\n'\""),
            (netrc, "plain'$x", "plain'$x"),
            (netrc, "a b\"", "\"a b\\\"\""),
            (netrc, "", "\"\""),
            (url, "p@ss w/ö&", "p%40ss%20w%2F%C3%B6%26"),
            (braces, "a}b;c", "{a}}b;c}"),
            (braces, "a\0", "a line break or a NUL byte cannot stand in this format"),
        ];
        for (function, value, want) in cases {
            assert_eq!(answer(function(&[Val::str(value)])), want, "{value:?}");
        }
    }
}
