//! What to do after files have changed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::path::RelPath;

/// An action and the group whose change asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Notify {
    /// A group of the outputs.
    pub group: String,
    /// What to do.
    pub action: Action,
    /// After the first publication too, and readiness waits for it to succeed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub first: bool,
}

/// One thing to do. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Action {
    /// Runs a program of the agent's container, without a shell.
    #[serde(rename_all = "camelCase")]
    Command {
        /// Program and arguments; the program is looked for on `PATH` unless it has a slash.
        argv: Vec<String>,
    },
    /// Signals a process of the pod's shared process namespace.
    #[serde(rename_all = "camelCase")]
    Signal {
        /// Which signal.
        signal: Signal,
        /// To whom.
        process: Process,
    },
    /// Sends a request without a body; any 2xx is a success.
    #[serde(rename_all = "camelCase")]
    Http {
        /// Such as `POST`.
        method: String,
        /// `http://host[:port]/path`.
        url: String,
    },
    /// Makes an empty file, or sets the date of one that is there.
    #[serde(rename_all = "camelCase")]
    Touch {
        /// Absolute directory: a volume's mount path.
        dir: String,
        /// Below it.
        file: RelPath,
    },
}

/// Which process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Process {
    /// All of this name, but for children of others of this name.
    Name(String),
    /// The one whose id is in this file, as seen by the agent.
    PidFile(String),
}

macro_rules! signals {
    ($($name:ident = $word:literal,)*) => {
        /// The signals that ask a program to do something.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Signal {
            $(#[doc = $word] #[serde(rename = $word)] $name,)*
        }

        impl Signal {
            /// Their names, without `SIG`.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// Reads a name, with or without `SIG`, in any case.
            pub fn parse(text: &str) -> Option<Self> {
                let upper = text.to_ascii_uppercase();
                match upper.strip_prefix("SIG").unwrap_or(&upper) {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name, without `SIG`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

signals! {
    Hup = "HUP",
    Int = "INT",
    Quit = "QUIT",
    Usr1 = "USR1",
    Usr2 = "USR2",
    Term = "TERM",
    Cont = "CONT",
    Winch = "WINCH",
    Kill = "KILL",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { argv } => write!(f, "command {}", argv.first().map_or("", String::as_str)),
            Self::Signal { signal, process: Process::Name(name) } => write!(f, "signal {} {name}", signal.as_str()),
            Self::Signal { signal, process: Process::PidFile(path) } => write!(f, "signal {} {path}", signal.as_str()),
            Self::Http { method, url } => write!(f, "http {method} {}", url.split('?').next().unwrap_or_default()),
            Self::Touch { dir, file } => write!(f, "touch {dir}/{file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_signals_as_people_write_them() {
        for text in ["HUP", "SIGHUP", "hup", "sighup"] {
            assert_eq!(Signal::parse(text), Some(Signal::Hup), "{text}");
        }
        assert_eq!([Signal::parse(""), Signal::parse("1"), Signal::parse("SIG")], [None; 3]);
        for word in Signal::WORDS {
            assert_eq!(Signal::parse(word).unwrap().as_str(), *word);
        }
    }

    #[test]
    fn shows_what_it_does_without_its_arguments() {
        let command = Action::Command { argv: ["/bin/reload", "--password=x"].map(str::to_owned).to_vec() };
        let http = Action::Http { method: "POST".to_owned(), url: "http://127.0.0.1/-/reload?key=x".to_owned() };
        assert_eq!(command.to_string(), "command /bin/reload");
        assert_eq!(http.to_string(), "http POST http://127.0.0.1/-/reload");
    }
}
