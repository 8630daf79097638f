//! How the process ends.

/// Exit codes; users' scripts and pod policies read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done,
    /// A failure of ours.
    Internal,
    /// Arguments or configuration cannot be read.
    Usage,
    /// The start deadline passed.
    Deadline,
    /// `ready`: not yet; `check`: a step failed.
    NotReady,
    /// A login failed before the first set was written, and the configuration says that this is the end.
    Login,
    /// `exec`: the program's own, 128 and the signal's number where a signal ended it; 127 where it is not there, 126 where it
    /// cannot be run.
    Program(u8),
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::Deadline => 3,
            Exit::NotReady => 4,
            Exit::Login => 5,
            Exit::Program(code) => code,
        })
    }
}
