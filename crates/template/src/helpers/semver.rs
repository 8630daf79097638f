//! Semantic versions (semver.org), with a `v` before and parts left out allowed.

use std::cmp::Ordering;
use std::rc::Rc;

use super::constraint::Constraint;
use super::{Out, text, wanted};
use crate::failure::Failure;
use crate::object::Object;
use crate::value::Val;

/// A version.
#[derive(Clone, Default)]
pub(crate) struct Version {
    pub(super) numbers: [u64; 3],
    pub(super) pre: String,
    metadata: String,
    original: String,
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = bare.split_once('+').map_or((bare, None), |(rest, metadata)| (rest, Some(metadata)));
        let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
        let parts: Vec<&str> = core.split('.').collect();
        let mut numbers = [0; 3];
        if parts.len() > numbers.len() {
            return None;
        }
        for (slot, part) in numbers.iter_mut().zip(&parts) {
            *slot = digits(part).then(|| part.parse().ok())??;
        }
        let fine = pre.is_none_or(is_prerelease) && metadata.is_none_or(is_identifiers);
        let owned = |part: Option<&str>| part.unwrap_or_default().to_owned();
        fine.then(|| Self { numbers, pre: owned(pre), metadata: owned(metadata), original: text.to_owned() })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre.as_str(), other.pre.as_str()) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (one, other) => compare_prerelease(one, other),
        })
    }

    /// The next version: of the part at `place`, the parts behind it zero.
    fn next(&self, place: usize) -> Self {
        let mut numbers = self.numbers;
        if place < 2 || self.pre.is_empty() {
            numbers[place] = numbers[place].saturating_add(1);
            numbers[place + 1..].fill(0);
        }
        let next = Self { numbers, ..Self::default() };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        Self { original: format!("{prefix}{}", next.text()), ..next }
    }

    fn with(&self, args: &[Val], pre: bool) -> Out {
        let part = text(args, 0)?;
        if !part.is_empty() && !(if pre { is_prerelease(part) } else { is_identifiers(part) }) {
            return Err(Failure::new("the text is no part of a version"));
        }
        let mut next = self.clone();
        *(if pre { &mut next.pre } else { &mut next.metadata }) = part.to_owned();
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{}", next.text());
        Ok(Val::Object(Rc::new(next)))
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Identifiers separated by points.
pub(super) fn is_identifiers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

fn is_prerelease(text: &str) -> bool {
    is_identifiers(text) && !text.split('.').any(|part| digits(part) && part.len() > 1 && part.starts_with('0'))
}

/// Numbers come before words; fewer parts before more.
pub(super) fn compare_prerelease(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.split('.'), other.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl Object for Version {
    fn text(&self) -> String {
        let mut out = self.numbers.map(|n| n.to_string()).join(".");
        for (mark, part) in [('-', &self.pre), ('+', &self.metadata)] {
            if !part.is_empty() {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }

    fn kind(&self) -> &'static str {
        "a version"
    }

    fn go_type(&self) -> &'static str {
        "*semver.Version"
    }

    fn go_kind(&self) -> &'static str {
        "ptr"
    }

    fn method(&self, name: &str, args: &[Val]) -> Option<Out> {
        let other = || match args {
            [Val::Object(object)] => object.version().ok_or_else(|| wanted(args, 0, "a version")),
            _ => Err(wanted(args, 0, "a version")),
        };
        let compared = |test: fn(Ordering) -> bool| other().map(|other| Val::Bool(test(self.compare(other))));
        Some(match name {
            "Major" => Ok(Val::Uint(self.numbers[0])),
            "Minor" => Ok(Val::Uint(self.numbers[1])),
            "Patch" => Ok(Val::Uint(self.numbers[2])),
            "Prerelease" => Ok(Val::str(self.pre.as_str())),
            "Metadata" => Ok(Val::str(self.metadata.as_str())),
            "Original" => Ok(Val::str(self.original.as_str())),
            "String" => Ok(Val::str(self.text())),
            "IncMajor" => Ok(Val::Object(Rc::new(self.next(0)))),
            "IncMinor" => Ok(Val::Object(Rc::new(self.next(1)))),
            "IncPatch" => Ok(Val::Object(Rc::new(self.next(2)))),
            "Compare" => other().map(|other| Val::Int(i64::from(self.compare(other) as i8))),
            "Equal" => compared(Ordering::is_eq),
            "LessThan" => compared(Ordering::is_lt),
            "LessThanEqual" => compared(Ordering::is_le),
            "GreaterThan" => compared(Ordering::is_gt),
            "GreaterThanEqual" => compared(Ordering::is_ge),
            "SetPrerelease" => self.with(args, true),
            "SetMetadata" => self.with(args, false),
            _ => return None,
        })
    }

    fn version(&self) -> Option<&Version> {
        Some(self)
    }
}

fn version(args: &[Val], index: usize) -> Result<Version, Failure> {
    Version::parse(text(args, index)?).ok_or_else(|| Failure::new("the text is not a semantic version"))
}

/// `semver TEXT`: a version, which has methods.
pub(crate) fn parse(args: &[Val]) -> Out {
    Ok(Val::Object(Rc::new(version(args, 0)?)))
}

/// `semverCompare CONSTRAINT VERSION`.
pub(crate) fn compare(args: &[Val]) -> Out {
    let constraint = Constraint::parse(text(args, 0)?);
    let constraint = constraint.ok_or_else(|| Failure::new("the first text is not a version constraint"))?;
    Ok(Val::Bool(constraint.allows(&version(args, 1)?)))
}
