//! From the command line to a library call and an exit code.

use std::io::{self, Write};
use std::time::Duration;

use sidekey_core::contract::ContractError;
use sidekey_core::{AgentConfig, Cause, Code};
use sidekey_runtime::{drain, log, provider};
use sidekey_vault::by_environment;

use crate::args::{self, Command};
use crate::clock::unix_seconds;
use crate::exit::Exit;
use crate::reload::Reload;
use crate::status::Status;
use crate::supervisor::{Platform, Supervisor};
use crate::vaultfile::{self, Loaded};
use crate::{check, child, exec, harden, ready, serve, termination};

// What a command needs on the stack is in a function of its own, not inlined: side by side in one frame they would all lie beneath
// a process that runs for months.

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
        Command::Ready { wait } => with_state(|dir| ready::wait(dir, wait), out),
        Command::Status { json } => match state_dir() {
            Ok(dir) => status(&dir, json, out),
            Err(cause) => writeln!(out, "{cause}").map(|()| Exit::Usage),
        },
        Command::Check { config } => match configuration(&config) {
            Ok(loaded) => checked(&loaded, out),
            Err(cause) => writeln!(out, "{cause}").map(|()| Exit::Usage),
        },
        Command::Run { once, config } => match configuration(&config) {
            Ok(loaded) if loaded.starts_program() => refused(&vaultfile::without_exec(), out),
            Ok(loaded) => agent(loaded, once),
            Err(cause) => refused(&cause, out),
        },
        Command::Exec { socket: Some(socket), words, restart, patience, .. } => {
            client(&socket, words, restart.unwrap_or(false), patience)
        }
        Command::Exec { socket: None, config, words, restart, patience } => {
            let loaded = configuration(&config);
            match loaded.and_then(|loaded| Ok((exec::program(&loaded, words, restart)?, loaded))) {
                Ok((program, loaded)) => supervise(loaded, program, patience),
                Err(cause) => refused(&cause, out),
            }
        }
    }
}

/// Before anything has begun.
fn refused(cause: &Cause, out: &mut dyn Write) -> io::Result<Exit> {
    termination::write(termination::PATH.as_ref(), &cause.to_string());
    writeln!(out, "{cause}").map(|()| Exit::Usage)
}

#[inline(never)]
fn checked(loaded: &Loaded, out: &mut dyn Write) -> io::Result<Exit> {
    loaded.notes.iter().try_for_each(|note| writeln!(out, "note  {note}"))?;
    harden::process();
    provider::install();
    block_on(check::run(&loaded.config, &Platform::of_process(), out))?
}

#[inline(never)]
fn client(socket: &str, words: Vec<String>, restart: bool, patience: Option<Duration>) -> io::Result<Exit> {
    log::init("info", true).map_err(io::Error::other)?;
    harden::memory();
    block_on(exec::client(socket, words, restart, patience))?
}

#[inline(never)]
fn supervise(loaded: Loaded, program: child::Program, patience: Option<Duration>) -> io::Result<Exit> {
    begin_log(&loaded)?;
    harden::memory();
    provider::install();
    block_on(exec::supervise(loaded, program, patience))?
}

fn begin_log(loaded: &Loaded) -> io::Result<log::Control> {
    let log = &loaded.config.log;
    let control = log::init(&log.level, log.json).or_else(|_| log::init("info", true)).map_err(io::Error::other)?;
    loaded.notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(control)
}

/// The webhook's contract, or Vault Agent's files over it where some are named. Where neither is, a variable may name files.
fn configuration(files: &[String]) -> Result<Loaded, Cause> {
    let variable = |name: &str| std::env::var(name).ok();
    let load = |files: &[String], base: Option<&AgentConfig>| vaultfile::load(files, base, &std::env::vars().collect());
    let mut loaded = match AgentConfig::from_env(variable) {
        Ok(config) if files.is_empty() => {
            Loaded { config, files: Vec::new(), once: false, notes: Vec::new(), program: None }
        }
        Ok(config) => load(files, Some(&config))?,
        Err(ContractError::Absent) if !files.is_empty() => load(files, None)?,
        Err(error) => match vaultfile::named_by(variable).as_slice() {
            named @ [_, ..] if error == ContractError::Absent => load(named, None)?,
            _ => return Err(malformed(&error)),
        },
    };
    by_environment(&mut loaded.config.server, variable);
    for server in loaded.config.logins.iter_mut().filter_map(|login| login.server.as_mut()) {
        by_environment(server, variable);
    }
    Ok(loaded)
}

/// Of the running agent; one that runs by files alone says it in a variable.
fn state_dir() -> Result<String, Cause> {
    match AgentConfig::from_env(|name| std::env::var(name).ok()) {
        Ok(config) => Ok(config.state_dir),
        Err(error) => std::env::var(vaultfile::STATE_DIR_VARIABLE).map_err(|_| malformed(&error)),
    }
}

fn with_state(look: impl Fn(&str) -> (Exit, String), out: &mut dyn Write) -> io::Result<Exit> {
    let (exit, line) = match state_dir() {
        Ok(dir) => look(&dir),
        Err(cause) => (Exit::Usage, cause.to_string()),
    };
    writeln!(out, "{line}").map(|()| exit)
}

fn status(state_dir: &str, json: bool, out: &mut dyn Write) -> io::Result<Exit> {
    match Status::load(state_dir) {
        Ok(status) if json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?).map(|()| Exit::Done),
        Ok(status) => write!(out, "{}", status.text(unix_seconds())).map(|()| Exit::Done),
        Err(error) => writeln!(out, "{}", ready::unread(&error)).map(|()| Exit::NotReady),
    }
}

#[inline(never)]
fn agent(loaded: Loaded, at_once: bool) -> io::Result<Exit> {
    let log = begin_log(&loaded)?;
    let Loaded { config, files, once: file_says_once, .. } = loaded;
    let once = at_once || file_says_once;
    harden::process();
    provider::install();
    block_on(async {
        let drain = drain::on_signals()?;
        let (state_dir, shape) = (config.state_dir.clone(), config.lifecycle.shape);
        let metrics_port = config.metrics_port.filter(|_| !once);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), ?shape, address = config.server.address, "starting");
        let supervisor = Supervisor::new(config, once, Platform::of_process());
        Reload { files, config: supervisor.config.clone(), once: file_says_once, log }.follow(configuration)?;
        serve::start(&state_dir, supervisor.status());
        if let Some(port) = metrics_port {
            serve::start_port(port, supervisor.status());
        }
        if let Err(cause) = supervisor.serve_environment() {
            tracing::error!(code = %cause.code, "{cause}");
            termination::write(termination::PATH.as_ref(), &cause.to_string());
            return Ok(Exit::Internal);
        }
        Ok(supervisor.run(drain).await)
    })?
}

/// One thread: the agent waits, it does not compute. Names are looked up by others, whose end is not waited for: a resolver that
/// hangs would hold up that of the process for as long as it pleases.
fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

fn malformed(error: &ContractError) -> Cause {
    Cause::new(Code::ConfigMalformed, "reading the agent's configuration", error.to_string())
}
