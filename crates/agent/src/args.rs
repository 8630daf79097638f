//! The command line, read by hand: six commands do not pay for a parser in every pod.

use std::time::Duration;

use thiserror::Error;

/// How long `ready --wait` waits when nothing is said: below the startup probe's timeout of 10 s.
pub const READY_WAIT: Duration = Duration::from_secs(8);

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Log in, write the files, keep them fresh.
    Run {
        /// Leave once the first set is written, whatever shape the configuration has.
        once: bool,
        /// Vault Agent's own files, or directories of them.
        config: Vec<String>,
    },
    /// Say whether the first set is written.
    Ready {
        /// How long to wait for it.
        wait: Duration,
    },
    /// Try every step once and write nothing.
    Check {
        /// As for [`Self::Run`].
        config: Vec<String>,
    },
    /// Run a program with environment variables from Vault.
    Exec {
        /// Of the pod's agent; without it this process logs in by itself.
        socket: Option<String>,
        /// As for [`Self::Run`].
        config: Vec<String>,
        /// Start the program anew when its environment changes; `None` is as configured.
        restart: Option<bool>,
        /// How long it has to end in then; `None` is 30 s.
        patience: Option<Duration>,
        /// The program and its arguments.
        words: Vec<String>,
    },
    /// Show what the running agent says of itself.
    Status {
        /// As it stands in the file.
        json: bool,
    },
    /// Name and version.
    Version,
    /// A help text.
    Help(&'static str),
}

/// What cannot be understood, with the way out.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// The first word.
    #[error("there is no command {0:?}; see sidekey-agent --help")]
    Command(String),
    /// A later word.
    #[error("{command} has no argument {argument:?}; see sidekey-agent {command} --help")]
    Argument {
        /// The command.
        command: &'static str,
        /// As given.
        argument: String,
    },
    /// `exec` without one.
    #[error("exec needs a program after `--`; see sidekey-agent exec --help")]
    Program,
    /// `--wait=…`, `--kill-after=…`.
    #[error("{option} takes whole seconds up to 3600, not {words:?}")]
    Seconds {
        /// The option.
        option: &'static str,
        /// As given.
        words: String,
    },
}

/// Reads the words after the program's name.
///
/// # Errors
/// [`UsageError`].
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let words: Vec<String> = words.into_iter().collect();
    let mut words = words.iter().map(String::as_str);
    let command = match words.next() {
        None | Some("-h" | "--help" | "help") => return Ok(Command::Help(HELP)),
        Some("-V" | "--version") => return Ok(Command::Version),
        Some(word) => word,
    };
    let rest: Vec<&str> = words.collect();
    let wants_help = asks_for_help(&rest);
    match command {
        "run" if wants_help => Ok(Command::Help(RUN)),
        "run" => with_files("run", &rest, |once, config| Command::Run { once, config }),
        "ready" if wants_help => Ok(Command::Help(READY)),
        "ready" => options("ready", &rest, Command::Ready { wait: Duration::ZERO }, |word| {
            Ok(wait(word)?.map(|wait| Command::Ready { wait }))
        }),
        "check" if wants_help => Ok(Command::Help(CHECK)),
        "check" => match with_files("check", &rest, |once, config| (once, config)) {
            Ok((false, config)) => Ok(Command::Check { config }),
            Ok((true, _)) => Err(UsageError::Argument { command: "check", argument: "--once".to_owned() }),
            Err(error) => Err(error),
        },
        "exec" if rest.split(|word| *word == "--").next().is_some_and(asks_for_help) => Ok(Command::Help(EXEC)),
        "exec" => exec(&rest),
        "status" if wants_help => Ok(Command::Help(STATUS)),
        "status" => options("status", &rest, Command::Status { json: false }, |word| {
            Ok((word == "--json").then_some(Command::Status { json: true }))
        }),
        "version" => options("version", &rest, Command::Version, |_| Ok(None)),
        other => Err(UsageError::Command(other.to_owned())),
    }
}

/// `--config PATH`, `--config=PATH` and Vault's `-config=PATH`, as often as wanted; `--once` beside them.
fn with_files<T>(
    command: &'static str,
    words: &[&str],
    make: impl Fn(bool, Vec<String>) -> T,
) -> Result<T, UsageError> {
    let (mut once, mut config, mut words) = (false, Vec::new(), words.iter());
    while let Some(word) = words.next() {
        let path = match *word {
            "--once" => {
                once = true;
                continue;
            }
            "--config" | "-config" => words.next().copied(),
            other => other.strip_prefix("--config=").or_else(|| other.strip_prefix("-config=")),
        };
        match path.filter(|path| !path.is_empty()) {
            Some(path) => config.push(path.to_owned()),
            None => return Err(UsageError::Argument { command, argument: (*word).to_owned() }),
        }
    }
    Ok(make(once, config))
}

