//! Whether the blocks of a Go template match: what gotmpl's parser lets pass.

use super::Delimiters;
use crate::failure::Failure;

/// Deepest nesting of blocks; the parser's own limit is 100.
const MAX_NESTING: usize = 64;

/// The blocks that are open.
pub(super) struct Blocks<'s> {
    delimiters: Delimiters<'s>,
    open: Vec<Block<'s>>,
}

struct Block<'s> {
    keyword: &'s str,
    start: usize,
    has_else: bool,
}

impl Block<'_> {
    /// Whether a loop's turn can be ended here: its `else` is none.
    fn loops(&self) -> bool {
        self.keyword == "range" && !self.has_else
    }
}

impl<'s> Blocks<'s> {
    pub(super) const fn new(delimiters: Delimiters<'s>) -> Self {
        Self { delimiters, open: Vec::new() }
    }

    /// Takes the next action by its first two words and the place where it begins.
    pub(super) fn action(&mut self, word: &'s str, next: &str, start: usize) -> Result<(), Failure> {
        let Delimiters { left, right } = self.delimiters;
        let written = |word: &str| format!("{left}{word}{right}");
        let stray = |word: &str| Failure::new(format!("this {} belongs to no block", written(word))).at(start);
        match word {
            "if" | "with" | "range" | "block" => self.push(word, start)?,
            "define" if !self.open.is_empty() => {
                return Err(Failure::new("a definition stands inside another block")
                    .at(start)
                    .hint("move it to the top of the template"));
            }
            "define" => self.push(word, start)?,
            "end" => {
                self.open.pop().ok_or_else(|| stray("end"))?;
            }
            "else" => self
                .otherwise(next)
                .map_err(|message| message.map_or_else(|| stray("else"), |text| Failure::new(text).at(start)))?,
            "break" | "continue" if !self.open.iter().any(Block::loops) => {
                return Err(Failure::new(format!("this {} stands outside every range", written(word))).at(start));
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, keyword: &'s str, start: usize) -> Result<(), Failure> {
        if self.open.len() >= MAX_NESTING {
            return Err(Failure::new(format!("blocks nest deeper than {MAX_NESTING}")).at(start));
        }
        self.open.push(Block { keyword, start, has_else: false });
        Ok(())
    }

    /// `None` when there is nothing to belong to.
    fn otherwise(&mut self, next: &str) -> Result<(), Option<String>> {
        let block =
            self.open.last_mut().filter(|block| matches!(block.keyword, "if" | "with" | "range")).ok_or(None)?;
        if block.has_else {
            return Err(Some(format!("a second else in one {}", block.keyword)));
        }
        match next {
            "if" | "with" if next != block.keyword => {
                Err(Some(format!("`else {next}` in a block that begins with `{}`", block.keyword)))
            }
            "if" | "with" => Ok(()),
            _ => {
                block.has_else = true;
                Ok(())
            }
        }
    }

    /// Nothing may be open at the end.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let Delimiters { left, right } = self.delimiters;
        self.open.pop().map_or(Ok(()), |block| {
            Err(Failure::new(format!("this {} is never closed", block.keyword))
                .at(block.start)
                .hint(format!("add {left}end{right} where it ends")))
        })
    }
}
