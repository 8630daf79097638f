//! The one table of functions: what is served, in which language and to whom, and why the rest is not.
//! `docs/reference/templates.md` is written from it.

mod agent;
mod builtin;
mod handlebars;
mod params;
mod sprig;

use crate::failure::Failure;
use crate::go;
use crate::helpers::Out;
use crate::suggest;
use crate::value::Val;

pub(crate) use agent::AGENT;
pub(crate) use builtin::BUILTIN;
pub(crate) use handlebars::HANDLEBARS;
pub(crate) use params::Params;
pub(crate) use sprig::{SPRIG, Sprig};

/// Whose functions a Go template knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// consul-template's own, and sprig's with the prefix `sprig_`.
    Agent,
    /// The operator's choice of sprig's, by their own names. They come before Go's: its `slice` is sprig's.
    Operator,
}

/// One function of one language.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// How it is written.
    pub(crate) usage: &'static str,
    /// What it answers, or why it is refused.
    pub(crate) about: &'static str,
    pub(crate) serve: Serve,
}

/// Who does the work.
#[derive(Clone, Copy)]
pub(crate) enum Serve {
    /// A function of its arguments.
    Pure { params: Params, call: fn(&[Val]) -> Out },
    /// Go: one that also reads the inputs.
    Run { params: Params, call: fn(&mut go::Run<'_>, &[Val]) -> Out },
    /// The evaluator itself: it decides which arguments are computed, or has methods.
    Evaluator,
    /// Known, and refused for the reason in `about`.
    Refused,
}

impl Serve {
    /// What it wants of its arguments.
    pub(crate) const fn params(self) -> Params {
        match self {
            Self::Pure { params, .. } | Self::Run { params, .. } => params,
            Self::Evaluator | Self::Refused => Params("a*"),
        }
    }
}

const fn pure(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    params: &'static str,
    call: fn(&[Val]) -> Out,
) -> Function {
    Function { name, usage, about, serve: Serve::Pure { params: Params(params), call } }
}

const fn run(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    params: &'static str,
    call: fn(&mut go::Run<'_>, &[Val]) -> Out,
) -> Function {
    Function { name, usage, about, serve: Serve::Run { params: Params(params), call } }
}

const fn evaluator(name: &'static str, usage: &'static str, about: &'static str) -> Function {
    Function { name, usage, about, serve: Serve::Evaluator }
}

const fn refused(name: &'static str, about: &'static str) -> Function {
    Function { name, usage: "", about, serve: Serve::Refused }
}

/// sprig's prefix in the agent's set.
const PREFIX: &str = "sprig_";

impl Set {
    /// The function of this name that runs.
    pub(crate) fn served(self, name: &str) -> Option<&'static Function> {
        let found = match self {
            Self::Agent => find(AGENT, name).or_else(|| self.sprig(name.strip_prefix(PREFIX)?)),
            Self::Operator => self.sprig(name),
        };
        found.or_else(|| find(BUILTIN, name)).filter(|function| !matches!(function.serve, Serve::Refused))
    }

    fn sprig(self, name: &str) -> Option<&'static Function> {
        sprig(name).filter(|row| row.known_to(self)).map(|row| &row.function)
    }

    /// Whether a template may name the function.
    ///
    /// # Errors
    /// Unknown, or refused: with the reason, or what to write in its place.
    pub(crate) fn check(self, name: &str) -> Result<(), Failure> {
        if self.served(name).is_some() {
            return Ok(());
        }
        let bare = name.strip_prefix(PREFIX).unwrap_or(name);
        let refusal = match self {
            Self::Agent => find(AGENT, name).or_else(|| sprig(bare).filter(|_| bare != name).map(|row| &row.function)),
            Self::Operator => sprig(name).map(|row| &row.function),
        };
        let refusal = refusal.or_else(|| find(BUILTIN, name)).filter(|row| matches!(row.serve, Serve::Refused));
        if let Some(function) = refusal {
            return Err(Failure::new(format!("function `{name}` is refused")).hint(function.about));
        }
        let failure = Failure::new(format!("function `{name}` is not known"));
        Err(match self.elsewhere(name, bare) {
            Some(hint) => failure.hint(hint),
            None => failure.hint("see docs/reference/templates.md for what is served"),
        })
    }

    /// Where the name is known, or one that is nearly the same.
    fn elsewhere(self, name: &str, bare: &str) -> Option<String> {
        match self {
            Self::Agent if self.sprig(name).is_some() => return Some(format!("did you mean `{PREFIX}{name}`?")),
            Self::Operator if self.served(bare).is_some() => return Some(format!("did you mean `{bare}`?")),
            Self::Operator if sprig(name).is_some() => {
                return Some("the operator does not have this function of sprig".to_owned());
            }
            Self::Operator if find(AGENT, name).is_some() => {
                return Some("only the agent's templates have it; the operator hands secrets in as data".to_owned());
            }
            _ => {}
        }
        let near = suggest::nearest(name, self.names().iter().map(String::as_str))?.to_owned();
        Some(format!("did you mean `{near}`?"))
    }

    /// Whether the first argument must be a pattern; to sprig's `regexMatch` any text is one.
    pub(crate) fn takes_pattern(self, name: &str) -> bool {
        let sprig = if self == Self::Agent { name.strip_prefix(PREFIX) } else { Some(name) };
        match sprig {
            Some("regexMatch" | "regexQuoteMeta") => false,
            Some(name) => name.starts_with("regex") || name.starts_with("mustRegex"),
            None => matches!(name, "regexMatch" | "regexReplaceAll"),
        }
    }

    /// Which argument must be the name of a time zone.
    pub(crate) fn takes_zone(self, name: &str) -> Option<usize> {
        match name.strip_prefix(PREFIX).filter(|_| self == Self::Agent)? {
            "dateInZone" | "date_in_zone" => Some(2),
            "htmlDateInZone" => Some(1),
            _ => None,
        }
    }

    /// The names of all that runs.
    fn names(self) -> Vec<String> {
        let prefix = if self == Self::Agent { PREFIX } else { "" };
        let own = if self == Self::Agent { AGENT } else { &[] };
        let sprig = SPRIG.iter().map(|row| format!("{prefix}{}", row.function.name));
        let names = own.iter().chain(BUILTIN).map(|function| function.name.to_owned()).chain(sprig);
        names.filter(|name| self.served(name).is_some()).collect()
    }
}

fn sprig(name: &str) -> Option<&'static Sprig> {
    SPRIG.binary_search_by(|row| row.function.name.cmp(name)).ok().map(|index| &SPRIG[index])
}

