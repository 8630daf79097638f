//! What to write where: rendered outputs and what is on disk → one plan per group.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::contract::{Dialect, Layout, Output};
use crate::sensitive::Sensitive;

/// SHA-256 of a file's bytes. Kept in the agent's private state only and never printed: a short secret could be guessed
/// from it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// Name of the list of stale files: there, in each directory, as long as Vault does not vouch for a file of it.
pub const STALE_LIST: &str = ".sidekey-stale";

/// A file as it lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Of its bytes.
    pub digest: Digest,
    /// Its permission bits.
    pub mode: u32,
}

/// A file that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// As it lies there.
    pub written: Written,
    /// Whether it is the agent's own: another user's has other readers than the one that takes its place.
    pub ours: bool,
}

/// What is on disk, by [`full_path`].
pub type Disk = BTreeMap<String, Found>;

/// Rendered bytes, by [`Output::name`].
pub type Rendered = BTreeMap<String, Sensitive<Vec<u8>>>;

/// One group's files in one directory: they are published together or not at all.
pub struct GroupPlan<'a> {
    /// The group's name.
    pub group: &'a str,
    /// Absolute directory all its files are below.
    pub dir: &'a str,
    /// Linked as soon as one of its outputs asks for it.
    pub layout: Layout,
    /// Every file of the group, in the outputs' order; a linked layout writes all of them, a plain one those that changed.
    pub files: Vec<FilePlan<'a>>,
}

/// One file to be.
pub struct FilePlan<'a> {
    /// Whose it is.
    pub output: &'a Output,
    /// What is in it.
    pub bytes: &'a Sensitive<Vec<u8>>,
    /// Its digest, and the mode to set before the file becomes visible.
    pub written: Written,
    /// Whether bytes or mode differ from what is on disk.
    pub changed: bool,
}

impl GroupPlan<'_> {
    /// Whether there is anything to do.
    pub fn changed(&self) -> bool {
        self.files.iter().any(|file| file.changed)
    }
}

/// Plans every group that can be published: one with an output that has no bytes is left out, so that its last good set
/// stays whole. Only an optional output that has never been written is no obstacle.
pub fn plan<'a>(dialect: Dialect, outputs: &'a [Output], rendered: &'a Rendered, disk: &Disk) -> Vec<GroupPlan<'a>> {
    let mut groups: Vec<Vec<&'a Output>> = Vec::new();
    for output in outputs {
        match groups.iter_mut().find(|group| group[0].group == output.group && group[0].dir == output.dir) {
            Some(group) => group.push(output),
            None => groups.push(vec![output]),
        }
    }
    groups.iter().filter_map(|group| plan_group(dialect, group, rendered, disk)).collect()
}

fn plan_group<'a>(
    dialect: Dialect,
    group: &[&'a Output],
    rendered: &'a Rendered,
    disk: &Disk,
) -> Option<GroupPlan<'a>> {
    let first = group.first()?;
    let mut files = Vec::with_capacity(group.len());
    for output in group {
        let before = disk.get(&full_path(output));
        match rendered.get(&output.name) {
            Some(bytes) => files.push(plan_file(dialect, output, bytes, before)),
            None if output.optional && before.is_none() => {}
            None => return None,
        }
    }
    let linked = group.iter().any(|output| output.layout == Layout::Linked);
    let layout = if linked { Layout::Linked } else { Layout::Plain };
    (!files.is_empty()).then_some(GroupPlan { group: &first.group, dir: &first.dir, layout, files })
}

fn plan_file<'a>(
    dialect: Dialect,
    output: &'a Output,
    bytes: &'a Sensitive<Vec<u8>>,
    before: Option<&Found>,
) -> FilePlan<'a> {
    let written = Written { digest: Digest::of(bytes.expose()), mode: mode(dialect, output, before) };
    FilePlan { output, bytes, written, changed: before.map(|found| found.written) != Some(written) }
}

/// What a new file of Vault Agent's gets, and the most that an old one keeps.
const WIDEST: u32 = 0o644;

/// The output's own mode, or its dialect's: that of the file there as consul-template has it, 0444 in a volume that only this
/// pod has.
fn mode(dialect: Dialect, output: &Output, before: Option<&Found>) -> u32 {
    let kept = before.filter(|found| found.ours).map_or(WIDEST, |found| found.written.mode & WIDEST);
    output.mode.unwrap_or(match dialect {
        Dialect::Vault => kept,
        Dialect::Native => 0o444,
    })
}

