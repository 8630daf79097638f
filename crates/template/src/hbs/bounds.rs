//! What is refused before handlebars' recursive parser sees it: nesting that would exhaust the stack.

use crate::failure::Failure;

/// Deepest nesting of brackets in one expression.
const MAX_BRACKETS: usize = 16;

/// Deepest nesting of blocks.
const MAX_BLOCKS: usize = 64;

/// Tags times bytes: handlebars counts lines from the top for each tag.
const MAX_WORK: usize = 1 << 26;

/// Walks the `{{…}}` tags; braces of the tags themselves do not count.
pub(super) fn check(source: &str) -> Result<(), Failure> {
    let (mut at, mut tags, mut blocks) = (0, 0, Vec::new());
    while let Some(found) = source[at..].find("{{") {
        let start = at + found;
        if source[..start].ends_with('\\') {
            at = start + 2;
            continue;
        }
        let braces = source[start..].bytes().take_while(|byte| *byte == b'{').count();
        let tag = &source[start + braces..];
        let end = if braces == 4 { raw_block(tag) } else { close(tag) };
        let Some(end) = end else { return Err(Failure::new("this tag is never closed").at(start)) };
        match tag.trim_start_matches(['~', ' ', '\t', '\r', '\n']).bytes().next() {
            Some(b'#') => blocks.push(start),
            Some(b'/') => drop(blocks.pop()),
            _ => {}
        }
        if blocks.len() > MAX_BLOCKS {
            return Err(Failure::new(format!("blocks nest deeper than {MAX_BLOCKS}")).at(start));
        }
        if braces > 4 || depth(&tag[..end]) > MAX_BRACKETS {
            return Err(Failure::new(format!("brackets nest deeper than {MAX_BRACKETS}")).at(start));
        }
        at = start + braces + end;
        tags += 1;
        if tags * source.len() > MAX_WORK {
            return Err(Failure::new(format!("{tags} tags are too many for a template of {} KiB", source.len() >> 10))
                .at(start));
        }
    }
    blocks.pop().map_or(Ok(()), |start| Err(Failure::new("this block is never closed").at(start)))
}

/// Where a tag's closing braces begin; a comment of dashes ends with dashes.
fn close(tag: &str) -> Option<usize> {
    tag.find(if tag.starts_with("!--") { "--}}" } else { "}}" })
}

/// What stands in a raw block is no tag.
fn raw_block(tag: &str) -> Option<usize> {
    tag.find("{{{{/").and_then(|end| tag[end..].find("}}}}").map(|close| end + close))
}

fn depth(tag: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in tag.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn refuses_what_would_exhaust_the_parsers_stack() {
        let deep = format!("{{{{a {}b{}}}}}", "(c ".repeat(17), ")".repeat(17));
        let blocks = "{{#if a}}".repeat(65) + &"{{/if}}".repeat(65);
        let cases = [
            ("{{a (b (c d))}} (((((((((((((((((((", true),
            (deep.as_str(), false),
            (blocks.as_str(), false),
            ("{{{{{a}}}}}", false),
            ("{{#if a}}{{!-- {{#if b}} --}}{{{{raw}}}} {{#x}} {{{{/raw}}}}\\{{#y{{/if}}", true),
        ];
        for (source, fine) in cases {
            assert_eq!(check(source).is_ok(), fine, "{source}");
        }
    }
}
