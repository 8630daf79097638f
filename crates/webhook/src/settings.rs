//! The settings file: read at start, followed after that. A bad file changes nothing but what is said about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sidekey_core::{Cause, Code};
use sidekey_inject::Settings;
use sidekey_runtime::readiness::Readiness;
use sidekey_runtime::watch;

use crate::admit::Admission;
use crate::metrics::Metrics;

/// Longest settings file; a ConfigMap holds 1 MiB.
const LONGEST: u64 = 1024 * 1024;

/// Reads and checks the file.
///
/// # Errors
/// `SK1010`, with the line where there is one.
pub fn load(path: &Path) -> Result<Settings, Cause> {
    let attempted = || format!("reading the settings file {}", path.display());
    let text = read(path).map_err(|error| Cause::new(Code::SettingsMalformed, attempted(), error.to_string()))?;
    Settings::from_yaml(&text).map_err(|error| {
        let place = error.line.map_or_else(String::new, |line| format!(", line {line}"));
        Cause::new(Code::SettingsMalformed, attempted() + &place, error.message)
    })
}

fn read(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    std::fs::read_to_string(path)
}

/// Follows the file for ever; `changes` is a watch on its directory.
pub async fn follow(
    path: PathBuf,
    mut changes: watch::Changes,
    admission: Arc<Admission>,
    readiness: Readiness,
    metrics: Metrics,
) {
    let mut failed = None;
    loop {
        changes.next().await;
        match load(&path) {
            Ok(settings) => {
                readiness.note("settings", None);
                if failed.take().is_some() || *admission.settings() != settings {
                    tracing::info!(file = %path.display(), "settings in force");
                    metrics.reloaded("settings", true);
                    admission.set_settings(settings);
                }
            }
            Err(cause) if failed.as_ref() != Some(&cause) => {
                tracing::error!(%cause, "settings not read, the old ones stay in force");
                metrics.reloaded("settings", false);
                readiness.note("settings", Some(cause.to_string()));
                failed = Some(cause);
            }
            Err(_) => {}
        }
    }
}
