//! `writeToFile`: what a template asks to be written beside its own file. Nothing is written here; the files are a part of what a
//! rendering answers, as much a function of its data as its bytes.

use sidekey_core::Sensitive;
use sidekey_core::path::RelPath;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::helpers::MAX_BYTES;

/// Most files of one rendering.
const MAX_FILES: usize = 64;

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By its number.
    Number(u32),
    /// By a name that the writer looks up: no `:` is in it, nor a line break.
    Name(String),
}

/// One more file of a rendering. No `Debug`: the bytes are secret.
pub struct ExtraFile {
    /// Absolute, without `.` and `..`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// User and group; `None` is the writer's own.
    pub owner: (Option<Account>, Option<Account>),
    /// Exactly what to write.
    pub bytes: Sensitive<Vec<u8>>,
}

/// Where, whose and how, as the first four arguments say.
pub(crate) struct Place {
    path: String,
    mode: u32,
    owner: (Option<Account>, Option<Account>),
}

impl Place {
    /// # Errors
    /// A path that is not absolute or climbs, an owner that none can be, a mode that is not octal.
    pub(crate) fn parse(path: &str, user: &str, group: &str, mode: &str) -> Result<Self, Failure> {
        Ok(Self { path: absolute(path)?, owner: (owner(user, "user")?, owner(group, "group")?), mode: octal(mode)? })
    }

    /// Checks what a template spells out, before it runs.
    pub(crate) fn check(args: &[Option<&str>]) -> Result<(), (usize, Failure)> {
        for (index, text) in args.iter().take(4).enumerate() {
            let Some(text) = text else { continue };
            let checked = match index {
                0 => absolute(text).map(drop),
                1 => owner(text, "user").map(drop),
                2 => owner(text, "group").map(drop),
                _ => octal(text).map(drop),
            };
            checked.map_err(|failure| (index, failure))?;
        }
        Ok(())
    }
}

/// Why `file` has no answer.
pub(crate) fn nowhere() -> Failure {
    Failure::new("no files are read here").hint("only the agent reads them, in its own container")
}

fn absolute(path: &str) -> Result<String, Failure> {
    let rest = path.strip_prefix('/').ok_or_else(|| Failure::new("the path is not absolute"))?;
    let inner = RelPath::parse(rest).map_err(|error| Failure::new(error.to_string()))?;
    Ok(format!("/{}", inner.as_str()))
}

/// Longest name of a user or a group.
const MAX_NAME: usize = 256;

fn owner(text: &str, what: &str) -> Result<Option<Account>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let none = || Failure::new(format!("the {what} is neither a number nor a name that one can have"));
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|id| *id != u32::MAX).map(|id| Some(Account::Number(id))).ok_or_else(none);
    }
    let odd =
        text.starts_with(['+', '-']) || text.contains(|c: char| c == ':' || c.is_control()) || text.len() > MAX_NAME;
    if odd { Err(none()) } else { Ok(Some(Account::Name(text.to_owned()))) }
}

fn octal(text: &str) -> Result<u32, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits);
    let wrong = || Failure::new("the mode is not octal").hint("write it as \"0640\"");
    mode.map(|mode| mode & 0o777).ok_or_else(wrong)
}

/// The files of a rendering so far.
#[derive(Default)]
pub(crate) struct Files(Vec<(Place, Zeroizing<Vec<u8>>)>);

impl Files {
    /// Takes a file. One of the same path is replaced, or with the flag `append` goes on: what it was on disk does not count, since
    /// then a file would grow with every rendering.
    ///
    /// # Errors
    /// Too many files, or too long ones.
    pub(crate) fn add(&mut self, place: Place, flags: &str, content: &[u8]) -> Result<(), Failure> {
        let mut bytes = Zeroizing::new(Vec::new());
        let before = self.0.iter().position(|(known, _)| known.path == place.path);
        if let Some((_, text)) = before.map(|index| self.0.remove(index)).filter(|_| flags.contains("append")) {
            bytes = text;
        }
        bytes.extend_from_slice(content);
        if flags.contains("newline") {
            bytes.push(b'\n');
        }
        let all: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        if all + bytes.len() > MAX_BYTES {
            return Err(crate::helpers::too_long());
        }
        if self.0.len() >= MAX_FILES {
            return Err(Failure::new(format!("more than {MAX_FILES} files")));
        }
        self.0.push((place, bytes));
        Ok(())
    }

    pub(crate) fn finish(self) -> Vec<ExtraFile> {
        let file = |(place, mut bytes): (Place, Zeroizing<Vec<u8>>)| ExtraFile {
            path: place.path,
            mode: place.mode,
            owner: place.owner,
            bytes: Sensitive::new(std::mem::take(&mut *bytes)),
        };
        self.0.into_iter().map(file).collect()
    }
}
