//! How the process ends.

/// Exit codes; users' scripts and pod policies read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done = 0,
    /// A failure of ours.
    Internal = 1,
    /// Arguments or configuration cannot be read.
    Usage = 2,
    /// The start deadline passed.
    Deadline = 3,
    /// `ready`: not yet; `check`: a step failed.
    NotReady = 4,
    /// A login failed before the first set was written, and the configuration says that this is the end.
    Login = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
