//! A path below a directory of ours that cannot leave it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A relative path of plain components: no `..`, no `.`, not absolute, no NUL, nothing that begins with `..` (those names
/// belong to the volume's own links).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// Why a path was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// Nothing is left once slashes and dots are gone.
    #[error("the path is empty")]
    Empty,
    /// It begins with `/`.
    #[error("the path must be relative, without a leading slash")]
    Absolute,
    /// It has a `..`.
    #[error("the path climbs out of its directory with `..`")]
    Climbs,
    /// A component begins with `..`, which the volume's own links do.
    #[error("names that begin with `..` are reserved for the volume's own links")]
    Reserved,
    /// NUL or a name over 255 bytes.
    #[error("the path has a NUL byte or a name longer than 255 bytes")]
    Unusable,
}

impl RelPath {
    /// Accepts `a/b`, `./a//b/`; keeps the cleaned form.
    ///
    /// # Errors
    /// One [`PathError`] per broken rule.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.starts_with('/') {
            return Err(PathError::Absolute);
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for part in &parts {
            match *part {
                ".." => return Err(PathError::Climbs),
                part if part.starts_with("..") => return Err(PathError::Reserved),
                part if part.contains('\0') || part.len() > 255 => return Err(PathError::Unusable),
                _ => {}
            }
        }
        if parts.is_empty() { Err(PathError::Empty) } else { Ok(Self(parts.join("/"))) }
    }

    /// Go's `path.Join("/", path)` without the slash: `..` is resolved and cannot climb out, a leading slash is dropped.
    ///
    /// # Errors
    /// [`PathError`] when nothing is left or a name is unusable.
    pub fn contained(path: &str) -> Result<Self, PathError> {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Self::parse(&parts.join("/"))
    }

    /// The cleaned path, `/`-separated.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RelPath {
    type Error = PathError;
    fn try_from(path: String) -> Result<Self, PathError> {
        Self::parse(&path)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl std::fmt::Display for RelPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_plain_paths_and_refuses_what_leaves_the_directory() {
        let cases = [
            ("a/b", Ok("a/b")),
            ("./a//b/", Ok("a/b")),
            ("", Err(PathError::Empty)),
            ("./", Err(PathError::Empty)),
            ("/a", Err(PathError::Absolute)),
            ("a/../b", Err(PathError::Climbs)),
            ("..data/x", Err(PathError::Reserved)),
            ("a\0b", Err(PathError::Unusable)),
        ];
        for (path, want) in cases {
            assert_eq!(RelPath::parse(path).as_ref().map(RelPath::as_str), want.as_ref().map(|p| *p), "{path}");
        }
    }

    #[test]
    fn contains_what_climbs() {
        let cases = [("../../etc/x", "etc/x"), ("/a/../b", "b"), ("a/./b", "a/b")];
        for (path, want) in cases {
            assert_eq!(RelPath::contained(path).map(String::from), Ok(want.to_owned()));
        }
        assert_eq!(RelPath::contained("a/.."), Err(PathError::Empty));
    }
}
