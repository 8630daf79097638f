//! The mounted credential, read the way an app would.

use std::fs;
use std::path::Path;

/// A user name and its password; a reader that sees halves of two has found a torn file.
pub(crate) struct Credential {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// From a file `{"username": …, "password": …}`, or from a directory of a group: the link `..data` is resolved once, so that
/// `username` and `password` are of one version.
///
/// # Errors
/// What is wrong, without the content.
pub(crate) fn read(path: &Path) -> Result<Credential, String> {
    let (user, password) = if path.is_dir() {
        let version = fs::canonicalize(path.join("..data")).map_err(|error| error.to_string())?;
        let field = |name: &str| fs::read_to_string(version.join(name)).map_err(|error| format!("{name}: {error}"));
        (field("username")?, field("password")?)
    } else {
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let json: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| format!("{} bytes are no JSON ({:?})", bytes.len(), error.classify()))?;
        let field = |name: &str| json[name].as_str().map(str::to_owned).ok_or(format!("no {name}"));
        (field("username")?, field("password")?)
    };
    if user.is_empty() || password.is_empty() {
        Err("an empty field".to_owned())
    } else {
        Ok(Credential { user, password })
    }
}
