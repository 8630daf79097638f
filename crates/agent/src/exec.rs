//! `exec`: a program with environment variables from Vault, by the agent of the pod or by an agent of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;
use sidekey_core::contract::{Action, EnvSource, Layout, Signal, Source};
use sidekey_core::{AgentConfig, Cause, Code};
use sidekey_runtime::drain;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::child::{Program, Runner};
use crate::environment;
use crate::exit::Exit;
use crate::private;
use crate::serve;
use crate::supervisor::{Platform, Supervisor};
use crate::vaultfile::Loaded;

/// For the end of the agent once the program has ended: a revocation takes no longer.
const LAST: Duration = Duration::from_secs(3);

/// By the pod's agent: no login, no configuration. Without restarts this process becomes the program.
///
/// # Errors
/// The system's.
pub(crate) async fn client(
    socket: &str,
    words: Vec<String>,
    restart: bool,
    patience: Option<Duration>,
) -> io::Result<Exit> {
    let mut runner = Runner::new(Program { words, restart, stop: Signal::Term }, patience)?;
    let (sender, mut desk) = watch::channel(None);
    let follower = tokio::spawn(environment::follow(PathBuf::from(socket), sender));
    if let Err(code) = runner.first(&mut desk).await {
        return Ok(Exit::Program(code));
    }
    if restart {
        return Ok(Exit::Program(runner.run(&mut desk).await));
    }
    follower.abort();
    Ok(Exit::Program(runner.become_program(&desk)))
}

/// What a configuration says of the program.
///
/// # Errors
/// `ConfigMalformed`: no variable, no program, or commands of its own, whose ends would be taken for the program's.
pub(crate) fn program(loaded: &Loaded, words: Vec<String>, restart: Option<bool>) -> Result<Program, Cause> {
    let malformed = |answer: &str| Cause::new(Code::ConfigMalformed, "reading the agent's configuration", answer);
    let Some(source) = source(&loaded.config) else {
        return Err(malformed("it has no environment variable")
            .with_fix("Write an env_template for each, or run the program without `exec`."));
    };
    if loaded.config.notify.iter().any(|notify| matches!(notify.action, Action::Command { .. })) {
        return Err(malformed("beside `exec` no command runs after a change"));
    }
    let own = loaded.program.clone();
    let stop = own.as_ref().map_or(Signal::Term, |own| own.stop);
    let words = if words.is_empty() { own.map_or_else(Vec::new, |own| own.words) } else { words };
    if words.is_empty() {
        return Err(malformed("it names no program").with_fix("Write the program after `--`."));
    }
    Ok(Program { words, restart: restart.unwrap_or(source.restart), stop })
}

fn source(config: &AgentConfig) -> Option<&EnvSource> {
    config.outputs.iter().find_map(|output| match (&output.source, output.layout) {
        (Source::Environment(source), Layout::Served) => Some(source),
        _ => None,
    })
}

/// By an agent of its own, which works beside the program and ends after it.
///
/// # Errors
/// The system's.
pub(crate) async fn supervise(loaded: Loaded, program: Program, patience: Option<Duration>) -> io::Result<Exit> {
    let state = &loaded.config.state_dir;
    if !private::is_in_memory(Path::new(state)) {
        tracing::warn!(
            "{state} is on disk, and keeps what Vault answered for a restart: make it a tmpfs, or name one in SIDEKEY_STATE_DIR"
        );
    }
    let mut runner = Runner::new(program, patience)?;
    runner.umask = Some(umask(Mode::from_raw_mode(0o077)));
    let supervisor = Supervisor::new(loaded.config.clone(), false, Platform::of_process());
    let mut desk = supervisor.environment();
    serve::start(&loaded.config.state_dir, supervisor.status());
    let (trigger, drain) = drain::channel();
    let mut agent = tokio::spawn(supervisor.run(drain));
    let first = tokio::select! {
        first = runner.first(&mut desk) => first,
        ended = &mut agent => return Ok(ended.unwrap_or(Exit::Internal)),
    };
    let code = match first {
        Ok(()) => runner.run(&mut desk).await,
        Err(code) => code,
    };
    trigger.start();
    if timeout(LAST, agent).await.is_err() {
        tracing::warn!("the agent did not end in time; what it holds is left to expire");
    }
    Ok(Exit::Program(code))
}
