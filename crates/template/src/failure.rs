//! A failure while it still lacks the template's name.

use sidekey_core::Code;

use crate::error::TemplateError;

/// What went wrong, where in the source. The text names template parts, keys and kinds, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Byte offset in the template's source.
    pub(crate) offset: Option<usize>,
    /// Which of the sources it is, where several make one set.
    pub(crate) source: Option<usize>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, offset: None, source: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps an offset that is known already: the innermost place is the one to show.
    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// Keeps a source that is known already.
    pub(crate) fn inside(mut self, source: usize) -> Self {
        self.source.get_or_insert(source);
        self
    }

    pub(crate) fn into_error(self, code: Code, template: &str, source: &str) -> TemplateError {
        let place = self.offset.map(|offset| position(source, offset));
        TemplateError {
            code,
            template: template.to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: self.message,
            hint: self.hint,
        }
    }
}

/// Line and column, from 1, of a byte offset; columns count characters.
fn position(source: &str, offset: usize) -> (u32, u32) {
    let before = source.get(..offset).unwrap_or(source);
    let (lines, last) =
        before.rsplit_once('\n').map_or((0, before), |(head, last)| (head.matches('\n').count() + 1, last));
    let count = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    (count(lines), count(last.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let cases = [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 2)), (99, (2, 3))];
        for (offset, want) in cases {
            assert_eq!(position("ab\né.", offset), want, "{offset}");
        }
    }
}
