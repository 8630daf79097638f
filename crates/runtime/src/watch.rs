//! A directory whose files change below us: settings, certificates, a CA, templates.
//!
//! The kubelet publishes a volume's update by renaming a link called `..data`. A watch on a file sees its inode go away and
//! then nothing, so the directory is watched. inotify does not exist on every file system, so a slow poll stands behind it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// An update is a burst of events; this much quiet ends it.
const SETTLE: Duration = Duration::from_millis(100);

/// A directory that never falls quiet is read this often all the same.
const LONGEST_BURST: Duration = Duration::from_secs(2);

/// How often [`Changes::next`] returns without any event.
pub const POLL: Duration = Duration::from_secs(60);

/// Tells when to read a directory's files again. Whether they differ is for the reader to see.
#[derive(Debug)]
pub struct Changes {
    directory: PathBuf,
    watcher: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    poll: Duration,
    due: Instant,
    /// An update has begun and has not settled.
    unsettled: bool,
}

/// Watches a directory, not what lies below its subdirectories. A directory that is not there yet, or a system without
/// inotify, is only polled. Needs a tokio runtime.
pub fn directory(path: impl Into<PathBuf>) -> Changes {
    every(path, POLL)
}

/// [`directory`] with a poll interval of one's own.
pub fn every(path: impl Into<PathBuf>, poll: Duration) -> Changes {
    let directory = path.into();
    // One slot is enough: it says "something happened", not what.
    let (sender, events) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| is_change(event.kind)) {
            let _ = sender.try_send(());
        }
    });
    let mut watcher = watcher.inspect_err(|error| tracing::warn!(%error, "no file events, polling only")).ok();
    arm(&mut watcher, &directory);
    Changes { directory, watcher, events, poll, due: Instant::now() + poll, unsettled: false }
}

/// Reading a file is an event as well; answering it by reading the file would never end.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Again on a watched directory changes nothing; on one that was removed and made anew it finds the new one.
fn arm(watcher: &mut Option<RecommendedWatcher>, directory: &Path) {
    if let Some(watcher) = watcher
        && let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive)
    {
        tracing::debug!(directory = %directory.display(), %error, "cannot watch yet, polling");
    }
}

impl Changes {
    /// Returns when the files may have changed: after the events of an update have settled, or when the poll is due.
    /// Cancel-safe.
    pub async fn next(&mut self) {
        if !self.unsettled {
            self.begin().await;
        }
        self.settle().await;
        self.unsettled = false;
        arm(&mut self.watcher, &self.directory);
        self.due = Instant::now() + self.poll;
    }

    async fn begin(&mut self) {
        tokio::select! {
            Some(()) = self.events.recv() => self.unsettled = true,
            () = sleep_until(self.due) => {}
        }
    }

    async fn settle(&mut self) {
        let latest = Instant::now() + LONGEST_BURST;
        while self.unsettled && Instant::now() < latest {
            // Silence, or a watcher that is gone.
            if !matches!(timeout(SETTLE, self.events.recv()).await, Ok(Some(()))) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_secs(5);

    /// As the kubelet's atomic writer does: a new timestamped directory, a link beside, one rename over `..data`.
    fn publish(volume: &Path, stamp: &str, text: &str) {
        fs::create_dir(volume.join(stamp)).unwrap();
        fs::write(volume.join(stamp).join("settings.yaml"), text).unwrap();
        symlink(stamp, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        if !volume.join("settings.yaml").exists() {
            symlink("..data/settings.yaml", volume.join("settings.yaml")).unwrap();
        }
    }

    #[tokio::test]
    async fn sees_each_swap_of_a_kubelet_volume() {
        let volume = tempfile::tempdir().unwrap();
        publish(volume.path(), "..2026_01", "one");
        let mut changes = every(volume.path(), LONG);
        for round in 2..6 {
            publish(volume.path(), &format!("..2026_0{round}"), &format!("text {round}"));
            timeout(SOON, changes.next()).await.unwrap();
            let text = fs::read_to_string(volume.path().join("settings.yaml")).unwrap();
            assert_eq!(text, format!("text {round}"));
        }
    }

    #[tokio::test]
    async fn reading_the_files_is_no_change() {
        let volume = tempfile::tempdir().unwrap();
        publish(volume.path(), "..2026_01", "one");
        let mut changes = every(volume.path(), LONG);
        fs::read(volume.path().join("settings.yaml")).unwrap();
        fs::read_dir(volume.path()).unwrap().for_each(drop);
        assert!(timeout(Duration::from_millis(600), changes.next()).await.is_err());
    }

    #[tokio::test]
    async fn loses_no_update_when_cancelled_while_it_settles() {
        let volume = tempfile::tempdir().unwrap();
        let mut changes = every(volume.path(), LONG);
        publish(volume.path(), "..2026_01", "one");
        assert!(timeout(SETTLE / 2, changes.next()).await.is_err());
        timeout(SOON, changes.next()).await.unwrap();
    }

    #[tokio::test]
    async fn polls_without_events_and_finds_a_directory_made_later() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("later");
        let mut changes = every(&path, Duration::from_millis(50));
        timeout(SOON, changes.next()).await.unwrap();
        fs::create_dir(&path).unwrap();
        timeout(SOON, changes.next()).await.unwrap();
        changes.due = Instant::now() + LONG;
        fs::write(path.join("a"), "x").unwrap();
        timeout(SOON, changes.next()).await.unwrap();
    }
}
