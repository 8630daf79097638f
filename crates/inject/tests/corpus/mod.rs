//! The pods of `golden/`: a folder for a theme, a file for a case. The cluster tests read them, too.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "golden files are files")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sidekey_core::contract::EnvSyntax;
use sidekey_inject::{Facts, Settings};

/// Pods that are not injected: refused, or left alone.
pub const REFUSED: &str = "refused";

/// Pods with fields that no API server knows: they must be kept.
pub const FOREIGN: &str = "foreign-fields";

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    #[serde(default)]
    facts: CaseFacts,
    #[serde(default)]
    pub settings: Settings,
    /// What another webhook adds between two calls.
    #[serde(default)]
    pub again: Option<Again>,
    pub pod: Value,
    /// `theme/case`.
    #[serde(skip)]
    pub name: String,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct CaseFacts {
    namespace: String,
    native_sidecars: bool,
    env_files: Option<EnvSyntax>,
}

impl Default for CaseFacts {
    fn default() -> Self {
        Self { namespace: "shop".to_owned(), native_sidecars: true, env_files: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Again {
    /// Its init container comes after all others, in place of before them.
    #[serde(default)]
    pub last: bool,
    pub init_container: Value,
    pub container: Value,
}

impl Case {
    pub fn facts(&self) -> Facts {
        let CaseFacts { namespace, native_sidecars, env_files } = &self.facts;
        Facts { namespace: namespace.clone(), native_sidecars: *native_sidecars, env_files: *env_files }
    }

    /// Whether it lies in that folder.
    pub fn is_of(&self, theme: &str) -> bool {
        self.name.starts_with(&format!("{theme}/"))
    }
}

/// All of them, in the order of their names; `golden` is the folder.
///
/// # Panics
/// When one cannot be read, or lies in no theme's folder.
pub fn cases(golden: &Path) -> Vec<Case> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut files: Vec<PathBuf> =
        list(golden).iter().filter(|path| path.is_dir()).flat_map(|theme| list(theme)).collect();
    files.retain(|file| !file.to_string_lossy().ends_with(".out.yaml"));
    files.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let case: Case = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.strip_prefix(golden).unwrap().with_extension("");
        Case { name: name.to_string_lossy().into_owned(), ..case }
    };
    files.into_iter().map(read).collect()
}
