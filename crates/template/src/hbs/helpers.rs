//! The helpers: the shared functions in handlebars' argument order, and those that ask the inputs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use handlebars::{Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason, ScopedJson};
use serde_json::{Value as Json, json};
use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Response};

use super::{Record, json};
use crate::failure::Failure;
use crate::files;
use crate::functions::{HANDLEBARS, Serve};
use crate::helpers::{Out, text, time};
use crate::inputs::Inputs;
use crate::value::Val;

/// Name of the helper that prints a path; no template can write it.
pub(super) const PRINT: &str = " print";

/// Names of the helpers that stand in the else-branch of a `with` or `each` that has none.
pub(super) const NOTHING_WITH: &str = " with";
pub(super) const NOTHING_EACH: &str = " each";

/// A failure of ours on its way through handlebars.
#[derive(Debug)]
pub(super) struct Failed(pub(super) Failure);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Failed {}

impl From<Failed> for RenderError {
    fn from(failed: Failed) -> Self {
        RenderErrorReason::NestedError(Box::new(failed)).into()
    }
}

/// Gives a registry all that the table serves and handlebars lacks, and takes `log` away.
pub(super) fn register<'a>(registry: &mut Handlebars<'a>, inputs: &'a Inputs<'a>, record: &'a Mutex<Record>) {
    registry.unregister_helper("log");
    let work = |name, work| Box::new(Called { name, work, inputs, record });
    for function in HANDLEBARS {
        if let Serve::Pure { call, .. } = function.serve {
            registry.register_helper(
                function.name,
                work(function.name, Work::Pure { serve: function.serve, call, usage: function.usage }),
            );
        }
    }
    let own: [(&'static str, Ask); 11] = [
        (PRINT, print),
        (NOTHING_EACH, nothing),
        (NOTHING_WITH, nothing),
        ("env", env),
        ("file", file),
        ("lookup", element),
        ("pki", ask),
        ("response", ask),
        ("secret", ask),
        ("secrets", ask),
        ("timestamp", timestamp),
    ];
    for (name, call) in own {
        registry.register_helper(name, work(name, Work::Ask(call)));
    }
}

type Ask = fn(&Called<'_>, &Helper<'_>) -> Result<Json, Failure>;

#[derive(Clone, Copy)]
enum Work {
    Pure { serve: Serve, call: fn(&[Val]) -> Out, usage: &'static str },
    Ask(Ask),
}

struct Called<'a> {
    name: &'static str,
    work: Work,
    inputs: &'a Inputs<'a>,
    record: &'a Mutex<Record>,
}

impl Called<'_> {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, helper: &Helper<'_>) -> Result<Json, Failure> {
        match self.work {
            Work::Ask(call) => call(self, helper),
            Work::Pure { serve, call, usage } => {
                let count = helper.params().len();
                if !serve.params().takes(count) {
                    return Err(Failure::new(format!("{count} arguments do not fit")).hint(format!("write {usage}")));
                }
                if let Some(missing) = helper.params().iter().find(|param| param.is_value_missing()) {
                    return Err(absent(missing.relative_path()));
                }
                let args: Vec<Val> = helper.params().iter().map(|param| Val::from(param.value())).collect();
                json::of_value(&call(&args)?)
            }
        }
    }
}

fn absent(path: Option<&String>) -> Failure {
    Failure::new(
        path.map_or_else(|| "the value is not in the data".to_owned(), |path| format!("`{path}` is not in the data")),
    )
}

impl HelperDef for Called<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        match self.run(helper) {
            Ok(value) => Ok(ScopedJson::Derived(value)),
            // What fails may only lack what is being fetched; going on finds all that is missing in one pass.
            Err(_) if !self.record().missing.is_empty() => Ok(ScopedJson::Derived(Json::Null)),
            Err(failure) if self.name.starts_with(' ') => Err(Failed(failure).into()),
            Err(failure) => {
                Err(Failed(Failure { message: format!("{}: {}", self.name, failure.message), ..failure }).into())
            }
        }
    }
}

/// Prints a scalar; what has no text of its own is an error.
fn print(_: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let Some(param) = helper.param(0) else { return Ok(Json::Null) };
    let path = param.relative_path().map_or_else(|| "the value".to_owned(), |path| format!("`{path}`"));
    match param.value() {
        _ if param.is_value_missing() => Err(absent(param.relative_path())),
        Json::Null => {
            Err(Failure::new(format!("{path} is null"))
                .hint("print something else with default, or leave it out with #if"))
        }
        Json::Object(_) => {
            Err(Failure::new(format!("{path} is a map")).hint("print it with json or yaml, or one of its fields"))
        }
        Json::Array(_) => {
            Err(Failure::new(format!("{path} is a list")).hint("print it with json or join, or go over it with #each"))
        }
        scalar => Ok(scalar.clone()),
    }
}

/// An empty list or map is gone over in no turns; all else that brings a block here is an error.
fn nothing(called: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let Some(param) = helper.param(0) else { return Err(Failure::new("the block has no argument")) };
    let path = param.relative_path().map_or_else(|| "the value".to_owned(), |path| format!("`{path}`"));
    let failure = match param.value() {
        Json::Array(_) | Json::Object(_) if called.name == NOTHING_EACH => return Ok(json!("")),
        _ if param.is_value_missing() => absent(param.relative_path()),
        Json::Null => Failure::new(format!("{path} is null")),
        _ if called.name == NOTHING_EACH => Failure::new(format!("{path} is neither a list nor a map")),
        _ => Failure::new(format!("{path} is empty")),
    };
    Err(failure.hint("if that may be, add {{else}} to the block"))
}

