//! `env_template` and `exec`: a program and its environment variables.

use sidekey_core::contract::{Engine, EnvSource, EnvSyntax, Layout, Output, Signal, Source, Template, Variable};
use sidekey_core::path::RelPath;

use super::said::Said;
use super::template;
use crate::child::Program;
use crate::hcl::{Block, Entry};

/// Name of the output that holds all variables; no file of the annotations can be called so.
const NAME: &str = "the environment";

/// What both say.
#[derive(Default)]
pub(super) struct Draft {
    variables: Vec<Variable>,
    program: Option<Program>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.variables.is_empty() && self.program.is_none()
    }

    pub(super) fn env_template(&mut self, entry: &Entry, said: &mut Said) {
        for block in said.blocks(entry) {
            let (name, block) = match (entry.labels.first(), block.as_slice()) {
                (Some(name), _) => (name, block),
                // JSON has the name as the one key around it.
                (None, [only]) => match said.blocks(only).first() {
                    Some(inner) => (&only.key, *inner),
                    None => continue,
                },
                (None, _) => return said.wrong(entry.line, "env_template has no name"),
            };
            if self.variables.iter().any(|known| known.name == *name) {
                said.wrong(entry.line, "two env_templates have this name");
            }
            let source = Source::Template(contents(block, entry.line, said));
            self.variables.push(Variable { name: name.clone(), source });
        }
    }

    pub(super) fn exec(&mut self, block: &Block, said: &mut Said) {
        let mut program = Program { words: Vec::new(), restart: true, stop: Signal::Term };
        for entry in block {
            match entry.key.as_str() {
                "command" => program.words = template::words(entry, said).unwrap_or_default(),
                "restart_on_secret_changes" => match said.text(entry).as_deref() {
                    Some("always") => program.restart = true,
                    Some("never") => program.restart = false,
                    _ => said.wrong(entry.line, "restart_on_secret_changes is neither always nor never"),
                },
                "restart_stop_signal" => match said.text(entry).as_deref().and_then(Signal::parse) {
                    Some(signal) => program.stop = signal,
                    None => said.wrong(entry.line, "restart_stop_signal is no signal that ends a program"),
                },
                _ => said.unknown(entry, "exec"),
            }
        }
        self.program = Some(program);
    }

    /// The variables as one output, and the program; `None` where neither was asked for.
    pub(super) fn finish(self, state_dir: &str, said: &mut Said) -> (Option<Output>, Option<Program>) {
        if self.is_empty() {
            return (None, None);
        }
        if self.variables.is_empty() {
            said.wrong(0, "exec has no env_template");
        }
        let unnamed = Program { words: Vec::new(), restart: true, stop: Signal::Term };
        let program = self.program.unwrap_or(unnamed);
        let (variables, restart) = (self.variables, program.restart);
        let output = RelPath::parse("environment").ok().map(|file| Output {
            name: NAME.to_owned(),
            dir: state_dir.to_owned(),
            file,
            source: Source::Environment(EnvSource { syntax: EnvSyntax::Nul, variables, restart }),
            mode: None,
            group: NAME.to_owned(),
            layout: Layout::Served,
            optional: false,
            max_stale_seconds: None,
            login: 0,
            pinned: false,
        });
        (output, Some(program))
    }
}

fn contents(block: &Block, line: usize, said: &mut Said) -> Template {
    let (mut template, mut inline) = (Template::inline(Engine::Go, ""), false);
    for entry in block {
        match entry.key.as_str() {
            "contents" => (inline, template.text) = (true, said.text(entry).unwrap_or_default()),
            "source" => said.wrong(entry.line, "source is not served in env_template: write contents"),
            "error_on_missing_key" => template.error_on_missing_key = said.flag(entry),
            "left_delimiter" => template.left = said.filled(entry).unwrap_or(template.left),
            "right_delimiter" => template.right = said.filled(entry).unwrap_or(template.right),
            "function_denylist" | "function_blacklist" => template.denied = template::denied(entry, said),
            _ => template::other(entry, "env_template", said),
        }
    }
    if !inline {
        said.wrong(line, "env_template needs contents");
    }
    template
}
