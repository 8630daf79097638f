//! One value at a time: the annotation, else the settings, else the dialect's default. Each reading leaves a trace.

use std::borrow::Cow;
use std::time::Duration;

use sidekey_core::contract::Dialect;
use sidekey_core::goparse::{parse_bool, parse_duration};
use sidekey_core::{Cause, Code};

use crate::annotations::{Annotations, Entry, refused};
use crate::explain::{Origin, Trace};
use crate::quantity::Quantity;
use crate::registry::{Effect, Fallback, Field};
use crate::settings::Settings;
use crate::value;

/// Reads values of one pod.
pub(crate) struct Reader<'a> {
    pub(crate) found: &'a Annotations<'a>,
    pub(crate) settings: &'a Settings,
    /// The dialect of the switch: its defaults count.
    pub(crate) dialect: Dialect,
    pub(crate) warnings: Vec<String>,
    pub(crate) trace: Trace,
}

/// A value and where it comes from.
pub(crate) struct Given<'a> {
    pub(crate) value: &'a str,
    pub(crate) from: Basis<'a>,
}

pub(crate) enum Basis<'a> {
    Annotation(Entry<'a>),
    Settings(&'static str),
    Default(&'static str),
}

/// What a resource annotation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The platform's default.
    Default,
    /// No such entry.
    Removed,
    /// This much.
    Of(Quantity),
}

impl<'a> Reader<'a> {
    /// The value that counts; `None` where there is no default either.
    pub(crate) fn given(&mut self, field: Field) -> Option<Given<'a>> {
        let given = self.peek(field)?;
        let silent = given.value.is_empty() && matches!(given.from, Basis::Settings(_));
        if !silent && field.row().effect == Effect::Now {
            self.trace.choose(field.label(), given.shown(), given.from.origin());
        }
        Some(given)
    }

    fn peek(&self, field: Field) -> Option<Given<'a>> {
        if let Some(entry) = self.found.get(field) {
            return Some(Given { value: entry.value, from: Basis::Annotation(entry) });
        }
        let row = field.row();
        match row.key(self.dialect).or(row.native).or(row.vault)?.default {
            Fallback::Settings(name) => Some(Given { value: self.settings.value(field)?, from: Basis::Settings(name) }),
            Fallback::Is(value) => Some(Given { value, from: Basis::Default(value) }),
            Fallback::None | Fallback::Derived(_) => None,
        }
    }

    pub(crate) fn parsed<T>(&mut self, field: Field, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Cause> {
        let Some(given) = self.given(field) else { return Ok(None) };
        parse(given.value).map(Some).ok_or_else(|| given.refused(field))
    }

    /// A word of the row's own.
    pub(crate) fn word<T>(&mut self, field: Field, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Cause> {
        self.parsed(field, parse)
    }

    /// A boolean; absent without a default is `None`.
    pub(crate) fn maybe_flag(&mut self, field: Field) -> Result<Option<bool>, Cause> {
        self.parsed(field, parse_bool)
    }

    /// A boolean; absent without a default is false.
    pub(crate) fn flag(&mut self, field: Field) -> Result<bool, Cause> {
        Ok(self.maybe_flag(field)?.unwrap_or(false))
    }

    /// Text; absent without a default is empty.
    pub(crate) fn text(&mut self, field: Field) -> &'a str {
        self.given(field).map_or("", |given| given.value)
    }

    /// Text that is not empty.
    pub(crate) fn filled(&mut self, field: Field) -> Option<String> {
        Some(self.text(field)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Go's integer.
    pub(crate) fn int(&mut self, field: Field) -> Result<Option<i64>, Cause> {
        self.parsed(field, value::int)
    }

    /// Go's unsigned integer.
    pub(crate) fn uint(&mut self, field: Field) -> Result<Option<u32>, Cause> {
        self.parsed(field, value::uint)
    }

    /// A share of a lease.
    pub(crate) fn share(&mut self, field: Field) -> Result<Option<f64>, Cause> {
        self.parsed(field, value::share)
    }

    /// A Go duration; empty is absent.
    pub(crate) fn duration(&mut self, field: Field) -> Result<Option<Duration>, Cause> {
        self.unless_empty(field, parse_duration)
    }

    /// A Go duration or seconds; empty is absent.
    pub(crate) fn seconds(&mut self, field: Field) -> Result<Option<Duration>, Cause> {
        self.unless_empty(field, value::seconds)
    }

    fn unless_empty<T>(&mut self, field: Field, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Cause> {
        let read = self.parsed(field, |text| if text.is_empty() { Some(None) } else { parse(text).map(Some) })?;
        Ok(read.flatten())
    }

    /// A quantity of the pod's own; the settings' default is for the caller to apply.
    pub(crate) fn quantity(&mut self, field: Field) -> Result<Asked, Cause> {
        let Some(entry) = self.found.get(field) else { return Ok(Asked::Default) };
        self.trace.choose(field.label(), entry.value.to_owned(), entry.origin());
        if entry.value.is_empty() {
            return Ok(Asked::Removed);
        }
        Quantity::parse(entry.value).map(Asked::Of).ok_or_else(|| entry.refused(field.row().kind))
    }

    /// Refuses an empty value; `meaning` says what is missing then.
    pub(crate) fn needed(&mut self, field: Field, meaning: &str) -> Result<String, Cause> {
        self.filled(field).ok_or_else(|| self.missing(field, meaning))
    }

    /// The refusal of a pod that lacks an annotation.
    pub(crate) fn missing(&self, field: Field, meaning: &str) -> Cause {
        let key = field.row().full_key(self.dialect).replace("[-<NAME>]", "");
        Cause::new(Code::AnnotationMissing, "reading the pod's annotations", format!("there is no {meaning}"))
            .with_fix(format!("Set {key} to the {meaning}."))
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}

impl Given<'_> {
    fn shown(&self) -> Cow<'static, str> {
        match self.from {
            Basis::Default(value) => Cow::Borrowed(value),
            _ => Cow::Owned(self.value.to_owned()),
        }
    }

    fn refused(&self, field: Field) -> Cause {
        let place = match &self.from {
            Basis::Annotation(entry) => entry.origin().to_string(),
            Basis::Settings(name) => format!("settings field {name}"),
            Basis::Default(_) => format!("the default of {}", field.label()),
        };
        refused(&place, self.value, field.row().kind)
    }
}

impl Basis<'_> {
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Annotation(entry) => entry.origin(),
            Self::Settings(name) => Origin::Settings(name),
            Self::Default(_) => Origin::Default,
        }
    }
}
