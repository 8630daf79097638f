//! Files that may change while the agent runs: templates, and what they read.

use std::collections::BTreeSet;
use std::path::Path;

use sidekey_runtime::watch;
use tokio::sync::mpsc;

use crate::group::Group;
use crate::member::Member;

/// Says when such files may have changed; `None` when there is none, and then there is nothing to watch. What a changed
/// template reads is watched from the next start on.
pub(crate) fn watch(groups: &[Group]) -> Option<mpsc::Receiver<()>> {
    let members = || groups.iter().flat_map(Group::members);
    let templates = members().filter_map(Member::template_file).map(str::to_owned);
    let files: Vec<String> = templates.chain(members().flat_map(Member::files)).collect();
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
