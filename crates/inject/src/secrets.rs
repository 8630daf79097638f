//! The families of annotations that share a suffix: one file each.

use std::collections::BTreeSet;

use sidekey_core::contract::{Dialect, Engine, Format, FormatSource, Source, Template};
use sidekey_core::goparse::{parse_bool, parse_duration};
use sidekey_core::path::{PathError, RelPath};
use sidekey_core::{Cause, Code};

use crate::annotations::Entry;
use crate::changes;
use crate::reader::Reader;
use crate::registry::{Field, Kind};
use crate::settings::DefaultTemplate;
use crate::spec::Secret;
use crate::{value, words};

/// The Vault dialect's default template; absent is the settings', empty is refused.
pub(crate) fn default_template(reader: &mut Reader<'_>) -> Result<DefaultTemplate, Cause> {
    let Some(entry) = reader.found.get(Field::DefaultTemplate) else { return Ok(reader.settings.default_template) };
    words::default_template(entry.value).ok_or_else(|| entry.refused(Field::DefaultTemplate.row().kind))
}

/// Directory of the secrets that name none.
pub(crate) fn directory(reader: &mut Reader<'_>) -> Result<String, Cause> {
    if let Some(entry) = reader.found.get(Field::VolumePath) {
        reader.given(Field::VolumePath);
        return absolute(&entry);
    }
    Ok(reader.text(Field::VolumePath).to_owned())
}

/// An annotation's.
fn absolute(entry: &Entry<'_>) -> Result<String, Cause> {
    value::directory(entry.value).ok_or_else(|| {
        let answer = format!("`{}` cannot be the directory of a volume", value::shown(entry.value));
        Cause::new(Code::AnnotationPath, format!("reading {}", entry.origin()), answer)
            .with_fix("Write an absolute path such as /secrets.")
    })
}

/// Secrets of one pod: far more than anybody has, and few enough that comparing each with each costs nothing.
const MOST: usize = 1000;

/// Every file, in the order of the raw names.
pub(crate) fn secrets(reader: &mut Reader<'_>, dir: &str, default: DefaultTemplate) -> Result<Vec<Secret>, Cause> {
    let names = names(reader);
    if names.len() > MOST {
        let answer = format!("there are {}, and {MOST} are the most that are served", names.len());
        return Err(Cause::new(Code::PodRefused, "counting the pod's secrets", answer)
            .with_fix("Render several values with one template."));
    }
    orphans(reader, &names);
    let all: Result<Vec<Secret>, Cause> = names
        .into_iter()
        .map(|raw| Family { raw, defining: defining(reader, raw) }.secret(reader, dir, default))
        .collect();
    let all = all?;
    let variables = reader.found.suffixed().any(|(_, field, _)| field == Field::Env);
    if all.is_empty() && !variables && reader.found.get(Field::ConfigMap).is_none() {
        let key = Field::Secret.row().full_key(reader.dialect);
        reader.warn(format!("no file is asked for: there is no {key} with a path"));
    }
    Ok(all)
}

const DEFINING: [Field; 3] = [Field::Secret, Field::Template, Field::TemplateFile];

fn names<'a>(reader: &Reader<'a>) -> BTreeSet<&'a str> {
    let all =
        reader.found.suffixed().filter(|(_, field, entry)| DEFINING.contains(field) && !entry.value.trim().is_empty());
    all.map(|(suffix, ..)| suffix).collect()
}

/// The annotation that gives a file its dialect: a native one, if there is one.
fn defining<'a>(reader: &Reader<'a>, raw: &str) -> Option<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = DEFINING.iter().filter_map(|field| reader.found.of(*field, raw)).collect();
    entries.retain(|entry| !entry.value.trim().is_empty());
    entries.iter().find(|entry| entry.dialect == Dialect::Native).or(entries.first()).copied()
}

fn orphans(reader: &mut Reader<'_>, names: &BTreeSet<&str>) {
    const APART: [Field; 3] = [Field::AuthConfig, Field::Telemetry, Field::Env];
    let lost: Vec<_> = reader
        .found
        .suffixed()
        .filter(|(suffix, field, _)| !APART.contains(field) && !names.contains(suffix))
        .collect();
    for (_, field, entry) in lost {
        let why = if DEFINING.contains(&field) { "it is empty" } else { "no secret and no template has that name" };
        reader.warn(format!("{} is ignored: {why}", entry.key));
    }
}

/// The annotations of one file.
struct Family<'a> {
    raw: &'a str,
    defining: Option<Entry<'a>>,
}

