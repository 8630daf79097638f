//! `sidekey render`: a template, a format or a pod's files, rendered once by the agent's own engine. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sidekey_core::contract::{self, Engine, Format, FormatSource, Template};
use sidekey_core::output::full_path;
use sidekey_core::{Cause, Code, Lookup, Response, Sensitive};
use sidekey_template::{Compiled, Frozen, Inputs, Rendered, compile};
use tokio::runtime::Builder;

use crate::answers::Source;
use crate::args::{Input, Language, RenderArgs};
use crate::error::Error;
use crate::mask::mask;
use crate::workload::Verdict;
use crate::{documents, workload};

/// Rounds of "render, fetch what is missing" before a template is taken to ask for ever.
const ROUNDS: usize = 16;

/// Longest template, in bytes.
const LONGEST: u64 = 4 << 20;

/// Endings of files that consul-template's language is written in.
const GO: [&str; 5] = ["ctmpl", "tmpl", "tpl", "gotmpl", "gotpl"];

/// One file to render.
struct Job {
    name: String,
    source: contract::Source,
}

pub(crate) fn run(args: &RenderArgs) -> Result<(), Error> {
    let jobs = jobs(args)?;
    let source = match &args.data {
        Some(file) => Source::file(file),
        None => Source::vault(|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
    };
    let source = source.map_err(Error::Input)?;
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|error| Error::Failed(error.to_string()))?;
    let mut dry = Dry { source, answers: BTreeMap::new(), failed: BTreeSet::new(), env: env(args)?, frozen: frozen() };
    let whole = runtime.block_on(dry.all(&jobs, args.show_secrets))?;
    runtime.block_on(dry.end())?;
    if whole { Ok(()) } else { Err(Error::Denied) }
}

fn jobs(args: &RenderArgs) -> Result<Vec<Job>, Error> {
    if !args.files.is_empty() {
        return of_manifests(args);
    }
    if let Some(path) = &args.secret {
        let field = args.field.clone();
        let word = args.format.clone().unwrap_or_else(|| if field.is_some() { "raw" } else { "json" }.to_owned());
        let format = Format::of_word(&word).ok_or_else(|| {
            let cause = Cause::new(Code::NotSupported, "reading --format", format!("there is no format `{word}`"));
            Error::Input(cause.with_fix("Use one of docs/reference/templates.md, such as env or json."))
        })?;
        let source = contract::Source::Format(FormatSource { format, path: path.clone(), field });
        return Ok(vec![Job { name: path.clone(), source }]);
    }
    let path = args.template.as_deref().unwrap_or(Path::new("-"));
    let failed = |error: io::Error| {
        Error::Input(Cause::new(Code::TemplateFile, format!("reading {}", path.display()), error.to_string()))
    };
    let text = read(path).map_err(failed)?;
    let ending = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    let engine = match args.engine {
        Some(Language::Go) => Engine::Go,
        Some(Language::Handlebars) => Engine::Handlebars,
        None if GO.contains(&ending) => Engine::Go,
        None => Engine::Handlebars,
    };
    let mut template = Template::inline(engine, text);
    template.error_on_missing_key = args.error_on_missing_key;
    Ok(vec![Job { name: path.display().to_string(), source: contract::Source::Template(template) }])
}

/// The files that the agent would write into the pods of these manifests.
fn of_manifests(args: &RenderArgs) -> Result<Vec<Job>, Error> {
    let input = Input {
        files: args.files.clone(),
        settings: args.settings.clone(),
        namespace: args.namespace.clone(),
        kubernetes_version: args.kubernetes_version,
    };
    let settings = workload::settings(&input)?;
    let mut jobs: Vec<Job> = Vec::new();
    for document in &mut documents::read_all(&input.files)? {
        for judged in workload::judge(&mut document.value, &input, &settings)? {
            match judged.verdict {
                Verdict::Denied(cause, _) => return Err(Error::Failed(format!("{}: denied: {cause}", judged.object))),
                Verdict::Injected(injection) => {
                    let outputs = injection.agents.into_iter().next().map(|(_, config)| config.outputs);
                    let job = |output: contract::Output| Job {
                        name: format!("{} {}", judged.object, full_path(&output)),
                        source: output.source,
                    };
                    jobs.extend(outputs.unwrap_or_default().into_iter().map(job));
                }
                Verdict::NoPod | Verdict::Skipped(_) => {}
            }
        }
    }
    if jobs.is_empty() { Err(Error::Failed("no pod of these manifests asks for a file".to_owned())) } else { Ok(jobs) }
}

fn read(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    source.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST { Err(io::Error::other("it is longer than 4 MiB")) } else { Ok(text) }
}

