//! One output: its template, what it asks for, how it stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use sidekey_core::contract::{Output, Source};
use sidekey_core::planner::LeaseTerms;
use sidekey_core::{Cause, Code, Lookup, Sensitive};
use sidekey_template::{Compiled, Inputs, Rendered};

use crate::extra::{Extra, Volumes};

/// Longest template file.
const LONGEST: u64 = 4 << 20;

/// An output and its template.
pub(crate) struct Member {
    output: Output,
    volumes: Arc<Volumes>,
    compiled: Option<Compiled>,
    text: Option<String>,
    needs: BTreeSet<Lookup>,
    knows_needs: bool,
    good: Option<i64>,
    cause: Option<Cause>,
}

impl Member {
    /// Reads and compiles the template; what goes wrong there is this output's cause, and no other's.
    pub(crate) fn new(output: &Output, volumes: Arc<Volumes>) -> Self {
        let mut member = Self {
            output: output.clone(),
            volumes,
            compiled: None,
            text: None,
            needs: BTreeSet::new(),
            knows_needs: false,
            good: None,
            cause: None,
        };
        member.compile();
        member
    }

    /// What it was made from.
    pub(crate) const fn output(&self) -> &Output {
        &self.output
    }

    /// Whose token reads what it asks for.
    pub(crate) const fn login(&self) -> usize {
        self.output.login
    }

    /// What it asks for: literal paths at first, what a rendering used after that.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &Lookup> {
        self.needs.iter()
    }

    /// Whether a rendering has used all it asks for.
    pub(crate) const fn knows_needs(&self) -> bool {
        self.knows_needs
    }

    /// When it was last found right or written, seconds since 1970.
    pub(crate) const fn good(&self) -> Option<i64> {
        self.good
    }

    /// Why its template gives no new bytes.
    pub(crate) const fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// Whether its group may be published without it.
    pub(crate) const fn may_be_absent(&self) -> bool {
        self.output.optional && self.good.is_none()
    }

    /// Its bytes are on disk.
    pub(crate) const fn found_good(&mut self, unix_now: i64) {
        self.good = Some(unix_now);
    }

    /// Its bytes were removed.
    pub(crate) const fn gone(&mut self) {
        self.good = None;
    }

    /// The template file, if it has one.
    pub(crate) fn template_file(&self) -> Option<&str> {
        match &self.output.source {
            Source::Template(template) => template.file.as_deref(),
            Source::Format(_) | Source::Environment(_) => None,
        }
    }

    /// The files that its template reads by a path that stands there.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        self.compiled.as_ref().map(Compiled::literal_files).unwrap_or_default()
    }

    /// Reads the template file again; whether there is a template to render anew. One that could not be read and comes back
    /// as it was is compiled again, since that alone tells whether all is well.
    pub(crate) fn reload(&mut self) -> bool {
        // Whether a file that the template reads is another is seen by rendering.
        let reads = !self.files().is_empty();
        let Some(path) = self.template_file() else { return reads };
        let was_read = self.cause.as_ref().is_none_or(|cause| cause.code != Code::TemplateFile);
        match read(path) {
            Ok(text) if was_read && self.text.as_ref() == Some(&text) => reads,
            _ => self.compile(),
        }
    }

    fn compile(&mut self) -> bool {
        let text = match self.template_file().map(read).transpose() {
            Ok(text) => text,
            Err(answer) => {
                let path = self.template_file().unwrap_or_default();
                self.failed(Cause::new(Code::TemplateFile, format!("reading the template file {path}"), answer));
                return false;
            }
        };
        let compiled = sidekey_template::compile(&self.output.name, &self.output.source, text.as_deref());
        self.text = text;
        match compiled {
            Ok(compiled) => {
                self.needs = compiled.literal_lookups();
                self.compiled = Some(compiled);
                self.recovered();
                true
            }
            Err(error) => {
                self.failed(error.into());
                false
            }
        }
    }

    /// The bytes, and the files beside them, if all data is there; else what is missing becomes part of [`Self::needs`].
    pub(crate) fn render(&mut self, inputs: &Inputs<'_>) -> Option<(Sensitive<Vec<u8>>, Vec<Extra>)> {
        match self.compiled.as_ref()?.render(inputs) {
            Ok(Rendered::Complete { bytes, used, files }) => {
                self.needs = used;
                self.knows_needs = true;
                let placed = match self.unsteady(inputs) {
                    Some(cause) => Err(cause),
                    None => self.volumes.place(&self.output, files),
                };
                match placed {
                    Ok(extras) => {
                        self.recovered();
                        Some((bytes, extras))
                    }
                    Err(cause) => {
                        self.failed(cause);
                        None
                    }
                }
            }
            Ok(Rendered::Incomplete { missing }) => {
                self.needs.extend(missing);
                None
            }
            Err(error) => {
                self.failed(error.into());
                None
            }
        }
    }

    /// What the app would go on reading after its end.
    fn unsteady(&self, inputs: &Inputs<'_>) -> Option<Cause> {
        let ends = |lookup: &&Lookup| {
            let answer = inputs.answers.get(lookup);
            answer.is_some_and(|answer| !matches!(LeaseTerms::of(&answer, 0), LeaseTerms::Static { .. }))
        };
        let lookup = self.needs.iter().find(ends).filter(|_| self.output.pinned)?;
        let answer = format!("what {} gives ends or rotates", lookup.path);
        Some(Cause::new(Code::PinnedEnds, format!("rendering {}", self.output.name), answer))
    }

    fn failed(&mut self, cause: Cause) {
        if self.cause.as_ref() != Some(&cause) {
            tracing::warn!(file = self.output.name, code = %cause.code, "{cause}");
        }
        self.cause = Some(cause);
    }

    fn recovered(&mut self) {
        if self.cause.take().is_some() {
            tracing::info!(file = self.output.name, "the template is good again");
        }
    }
}

fn read(path: &str) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LONGEST {
        return Err(format!("{length} bytes are more than the {LONGEST} a template may have"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