fn words<'h>(helper: &'h Helper<'_>, index: usize) -> Result<&'h str, Failure> {
    let param = helper.param(index).ok_or_else(|| Failure::new(format!("argument {} is missing", index + 1)))?;
    param.value().as_str().ok_or_else(|| Failure::new(format!("argument {} is not a string", index + 1)))
}

fn env(called: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let name = words(helper, 0)?;
    let value = called.inputs.env.get(name);
    value
        .map(|value| json!(value))
        .ok_or_else(|| Failure::new(format!("variable {name} is not set in the agent's container")))
}

fn timestamp(called: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let layout = if helper.params().is_empty() { None } else { Some(words(helper, 0)?) };
    Ok(json!(time::timestamp(called.inputs.frozen.unix_seconds, layout)))
}

/// `lookup COLLECTION KEY`.
fn element(_: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let (Some(collection), Some(key)) = (helper.param(0), helper.param(1)) else {
        return Err(Failure::new("two arguments are needed").hint("write lookup COLLECTION KEY"));
    };
    let found = match (collection.value(), key.value()) {
        (Json::Object(map), Json::String(key)) => map.get(key),
        (Json::Array(items), key) => key.as_u64().and_then(|index| items.get(usize::try_from(index).ok()?)),
        _ => {
            return Err(Failure::new(
                "the first argument is neither a map with a string for a key nor a list with a number",
            ));
        }
    };
    found.cloned().ok_or_else(|| match key.value() {
        Json::String(key) => Failure::new(format!("there is no key `{key}`")),
        _ => Failure::new("index out of range"),
    })
}

/// `file PATH`. No sandbox: only Vault Agent's own settings can ask for one, and their templates are of Go.
fn file(called: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let path = words(helper, 0)?.trim();
    let held = called.inputs.answers.file(path, None).ok_or_else(files::nowhere)?.map_err(Failure::new)?;
    json::of_value(&Val::str(held.expose().as_slice()))
}

/// `secret`, `response`, `secrets` and `pki`.
fn ask(called: &Called<'_>, helper: &Helper<'_>) -> Result<Json, Failure> {
    let path = words(helper, 0)?;
    let hash = helper.hash().iter().map(|(key, value)| (*key, value.value()));
    let Some(lookup) = lookup(called.name, path, hash)? else { return Err(Failure::new("the path is empty")) };
    let Some(answer) = called.inputs.answers.get(&lookup) else {
        called.record().missing.insert(lookup);
        return Ok(Json::Null);
    };
    let value = match (called.name, lookup.verb) {
        (_, Verb::List) => json::of_value(&crate::inputs::names(&answer))?,
        ("response", _) => response(&answer),
        ("pki", _) => certificate(json::of_data(&answer.data)),
        _ => json::of_data(answer.user_data()),
    };
    called.record().used.insert(lookup);
    Ok(value)
}

fn response(answer: &Response) -> Json {
    json!({
        "request_id": answer.request_id,
        "lease_id": answer.lease_id,
        "lease_duration": answer.lease_duration,
        "renewable": answer.renewable,
        "data": json::of_data(&answer.data),
        "warnings": answer.warnings,
    })
}

/// Each part ends its line, so that parts can follow each other in one file.
fn certificate(mut data: Json) -> Json {
    fn end(part: &mut Json) {
        if let Json::String(text) = part {
            text.truncate(text.trim_ascii_end().len());
            if !text.is_empty() {
                text.push('\n');
            }
        }
    }
    for name in ["certificate", "private_key", "issuing_ca"] {
        data.get_mut(name).into_iter().for_each(end);
    }
    data.get_mut("ca_chain").and_then(Json::as_array_mut).into_iter().flatten().for_each(end);
    data
}

/// What a call asks for; an empty path asks for nothing.
///
/// # Errors
/// A parameter that is neither a string, a number nor a boolean.
pub(super) fn lookup<'j>(
    name: &str,
    path: &str,
    hash: impl Iterator<Item = (&'j str, &'j Json)>,
) -> Result<Option<Lookup>, Failure> {
    let mut params = std::collections::BTreeMap::new();
    for (key, value) in hash {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(flag) => flag.to_string(),
            _ => return Err(Failure::new(format!("parameter {key} is not a string"))),
        };
        params.insert(key.to_owned(), text);
    }
    let verb = match name {
        "secrets" => Verb::List,
        "secret" | "response" if params.is_empty() => Verb::Read,
        "secret" | "response" | "pki" => Verb::Write,
        _ => return Ok(None),
    };
    Ok((!path.trim().is_empty()).then(|| Lookup::new(verb, path, params)))
}

/// `default VALUE FALLBACK`.
pub(crate) fn default(args: &[Val]) -> Out {
    Ok(if args[0].truth() { args[0].clone() } else { args[1].clone() })
}

/// `indent TEXT SPACES`.
pub(crate) fn indent(args: &[Val]) -> Out {
    text::indent(&[args[1].clone(), args[0].clone()])
}

/// `join LIST SEPARATOR`.
pub(crate) fn join(args: &[Val]) -> Out {
    text::join(&[args[1].clone(), args[0].clone()])
}

/// `split TEXT SEPARATOR`.
pub(crate) fn split(args: &[Val]) -> Out {
    text::split(&[args[1].clone(), args[0].clone()])
}

/// `replace TEXT FROM TO`.
pub(crate) fn replace(args: &[Val]) -> Out {
    text::replace_all(&[args[1].clone(), args[2].clone(), args[0].clone()])
}
