//! Go's literals, as `%q` writes them.

/// A Go literal (`strconv.Quote`): what cannot be seen is escaped.
pub(crate) fn quote(bytes: &[u8], mark: char) -> String {
    quoted(bytes, mark, is_visible)
}

/// The same in ASCII alone (`strconv.QuoteToASCII`).
pub(super) fn quote_ascii(bytes: &[u8], mark: char) -> String {
    quoted(bytes, mark, |c| c.is_ascii() && is_visible(c))
}

fn quoted(bytes: &[u8], mark: char, visible: fn(char) -> bool) -> String {
    let mut out = String::from(mark);
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| quote_char(c, mark, visible, &mut out));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push(mark);
    out
}

fn quote_char(c: char, mark: char, visible: fn(char) -> bool, out: &mut String) {
    let named = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        '\\' => '\\',
        c if c == mark => c,
        c if !visible(c) => {
            let code = u32::from(c);
            out.push_str(&match code {
                0..=0x7f => format!("\\x{code:02x}"),
                0x80..=0xffff => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            });
            return;
        }
        c => return out.push(c),
    };
    out.push('\\');
    out.push(named);
}

/// Close to Go's `IsPrint`: no controls, no spaces but the plain one, no format characters or private use.
pub(super) fn is_visible(c: char) -> bool {
    c == ' '
        || !(c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}'))
}
