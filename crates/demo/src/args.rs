//! The command line.

use std::path::PathBuf;

use crate::failure::Failure;

const HELP: &str = "\
sidekey-demo: a pod through the webhook, then the agent, on an embedded Vault look-alike.

Usage: sidekey-demo [--agent PATH] [--json]

  --agent PATH   the sidekey-agent program; without it, the one beside this program
  --json         one JSON object per step
  --help         this text

Exit codes: 0 everything held, 1 something did not or could not be tried, 2 wrong arguments.
";

/// What to do.
pub(crate) enum Parsed {
    Run(Args),
    /// Text for standard output, and the exit code.
    Print(String, u8),
}

#[derive(Default)]
pub(crate) struct Args {
    agent: Option<PathBuf>,
    pub json: bool,
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Parsed {
    let mut args = Args::default();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => args.json = true,
            "--help" | "-h" => return Parsed::Print(HELP.to_owned(), 0),
            "--agent" => match words.next() {
                Some(path) => args.agent = Some(path.into()),
                None => return Parsed::Print(format!("--agent needs a path\n\n{HELP}"), 2),
            },
            other => return Parsed::Print(format!("unknown argument {other:?}\n\n{HELP}"), 2),
        }
    }
    Parsed::Run(args)
}

impl Args {
    /// The agent's program.
    ///
    /// # Errors
    /// It is not there; the message says how to build it.
    pub(crate) fn agent(&self) -> Result<PathBuf, Failure> {
        let path = match &self.agent {
            Some(path) => path.clone(),
            None => std::env::current_exe()
                .map_err(|error| Failure::of("finding this program", &error))?
                .with_file_name("sidekey-agent"),
        };
        let missing =
            |error| Failure::of(format!("finding {} (cargo build -p sidekey-agent makes it)", path.display()), &error);
        path.canonicalize().map_err(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_it_does_not_know() {
        let parse = |words: &[&str]| parse(words.iter().map(|word| (*word).to_owned()));
        for words in [&["--agnet"][..], &["--agent"], &["x"]] {
            assert!(matches!(parse(words), Parsed::Print(_, 2)), "{words:?}");
        }
        let Parsed::Run(args) = parse(&["--json", "--agent", "/bin/true"]) else { panic!("not run") };
        assert!(args.json && args.agent().is_ok());
    }
}
