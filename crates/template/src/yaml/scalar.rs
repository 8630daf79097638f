//! One string in YAML, as Go's library writes it: bare where no reader takes it for something else, a literal block for lines of
//! text, else quoted.

use crate::helpers::cast;
use crate::helpers::date;

/// Where a string is written.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Columns before every line after the first.
    pub(super) indent: usize,
    /// The column in which the string begins. `None`: lines are not folded.
    pub(super) column: Option<usize>,
    /// A key is one line.
    pub(super) key: bool,
}

/// Longest line that is not folded at its next space.
const WIDTH: usize = 80;

/// What decides how a string may be written.
#[derive(Default)]
struct Shape {
    indicator: bool,
    breaks: bool,
    special: bool,
    /// A space at the start, at the end, beside a line break.
    leads: bool,
    trails: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut shape = Self { indicator: text.starts_with("---") || text.starts_with("..."), ..Self::default() };
        let chars: Vec<char> = text.chars().collect();
        for (place, c) in chars.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| chars[place]);
            let after = chars.get(place + 1);
            let blank_after = after.is_none_or(|c| matches!(c, ' ' | '\t'));
            shape.indicator |= match (c, before) {
                (',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`', None) => {
                    true
                }
                ('?' | '-', None) | (':', _) => blank_after,
                ('#', before) => before.is_none_or(|c| matches!(c, ' ' | '\t' | '\n')),
                _ => false,
            };
            shape.special |= *c != '\n' && !is_printable(*c);
            let (space, line) = (*c == ' ', *c == '\n');
            shape.breaks |= line;
            shape.leads |= (space || line) && place == 0;
            shape.trails |= (space || line) && after.is_none();
            shape.trailing_space |= space && after.is_none();
            shape.break_space |= space && before == Some('\n');
            shape.space_break |= line && before == Some(' ');
        }
        shape
    }

    const fn bare(&self) -> bool {
        !(self.indicator || self.leads || self.trails || self.breaks) && self.single()
    }

    const fn single(&self) -> bool {
        !(self.break_space || self.space_break || self.special)
    }

    const fn literal(&self) -> bool {
        self.breaks && !(self.trailing_space || self.space_break || self.special)
    }
}

/// The string, whatever it holds, so that a reader of YAML 1.1 or 1.2 reads the same string back.
pub(super) fn write(text: &str, place: Place) -> String {
    let shape = Shape::of(text);
    if shape.literal() && !place.key {
        return literal(text, place.indent);
    }
    // Go leaves a merge key bare; here it is a merge only if it is meant.
    let merges = matches!(text, "<<" | "=") && place.column.is_none();
    if shape.breaks || text.is_empty() || merges || resolves(text) {
        double_quoted(text, place)
    } else if shape.bare() {
        folded(text, text, place, 0)
    } else if shape.single() {
        format!("'{}'", folded(text, &text.replace('\'', "''"), place, 1))
    } else {
        double_quoted(text, place)
    }
}

/// Printable to Go's library, which knows no characters beyond the first plane.
const fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn literal(text: &str, indent: usize) -> String {
    let hint = if text.starts_with([' ', '\n']) { "2" } else { "" };
    let trailing = text.len() - text.trim_end_matches('\n').len();
    let chomp = match trailing {
        0 => "-",
        1 if text.len() > 1 => "",
        _ => "+",
    };
    let mut out = format!("|{hint}{chomp}");
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
    }
    out
}

/// Breaks lines at single spaces once they are too long. `written` has the quotes of `text` doubled; `inner` spaces at the ends
/// of a quoted string stay.
fn folded(text: &str, written: &str, place: Place, inner: usize) -> String {
    let Some(start) = place.column.filter(|_| !place.key && text.len() > WIDTH / 2) else { return written.to_owned() };
    let chars: Vec<char> = written.chars().collect();
    let (mut column, mut out) = (start + inner, String::with_capacity(written.len() + 8));
    for (at, c) in chars.iter().enumerate() {
        let ends = inner > 0 && (at == 0 || at + 1 == chars.len());
        let alone = (at == 0 || chars[at - 1] != ' ') && chars.get(at + 1) != Some(&' ');
        if *c == ' ' && column > WIDTH && alone && !ends {
            out.push('\n');
            out.push_str(&" ".repeat(place.indent));
            column = place.indent;
        } else {
            out.push(*c);
            column += 1;
        }
    }
    out
}

