//! `template`: one file, and what follows its change.

use std::path::Path;

use sidekey_core::contract::{Action, Engine, Layout, Notify, Output, Source, Template};
use sidekey_core::path::RelPath;

use super::said::Said;
use crate::hcl::{Block, Entry, Value};

/// Without these a line needs no shell.
const SHELL: &str = "|&;<>()$`*?[]{}~#!\\'\"\n\r=";

/// One file.
pub(super) struct File {
    pub(super) output: Output,
    pub(super) notify: Option<Notify>,
}

pub(super) fn read(block: &Block, line: usize, said: &mut Said) -> Option<File> {
    let mut template = Template::inline(Engine::Go, "");
    let (mut inline, mut destination, mut mode, mut action) = (false, String::new(), None, None);
    for entry in block {
        match entry.key.as_str() {
            "contents" => (inline, template.text) = (true, said.text(entry).unwrap_or_default()),
            "source" => template.file = said.filled(entry),
            "destination" => destination = said.text(entry).unwrap_or_default(),
            "perms" => mode = said.mode(entry).filter(|mode| *mode > 0),
            "error_on_missing_key" => template.error_on_missing_key = said.flag(entry),
            "left_delimiter" => template.left = said.filled(entry).unwrap_or(template.left),
            "right_delimiter" => template.right = said.filled(entry).unwrap_or(template.right),
            "command" => action = command(entry, said),
            "exec" => action = exec(entry, said).or(action),
            "sandbox_path" => template.sandbox = said.filled(entry),
            "function_denylist" | "function_blacklist" => template.denied = denied(entry, said),
            _ => other(entry, "template", said),
        }
    }
    if inline == template.file.is_some() {
        said.wrong(line, "the template needs either contents or source");
    }
    let Some((dir, file)) = split(&destination) else {
        said.wrong(line, "the template's destination is not the absolute path of a file");
        return None;
    };
    let notify = action.map(|action| Notify { group: destination.clone(), action, first: true });
    let output = Output {
        name: destination.clone(),
        dir,
        file,
        source: Source::Template(template),
        login: 0,
        mode,
        group: destination,
        layout: Layout::Plain,
        optional: false,
        pinned: false,
        max_stale_seconds: None,
    };
    Some(File { output, notify })
}

pub(super) fn other(entry: &Entry, block: &str, said: &mut Said) {
    match entry.key.as_str() {
        "create_dest_dirs" if said.flag(entry) => {}
        "create_dest_dirs" => said.note(entry, "missing directories are always made"),
        "backup" => said.idle(entry, "the file before is not kept: it may hold a revoked credential"),
        "error_fatal" => said.note(entry, "a template that fails stops no other, and is tried again"),
        "command_timeout" => said.note(entry, "commands have the agent's own time limit"),
        "wait" => said.note(entry, "a file is written once all of its data is there"),
        "user" | "group" | "uid" | "gid" => said.note(entry, "the agent cannot give files away; set perms"),
        _ => said.unknown(entry, block),
    }
}

/// Names of functions that a template may not call.
pub(super) fn denied(entry: &Entry, said: &mut Said) -> Vec<String> {
    texts(entry).unwrap_or_else(|| {
        said.wrong(entry.line, &format!("{} is not a list of texts", entry.key));
        Vec::new()
    })
}

fn texts(entry: &Entry) -> Option<Vec<String>> {
    let Value::List(items) = &entry.value else { return None };
    items.iter().map(|item| if let Value::Text(text) = item { Some(text.clone()) } else { None }).collect()
}

fn command(entry: &Entry, said: &mut Said) -> Option<Action> {
    words(entry, said).map(|argv| Action::Command { argv })
}

/// A line of plain words is a program and its arguments; any other is a shell's.
pub(super) fn words(entry: &Entry, said: &mut Said) -> Option<Vec<String>> {
    let argv = match &entry.value {
        Value::List(_) => {
            let words = texts(entry);
            if words.is_none() {
                said.wrong(entry.line, "command is not a list of texts");
            }
            words?
        }
        _ => {
            let line = said.filled(entry)?;
            if line.contains(|c| SHELL.contains(c)) {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), line]
            } else {
                line.split_whitespace().map(str::to_owned).collect()
            }
        }
    };
    (!argv.is_empty()).then_some(argv)
}

fn exec(entry: &Entry, said: &mut Said) -> Option<Action> {
    let mut action = None;
    for block in said.blocks(entry) {
        for entry in block {
            match entry.key.as_str() {
                "command" => action = command(entry, said),
                "timeout" | "kill_timeout" | "splay" | "kill_signal" | "reload_signal" => {
                    said.note(entry, "commands have the agent's own time limit");
                }
                "env" => said.wrong(entry.line, "env of exec is not served"),
                _ => said.unknown(entry, "exec"),
            }
        }
    }
    action
}

fn split(destination: &str) -> Option<(String, RelPath)> {
    let path = Path::new(destination);
    let (dir, name) = (path.parent()?.to_str()?, path.file_name()?.to_str()?);
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    (destination.starts_with('/') && !climbs).then_some(())?;
    Some((dir.to_owned(), RelPath::parse(name).ok()?))
}
