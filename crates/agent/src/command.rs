//! From the command line to a library call and an exit code.

use std::io::{self, Write};

use sidekey_core::contract::ContractError;
use sidekey_core::{AgentConfig, Cause, Code};
use sidekey_runtime::{drain, log, provider};
use sidekey_vault::by_environment;

use crate::args::{self, Command};
use crate::clock::unix_seconds;
use crate::exit::Exit;
use crate::status::Status;
use crate::supervisor::{Platform, Supervisor};
use crate::{check, harden, ready, serve, termination};

/// Does what the words ask; what a person should read goes to `out`, and everything else to the log on stderr.
///
/// # Errors
/// `out` or the runtime fails.
pub fn run(words: impl IntoIterator<Item = String>, out: &mut dyn Write) -> io::Result<Exit> {
    let command = match args::parse(words) {
        Ok(command) => command,
        Err(error) => {
            writeln!(out, "{error}")?;
            return Ok(Exit::Usage);
        }
    };
    match command {
        Command::Help(text) => write!(out, "{text}").map(|()| Exit::Done),
        Command::Version => writeln!(out, "sidekey-agent {}", env!("CARGO_PKG_VERSION")).map(|()| Exit::Done),
        command => match AgentConfig::from_env(|name| std::env::var(name).ok()) {
            Ok(mut config) => {
                by_environment(&mut config.server, |name| std::env::var(name).ok());
                with_config(&command, config, out)
            }
            Err(error) => malformed(&command, &error, out),
        },
    }
}

fn with_config(command: &Command, config: AgentConfig, out: &mut dyn Write) -> io::Result<Exit> {
    match command {
        Command::Ready { wait } => {
            let (exit, line) = ready::wait(&config.state_dir, *wait);
            writeln!(out, "{line}").map(|()| exit)
        }
        Command::Status { json } => status(&config.state_dir, *json, out),
        Command::Check => {
            harden::process();
            provider::install();
            runtime()?.block_on(check::run(&config, &Platform::of_process(), out))
        }
        Command::Run { once } => agent(config, *once),
        Command::Help(_) | Command::Version => Ok(Exit::Done),
    }
}

fn status(state_dir: &str, json: bool, out: &mut dyn Write) -> io::Result<Exit> {
    match Status::load(state_dir) {
        Ok(status) if json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?).map(|()| Exit::Done),
        Ok(status) => write!(out, "{}", status.text(unix_seconds())).map(|()| Exit::Done),
        Err(error) => writeln!(out, "{}", ready::unread(&error)).map(|()| Exit::NotReady),
    }
}

fn agent(config: AgentConfig, once: bool) -> io::Result<Exit> {
    let logging = log::init(&config.log.level, config.log.json).or_else(|_| log::init("info", true));
    logging.map_err(io::Error::other)?;
    harden::process();
    provider::install();
    runtime()?.block_on(async {
        let drain = drain::on_signals()?;
        let (state_dir, shape) = (config.state_dir.clone(), config.lifecycle.shape);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), ?shape, address = config.server.address, "starting");
        let supervisor = Supervisor::new(config, once, Platform::of_process());
        serve::start(&state_dir, supervisor.status());
        Ok(supervisor.run(drain).await)
    })
}

/// One thread: the agent waits, it does not compute.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn malformed(command: &Command, error: &ContractError, out: &mut dyn Write) -> io::Result<Exit> {
    let cause = Cause::new(Code::ConfigMalformed, "reading the agent's configuration", error.to_string());
    if matches!(command, Command::Run { .. }) {
        termination::write(termination::PATH.as_ref(), &cause.to_string());
    }
    writeln!(out, "{cause}").map(|()| Exit::Usage)
}