fn double_quoted(text: &str, place: Place) -> String {
    let mut out = String::from("\"");
    let mut column = place.column.filter(|_| !place.key).map(|column| column + 1);
    let mut spaces = false;
    let chars: Vec<char> = text.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let inside = at > 0 && at + 1 < chars.len();
        if *c == ' ' && !spaces && inside && column.is_some_and(|column| column > WIDTH) {
            out.push('\n');
            out.push_str(&" ".repeat(place.indent));
            column = Some(place.indent);
            if chars[at + 1] == ' ' {
                out.push('\\');
                column = Some(place.indent + 1);
            }
        } else {
            let before = out.chars().count();
            push_escaped(*c, &mut out);
            column = column.map(|column| column + out.chars().count() - before);
        }
        spaces = *c == ' ';
    }
    out.push('"');
    out
}

fn push_escaped(c: char, out: &mut String) {
    let named = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c if is_printable(c) => return out.push(c),
        c => {
            let code = u32::from(c);
            return out.push_str(&match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
        }
    };
    out.extend(['\\', named]);
}

/// Whether some reader takes the bare text for a boolean, a number, a date, or nothing.
fn resolves(text: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];
    const POINTED: [&str; 6] = [".nan", ".inf", "+.inf", "-.inf", "+.nan", "-.nan"];
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str()) || POINTED.contains(&lower.as_str()) || is_number(text) || is_date(text)
}

/// As Go's library reads numbers, and base 60, which older readers know.
fn is_number(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return false;
    }
    if text.starts_with('.') {
        return cast::parse_float(text).is_some();
    }
    let plain = text.replace('_', "");
    let decimal = plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    let unsigned = plain.trim_start_matches(['+', '-']);
    let whole = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let digits = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let float = decimal && digits && cast::parse_float(&plain).is_some();
    cast::parse_int(&plain).is_some() || float || whole || is_base_60(text)
}

fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let numeric = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_digit()) && part.chars().all(|c| c.is_ascii_digit() || c == '_')
    };
    if !parts.next().is_some_and(numeric) || !unsigned.contains(':') {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    rest.iter().enumerate().all(|(place, part)| {
        let last = place + 1 == rest.len();
        let part = if last { part.split_once('.').map_or(*part, |(whole, _)| whole) } else { part };
        matches!(part.len(), 1 | 2) && part.parse::<u8>().is_ok_and(|n| n < 60)
    })
}

/// `2001-12-14`, perhaps with a time behind it.
fn is_date(text: &str) -> bool {
    const LAYOUTS: [&str; 4] =
        ["2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00", "2006-1-2 15:4:5.999999999", "2006-1-2"];
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    year == 4 && text[year..].starts_with('-') && LAYOUTS.iter().any(|layout| date::parse(layout, text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        write(text, Place { indent: 2, column: None, key: false })
    }

    #[test]
    fn quotes_what_a_reader_would_take_for_something_else() {
        let cases = [
            ("plain text", "plain text"),
            ("yes", "\"yes\""),
            ("Null", "\"Null\""),
            ("123", "\"123\""),
            ("99999999999999999999999", "\"99999999999999999999999\""),
            ("1:20", "\"1:20\""),
            ("0x1F", "\"0x1F\""),
            ("1_000.5e3", "\"1_000.5e3\""),
            ("2024-01-01", "\"2024-01-01\""),
            ("2024-01-01x", "2024-01-01x"),
            ("10.0.0.1:8080", "10.0.0.1:8080"),
            ("3 cafe", "3 cafe"),
            ("1abc", "1abc"),
            ("", "\"\""),
            (" lead", "' lead'"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("it's: x", "'it''s: x'"),
            ("- a", "'- a'"),
            ("{a}", "'{a}'"),
            ("a\u{7f}", "\"a\\x7F\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("😀\0", "\"\\U0001F600\\0\""),
            ("postgres://u:p@h:5432/d?x=1", "postgres://u:p@h:5432/d?x=1"),
        ];
        for (text, want) in cases {
            assert_eq!(written(text), want);
        }
    }

    #[test]
    fn folds_long_lines_at_single_spaces() {
        let words = "word ".repeat(20);
        let text = words.trim_end();
        let folded = write(text, Place { indent: 4, column: Some(6), key: false });
        assert_eq!(folded.lines().count(), 2);
        assert_eq!(folded.replace("\n    ", " "), text);
        assert_eq!(written(text), text);
    }
}
