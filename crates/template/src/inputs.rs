//! What a rendering is given, and what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sidekey_core::{Lookup, Response, Sensitive, Value};

use crate::files::ExtraFile;
use crate::value::Val;

/// Where a template's answers come from: whatever has been fetched so far.
pub trait Answers: Sync {
    /// The answer, or `None` when it has not been fetched. A list of a path with nothing below it is a response without
    /// data, not `None`.
    fn get(&self, lookup: &Lookup) -> Option<Arc<Response>>;

    /// What `file` reads, within `sandbox` if there is one; or why it cannot be read. `None` where no files are read.
    fn file(&self, path: &str, sandbox: Option<&str>) -> Option<Result<Sensitive<Vec<u8>>, String>> {
        let _ = (path, sandbox);
        None
    }
}

impl Answers for BTreeMap<Lookup, Arc<Response>> {
    fn get(&self, lookup: &Lookup) -> Option<Arc<Response>> {
        Self::get(self, lookup).cloned()
    }
}

/// What a template might ask of the outside world, fixed for as long as its data is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frozen {
    /// What `timestamp` and `now` answer: seconds since 1970-01-01 UTC.
    pub unix_seconds: i64,
    /// Where functions of chance start. A secret: private keys are made from it. All zeros is none, and makes no key.
    pub seed: Sensitive<[u8; 32]>,
}

/// Everything a rendering depends on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What has been fetched.
    pub answers: &'a dyn Answers,
    /// What `env` reads.
    pub env: &'a BTreeMap<String, String>,
    /// The time and the seed.
    pub frozen: &'a Frozen,
}

/// What came of a rendering. No `Debug`: the bytes are secret.
pub enum Rendered {
    /// The file's bytes.
    Complete {
        /// Exactly what to write.
        bytes: Sensitive<Vec<u8>>,
        /// Every lookup that this rendering asked for.
        used: BTreeSet<Lookup>,
        /// What it wants to be written beside its own file: `writeToFile`.
        files: Vec<ExtraFile>,
    },
    /// Fetch these and render again; later passes may ask for more.
    Incomplete {
        /// Asked for and not there.
        missing: BTreeSet<Lookup>,
    },
}

/// The names in the answer to a list, sorted; no data is no names.
pub(crate) fn names(response: &Response) -> Val {
    let mut names: Vec<Val> = match response.data.get("keys") {
        Some(Value::List(items)) => items.iter().map(Val::from).collect(),
        _ => Vec::new(),
    };
    names.sort_by(|a, b| a.bytes().cmp(&b.bytes()));
    Val::list(names)
}
