//! One directive of a format: flags, width, precision, and which argument it takes.

use super::{Spec, format_value};
use crate::failure::Failure;
use crate::go::print;
use crate::value::Val;

/// Widest field; Go's own limit is a million.
const MAX_WIDTH: usize = 10_000;

/// Goes through the arguments.
pub(super) struct Printer<'a> {
    args: &'a [Val],
    next: usize,
    /// The directive's own index names an argument, or it has none.
    good: bool,
    reordered: bool,
}

/// What a directive's text still holds, and whether an index has just been read.
type Indexed<'t> = (&'t str, bool);

impl<'a> Printer<'a> {
    pub(super) const fn new(args: &'a [Val]) -> Self {
        Self { args, next: 0, good: true, reordered: false }
    }

    /// One directive after its `%`; answers what follows it.
    pub(super) fn directive<'t>(&mut self, text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, Failure> {
        self.good = true;
        let (mut spec, rest) = flags(text);
        let indexed = self.index(rest);
        let (rest, indexed) = self.width(indexed, &mut spec, out)?;
        let (rest, indexed) = match rest.strip_prefix('.') {
            Some(rest) => {
                self.good &= !indexed;
                let indexed = self.index(rest);
                self.precision(indexed, &mut spec, out)?
            }
            None => (rest, indexed),
        };
        let rest = if indexed { rest } else { self.index(rest).0 };
        let mut chars = rest.chars();
        let Some(verb) = chars.next() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return Ok("");
        };
        spec.verb = verb;
        self.verb(spec, out);
        Ok(chars.as_str())
    }

    fn width<'t>(&mut self, at: Indexed<'t>, spec: &mut Spec, out: &mut Vec<u8>) -> Result<Indexed<'t>, Failure> {
        let (rest, indexed) = at;
        if let Some(rest) = rest.strip_prefix('*') {
            let width = self.star("WIDTH", out)?;
            spec.minus |= width.is_some_and(|width| width < 0);
            spec.width = width.map_or(0, |width| usize::try_from(width.unsigned_abs()).unwrap_or(MAX_WIDTH));
            return Ok((rest, false));
        }
        let (width, rest) = digits(rest)?;
        self.good &= !(indexed && width.is_some());
        spec.width = width.unwrap_or(0);
        Ok((rest, indexed))
    }

    fn precision<'t>(&mut self, at: Indexed<'t>, spec: &mut Spec, out: &mut Vec<u8>) -> Result<Indexed<'t>, Failure> {
        let (rest, indexed) = at;
        if let Some(rest) = rest.strip_prefix('*') {
            let precision = self.star("PREC", out)?;
            if precision.is_some_and(|precision| precision < 0) {
                out.extend_from_slice(b"%!(BADPREC)");
            }
            spec.precision = precision.and_then(|precision| usize::try_from(precision).ok());
            return Ok((rest, false));
        }
        let (precision, rest) = digits(rest)?;
        spec.precision = Some(precision.unwrap_or(0));
        Ok((rest, indexed))
    }

    fn verb(&mut self, spec: Spec, out: &mut Vec<u8>) {
        match self.args.get(self.next) {
            _ if spec.verb == '%' => out.push(b'%'),
            _ if !self.good => out.extend_from_slice(format!("%!{}(BADINDEX)", spec.verb).as_bytes()),
            Some(value) => {
                format_value(value, spec, out);
                self.next += 1;
            }
            None => out.extend_from_slice(format!("%!{}(MISSING)", spec.verb).as_bytes()),
        }
    }

    /// `[n]`: the next argument is the n-th. One that is none leaves the next as it is, and spoils the directive.
    fn index<'t>(&mut self, text: &'t str) -> Indexed<'t> {
        let Some(inner) = text.strip_prefix('[') else { return (text, false) };
        self.reordered = true;
        let Some((digits, rest)) = inner.split_once(']') else {
            self.good = false;
            return (inner, false);
        };
        let number = digits.parse::<usize>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match number.and_then(|number| number.checked_sub(1)).filter(|place| *place < self.args.len()) {
            Some(place) => self.next = place,
            None => self.good = false,
        }
        (rest, number.is_some())
    }

    /// `*`: the next argument is the number.
    fn star(&mut self, what: &str, out: &mut Vec<u8>) -> Result<Option<i64>, Failure> {
        let arg = self.args.get(self.next);
        self.next += usize::from(arg.is_some());
        let number = match arg {
            Some(Val::Int(n) | Val::Long(n)) => Some(*n),
            Some(Val::Uint(n)) => i64::try_from(*n).ok(),
            _ => None,
        };
        let number = number.filter(|number| number.unsigned_abs() <= 1_000_000);
        match number {
            Some(number) if number.unsigned_abs() > MAX_WIDTH as u64 => return Err(too_wide()),
            None => out.extend_from_slice(format!("%!(BAD{what})").as_bytes()),
            Some(_) => {}
        }
        Ok(number)
    }

    /// What no directive took.
    pub(super) fn extra(&self, out: &mut Vec<u8>) {
        if self.reordered || self.next >= self.args.len() {
            return;
        }
        out.extend_from_slice(b"%!(EXTRA ");
        for (index, value) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value.go_type().as_bytes());
            if !matches!(value, Val::Nil | Val::Void | Val::Absent) {
                out.push(b'=');
                print::show(value, out);
            }
        }
        out.push(b')');
    }
}

/// Digits that stand in the format.
fn digits(text: &str) -> Result<(Option<usize>, &str), Failure> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = if end == 0 { None } else { Some(text[..end].parse().unwrap_or(usize::MAX)) };
    if number.is_some_and(|number| number > MAX_WIDTH) { Err(too_wide()) } else { Ok((number, &text[end..])) }
}

fn too_wide() -> Failure {
    Failure::new(format!("printf: width or precision above {MAX_WIDTH}"))
}

fn flags(text: &str) -> (Spec, &str) {
    let mut spec = Spec::default();
    let end = text.find(|c| !"+-# 0".contains(c)).unwrap_or(text.len());
    for flag in text[..end].chars() {
        match flag {
            '+' => spec.plus = true,
            '-' => spec.minus = true,
            '#' => spec.sharp = true,
            ' ' => spec.space = true,
            _ => spec.zero = true,
        }
    }
    (spec, &text[end..])
}
