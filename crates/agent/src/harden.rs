//! What others of the pod must not do to this process.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// [`memory`]; no core files of programs either; new files for us alone until their mode is set.
pub fn process() {
    umask(Mode::from_raw_mode(0o077));
    said(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }));
    memory();
}

/// Non-dumpable, so that an app of the same uid in a shared process namespace can neither trace us nor read
/// `/proc/<pid>/mem` (`prctl(2)`, `PR_SET_DUMPABLE`). Programs that are started do not inherit it.
pub fn memory() {
    said(set_dumpable_behavior(DumpableBehavior::NotDumpable));
}

fn said(result: rustix::io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the process could not be closed to others");
    }
}
