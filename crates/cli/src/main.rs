//! flags → one command → exit code
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | a pod is denied, a check says no, or the work failed |
//! | 2 | the flags, a manifest or the settings cannot be read |
//! | 130 | a second signal cut the webhook's drain short |

mod answers;
mod args;
mod check;
mod crds;
mod documents;
mod error;
mod explain;
mod ignored;
mod inject;
mod manifests;
mod mask;
mod operator;
mod ordered;
mod render;
mod webhook;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use error::Error;

/// musl's own gives memory back so eagerly that deciding one review took four times as long (docs/benchmarks.md).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    sidekey_runtime::provider::install();
    let done = match Cli::parse().command {
        Command::Webhook(args) => webhook::run(&args),
        Command::Operator(args) => operator::run(&args),
        Command::Inject(args) => inject::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Manifests(args) => manifests::run(&args),
        Command::Completions { shell } => completions(shell),
        Command::Version => write(concat!("sidekey ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(message) = error.message() {
                let _ = writeln!(io::stderr(), "sidekey: {message}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sidekey", &mut text);
    write(&String::from_utf8_lossy(&text))
}

/// To standard output; a reader that has seen enough is no failure.
fn write(text: &str) -> Result<(), Error> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
