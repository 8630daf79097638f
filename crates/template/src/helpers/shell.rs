//! Quoting for what reads the files: shells and dotenv readers, Java properties.

use super::{Out, text};
use crate::failure::Failure;
use crate::value::Val;

/// A value that `sh` and dotenv readers read back byte for byte.
///
/// Double quotes where nothing in them is special to either; single quotes, in which both take everything literally, where
/// the value has none. Only a value with a single quote *and* one of `"`, `$`, `` ` ``, `\` needs escapes; they are the
/// shell's, which most dotenv readers know too.
pub(crate) fn shell(args: &[Val]) -> Out {
    let value = text(args, 0)?;
    if value.contains('\0') {
        return Err(Failure::new("a NUL byte cannot stand in a variable")
            .hint("encode the field with base64, or use format raw"));
    }
    let special = |c| matches!(c, '"' | '$' | '`' | '\\' | '!');
    Ok(Val::str(if !value.contains(special) {
        format!("\"{value}\"")
    } else if !value.contains('\'') {
        format!("'{value}'")
    } else {
        format!("\"{}\"", escaped(value, |c| matches!(c, '"' | '$' | '`' | '\\')))
    }))
}

fn escaped(value: &str, special: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A name that shells can hold in a variable.
pub(crate) fn env_name(args: &[Val]) -> Out {
    let name = text(args, 0)?;
    let head = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if head && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(args[0].clone());
    }
    Err(Failure::new(format!("the key {name:?} is no name of an environment variable"))
        .hint("rename the key in the secret to letters, digits and underscores, or choose the format json, yaml or properties"))
}

/// A value of a Java properties file (`java.util.Properties.load`), in ASCII.
pub(crate) fn properties(args: &[Val]) -> Out {
    Ok(Val::str(property(text(args, 0)?, false)))
}

/// A key of a Java properties file.
pub(crate) fn properties_key(args: &[Val]) -> Out {
    Ok(Val::str(property(text(args, 0)?, true)))
}

fn property(text: &str, is_key: bool) -> String {
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            ' ' if is_key || index == 0 => out.push_str("\\ "),
            '\\' => out.push_str("\\\\"),
            '=' | ':' | '#' | '!' if is_key => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(out: Out) -> String {
        out.map_or_else(|failure| failure.message, |value| String::from_utf8(value.bytes().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn quotes_only_as_much_as_needed() {
        let cases = [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("it's", "\"it's\""),
            ("a$b", "'a$b'"),
            ("line\nline", "\"line\nline\""),
            ("it's \"$x\" \\ `y`", r#""it's \"\$x\" \\ \`y\`""#),
            ("a\0b", "a NUL byte cannot stand in a variable"),
        ];
        for (value, want) in cases {
            assert_eq!(answer(shell(&[Val::str(value)])), want);
        }
    }

    #[test]
    fn escapes_properties_as_java_reads_them() {
        let cases = [(" a b ", "\\ a b "), ("k=v:#!", "k=v:#!"), ("é😀\n\\", "\\u00e9\\ud83d\\ude00\\n\\\\")];
        for (value, want) in cases {
            assert_eq!(answer(properties(&[Val::str(value)])), want);
        }
        assert_eq!(answer(properties_key(&[Val::str(" a=b:c#d!")])), "\\ a\\=b\\:c\\#d\\!");
    }
}