fn asks_for_help(words: &[&str]) -> bool {
    words.iter().any(|word| matches!(*word, "-h" | "--help"))
}

/// What follows `--` is the program's own.
fn exec(words: &[&str]) -> Result<Command, UsageError> {
    let (own, program) = match words.iter().position(|word| *word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let (mut socket, mut restart, mut patience, mut files, mut own) = (None, None, None, Vec::new(), own.iter());
    while let Some(word) = own.next() {
        let refused = || UsageError::Argument { command: "exec", argument: (*word).to_owned() };
        match *word {
            "--socket" => socket = Some(own.next().ok_or_else(refused)?.to_string()),
            "--on-change=restart" => restart = Some(true),
            "--on-change=keep" => restart = Some(false),
            word if word.starts_with("--kill-after=") => patience = seconds("--kill-after", word)?,
            "--config" | "-config" => files.extend([*word, own.next().ok_or_else(refused)?]),
            word if word.starts_with("--config=") || word.starts_with("-config=") => files.push(word),
            _ => return Err(refused()),
        }
    }
    if socket.is_some() && program.is_empty() {
        return Err(UsageError::Program);
    }
    let config = with_files("exec", &files, |_, config| config)?;
    let words = program.iter().map(|word| (*word).to_owned()).collect();
    Ok(Command::Exec { socket, config, restart, patience, words })
}

/// Every other command has one option at most, so a later word replaces what an earlier one said.
fn options(
    command: &'static str,
    words: &[&str],
    plain: Command,
    read: impl Fn(&str) -> Result<Option<Command>, UsageError>,
) -> Result<Command, UsageError> {
    words.iter().try_fold(plain, |_, word| {
        read(word)?.ok_or_else(|| UsageError::Argument { command, argument: (*word).to_owned() })
    })
}

fn wait(word: &str) -> Result<Option<Duration>, UsageError> {
    if word == "--wait" {
        return Ok(Some(READY_WAIT));
    }
    seconds("--wait", word)
}

/// Of `OPTION=SECONDS`; `None` for another option.
fn seconds(option: &'static str, word: &str) -> Result<Option<Duration>, UsageError> {
    let Some(words) = word.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) else { return Ok(None) };
    match words.parse() {
        Ok(seconds @ 0..=3600) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(UsageError::Seconds { option, words: words.to_owned() }),
    }
}

const HELP: &str = "\
sidekey-agent delivers Vault and OpenBao secrets to the other containers of its pod.

Usage: sidekey-agent COMMAND

  run [--once] [--config PATH]...
                          log in, write the files, keep them fresh until SIGTERM
  ready [--wait[=SECS]]   say in one line whether the files are written, or why not
  status [--json]         show what the running agent says of itself
  check                   try every step once and write nothing
  exec [OPTIONS] -- PROGRAM [ARGUMENT]...
                          run a program with environment variables from Vault
  version                 name and version

It reads its configuration from SIDEKEY_CONFIG, which the webhook sets; nothing else is
needed. `sidekey explain` shows which annotation led to what.

Exit codes: 0 done, 1 internal error, 2 bad arguments or configuration, 3 start deadline
passed, 4 not ready or a check failed, 5 first login failed. `exec` ends as its program.
";

const RUN: &str = "\
Usage: sidekey-agent run [--once] [--config PATH]...

Logs in, fetches, writes the files, then renews and replaces what needs it. It does not stop
on errors: the last good files stay, and each secret is tried again in its own time.

  --once           leave with 0 when the first set is written (classic init containers)
  --config PATH    read Vault Agent's own configuration: a file, or a directory of .hcl and
                   .json files; may be repeated. What is not served is named with its line.
                   Without it and without SIDEKEY_CONFIG, BAO_AGENT_CONFIG_PATH names them.

SIGTERM ends it: the own token is revoked if so configured. A second signal leaves at once.
SIGHUP reads the files of --config again: a new log level holds at once, and the log says what
takes a restart. Files that cannot be read or served change nothing.
";

const READY: &str = "\
Usage: sidekey-agent ready [--wait[=SECONDS]]

Prints one line. Exit code 0: the first complete set of files has been written, whatever Vault
does now. Exit code 4: not yet, and the line has the cause, its code and what to do.

  --wait    wait up to 8 seconds for it (or as many as given, up to 3600)
";

const CHECK: &str = "\
Usage: sidekey-agent check [--config PATH]...