impl Family<'_> {
    fn secret(&self, reader: &mut Reader<'_>, dir: &str, default: DefaultTemplate) -> Result<Secret, Cause> {
        let file = self.file(reader)?;
        let (source, template) = self.source(reader, &file, default)?;
        let dir = match reader.found.of(Field::VolumePath, self.raw) {
            Some(entry) => absolute(&entry)?,
            None => dir.to_owned(),
        };
        let group = reader.found.of(Field::Group, self.raw).filter(|entry| !entry.value.is_empty());
        let reactions = changes::reactions(reader, self.raw, &dir)?;
        let subpath = self.filled(reader, Field::SubPath).map(|entry| absolute(&entry)).transpose()?;
        if subpath.is_some() && !reactions.is_empty() {
            reader.warn(format!("{}: the app does not see a change at its sub-path before it starts again", self.raw));
        }
        Ok(Secret {
            raw: self.raw.to_owned(),
            key: self.defining.map_or_else(String::new, |entry| entry.key.to_owned()),
            dir,
            file,
            path: self.path(reader).to_owned(),
            login: 0,
            source,
            template,
            mode: self.mode(reader)?,
            group: group.map(|entry| entry.value.to_owned()),
            optional: self.flag(reader, Field::Optional)?,
            containers: self.filled(reader, Field::Containers).map(|entry| value::list(entry.value)),
            subpath,
            max_stale_seconds: self.max_stale(reader)?,
            reactions,
        })
    }

    fn path<'b>(&self, reader: &Reader<'b>) -> &'b str {
        reader.found.of(Field::Secret, self.raw).map_or("", |entry| entry.value.trim())
    }

    fn filled<'b>(&self, reader: &Reader<'b>, field: Field) -> Option<Entry<'b>> {
        reader.found.of(field, self.raw).filter(|entry| !entry.value.is_empty())
    }

    fn dialect(&self) -> Dialect {
        self.defining.map_or(Dialect::Native, |entry| entry.dialect)
    }

    /// This file's annotation, else the one for all files.
    fn of_all<'b>(&self, reader: &Reader<'b>, field: Field) -> Option<Entry<'b>> {
        reader.found.of(field, self.raw).or_else(|| reader.found.get(field)).filter(|entry| !entry.value.is_empty())
    }

    fn flag(&self, reader: &Reader<'_>, field: Field) -> Result<bool, Cause> {
        let Some(entry) = reader.found.of(field, self.raw) else { return Ok(false) };
        parse_bool(entry.value).ok_or_else(|| entry.refused(field.row().kind))
    }

    fn mode(&self, reader: &Reader<'_>) -> Result<Option<u32>, Cause> {
        let Some(entry) = self.of_all(reader, Field::Mode) else { return Ok(None) };
        value::mode(entry.value).map(Some).ok_or_else(|| entry.refused(Kind::Mode))
    }

    /// Zero is without a limit.
    fn max_stale(&self, reader: &Reader<'_>) -> Result<Option<u32>, Cause> {
        let Some(entry) = self.of_all(reader, Field::MaxStale) else { return Ok(None) };
        let limit = parse_duration(entry.value).ok_or_else(|| entry.refused(Kind::Duration))?;
        let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        Ok(u32::try_from(seconds).ok().filter(|seconds| *seconds > 0))
    }

    fn file(&self, reader: &mut Reader<'_>) -> Result<RelPath, Cause> {
        match reader.found.of(Field::File, self.raw).filter(|entry| !entry.value.is_empty()) {
            Some(entry) if entry.dialect == Dialect::Vault => contained(reader, &entry),
            Some(entry) => RelPath::parse(entry.value).map_err(|error| bad_path(entry.key, entry.value, &error)),
            None => {
                let name = self.name(reader);
                let key = self.defining.map_or("", |entry| entry.key);
                RelPath::parse(&name).map_err(|error| bad_path(key, &name, &error))
            }
        }
    }

    /// The Vault dialect folds case unless told not to.
    fn name(&self, reader: &mut Reader<'_>) -> String {
        let keep = self.dialect() == Dialect::Native
            || match self.of_all(reader, Field::PreserveCase) {
                None => false,
                Some(entry) => parse_bool(entry.value).unwrap_or_else(|| {
                    reader.warn(format!("{} is ignored: its value is not a boolean", entry.key));
                    false
                }),
            };
        if keep { self.raw.to_owned() } else { self.raw.to_lowercase() }
    }

    /// The source, and the annotation that a user wrote it in.
    fn source(
        &self,
        reader: &mut Reader<'_>,
        file: &RelPath,
        default: DefaultTemplate,
    ) -> Result<(Source, Option<String>), Cause> {
        let text = reader.found.of(Field::Template, self.raw).filter(|entry| !entry.value.is_empty());
        let template_file =
            reader.found.of(Field::TemplateFile, self.raw).filter(|entry| !entry.value.trim().is_empty());
        let given = text.or(template_file);
        let Some(entry) = given else { return Ok((self.stock(reader, file, default)?, None)) };
        self.unused(reader, &[Field::Format, Field::Value], "a template says what the file holds");
        let engine = self.engine(reader, &entry)?;
        let mut template = Template::inline(engine, text.map_or("", |entry| entry.value));
        template.file = if text.is_some() { None } else { Some(entry.value.trim().to_owned()) };
        if engine == Engine::Go {
            self.go_options(reader, &mut template)?;
        } else {
            let fields = [Field::LeftDelimiter, Field::RightDelimiter, Field::ErrorOnMissingKey];
            self.unused(reader, &fields, "it is for Go templates");
        }
        Ok((Source::Template(template), Some(entry.key.to_owned())))
    }

    fn engine(&self, reader: &Reader<'_>, template: &Entry<'_>) -> Result<Engine, Cause> {
        if template.dialect == Dialect::Vault {
            return Ok(Engine::Go);
        }
        let Some(entry) = self.of_all(reader, Field::TemplateEngine) else { return Ok(Engine::Handlebars) };
        words::engine(entry.value).ok_or_else(|| entry.refused(Field::TemplateEngine.row().kind))
    }

    fn go_options(&self, reader: &Reader<'_>, template: &mut Template) -> Result<(), Cause> {
        let given = |field| reader.found.of(field, self.raw).filter(|entry| !entry.value.is_empty());
        if let Some(entry) = given(Field::LeftDelimiter) {
            entry.value.clone_into(&mut template.left);
        }
        if let Some(entry) = given(Field::RightDelimiter) {
            entry.value.clone_into(&mut template.right);
        }
        template.error_on_missing_key = self.flag(reader, Field::ErrorOnMissingKey)?;
        Ok(())
    }

    /// A secret without a template.
    fn stock(&self, reader: &mut Reader<'_>, file: &RelPath, default: DefaultTemplate) -> Result<Source, Cause> {
        let path = self.path(reader);
        let asked = [Field::Format, Field::Value].iter().any(|field| reader.found.of(*field, self.raw).is_some());
        if self.dialect() == Dialect::Vault && !asked {
            let mut template = Template::inline(Engine::Go, default_text(default, path));
            template.error_on_missing_key = self.flag(reader, Field::ErrorOnMissingKey)?;
            self.unused(reader, &[Field::LeftDelimiter, Field::RightDelimiter], "the default template has its own");
            return Ok(Source::Template(template));
        }
        let field = reader.found.of(Field::Value, self.raw).filter(|entry| !entry.value.is_empty());
        let format = self.format(reader, file, field.is_some())?;
        if format != Format::Raw {
            self.unused(reader, &[Field::Value], "only the format `raw` takes one field");
        }
        let field = field.filter(|_| format == Format::Raw).map(|entry| entry.value.to_owned());
        Ok(Source::Format(FormatSource { format, path: path.to_owned(), field }))
    }

    /// Said for the file; else one field; else its extension; else said for all files; else `key: value` lines.
    fn format(&self, reader: &Reader<'_>, file: &RelPath, one_field: bool) -> Result<Format, Cause> {
        let read = |entry: Entry<'_>| words::format(entry.value).ok_or_else(|| entry.refused(Field::Format.row().kind));
        if let Some(entry) = reader.found.of(Field::Format, self.raw).filter(|entry| !entry.value.is_empty()) {
            return read(entry);
        }
        if one_field {
            return Ok(Format::Raw);
        }
        let extension = file.as_str().rsplit_once('.').map_or("", |(_, extension)| extension);
        match (extension, reader.found.get(Field::Format).filter(|entry| !entry.value.is_empty())) {
            (
                "env" | "json" | "yaml" | "yml" | "properties" | "ini" | "pgpass" | "cnf" | "netrc"
                | "dockerconfigjson",
                _,
            ) => Ok(words::format(extension).unwrap_or(Format::Map)),
            (_, Some(entry)) => read(entry),
            (_, None) => Ok(Format::Map),
        }
    }

    fn unused(&self, reader: &mut Reader<'_>, fields: &[Field], why: &str) {
        for entry in fields.iter().filter_map(|field| reader.found.of(*field, self.raw)) {
            reader.warn(format!("{} is ignored: {why}", entry.key));
        }
    }
}

fn default_text(default: DefaultTemplate, path: &str) -> String {
    let path = value::go_quoted(path);
    match default {
        DefaultTemplate::Map => {
            format!(
                "{{{{ with secret {path} }}}}{{{{ range $k, $v := .Data }}}}{{{{ $k }}}}: {{{{ $v }}}}\n{{{{ end }}}}{{{{ end }}}}"
            )
        }
        DefaultTemplate::Json => format!("{{{{ with secret {path} }}}}{{{{ .Data | toJSON }}}}\n{{{{ end }}}}"),
    }
}

/// The known annotations clean a path that climbs; ours keeps it inside.
fn contained(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Result<RelPath, Cause> {
    let path = RelPath::contained(entry.value).map_err(|error| bad_path(entry.key, entry.value, &error))?;
    if entry.value.split('/').any(|part| part == "..") {
        reader.warn(format!("{} climbs with `..`; the file is kept inside its volume, as {path}", entry.key));
    }
    Ok(path)
}

fn bad_path(key: &str, value: &str, error: &PathError) -> Cause {
    Cause::new(Code::AnnotationPath, format!("reading annotation {key}"), format!("`{}`: {error}", value::shown(value)))
}
