//! Where the files are.

use std::path::Path;

/// Most files of one directory.
const MAX_FILES: usize = 64;

/// Names files and directories, with commas between, where the command line names none: OpenBao Agent's own, and the older
/// prefix that it takes for the same.
const VARIABLES: [&str; 2] = ["BAO_AGENT_CONFIG_PATH", "VAULT_AGENT_CONFIG_PATH"];

/// What the environment names.
pub(crate) fn named_by(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let named = VARIABLES.into_iter().find_map(variable).unwrap_or_default();
    named.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// A file itself, or the files of a directory in the order of their names.
pub(super) fn expand(path: &str) -> Result<Vec<String>, String> {
    if !Path::new(path).is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| format!("{path}: {error}"))?;
    let names = entries.flatten().filter_map(|entry| entry.path().to_str().map(str::to_owned));
    let wanted = |name: &String| {
        let file = name.rsplit('/').next().unwrap_or_default();
        !file.starts_with(['.', '#'])
            && (name.ends_with(".hcl") || name.ends_with(".json"))
            && Path::new(name).is_file()
    };
    let mut found: Vec<String> = names.filter(wanted).collect();
    found.sort();
    match found.len() {
        0 => Err(format!("{path} has no .hcl or .json file")),
        1..=MAX_FILES => Ok(found),
        _ => Err(format!("{path} has more than {MAX_FILES} files")),
    }
}
