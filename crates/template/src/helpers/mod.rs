//! What the functions of both engines do: values in, one value out, nothing else.

pub(crate) mod bcrypt;
pub(crate) mod case;
pub(crate) mod cast;
pub(crate) mod certificate;
mod char_set;
pub(crate) mod cipher;
pub(crate) mod collect;
pub(crate) mod compare;
mod constraint;
pub(crate) mod date;
pub(crate) mod decimal;
pub(crate) mod defaults;
pub(crate) mod dict;
pub(crate) mod digest;
pub(crate) mod encode;
mod go_regex;
pub(crate) mod keys;
pub(crate) mod layout;
pub(crate) mod lists;
pub(crate) mod math;
pub(crate) mod merge;
pub(crate) mod numbers;
pub(crate) mod password;
pub(crate) mod paths;
pub(crate) mod pattern;
pub(crate) mod pem;
pub(crate) mod quoting;
pub(crate) mod reflect;
mod scrypt;
pub(crate) mod semver;
pub(crate) mod shell;
pub(crate) mod text;
pub(crate) mod time;
mod unicode;
pub(crate) mod url;
pub(crate) mod words;

use crate::failure::Failure;
use crate::list::List;
use crate::map::Map;
use crate::value::Val;

/// What a function answers.
pub(crate) type Out = Result<Val, Failure>;

/// Longest text that a function may make, and longest file.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// Longest list that a function makes from numbers.
pub(crate) const MAX_ITEMS: usize = 100_000;

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
        Some(Val::Int(n) | Val::Long(n)) => Some(*n),
        Some(Val::Uint(n)) => i64::try_from(*n).ok(),
        Some(Val::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Some(whole(*f)),
        Some(value) => value.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok()),
        None => None,
    };
    number.ok_or_else(|| wanted(args, index, "an integer"))
}

/// A count or a place: an integer that is not negative.
pub(crate) fn size(args: &[Val], index: usize) -> Result<usize, Failure> {
    usize::try_from(int(args, index)?).map_err(|_| wanted(args, index, "a number that is not negative"))
}

#[expect(clippy::cast_possible_truncation, reason = "the caller checked that it is whole and small")]
pub(crate) fn whole(f: f64) -> i64 {
    f as i64
}

pub(crate) fn list(args: &[Val], index: usize) -> Result<&List, Failure> {
    match args.get(index) {
        Some(Val::List(items)) => Ok(items),
        _ => Err(wanted(args, index, "a list")),
    }
}

pub(crate) fn map(args: &[Val], index: usize) -> Result<&Map, Failure> {
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