Reads the configuration, compiles the templates, logs in, fetches every secret, renders to
nowhere and revokes its token. Prints a line per step, with cause and fix where one fails, and
no secret. Leased secrets that it had issued are revoked with the token.
";

const EXEC: &str = "\
Usage: sidekey-agent exec [OPTIONS] -- PROGRAM [ARGUMENT]...

Runs a program with environment variables from Vault, which are never in a file of the program's.
Signals go to the program, and its exit code is that of this command: 128 and the signal's number
where a signal ended it, 127 where it is not there, 126 where it cannot be run.

  --socket PATH           take the variables from the pod's own agent, without a login. With
                          --on-change=keep (the default here) this process becomes the program
  --config PATH           log in and fetch by Vault Agent's own files, with env_template and exec;
                          may be repeated. Without it SIDEKEY_CONFIG counts. What Vault answered is
                          kept for a restart in SIDEKEY_STATE_DIR, 0600: make that a tmpfs
  --on-change=restart     when a value changes: SIGTERM (or restart_stop_signal), SIGKILL 30 s later,
                          and a new start; five in ten minutes at most, a later one waits
  --kill-after=SECONDS    SIGKILL that much later instead, up to 3600
  --on-change=keep        the program keeps what it began with
";

const STATUS: &str = "\
Usage: sidekey-agent status [--json]

Shows the running agent's files, secrets, next steps and current problems. It holds no secret.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_every_command() {
        let ready = |seconds| Ok(Command::Ready { wait: Duration::from_secs(seconds) });
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let exec = |socket: Option<&str>, config: &[&str], restart, words: &[&str]| {
            let socket = socket.map(str::to_owned);
            Ok(Command::Exec { socket, config: list(config), restart, patience: None, words: list(words) })
        };
        let cases = [
            ("", Ok(Command::Help(HELP))),
            ("--help", Ok(Command::Help(HELP))),
            ("run", Ok(Command::Run { once: false, config: vec![] })),
            ("run --once", Ok(Command::Run { once: true, config: vec![] })),
            (
                "run --config a --once -config=b --config=c",
                Ok(Command::Run { once: true, config: ["a", "b", "c"].map(str::to_owned).to_vec() }),
            ),
            ("check --config=a", Ok(Command::Check { config: vec!["a".to_owned()] })),
            ("check", Ok(Command::Check { config: vec![] })),
            ("run --once --help", Ok(Command::Help(RUN))),
            ("ready", ready(0)),
            ("ready --wait", ready(8)),
            ("ready --wait=30", ready(30)),
            ("status --json", Ok(Command::Status { json: true })),
            ("--version", Ok(Command::Version)),
            ("version", Ok(Command::Version)),
            ("exec --socket /s -- app --help", exec(Some("/s"), &[], None, &["app", "--help"])),
            ("exec --config a --config=b --on-change=keep", exec(None, &["a", "b"], Some(false), &[])),
            (
                "exec --kill-after=120 -- app",
                Ok(Command::Exec {
                    socket: None,
                    config: vec![],
                    restart: None,
                    patience: Some(Duration::from_secs(120)),
                    words: list(&["app"]),
                }),
            ),
            ("exec --help -- app", Ok(Command::Help(EXEC))),
        ];
        for (line, want) in cases {
            assert_eq!(parsed(line), want, "{line}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know_and_says_where_to_look() {
        let cases = [
            ("start", "there is no command \"start\"; see sidekey-agent --help"),
            ("run --twice", "run has no argument \"--twice\"; see sidekey-agent run --help"),
            ("run --config", "run has no argument \"--config\"; see sidekey-agent run --help"),
            ("check --once", "check has no argument \"--once\"; see sidekey-agent check --help"),
            ("check all", "check has no argument \"all\"; see sidekey-agent check --help"),
            ("exec --socket /s", "exec needs a program after `--`; see sidekey-agent exec --help"),
            ("exec --socket /s app", "exec has no argument \"app\"; see sidekey-agent exec --help"),
            ("exec --config -- app", "exec has no argument \"--config\"; see sidekey-agent exec --help"),
            ("ready --wait=1m", "--wait takes whole seconds up to 3600, not \"1m\""),
            ("exec --kill-after=3601 -- app", "--kill-after takes whole seconds up to 3600, not \"3601\""),
            ("exec --kill-after -- app", "exec has no argument \"--kill-after\"; see sidekey-agent exec --help"),
            ("ready --wait=-1", "--wait takes whole seconds up to 3600, not \"-1\""),
        ];
        for (line, want) in cases {
            assert_eq!(parsed(line), Err(want.to_owned()), "{line}");
        }
    }
}