/// The helper of handlebars with this name, served or refused.
pub(crate) fn helper(name: &str) -> Option<&'static Function> {
    find(HANDLEBARS, name)
}

fn find(table: &'static [Function], name: &str) -> Option<&'static Function> {
    table.binary_search_by(|function| function.name.cmp(name)).ok().map(|index| &table[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static Function> {
        AGENT.iter().chain(BUILTIN).chain(HANDLEBARS).chain(SPRIG.iter().map(|row| &row.function))
    }

    #[test]
    fn keeps_every_table_sorted() {
        let sprig: Vec<&str> = SPRIG.iter().map(|row| row.function.name).collect();
        let own = |table: &[Function]| table.iter().map(|function| function.name).collect::<Vec<&str>>();
        for names in [own(AGENT), own(BUILTIN), own(HANDLEBARS), sprig] {
            let unsorted: Vec<_> = names.windows(2).filter(|pair| pair[0] >= pair[1]).collect();
            assert!(unsorted.is_empty(), "{unsorted:?}");
        }
    }

    #[test]
    fn gives_every_refusal_its_reason() {
        for function in all() {
            let refused = matches!(function.serve, Serve::Refused);
            assert_eq!(function.usage.is_empty(), refused, "{}", function.name);
            assert!(!function.about.is_empty(), "{}", function.name);
            assert!(refused || function.usage.contains(function.name), "{}", function.name);
        }
    }

    /// consul-template 0.41.1 and the operator 1.4 know so many of sprig's 211; OpenBao's agent has all, we all but one.
    #[test]
    fn knows_as_many_of_sprigs_as_each_program_does() {
        let known = |set| SPRIG.iter().filter(|row| row.known_to(set)).count();
        let vaults = SPRIG.iter().filter(|row| row.known_to(Set::Agent) && !row.is_openbaos()).count();
        assert_eq!((SPRIG.len(), vaults, known(Set::Agent), known(Set::Operator)), (211, 194, 210, 179));
    }
}