/// Where an output's file is.
pub fn full_path(output: &Output) -> String {
    format!("{}/{}", output.dir.trim_end_matches('/'), output.file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Engine, Source, Template};
    use crate::path::RelPath;

    fn output(name: &str, group: &str, layout: Layout) -> Output {
        Output {
            name: name.to_owned(),
            dir: "/secrets/".to_owned(),
            file: RelPath::parse(name).unwrap(),
            source: Source::Template(Template::inline(Engine::Go, "")),
            login: 0,
            mode: None,
            group: group.to_owned(),
            layout,
            optional: false,
            pinned: false,
            max_stale_seconds: None,
        }
    }

    fn rendered(files: &[(&str, &str)]) -> Rendered {
        files.iter().map(|(name, text)| ((*name).to_owned(), Sensitive::new(text.as_bytes().to_vec()))).collect()
    }

    fn after(plans: &[GroupPlan<'_>]) -> Disk {
        let found = |file: &FilePlan<'_>| (full_path(file.output), Found { written: file.written, ours: true });
        plans.iter().flat_map(|plan| &plan.files).map(found).collect()
    }

    /// Group, its changed files, its unchanged files.
    fn outline(plans: &[GroupPlan<'_>]) -> Vec<(String, String, String)> {
        let names = |plan: &GroupPlan<'_>, changed| {
            let files = plan.files.iter().filter(|file| file.changed == changed);
            files.map(|file| file.output.name.clone()).collect::<Vec<_>>().join(" ")
        };
        plans.iter().map(|plan| (plan.group.to_owned(), names(plan, true), names(plan, false))).collect()
    }

    fn row(group: &str, changed: &str, unchanged: &str) -> (String, String, String) {
        (group.to_owned(), changed.to_owned(), unchanged.to_owned())
    }

    #[test]
    fn plans_a_group_as_a_whole_and_knows_what_changed() {
        let outputs = ["cert", "key"].map(|name| output(name, "tls", Layout::Linked));
        let first = rendered(&[("cert", "c1"), ("key", "k1")]);
        let plans = plan(Dialect::Native, &outputs, &first, &Disk::new());
        assert_eq!(outline(&plans), [row("tls", "cert key", "")]);
        let disk = after(&plans);
        let again = plan(Dialect::Native, &outputs, &first, &disk);
        assert!(!again[0].changed(), "unchanged bytes write nothing");
        let second = rendered(&[("cert", "c2"), ("key", "k1")]);
        assert_eq!(outline(&plan(Dialect::Native, &outputs, &second, &disk)), [row("tls", "cert", "key")]);
    }

    #[test]
    fn keeps_a_group_whole_when_one_of_it_has_no_bytes() {
        let mut outputs = vec![output("cert", "tls", Layout::Linked), output("key", "tls", Layout::Linked)];
        outputs.push(output("other", "other", Layout::Plain));
        let bytes = rendered(&[("cert", "c1"), ("other", "o")]);
        let plans = plan(Dialect::Native, &outputs, &bytes, &Disk::new());
        assert_eq!(outline(&plans), [row("other", "other", "")]);
    }

    #[test]
    fn an_optional_file_is_waited_for_only_once_it_was_there() {
        let mut outputs = ["a", "b"].map(|name| output(name, "g", Layout::Linked));
        outputs[1].optional = true;
        let (part, whole) = (rendered(&[("a", "1")]), rendered(&[("a", "1"), ("b", "2")]));
        let plans = plan(Dialect::Native, &outputs, &part, &Disk::new());
        assert_eq!(outline(&plans), [row("g", "a", "")]);
        let plans = plan(Dialect::Native, &outputs, &whole, &after(&plans));
        assert_eq!(outline(&plans), [row("g", "b", "a")]);
        assert!(plan(Dialect::Native, &outputs, &part, &after(&plans)).is_empty(), "a group never mixes versions");
    }

    #[test]
    fn a_change_of_mode_is_a_change() {
        let mut outputs = [output("a", "a", Layout::Plain)];
        let bytes = rendered(&[("a", "1")]);
        for (dialect, mode) in [(Dialect::Vault, 0o644), (Dialect::Native, 0o444)] {
            outputs[0].mode = None;
            let plans = plan(dialect, &outputs, &bytes, &Disk::new());
            assert_eq!(plans[0].files[0].written.mode, mode);
            let disk = after(&plans);
            outputs[0].mode = Some(0o400);
            assert!(plan(dialect, &outputs, &bytes, &disk)[0].changed());
        }
    }

    #[test]
    fn a_file_of_vault_agents_keeps_the_mode_it_has_and_no_wider_one() {
        let mut output = output("a", "a", Layout::Plain);
        let bytes = Sensitive::new(b"1".to_vec());
        let digest = Digest::of(b"1");
        // Dialect, mode asked for, mode and ownership of the file there, mode to be, whether that is a change.
        let cases = [
            (Dialect::Vault, None, 0o600, true, 0o600, false),
            (Dialect::Vault, None, 0o640, true, 0o640, false),
            (Dialect::Vault, None, 0o644, true, 0o644, false),
            (Dialect::Vault, None, 0o666, true, 0o644, true),
            (Dialect::Vault, None, 0o4755, true, 0o644, true),
            (Dialect::Vault, None, 0o600, false, 0o644, true),
            (Dialect::Vault, Some(0o660), 0o600, true, 0o660, true),
            (Dialect::Native, None, 0o600, true, 0o444, true),
        ];
        for case in cases {
            let (dialect, asked, there, ours, want, changed) = case;
            output.mode = asked;
            let found = Found { written: Written { digest, mode: there }, ours };
            let file = plan_file(dialect, &output, &bytes, Some(&found));
            assert_eq!((file.written.mode, file.changed), (want, changed), "{case:?}");
        }
    }

    #[test]
    fn groups_of_one_name_in_two_directories_are_two() {
        let mut outputs = ["a", "b"].map(|name| output(name, "g", Layout::Plain));
        outputs[1].dir = "/elsewhere".to_owned();
        outputs[1].layout = Layout::Linked;
        let bytes = rendered(&[("a", "1"), ("b", "2")]);
        let plans = plan(Dialect::Native, &outputs, &bytes, &Disk::new());
        assert_eq!(plans.iter().map(|plan| plan.dir).collect::<Vec<_>>(), ["/secrets/", "/elsewhere"]);
        assert_eq!(plans.iter().map(|plan| plan.layout).collect::<Vec<_>>(), [Layout::Plain, Layout::Linked]);
        assert_eq!(full_path(&outputs[0]), "/secrets/a");
    }

    #[test]
    fn a_digest_does_not_print() {
        assert_eq!(format!("{:?}", Digest::of(b"hunter2")), "Digest(..)");
    }
}
