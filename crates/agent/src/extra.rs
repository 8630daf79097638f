//! Files that templates write beside their own: outputs of the same group that only a rendering knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use sidekey_core::contract::{Engine, Output, Source, Template};
use sidekey_core::output::full_path;
use sidekey_core::path::RelPath;
use sidekey_core::{Cause, Code, Sensitive};
use sidekey_template::ExtraFile;

use crate::accounts::Accounts;

/// User and group to be; `None` is the agent's own.
pub(crate) type Owner = (Option<u32>, Option<u32>);

/// One such file.
pub(crate) struct Extra {
    /// What it would be if the configuration said so; its name is its path.
    pub(crate) output: Output,
    pub(crate) owner: Owner,
    pub(crate) bytes: Sensitive<Vec<u8>>,
}

/// Where the agent may write, and what is taken there.
pub(crate) struct Volumes {
    dirs: BTreeSet<String>,
    /// Who writes which file.
    taken: Mutex<BTreeMap<String, String>>,
    accounts: Accounts,
}

impl Volumes {
    /// The directories of all outputs: the volumes that the agent shares with the app.
    pub(crate) fn of(outputs: &[Output]) -> Self {
        Self {
            dirs: outputs.iter().map(|output| output.dir.clone()).collect(),
            taken: Mutex::new(outputs.iter().map(|output| (full_path(output), String::new())).collect()),
            accounts: Accounts::own(),
        }
    }

    /// Each file as an output of the group of `beside`.
    ///
    /// # Errors
    /// A file in no volume of the agent, one that another output writes, and a user or a group whose name is not known here.
    pub(crate) fn place(&self, beside: &Output, files: Vec<ExtraFile>) -> Result<Vec<Extra>, Cause> {
        files.into_iter().map(|file| self.extra(beside, file)).collect()
    }

    /// Whether this template may write the file: the first that asks for it.
    fn claims(&self, path: &str, name: &str) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.entry(path.to_owned()).or_insert_with(|| name.to_owned()) == name
    }

    fn extra(&self, beside: &Output, file: ExtraFile) -> Result<Extra, Cause> {
        let refused = |answer: String| {
            let attempted = format!("writing {} as template {} asks", file.path, beside.name);
            Cause::new(Code::TemplateRender, attempted, answer)
        };
        if !self.claims(&file.path, &beside.name) {
            return Err(
                refused("another output writes this file".to_owned()).with_fix("Give one of them another path.")
            );
        }
        let below = |dir: &String| {
            Some((dir.clone(), file.path.strip_prefix(dir.trim_end_matches('/'))?.strip_prefix('/')?.to_owned()))
        };
        let Some((dir, inner)) = self.dirs.iter().filter_map(below).max_by_key(|(dir, _)| dir.len()) else {
            let known = self.dirs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(refused("the path is in no volume that the agent writes to".to_owned())
                .with_fix(format!("Choose a path below {known}.")));
        };
        let unknown = |answer| refused(answer).with_fix("Write its number, or mount a file that has the name.");
        let user = self.accounts.user(file.owner.0.as_ref()).map_err(unknown)?;
        let group = self.accounts.group(file.owner.1.as_ref()).map_err(unknown)?;
        let output = Output {
            name: file.path.clone(),
            dir,
            file: RelPath::parse(&inner).map_err(|error| refused(error.to_string()))?,
            source: Source::Template(Template::inline(Engine::Go, "")),
            login: beside.login,
            mode: Some(file.mode),
            group: beside.group.clone(),
            layout: beside.layout,
            optional: false,
            pinned: false,
            max_stale_seconds: None,
        };
        Ok(Extra { output, owner: (user, group), bytes: file.bytes })
    }
}
