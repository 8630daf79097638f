//! What the functions of both engines do: values in, one value out, nothing else.

pub(crate) mod collect;
pub(crate) mod compare;
pub(crate) mod encode;
pub(crate) mod math;
pub(crate) mod shell;
pub(crate) mod text;
pub(crate) mod time;

use std::collections::BTreeMap;

use crate::failure::Failure;
use crate::value::Val;

/// What a function answers.
pub(crate) type Out = Result<Val, Failure>;

/// Longest text that a function may make, and longest file.
pub(crate) const MAX_BYTES: usize = 8 << 20;

fn wanted(args: &[Val], index: usize, want: &str) -> Failure {
    let kind = args.get(index).map_or("missing", Val::kind);
    Failure::new(format!("argument {} is {kind}, not {want}", index + 1))
}

/// A string; a number of a secret counts as its text.
pub(crate) fn bytes(args: &[Val], index: usize) -> Result<&[u8], Failure> {
    args.get(index).and_then(Val::bytes).ok_or_else(|| wanted(args, index, "a string"))
}

pub(crate) fn text(args: &[Val], index: usize) -> Result<&str, Failure> {
    std::str::from_utf8(bytes(args, index)?).map_err(|_| wanted(args, index, "UTF-8 text"))
}

/// A whole number, or a text of digits.
pub(crate) fn int(args: &[Val], index: usize) -> Result<i64, Failure> {
    let number = match args.get(index) {
        Some(Val::Int(n)) => Some(*n),
        Some(Val::Uint(n)) => i64::try_from(*n).ok(),
        Some(Val::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Some(whole(*f)),
        Some(value) => value.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok()),
        None => None,
    };
    number.ok_or_else(|| wanted(args, index, "an integer"))
}

#[expect(clippy::cast_possible_truncation, reason = "the caller checked that it is whole and small")]
fn whole(f: f64) -> i64 {
    f as i64
}

pub(crate) fn list(args: &[Val], index: usize) -> Result<&[Val], Failure> {
    match args.get(index) {
        Some(Val::List(items)) => Ok(items),
        _ => Err(wanted(args, index, "a list")),
    }
}

pub(crate) fn map(args: &[Val], index: usize) -> Result<&BTreeMap<String, Val>, Failure> {
    match args.get(index) {
        Some(Val::Map(entries)) => Ok(entries),
        _ => Err(wanted(args, index, "a map")),
    }
}

/// A text that grows up to [`MAX_BYTES`].
#[derive(Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(too_long());
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn done(self) -> Val {
        Val::str(self.0)
    }
}

pub(crate) fn too_long() -> Failure {
    Failure::new(format!("the text grows beyond {} MiB", MAX_BYTES >> 20))
}
