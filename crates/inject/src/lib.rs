//! pod + facts + settings → annotations → spec → plan → patch, or skip, or deny
//!
//! Pure: nothing here knows the clock, the environment, a file or a socket. The pod stays raw JSON, so a field this crate
//! does not know is never lost; the patch is built, never diffed, and the same pod gives the same bytes.
//!
//! | noun | file |
//! |---|---|
//! | what can be said, in which dialect | `registry` |
//! | what was said | `annotations`, `rules`, `bypass`, `reader`, `words` |
//! | what is wanted | `parse`, `login`, `logins`, `secrets`, `command` → `spec` |
//! | what is decided | `targets`, `token`, `identity`, `resources`, `outputs`, `directories`, `changes`,
//! | | `environment` → `plan` |
//! | what is done | `build`, `cloud`, `trust`, `amend`, `patch` → `operations` |
//! | what a person sees | `outcome`, `explain` |

pub mod explain;
pub mod quantity;
pub mod registry;
pub mod settings;

mod amend;
mod annotations;
mod build;
mod bypass;
mod changes;
mod cloud;
mod command;
mod directories;
mod environment;
mod identity;
mod login;
mod logins;
mod operations;
mod outcome;
mod outputs;
mod parse;
mod patch;
mod plan;
mod pod;
mod reader;
mod resources;
mod rules;
mod secrets;
mod spec;
mod switch;
mod targets;
mod token;
mod trust;
mod value;
mod words;

use serde_json::Value;
use sidekey_core::Cause;

pub use operations::{ApplyError, Patch};
pub use outcome::{Facts, Injection, Outcome, SkipReason, env_files};
pub use settings::Settings;

use crate::annotations::Annotations;
use crate::explain::Trace;
use crate::plan::{Notes, Plan};
use crate::pod::Pod;
use crate::reader::Reader;

/// Decides what to do with `pod`: the object of a CREATE request, or a workload's pod template.
///
/// Deterministic, and connects nowhere. A second call on a patched pod adds what came later and repairs our order.
pub fn mutate(pod: &Value, facts: &Facts, settings: &Settings) -> Outcome {
    let pod = Pod::new(pod);
    let Some(map) = pod.annotations() else { return Outcome::Skip(SkipReason::NotAsked) };
    let mut warnings = Vec::new();
    let collected =
        annotations::bounded(map).and_then(|()| Annotations::collect(map, &settings.dialects)).map_err(Stop::Deny);
    match collected.and_then(|found| inject(&pod, found, facts, settings, &mut warnings)) {
        Ok(injection) => Outcome::Patch(Box::new(Injection { warnings: annotations::first(warnings), ..injection })),
        Err(Stop::Skip(reason)) => Outcome::Skip(reason),
        Err(Stop::Deny(cause)) => Outcome::Deny { cause, warnings: annotations::first(warnings) },
    }
}

/// Why there is no patch.
enum Stop {
    Skip(SkipReason),
    Deny(Cause),
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Deny(cause)
    }
}

fn inject<'a>(
    pod: &Pod<'a>,
    mut found: Annotations<'a>,
    facts: &Facts,
    settings: &'a Settings,
    warnings: &mut Vec<String>,
) -> Result<Injection, Stop> {
    let dialect = switch::read(pod, &found, facts)?;
    rules::apply(&mut found, settings, &facts.namespace, dialect)?;
    warnings.append(&mut found.warnings);
    let mut reader = Reader { found: &found, settings, dialect, warnings: Vec::new(), trace: Trace::new() };
    let spec = parse::parse(&mut reader, token::problem(pod, &found, settings, dialect));
    let Reader { warnings: mut said, mut trace, .. } = reader;
    warnings.append(&mut said);
    let spec = spec?;
    rules::check(&spec, &found, settings, &facts.namespace)?;
    let plan = plan::plan(pod, &spec, facts, settings, &mut Notes { warnings, trace: &mut trace })?;
    let patch = patch::patch(&plan, pod, &spec, settings, warnings)?;
    if patch.is_empty() {
        return Err(Stop::Skip(SkipReason::AlreadyInjected));
    }
    let Plan { agents, .. } = plan;
    let agents = agents.into_iter().map(|agent| (agent.name.to_owned(), agent.config)).collect();
    Ok(Injection { patch, warnings: Vec::new(), trace, agents })
}
