//! Template files that a person may change while the agent runs.

use std::collections::BTreeSet;
use std::path::Path;

use sidekey_core::contract::{Output, Source};
use sidekey_runtime::watch;
use tokio::sync::mpsc;

/// Says when template files may have changed; `None` when no output has one, and then there is nothing to watch.
pub(crate) fn watch(outputs: &[Output]) -> Option<mpsc::Receiver<()>> {
    let file = |output: &Output| match &output.source {
        Source::Template(template) => template.file.clone(),
        Source::Format(_) | Source::Environment(_) => None,
    };
    let files: Vec<String> = outputs.iter().filter_map(file).collect();
    let directories: BTreeSet<&Path> = files.iter().filter_map(|file| Path::new(file).parent()).collect();
    if directories.is_empty() {
        return None;
    }
    let (sender, receiver) = mpsc::channel(1);
    for directory in directories {
        let (sender, mut changes) = (sender.clone(), watch::directory(directory));
        tokio::spawn(async move {
            while !sender.is_closed() {
                changes.next().await;
                // A full channel says it already.
                let _ = sender.try_send(());
            }
        });
    }
    Some(receiver)
}
