//! What a function wants of its arguments: Go's types, a letter each.

use crate::failure::Failure;
use crate::list::{Elem, List};
use crate::map::Map;
use crate::value::Val;

/// Parameters in order: `s` string, `i` int, `u` uint32, `f` float64, `b` bool, `a` anything, `m` map, `l` list, `t` list of strings,
/// `T` date, `c` a certificate. `?` after a letter: may be left out; `*`: any number of them.
#[derive(Clone, Copy)]
pub(crate) struct Params(pub(super) &'static str);

impl Params {
    /// Whether so many arguments fit.
    pub(crate) fn takes(self, count: usize) -> bool {
        let marks = self.0.matches(['?', '*']).count();
        let letters = self.0.len() - marks;
        count >= letters - marks && (self.0.ends_with('*') || count <= letters)
    }

    fn letter(self, index: usize) -> char {
        let mut letters = self.0.chars().filter(char::is_ascii_alphabetic);
        let last = letters.clone().next_back();
        letters.nth(index).or(last).unwrap_or('a')
    }

    /// The argument as Go hands it over. `literal`: it is a number that stands in the template, which takes the type that is
    /// wanted, if it can.
    ///
    /// # Errors
    /// Another type: Go converts nothing, not even a number of a secret to a string.
    pub(crate) fn admit(self, index: usize, arg: Val, literal: bool) -> Result<Val, Failure> {
        let letter = self.letter(index);
        Ok(match (letter, arg) {
            ('a', arg)
            | ('s', arg @ Val::Str(_))
            | ('i', arg @ Val::Int(_))
            | ('f', arg @ Val::Float(_))
            | ('b', arg @ Val::Bool(_)) => arg,
            ('i', Val::Float(f)) if literal && f.fract() == 0.0 && f.abs() < 9e15 => Val::Int(crate::helpers::whole(f)),
            // No template function answers this type, so only a number that stands there has it; too large a one is cut.
            ('u', Val::Int(n)) if literal && n >= 0 => Val::Uint(n.unsigned_abs() & 0xffff_ffff),
            ('u', Val::Float(f)) if literal && f.fract() == 0.0 && (0.0..9e15).contains(&f) => {
                Val::Uint(crate::helpers::whole(f).unsigned_abs() & 0xffff_ffff)
            }
            ('f', arg @ Val::Int(_)) if literal => Val::Float(crate::helpers::cast::to_float(&arg)),
            ('m', Val::Void) => Val::Map(Map::new(std::collections::BTreeMap::new())),
            ('l', Val::Void) => Val::List(List::nil(Elem::Any)),
            ('t', Val::Void) => Val::List(List::nil(Elem::Text)),
            ('m', Val::Map(map)) if map.is_of_anything() => Val::Map(map),
            ('l', Val::List(list)) if list.elem() == Elem::Any => Val::List(list),
            ('t', Val::List(list)) if list.elem() == Elem::Text => Val::List(list),
            ('c', Val::Struct(fields)) if !fields.is_pointer() => Val::Struct(fields),
            ('T', Val::Object(object)) if object.moment().is_some() => Val::Object(object),
            (letter, arg) => return Err(wrong(letter, index, &arg)),
        })
    }
}

fn wrong(letter: char, index: usize, arg: &Val) -> Failure {
    let want = match letter {
        's' => "a string",
        'i' => "an integer (Go's int)",
        'u' => "a number that stands in the template (Go's uint32)",
        'f' => "a float",
        'b' => "a boolean",
        'm' => "a map of strings to anything",
        'l' => "a list of anything",
        't' => "a list of strings",
        'c' => "a certificate (of `genCA` or `buildCustomCert`)",
        _ => "a date",
    };
    let failure = Failure::new(format!("argument {} is {}, not {want}", index + 1, described(arg)));
    match hint(letter, arg) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn described(arg: &Val) -> String {
    match arg {
        Val::Int(_) | Val::Long(_) | Val::Uint(_) | Val::List(_) | Val::Map(_) => {
            format!("{} ({})", arg.kind(), arg.go_type())
        }
        other => other.kind().to_owned(),
    }
}

fn hint(letter: char, arg: &Val) -> Option<&'static str> {
    Some(match (letter, arg) {
        ('s', Val::Number(_) | Val::Int(_) | Val::Long(_) | Val::Uint(_) | Val::Float(_) | Val::Bool(_)) => {
            "write (print VALUE) for its text"
        }
        ('i', Val::Number(_) | Val::Str(_) | Val::Long(_) | Val::Uint(_) | Val::Float(_)) => {
            "sprig's `int` makes one of it"
        }
        ('t', Val::List(_)) => "sprig's `toStrings` makes one of it, and its `join` takes any list",
        _ => return None,
    })
}