/// What templates see as environment: what is given here and nothing of the caller's, whose token may be in it.
fn env(args: &RenderArgs) -> Result<BTreeMap<String, String>, Error> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Error::Input(Cause::new(Code::TemplateRender, "reading --env", format!("`{text}` is not NAME=VALUE")))
        })?;
        Ok((name.to_owned(), value.to_owned()))
    };
    args.env.iter().map(pair).collect()
}

fn frozen() -> Frozen {
    let mut seed = Sensitive::new([0; 32]);
    if getrandom::fill(seed.expose_mut()).is_err() {
        seed = Sensitive::default();
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Frozen { unix_seconds: i64::try_from(since.as_secs()).unwrap_or(0), seed }
}

/// A dry run and what it has learnt.
struct Dry {
    source: Source,
    answers: BTreeMap<Lookup, Arc<Response>>,
    failed: BTreeSet<Lookup>,
    env: BTreeMap<String, String>,
    frozen: Frozen,
}

impl Dry {
    /// Whether all of them rendered.
    async fn all(&mut self, jobs: &[Job], show: bool) -> Result<bool, Error> {
        let mut whole = true;
        for job in jobs {
            if jobs.len() > 1 {
                crate::write(&format!("==> {} <==\n", job.name))?;
            }
            match self.one(job, show).await {
                Ok(bytes) => put(bytes.expose())?,
                Err(cause) => {
                    whole = false;
                    say(&format!("{}: {cause}", job.name))?;
                }
            }
        }
        Ok(whole)
    }

    async fn one(&mut self, job: &Job, show: bool) -> Result<Sensitive<Vec<u8>>, Cause> {
        let compiled = compile(&job.name, &job.source, None)?;
        let bytes = self.rendered(&compiled, job).await?;
        let length = bytes.expose().len();
        let _ = say(&format!("{}: {length} bytes", job.name));
        if show {
            return Ok(bytes);
        }
        let hidden: BTreeMap<Lookup, Arc<Response>> =
            self.answers.iter().map(|(lookup, response)| (lookup.clone(), Arc::new(mask(lookup, response)))).collect();
        match compiled.render(&Inputs { answers: &hidden, env: &self.env, frozen: &self.frozen }) {
            Ok(Rendered::Complete { bytes, .. }) => Ok(bytes),
            _ => {
                let _ = say(&format!("{}: not shown, as it depends on the values; --show-secrets shows it", job.name));
                Ok(Sensitive::new(Vec::new()))
            }
        }
    }

    async fn rendered(&mut self, compiled: &Compiled, job: &Job) -> Result<Sensitive<Vec<u8>>, Cause> {
        for _ in 0..ROUNDS {
            let inputs = Inputs { answers: &self.answers, env: &self.env, frozen: &self.frozen };
            match compiled.render(&inputs)? {
                Rendered::Complete { bytes, .. } => return Ok(bytes),
                Rendered::Incomplete { missing } => self.fetch(missing).await?,
            }
        }
        Err(Cause::new(Code::TemplateRender, format!("rendering {}", job.name), "each answer makes it ask for another"))
    }

    /// All that is missing; the first failure, once the others are said.
    async fn fetch(&mut self, missing: BTreeSet<Lookup>) -> Result<(), Cause> {
        let mut first = None;
        for lookup in missing {
            if self.failed.contains(&lookup) {
                let cause = Cause::new(Code::SecretRefused, format!("looking for {}", lookup.path), "it failed above");
                first.get_or_insert(cause);
                continue;
            }
            match self.source.answer(&lookup).await {
                Ok(response) => {
                    let _ = say(&format!("secret {}: {}", lookup.path, terms(&response)));
                    self.answers.insert(lookup, Arc::new(response));
                }
                Err(cause) => {
                    self.failed.insert(lookup);
                    first.get_or_insert(cause);
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    async fn end(&self) -> Result<(), Error> {
        for (lookup, response) in &self.answers {
            if let Some(words) = self.source.give_back(response).await {
                say(&format!("secret {}: {words}", lookup.path))?;
            }
        }
        Ok(())
    }
}

fn terms(response: &Response) -> String {
    match (response.lease_id.is_empty(), response.is_kv2()) {
        (false, _) => format!("a lease of {} s", response.lease_duration),
        (true, true) => "KV version 2".to_owned(),
        (true, false) => "no lease".to_owned(),
    }
}

/// Of the run, not of its result.
fn say(line: &str) -> Result<(), Error> {
    writeln!(io::stderr(), "{line}").map_err(Error::Output)
}

fn put(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let ended = bytes.is_empty() || bytes.ends_with(b"\n");
    match out.write_all(bytes).and_then(|()| if ended { Ok(()) } else { out.write_all(b"\n") }) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
